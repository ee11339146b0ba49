package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// nameField says under which number a method's request has a name.
type nameField struct {
	method string
	field  string // the name's, as refusals call it
	num    protowire.Number
	limit  int
	// wire makes the whole request, with the given name in place; prefixes and what
	// lists do not need is left out.
	wire func(r *rig, name []byte) []byte
}

// nameFields lists every place of the contract where a record's name can stand.
func nameFields() []nameField {
	var out []nameField
	// flat adds a method whose request holds the names itself, behind a head.
	flat := func(method string, head func(*rig) []byte, nums map[string]protowire.Number) {
		for field, num := range nums { // independent of each other: any order
			out = append(out, nameField{method, field, num, limits[field], func(r *rig, name []byte) []byte {
				wire := head(r)
				for other, n := range nums { // any order: protobuf's fields have none
					if other == field {
						wire = append(wire, wiretest.Message(n, name)...)
					} else {
						wire = append(wire, wiretest.Text(n, "x")...)
					}
				}
				return wire
			}})
		}
	}
	// nested adds one whose names stand in a message within, behind nothing.
	nested := func(method string, head func(*rig) []byte, at protowire.Number, inner []byte, nums map[string]protowire.Number) {
		from := len(out)
		flat(method, func(*rig) []byte { return inner }, nums)
		for i := range out[from:] {
			f := &out[from+i]
			content := f.wire
			f.wire = func(r *rig, name []byte) []byte {
				return append(head(r), wiretest.Message(at, content(r, name))...)
			}
		}
	}
	nothing := func(*rig) []byte { return nil }
	open := func(r *rig) []byte { return wiretest.Text(1, r.begin()) }
	fresh := func(r *rig) []byte { return wiretest.Text(1, r.id()) }
	record := func(from protowire.Number) map[string]protowire.Number {
		return map[string]protowire.Number{"namespace": from, "agent_id": from + 1, "key": from + 2}
	}
	agent := map[string]protowire.Number{"namespace": 1, "agent_id": 2}
	flat("Write", func(r *rig) []byte { return append(open(r), wiretest.Text(6, "{}")...) }, record(2))
	flat("Delete", open, record(2))
	flat("GetState", nothing, record(1))
	flat("GetState", func(r *rig) []byte { return wiretest.Text(6, r.begin()) }, record(1))
	flat("GetStateAtVersion", nothing, record(1))
	flat("GetHistory", nothing, record(1))
	flat("ListKeys", nothing, agent)
	flat("ListKeys", func(r *rig) []byte { return wiretest.Text(8, r.begin()) }, agent)
	flat("ScanPrefix", nothing, agent)
	flat("Replay", nothing, agent)
	flat("ReplayBatches", nothing, agent)
	flat("Watch", nothing, agent)
	flat("ListKeys", func(*rig) []byte { return wiretest.Text(10, "/") }, agent)
	flat("Find", nothing, agent)
	flat("Find", func(*rig) []byte { return wiretest.Varint(3, 1) }, map[string]protowire.Number{"namespace": 1})
	flat("Diff", nothing, agent)
	flat("Diff", func(*rig) []byte { return append(wiretest.Text(1, "x"), wiretest.Text(2, "x")...) }, map[string]protowire.Number{"namespace": 5}) // an empty agent_id is that of the first
	flat("ListRefusals", nothing, map[string]protowire.Number{"namespace": 1})
	flat("ListStreams", nothing, map[string]protowire.Number{"namespace": 1})
	flat("ListAgents", nothing, map[string]protowire.Number{"namespace": 1})
	nested("BatchGetState", nothing, 1, nil, record(1))
	nested("Transact", fresh, 2, wiretest.Text(5, "{}"), record(1))
	nested("Transact", fresh, 2, wiretest.Varint(6, 1), record(1))
	nested("Transact", fresh, 3, nil, record(1))
	nested("Transact", fresh, 4, nil, agent)
	nested("Commit", open, 3, nil, record(1))
	nested("Commit", open, 4, nil, agent)
	return out
}

var limits = map[string]int{"namespace": 128, "agent_id": 256, "key": 1024}

// Every name, in every method: at its limit and one below it is a name, one above
// it and with characters that no name has it is refused, naming the field.
func TestNamesEverywhere(t *testing.T) {
	sequential(t)
	r := newRig(t)
	for _, f := range nameFields() {
		what := fmt.Sprintf("%s, field %d", f.method, f.num)
		try := func(name string) error {
			if f.method == "Watch" { // which goes on for ever: the first mark is enough
				return r.rawFirst(f.method, f.wire(r, []byte(name)))
			}
			return r.raw(f.method, f.wire(r, []byte(name)))
		}
		for _, name := range []string{strings.Repeat("x", f.limit-1), strings.Repeat("x", f.limit),
			strings.Repeat("é", f.limit/2), strings.Repeat("\U0010FFFF", f.limit/4), "\x7f", "\u009b31m", "../../etc/passwd", "-rf", "*", " ", "\ufeff", "\u202e"} {
			if err := try(name); !wellNamed(err) {
				t.Errorf("%s: %.20q of %d bytes is refused: %v", what, name, len(name), err)
			}
		}
		for name, says := range map[string]string{ // independent of each other: any order
			strings.Repeat("x", f.limit+1):       fmt.Sprint(f.limit),
			strings.Repeat("é", f.limit/2) + "x": fmt.Sprint(f.limit),
			strings.Repeat("x", 1<<20):           fmt.Sprint(f.limit),
			"a\x00b":                             "U+0000",
			"\x00":                               "U+0000",
			"\x1b[31mred":                        "U+001B",
			"line\nline":                         "U+000A",
			"\x1f":                               "U+001F",
			"a\xffb":                             "UTF-8",
			"\xed\xa0\x80":                       "UTF-8", // a surrogate
			"\xc0\xaf":                           "UTF-8", // an overlong slash
			"\xf4\x90\x80\x80":                   "UTF-8", // past U+10FFFF
			strings.Repeat("x", f.limit-1) + "\u0001": "U+0001",
		} {
			d := invalidArgument(t, fmt.Sprintf("%s: %.20q", what, name), try(name), says)
			// Text that is not UTF-8 is no protobuf string: that refusal is of the message.
			if field := d.Details["field"]; says != "UTF-8" && field != f.field {
				t.Errorf("%s: %.20q is refused for the field %q, want %q", what, name, field, f.field)
			}
		}
		if f.field == "namespace" {
			if err := try(""); !wellNamed(err) {
				t.Errorf("%s: an empty namespace, which means default, is refused: %v", what, err)
			}
		} else if d := invalidArgument(t, what+": empty", try(""), f.field, "empty"); d.Details["field"] != f.field {
			t.Errorf("%s: empty is refused for the field %q", what, d.Details["field"])
		}
	}
}

// wellNamed tells whether an answer speaks of what was asked for: there is no such
// version, or a precondition does not hold, but the names were fine.
func wellNamed(err error) bool {
	code := detailOf(err).GetCode()
	return err == nil || code == pb.ErrorCode_VERSION_NOT_FOUND || code == pb.ErrorCode_PRECONDITION_FAILED
}

func TestEmptyNamespaceIsDefault(t *testing.T) {
	r := newRig(t)
	r.put("", "a", "k", `{"v":1}`)
	r.put("default", "a", "k", `{"v":2}`)
	if a, b := r.get("", "a", "k"), r.get("default", "a", "k"); a != `{"v":2}` || b != a {
		t.Errorf("under the empty name %s, under default %s", a, b)
	}
	h, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "k"})
	if err != nil || len(h.Entries) != 2 {
		t.Errorf("%d versions: %v", len(h.GetEntries()), err)
	}
	ns, err := r.ListNamespaces(timeout(t), &pb.ListNamespacesRequest{})
	if err != nil || !slices.Equal(ns.Namespaces, []string{"default"}) {
		t.Errorf("namespaces %q: %v", ns.GetNamespaces(), err)
	}
}

// No name can forge a boundary between names, and names compare as bytes.
func TestNamesAreNotMixedUp(t *testing.T) {
	r := newRig(t)
	names := [][3]string{
		{"a:b", "c", "d"}, {"a", "b:c", "d"}, {"a", "b", "c:d"},
		{"a/b", "c", "d"}, {"a", "b/c", "d"}, {"a", "b", "c/d"},
		{"x", "y", "é"}, {"x", "y", "e\u0301"}, {"x", "Y", "é"}, {"x", "y", "É"}, // never normalised
		{"x", "y", "k"}, {"x", "yk", "k"}, {"xy", "k", "k"}, {"x", "y", "k "}, {"x", "y", " k"},
		{"x", "y", "\U0010FFFF"}, {"x", "y\U0010FFFF", "k"}, {"x\U0010FFFF", "y", "k"},
		{"x", "y", "../../etc/passwd"}, {"x", "y", "-rf"}, {"x", "y", "\u009b31m"},
	}
	for i, n := range names {
		if v := r.put(n[0], n[1], n[2], fmt.Sprintf(`{"n":%d}`, i)).Versions[0]; v != 1 {
			t.Errorf("%q is at version %d: another name's record", n, v)
		}
	}
	for i, n := range names {
		if got := r.get(n[0], n[1], n[2]); got != fmt.Sprintf(`{"n":%d}`, i) {
			t.Errorf("%q holds %s, want %d", n, got, i)
		}
	}
}

// A prefix scan never returns a neighbour's record, wherever the prefix ends.
func TestScanStaysWithItsPrefix(t *testing.T) {
	r := newRig(t)
	keys := []string{"a", "a\x7f", "a\u0080", "aa", "a\U0010FFFF", "a\U0010FFFF\U0010FFFF", "a\U0010FFFFb", "b", "\U0010FFFF", "\U0010FFFFz", "..", "-rf"}
	slices.Sort(keys)
	for _, at := range [][2]string{{"n", "a"}, {"n", "a\U0010FFFF"}, {"n", "a~"}, {"n\U0010FFFF", "a"}, {"n", "b"}} {
		for _, k := range keys {
			r.put(at[0], at[1], k, `{"of":"`+at[0]+"/"+at[1]+`"}`)
		}
	}
	for _, prefix := range []string{"", "a", "a\U0010FFFF", "a\U0010FFFF\U0010FFFF", "\U0010FFFF", "a\u0080", "b", "c", "-", "."} {
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		list, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{Namespace: "n", AgentId: "a", Prefix: prefix})
		if err != nil || !slices.Equal(list.Keys, want) {
			t.Errorf("list of %q: %q, want %q: %v", prefix, list.GetKeys(), want, err)
		}
		for _, reverse := range []bool{false, true} {
			scan, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{Namespace: "n", AgentId: "a", Prefix: prefix, Reverse: reverse, Encoding: asJSON})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range scan.Entries {
				if got = append(got, e.Key); string(e.ValueJson) != `{"of":"n/a"}` {
					t.Errorf("scan of %q returned a neighbour: %s", prefix, e.ValueJson)
				}
			}
			if reverse {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("scan of %q (reverse %v): %q, want %q", prefix, reverse, got, want)
			}
		}
	}
	_, err := r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", Prefix: strings.Repeat("x", 1025)})
	invalidArgument(t, "a prefix longer than any key", err, "1024")
	_, err = r.ListKeys(timeout(t), &pb.ListKeysRequest{AgentId: "a", Prefix: "a\x00"})
	invalidArgument(t, "a prefix with U+0000", err, "U+0000")
}

func TestTransactionIDs(t *testing.T) {
	r := newRig(t)
	try := func(id string) error {
		wire := append(wiretest.Message(1, []byte(id)), wiretest.Message(operations, wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Text(5, "{}"))...)
		err := r.raw(transactMethod, wire)
		if got := r.raw("GetTransaction", wiretest.Message(1, []byte(id))); (got == nil) != (err == nil) {
			t.Errorf("Transact of %.20q says %v, GetTransaction %v", id, err, got)
		}
		return err
	}
	uuid := "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, id := range []string{"x", "!", "~", strings.Repeat("x", 127), strings.Repeat("x", 128), strings.ToUpper(uuid),
		uuid[:34] + "-d", "-" + uuid[1:], "--------" + uuid[8:], strings.Repeat("-", 36), uuid[:35], uuid + "0", "{" + uuid + "}"} {
		if err := try(id); err != nil {
			t.Errorf("%q is refused: %v", id, err)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", 129), "a b", "a\tb", "a\x00", "\x7f", "é", "a\xff"} {
		invalidArgument(t, fmt.Sprintf("%.20q", id), try(id))
	}
}
