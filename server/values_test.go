package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// paths are the ways a value comes in.
func (r *rig) paths() map[string]func(v *structpb.Struct, text []byte) error {
	return map[string]func(*structpb.Struct, []byte) error{
		"Write": func(v *structpb.Struct, text []byte) error {
			txn := r.begin()
			if _, err := r.Write(timeout(r.t), &pb.WriteRequest{TxnId: txn, AgentId: "a", Key: "k", Value: v, ValueJson: text}); err != nil {
				return err
			}
			_, err := r.Commit(timeout(r.t), &pb.CommitRequest{TxnId: txn})
			return err
		},
		"Transact": func(v *structpb.Struct, text []byte) error {
			_, err := r.Transact(timeout(r.t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{{AgentId: "a", Key: "k", Value: v, ValueJson: text}}})
			return err
		},
	}
}

// textOf is JSON of exactly n bytes.
func textOf(n int) []byte {
	return []byte(`{"v":"` + strings.Repeat("x", n-8) + `"}`)
}

func structOfSize(t *testing.T, n int) *structpb.Struct {
	fill := n
	for range 4 { // lengths of lengths: it settles at once
		s := structOf(t, map[string]any{"v": strings.Repeat("x", fill)})
		if size := proto.Size(s); size == n {
			return s
		} else {
			fill -= size - n
		}
	}
	t.Fatalf("no Struct of %d bytes", n)
	return nil
}

func TestValueSizes(t *testing.T) {
	sequential(t)
	r := newRig(t)
	const limit = 1 << 20
	for path, try := range r.paths() { // independent of each other: any order
		for _, n := range []int{limit - 1, limit} {
			if err := try(nil, textOf(n)); err != nil {
				t.Errorf("%s: JSON of %d bytes: %v", path, n, err)
			}
			if got := r.get("", "a", "k"); got != string(textOf(n)) {
				t.Errorf("%s: JSON of %d bytes came back as %d", path, n, len(got))
			}
			if err := try(structOfSize(t, n), nil); err != nil {
				t.Errorf("%s: a Struct of %d bytes: %v", path, n, err)
			}
			got, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
			if err != nil || !proto.Equal(got.Value, structOfSize(t, n)) {
				t.Errorf("%s: a Struct of %d bytes came back as %d: %v", path, n, proto.Size(got.GetValue()), err)
			}
		}
		for _, n := range []int{limit + 1, 3 << 20} {
			invalidArgument(t, path+": JSON too long", try(nil, textOf(n)), fmt.Sprint(n), fmt.Sprint(limit), `"k"`)
			invalidArgument(t, path+": a Struct too long", try(structOfSize(t, n), nil), fmt.Sprint(n), fmt.Sprint(limit), `"k"`)
		}
		// What counts is what was sent, white space too.
		padded := append([]byte(`{}`), bytes.Repeat([]byte(" "), limit-1)...)
		invalidArgument(t, path+": JSON with blanks too long", try(nil, padded), fmt.Sprint(limit+1), fmt.Sprint(limit))
		if err := try(nil, padded[:limit]); err != nil || r.get("", "a", "k") != "{}" {
			t.Errorf("%s: a MiB of blanks: %v", path, err)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	r := newRig(t)
	deepText := func(n int) string { return strings.Repeat(`{"k":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	deepList := func(n int) string { return `{"k":` + strings.Repeat(`[`, n-1) + strings.Repeat(`]`, n-1) + `}` }
	for path, try := range r.paths() { // independent of each other: any order
		for text, says := range map[string]string{ // any order
			`{"a":NaN}`: "", `{"a":Infinity}`: "", `{"a":-Infinity}`: "", `{"a":1e309}`: "", `{"a":nan}`: "",
			`{"a":1,"a":1}`: "twice", `{"a":1,"\u0061":2}`: "twice", `{"o":{"x":1,"y":2,"x":3}}`: "twice",
			``: "absent", ` `: "", `null`: "object", `[]`: "object", `"s"`: "object", `1`: "object", `true`: "object",
			`{}{}`: "", `{},`: "", `{"a":}`: "", `{"a"}`: "", `{a:1}`: "", `{'a':1}`: "", `{"a":01}`: "", `{"a":+1}`: "", `{"a":.5}`: "", `{"a":0x1}`: "",
			`{"a":1,}`: "", `{"a":[1,]}`: "", `{"a":"` + "\n" + `"}`: "", `{"a":"\x"}`: "", `{"a":"\ud800"}`: "surrogate", `{"a":"\udc00\ud800"}`: "surrogate",
			"{\"a\":\"\xff\"}": "UTF-8", "\ufeff{}": "", `{"a":1`: "", `{"a":"`: "", "{}\x00": "", `{"a":tru}`: "", `// c` + "\n{}": "",
			deepText(29): "28", deepList(29): "28", deepText(100_000): "28",
		} {
			d := invalidArgument(t, fmt.Sprintf("%s: %.40s", path, text), try(nil, []byte(text)), says)
			if d.Details["field"] != "value" {
				t.Errorf("%s: %.40s is refused for the field %q", path, text, d.Details["field"])
			}
		}
		for _, text := range []string{deepText(28), deepList(28)} {
			if err := try(nil, []byte(text)); err != nil {
				t.Errorf("%s: nested 28 deep: %v", path, err)
			}
		}
		number := func(f float64) *structpb.Struct {
			return &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNumberValue(f)}}
		}
		for what, s := range map[string]*structpb.Struct{ // any order
			"NaN": number(math.NaN()), "+Inf": number(math.Inf(1)), "-Inf": number(math.Inf(-1)),
			"no kind":           {Fields: map[string]*structpb.Value{"a": {}}},
			"no kind in a list": {Fields: map[string]*structpb.Value{"a": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{{}}})}},
		} {
			d := invalidArgument(t, path+": a Struct with "+what, try(s, nil), "value")
			if d.Details["field"] != "value" {
				t.Errorf("%s: %s is refused for the field %q", path, what, d.Details["field"])
			}
		}
	}
	twice := append(wiretest.Entry("a", wiretest.Double(1)), wiretest.Entry("a", wiretest.Double(2))...)
	wire := append(wiretest.Text(1, r.id()), wiretest.Message(operations, wiretest.Text(2, "a"), wiretest.Text(3, "k"), wiretest.Message(operationsItem, twice))...)
	invalidArgument(t, "a Struct with a key twice", r.raw(transactMethod, wire), "twice")
}

// hardValues are those that other stores change on the way: all come back through
// JSON as they were sent. Of a Struct it is said whether it can carry them.
var hardValues = []struct {
	text     string
	asStruct bool
}{
	{`{"n":9007199254740993}`, false}, {`{"n":9007199254740992}`, true}, {`{"n":-9007199254740993}`, false},
	{`{"n":-9223372036854775808}`, true}, {`{"n":9223372036854775807}`, false}, {`{"n":18446744073709551615}`, false},
	{`{"n":1e308}`, true}, {`{"n":5e-324}`, true}, {`{"n":0.30000000000000004}`, true}, {`{"n":0.1}`, true}, {`{"n":-0}`, true}, {`{"n":-0.0}`, true},
	{`{"n":1.0}`, true}, {`{"n":1E5}`, true}, {`{"n":123456789012345678901234567890}`, false}, {`{"n":3.141592653589793238462643383279}`, false},
	{`{"n":1e-400}`, false}, {`{"n":0.1000000000000000055511151231257827021181583404541015625}`, true},
	{`{"messages":[{"role":"user"}]}`, true}, {`{}`, true}, {`{"a":{},"b":[],"c":[[],{}]}`, true}, {`{"":""}`, true},
	{`{"s":"` + "\U0001F600" + `"}`, true}, {`{"s":"\u0000\u001f\u007f"}`, true}, {`{"s":"\ud83d\ude00"}`, true}, {`{"s":"\/"}`, true},
	{`{"b":1,"a":2}`, true}, {`{"x":null,"y":true,"z":false}`, true}, {`{"s":"\u2028` + "\u2028" + `"}`, true}, {`{"__proto__":{"a":1}}`, true},
	{"{\"\u00e9\":1,\"e\u0301\":2}", true},
}

func TestHardValues(t *testing.T) {
	r := newRig(t)
	for i, v := range hardValues {
		key := fmt.Sprint(i)
		r.put("", "a", key, v.text)
		if got := r.get("", "a", key); got != v.text {
			t.Errorf("%s came back as %s", v.text, got)
		}
		strict, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: key, Strict: true})
		got, lenientErr := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: key})
		if lenientErr != nil {
			t.Errorf("%s as a Struct: %v", v.text, lenientErr)
			continue
		}
		if !v.asStruct {
			d := refused(t, v.text, err, codes.FailedPrecondition, pb.ErrorCode_NOT_REPRESENTABLE, "VALUE_ENCODING_JSON", "exactly")
			if d.MaybeApplied {
				t.Errorf("%s: a read may have been applied", v.text)
			}
			if in := got.Inexact; in.GetNumbers() != 1 || !slices.Equal(in.GetPlaces(), []string{"/n"}) {
				t.Errorf("%s as a Struct is told to be %v", v.text, in)
			}
			want, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(v.text, `{"n":`), "}"), 64)
			if n := got.Value.Fields["n"].GetNumberValue(); n != want {
				t.Errorf("%s as a Struct: %v", v.text, n)
			}
			continue
		}
		if err != nil || !proto.Equal(strict, got) || got.Inexact != nil {
			t.Errorf("%s as a strict Struct: %v, %v; otherwise %v", v.text, strict, err, got)
			continue
		}
		if err := sameValue([]byte(v.text), got.Value); err != nil {
			t.Errorf("%s as a Struct: %v", v.text, err)
		}
		// And in as a Struct, out as both.
		if _, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{{AgentId: "s", Key: key, Value: got.Value}}}); err != nil {
			t.Errorf("%s sent back as a Struct: %v", v.text, err)
			continue
		}
		again, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "s", Key: key})
		if err != nil || !proto.Equal(again.Value, got.Value) {
			t.Errorf("%s: the Struct changed to %v: %v", v.text, again.GetValue(), err)
		}
		if err := sameValue([]byte(r.get("", "s", key)), got.Value); err != nil {
			t.Errorf("%s: the Struct as JSON: %v", v.text, err)
		}
	}
}

// valued is what an answer has of a value as a Struct.
type valued interface {
	GetValue() *structpb.Struct
	GetInexact() *pb.Inexact
}

// structAsk asks for values as Structs.
type structAsk func(strict bool) ([]valued, error)

// unaryStructs are the requests that are answered with the value of a key.
func (r *rig) unaryStructs(agent, key string) map[string]structAsk {
	t := r.t
	return map[string]structAsk{
		"get": func(strict bool) ([]valued, error) {
			x, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: agent, Key: key, Strict: strict})
			return []valued{x}, err
		},
		"version": func(strict bool) ([]valued, error) {
			x, err := r.GetStateAtVersion(timeout(t), &pb.GetStateAtVersionRequest{AgentId: agent, Key: key, Version: 1, Strict: strict})
			return []valued{x}, err
		},
		"batch": func(strict bool) (all []valued, err error) {
			x, err := r.BatchGetState(timeout(t), &pb.BatchGetStateRequest{Strict: strict, Names: []*pb.RecordName{{AgentId: agent, Key: "fine"}, {AgentId: agent, Key: key}}})
			for _, s := range x.GetStates() {
				all = append(all, s)
			}
			return all, err
		},
		"scan": func(strict bool) (all []valued, err error) {
			x, err := r.ScanPrefix(timeout(t), &pb.ScanPrefixRequest{AgentId: agent, Strict: strict})
			for _, e := range x.GetEntries() {
				all = append(all, e)
			}
			return all, err
		},
		"history": func(strict bool) (all []valued, err error) {
			x, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: agent, Key: key, Strict: strict})
			for _, e := range x.GetEntries() {
				all = append(all, e)
			}
			return all, err
		},
	}
}

// streamedStructs are the streams whose last of two events has it.
func (r *rig) streamedStructs(agent string) map[string]structAsk {
	t := r.t
	ofEvents := func(events []*pb.ReplayEvent) (all []valued) {
		for _, ev := range events {
			all = append(all, ev.Operations[0])
		}
		return all
	}
	return map[string]structAsk{
		"replay": func(strict bool) ([]valued, error) {
			tape := collect(t, func() (eventStream, error) {
				s, err := r.Replay(timeout(t), &pb.ReplayRequest{AgentId: agent, Strict: strict})
				return single{s}, err
			})
			if strict && len(tape.events) != 1 {
				t.Errorf("replay sent %d events before the one it cannot", len(tape.events))
			}
			return ofEvents(tape.events), tape.err
		},
		"watch": func(strict bool) ([]valued, error) {
			w, err := r.Watch(timeout(t), &pb.WatchRequest{AgentId: agent, AfterTs: ptr(uint64(0)), Strict: strict})
			var batch *pb.EventBatch
			for all := []*pb.ReplayEvent(nil); err == nil; all = append(all, batch.GetEvents()...) {
				if len(all) == 2 {
					return ofEvents(all), nil
				}
				batch, err = w.Recv()
			}
			return nil, err
		},
	}
}

// What a Struct cannot carry goes out as the nearest double, and every kind of answer says
// so where it stands: one odd number must not cost an old client the agent. To a strict
// request it is refused, by name.
func TestWhatAStructCannotCarry(t *testing.T) {
	const agent, key = "a", "the big one"
	r := newRig(t)
	r.put("", agent, "fine", `{"n":1}`)
	ts := r.put("", agent, key, `{"deep":[{"n":9007199254740993}],"n":1.5}`).CommitTs
	ask := r.unaryStructs(agent, key)
	maps.Copy(ask, r.streamedStructs(agent))
	for what, ask := range ask { // independent of each other: any order
		got, err := ask(false)
		if err != nil || len(got) == 0 {
			t.Errorf("%s: %d values, %v", what, len(got), err)
			continue
		}
		last := got[len(got)-1]
		deep := last.GetValue().GetFields()["deep"].GetListValue().GetValues()
		if len(deep) != 1 || deep[0].GetStructValue().GetFields()["n"].GetNumberValue() != 1<<53 {
			t.Errorf("%s: %v", what, last)
		}
		if want := (&pb.Inexact{Numbers: 1, Places: []string{"/deep/0/n"}}); !proto.Equal(last.GetInexact(), want) {
			t.Errorf("%s says %v", what, last.GetInexact())
		}
		if len(got) == 2 && got[0].GetInexact() != nil {
			t.Errorf("%s: 1 is said to be inexact", what)
		}
		_, err = ask(true)
		refused(t, what, err, codes.FailedPrecondition, pb.ErrorCode_NOT_REPRESENTABLE, key, "9007199254740993", "VALUE_ENCODING_JSON")
		if what == "replay" || what == "watch" {
			refused(t, what, err, codes.FailedPrecondition, pb.ErrorCode_NOT_REPRESENTABLE, fmt.Sprint(ts))
		}
	}
}

// sameValue compares JSON text with a Struct, numbers as the numbers they are.
func sameValue(text []byte, s *structpb.Struct) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var want map[string]any
	if err := d.Decode(&want); err != nil {
		return err
	}
	return sameTree(want, structpb.NewStructValue(s))
}

func sameTree(want any, got *structpb.Value) error {
	switch want := want.(type) {
	case map[string]any:
		fields := got.GetStructValue().GetFields()
		if got.GetStructValue() == nil || len(fields) != len(want) {
			return fmt.Errorf("want %v, got %v", want, got)
		}
		for k, v := range want { // any order: the first difference is enough
			if err := sameTree(v, fields[k]); err != nil {
				return err
			}
		}
	case []any:
		values := got.GetListValue().GetValues()
		if got.GetListValue() == nil || len(values) != len(want) {
			return fmt.Errorf("want %v, got %v", want, got)
		}
		for i := range want {
			if err := sameTree(want[i], values[i]); err != nil {
				return err
			}
		}
	case json.Number:
		n, isNumber := got.GetKind().(*structpb.Value_NumberValue)
		f, err := want.Float64()
		if !isNumber || err != nil || f != n.NumberValue || math.Signbit(f) != math.Signbit(n.NumberValue) {
			return fmt.Errorf("want %s, got %v", want, got)
		}
		// An integer means each of its digits; a fraction is the nearest double's.
		exact, isInt := new(big.Int).SetString(want.String(), 10)
		if whole, acc := big.NewFloat(n.NumberValue).Int(nil); isInt && (acc != big.Exact || whole.Cmp(exact) != 0) {
			return fmt.Errorf("want %s, got %s", want, whole)
		}
	default:
		if got == nil || got.AsInterface() != want {
			return fmt.Errorf("want %v, got %v", want, got)
		}
	}
	return nil
}
