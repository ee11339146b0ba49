package edn

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	lin "statehouse.dev/statehouse/linearizability"
)

var accesses = regexp.MustCompile(`\[:(r|w) ("(?:[^"\\]|\\.)*") (nil|-?\d+)\]`)

func registers(t *testing.T, h *lin.History) []string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteRegisters(&b, h); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

// TestRegisters: a history by hand, and what Elle is to see of it.
func TestRegisters(t *testing.T) {
	name := func(key string) lin.Name { return lin.Name{Namespace: "n", Agent: "a/b", Key: key} }
	in := func(key string) lin.Input { return lin.Input{TxnID: "t", Namespace: "n", Agent: "a/b", Key: key} }
	found := func(key string, version uint64) lin.Output {
		return lin.Output{ReadTS: 1, Records: []lin.Record{{Name: name(key), Exists: version > 0, Version: version}}}
	}
	op := func(id int, kind lin.Kind, call, ret int64, in lin.Input, outcome lin.Outcome, out lin.Output) *lin.Operation {
		return &lin.Operation{ID: id, Client: "c", Kind: kind, Call: call, Return: ret, In: in, Outcome: outcome, Out: out}
	}
	past := in("x")
	past.TxnID, past.At = "", new(uint64(1))
	now := in("z")
	now.TxnID = ""
	h := &lin.History{Operations: []*lin.Operation{
		op(1, lin.Begin, 1, 2, lin.Input{}, lin.OK, lin.Output{TxnID: "t", SnapshotTS: 1}),
		op(2, lin.Get, 3, 4, in("x"), lin.OK, found("x", 3)),
		op(3, lin.StageWrite, 5, 6, in("x"), lin.OK, lin.Output{}),
		op(4, lin.Get, 7, 8, in("x"), lin.OK, found("x", 0)), // its own write
		op(5, lin.Transact, 8, 0, lin.Input{TxnID: "u", Writes: []lin.Write{{Name: name("y")}}}, lin.Unknown, lin.Output{}),
		op(6, lin.Transact, 8, 0, lin.Input{TxnID: "v", Writes: []lin.Write{{Name: name("y")}}}, lin.Unknown, lin.Output{}),
		op(7, lin.Commit, 9, 10, lin.Input{TxnID: "t"}, lin.OK, lin.Output{CommitTS: 4, Versions: []lin.KeyVersion{{Name: name("x"), Version: 4}}}),
		op(8, lin.Get, 11, 12, now, lin.OK, found("z", 0)),
		op(9, lin.Get, 11, 12, past, lin.OK, found("x", 1)),
		op(10, lin.Begin, 13, 14, lin.Input{}, lin.OK, lin.Output{TxnID: "never committed"}),
	}, Log: []lin.Event{{CommitTS: 5, TxnID: "u", Ops: []lin.EventOp{{Name: name("y"), Version: 2}}}}}
	want := `{:index 0, :time 1, :type :invoke, :process 0, :f :txn, :value [[:r "n/a%2Fb/x" nil] [:w "n/a%2Fb/x" 4]]}
{:index 1, :time 8, :type :invoke, :process 1, :f :txn, :value [[:w "n/a%2Fb/y" 2]]}
{:index 2, :time 8, :type :invoke, :process 2, :f :txn, :value [[:w "n/a%2Fb/y" -1]]}
{:index 3, :time 8, :type :info, :process 1, :f :txn, :value [[:w "n/a%2Fb/y" 2]]}
{:index 4, :time 8, :type :info, :process 2, :f :txn, :value [[:w "n/a%2Fb/y" -1]]}
{:index 5, :time 10, :type :ok, :process 0, :f :txn, :value [[:r "n/a%2Fb/x" 3] [:w "n/a%2Fb/x" 4]]}
{:index 6, :time 11, :type :invoke, :process 0, :f :txn, :value [[:r "n/a%2Fb/z" nil]]}
{:index 7, :time 12, :type :ok, :process 0, :f :txn, :value [[:r "n/a%2Fb/z" nil]]}`
	if got := strings.Join(registers(t, h), "\n"); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestRegistersAreElles: in good histories each version is written once, and what is read
// was written, by what did not fail.
func TestRegistersAreElles(t *testing.T) {
	reads := 0
	for file, h := range goldens(t) { // independent of each other: any order
		written, failed := make(map[string]bool), make(map[string]bool)
		var read []string
		for _, line := range registers(t, h) {
			if strings.Contains(line, ":type :invoke") {
				continue
			}
			for _, a := range accesses.FindAllStringSubmatch(line, -1) {
				id := fmt.Sprint(a[2], " ", a[3])
				switch {
				case a[1] == "w" && strings.Contains(line, ":type :fail"):
					failed[id] = true
				case a[1] == "w":
					if written[id] {
						t.Errorf("%s: %s is written twice", file, id)
					}
					written[id] = true
				case a[3] != "nil" && strings.Contains(line, ":type :ok"):
					read = append(read, id)
				}
			}
		}
		for _, id := range read {
			reads++
			if !written[id] || failed[id] {
				t.Errorf("%s: %s is read, and nobody wrote it", file, id)
			}
		}
	}
	if reads < 50 {
		t.Errorf("%d reads", reads)
	}
}
