package linearizability

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// answers lists the fields of an answer that count, by kind.
var answers = map[history.Kind]string{
	history.Begin: "TxnID SnapshotTS", history.StageWrite: "", history.StageDelete: "", history.Abort: "",
	history.Commit: "CommitTS CommitTime Versions", history.Transact: "CommitTS CommitTime Versions",
	history.GetTxn: "State CommitTS CommitTime Versions",
	history.Get:    "ReadTS Records", history.BatchGet: "ReadTS Records", history.GetVersion: "Records",
	history.ListKeys: "ReadTS Keys More", history.Scan: "ReadTS Records More", history.KeyHistory: "Records More",
	history.ListAgents: "Agents More", history.ListSpaces: "Keys More",
	history.Replay: "", history.Watch: "", // see Batches
}

// open lists the edits that leave a history which keeps every guarantee: what the
// contract does not determine, or clients cannot know. Each has its reason.
var open = map[string]string{
	"begin TxnID other":               notUsed,
	"begin SnapshotTS +1":             anyPoint,
	"begin SnapshotTS -1":             anyPoint,
	"begin SnapshotTS none":           anyPoint,
	"get ReadTS +1":                   anyPoint,
	"get ReadTS -1":                   anyPoint,
	"agents Agents[].HeadTS +1":       anyPoint,
	"list_keys ReadTS +1":             anyPoint,
	"scan ReadTS +1":                  anyPoint,
	"replay Cursor -1":                lessSaid,
	"watch Cursor -1":                 lessSaid,
	"watch Cursor +1":                 stillTrue,
	"commit Versions swap":            noOrder,
	"get_transaction Versions swap":   noOrder,
	"commit CommitTime none":          unreadable,
	"get_transaction CommitTime none": unreadable,
}

const (
	notUsed    = "an id is the daemon's choice, and this one was never used"
	anyPoint   = "between what was known at the call and what had been asked for at the return, every point is right at which what was read, if anything, was the same"
	lessSaid   = "a cursor that claims less than it could is true"
	stillTrue  = "the filter lets nothing through in between, so all up to there has been sent"
	noOrder    = "versions are judged by their names: their order says nothing of the state"
	unreadable = "a transaction without writes has the time of the commit that it read at, or none when that could not be read"
)

// edit is one change of one field of an answer.
type edit struct {
	field string // Scan Records[].Value
	how   string
	apply func() (undo func())
}

// editsOf lists every edit of an operation's answer.
func editsOf(op *history.Operation) []edit {
	var list []edit
	out := reflect.ValueOf(&op.Out).Elem()
	if op.Outcome == history.OK {
		for _, name := range strings.Fields(answers[op.Kind]) {
			list = append(list, editsAt(out.FieldByName(name), string(op.Kind)+" "+name, op)...)
		}
	}
	for i := range op.Batches {
		b := reflect.ValueOf(&op.Batches[i]).Elem()
		list = append(list, editsAt(b.FieldByName("Events"), string(op.Kind)+" Events", op)...)
		list = append(list, editsAt(b.FieldByName("Cursor"), string(op.Kind)+" Cursor", op)...)
	}
	if r := op.Error; r != nil && (r.Code == "CONFLICT" || r.Code == "PRECONDITION_FAILED") {
		for _, name := range slices.Sorted(maps.Keys(r.Details)) {
			if old := r.Details[name]; name != "seen_version" && name != "range" { // which the contract does not name
				list = append(list, edit{r.Code + " " + name, "other", func() func() {
					r.Details[name] = old + "0"
					return func() { r.Details[name] = old }
				}})
			}
		}
	}
	return list
}

func editsAt(v reflect.Value, field string, op *history.Operation) []edit {
	var list []edit
	to := func(how string, x any) {
		list = append(list, edit{field, how, func() func() {
			old := reflect.ValueOf(v.Interface())
			v.Set(reflect.ValueOf(x).Convert(v.Type()))
			return func() { v.Set(old) }
		}})
	}
	switch v.Kind() {
	case reflect.Uint64:
		n := v.Uint()
		to("far", n+1<<40)
		to("+1", n+1)
		if n > 0 {
			to("-1", n-1)
		}
		if n > 1 {
			to("none", uint64(0))
		}
	case reflect.Int64:
		to("+1", v.Int()+1)
		if v.Int() != 0 {
			to("none", int64(0))
		}
	case reflect.String:
		to("other", `{"other":"`+v.String()+`"}`)
		if v.String() != "" {
			to("none", "")
		}
	case reflect.Bool:
		to("not", !v.Bool())
	case reflect.Map:
		m := maps.Clone(v.Interface().(map[string]string))
		if len(m) > 0 {
			to("none", map[string]string(nil))
		} else {
			m = make(map[string]string)
		}
		m["actor"] += "?"
		to("other", m)
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, editsAt(v.Index(i), field+"[]", op)...)
		}
		list = append(list, sliceEdits(v, field)...)
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if slices.Contains([]string{"TxnID", "Metadata", "Principal", "TraceID"}, name) && v.Type() == reflect.TypeFor[history.Record]() && op.Kind != history.KeyHistory {
				continue // of histories only
			}
			list = append(list, editsAt(v.Field(i), field+"."+name, op)...)
		}
	}
	return list
}

// sliceEdits drop an element, repeat it, and swap it with the next.
func sliceEdits(v reflect.Value, field string) []edit {
	var list []edit
	set := func(how string, order ...int) {
		list = append(list, edit{field, how, func() func() {
			old := reflect.ValueOf(v.Interface())
			x := reflect.MakeSlice(v.Type(), 0, len(order))
			for _, i := range order {
				x = reflect.Append(x, old.Index(i))
			}
			v.Set(x)
			return func() { v.Set(old) }
		}})
	}
	all := make([]int, v.Len())
	for i := range all {
		all[i] = i
	}
	for i := range all {
		set("drop", slices.Delete(slices.Clone(all), i, i+1)...)
		set("repeat", slices.Insert(slices.Clone(all), i, i)...)
		if i > 0 && !reflect.DeepEqual(v.Index(i).Interface(), v.Index(i-1).Interface()) {
			swapped := slices.Clone(all)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			set("swap", swapped...)
		}
	}
	return list
}

// TestEditedAnswers: a good history with one field of one answer changed is refused,
// but for what is listed as open.
func TestEditedAnswers(t *testing.T) {
	single(t)
	survived, tried := make(map[string]int), make(map[string]int)
	example := make(map[string]string)
	for name, h := range goldens(t) { // counted together: any order
		for _, op := range h.Operations {
			for _, e := range editsOf(op) {
				sort := e.field + " " + e.how
				tried[sort]++
				undo := e.apply()
				if Check(h, Options{SkipSerial: true}).Verdict == verdict.OK && Check(h, Options{}).Verdict == verdict.OK {
					survived[sort]++
					example[sort] = fmt.Sprintf("%s #%d", name, op.ID)
				}
				undo()
			}
		}
	}
	for _, sort := range slices.Sorted(maps.Keys(survived)) {
		if open[sort] == "" {
			t.Errorf("%s: %d of %d survive, as in %s", sort, survived[sort], tried[sort], example[sort])
		}
	}
	for sort := range open { // independent of each other: any order
		if survived[sort] == 0 {
			t.Errorf("%s: none of %d survives, so it is not open", sort, tried[sort])
		}
	}
	n, kinds := 0, make(map[history.Kind]bool)
	for sort, times := range tried { // added up: any order
		n += times
		kind, _, _ := strings.Cut(sort, " ")
		kinds[history.Kind(kind)] = true
	}
	for kind, fields := range answers { // independent of each other: any order
		if fields != "" && !kinds[kind] {
			t.Errorf("no golden history has a %s", kind)
		}
	}
	if !kinds["CONFLICT"] || !kinds["PRECONDITION_FAILED"] {
		t.Error("no golden history has a refusal of each sort")
	}
	t.Logf("%d edits of %d sorts, %d sorts of them open", n, len(tried), len(open))
}
