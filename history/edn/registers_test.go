package edn

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
)

var accesses = regexp.MustCompile(`\[:(r|w) ("(?:[^"\\]|\\.)*") (nil|-?\d+)\]`)

func registers(t *testing.T, h *history.History) []string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteRegisters(&b, h); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

// TestRegisters: a history by hand, and what Elle is to see of it.
func TestRegisters(t *testing.T) {
	name := func(key string) history.Name { return history.Name{Namespace: "n", Agent: "a/b", Key: key} }
	in := func(key string) history.Input {
		return history.Input{TxnID: "t", Namespace: "n", Agent: "a/b", Key: key}
	}
	found := func(key string, version uint64) history.Output {
		return history.Output{ReadTS: 1, Records: []history.Record{{Name: name(key), Exists: version > 0, Version: version}}}
	}
	op := func(id int, kind history.Kind, call, ret int64, in history.Input, outcome history.Outcome, out history.Output) *history.Operation {
		return &history.Operation{ID: id, Client: "c", Kind: kind, Call: call, Return: ret, In: in, Outcome: outcome, Out: out}
	}
	past := in("x")
	past.TxnID, past.At = "", new(uint64(1))
	now := in("z")
	now.TxnID = ""
	h := &history.History{Operations: []*history.Operation{
		op(1, history.Begin, 1, 2, history.Input{}, history.OK, history.Output{TxnID: "t", SnapshotTS: 1}),
		op(2, history.Get, 3, 4, in("x"), history.OK, found("x", 3)),
		op(3, history.StageWrite, 5, 6, in("x"), history.OK, history.Output{}),
		op(4, history.Get, 7, 8, in("x"), history.OK, found("x", 0)), // its own write
		op(5, history.Transact, 8, 0, history.Input{TxnID: "u", Writes: []history.Write{{Name: name("y")}}}, history.Unknown, history.Output{}),
		op(6, history.Transact, 8, 0, history.Input{TxnID: "v", Writes: []history.Write{{Name: name("y")}}}, history.Unknown, history.Output{}),
		op(7, history.Commit, 9, 10, history.Input{TxnID: "t"}, history.OK, history.Output{CommitTS: 4, Versions: []history.KeyVersion{{Name: name("x"), Version: 4}}}),
		op(8, history.Get, 11, 12, now, history.OK, found("z", 0)),
		op(9, history.Get, 11, 12, past, history.OK, found("x", 1)),
		op(10, history.Begin, 13, 14, history.Input{}, history.OK, history.Output{TxnID: "never committed"}),
	}, Log: []history.Event{{CommitTS: 5, TxnID: "u", Ops: []history.EventOp{{Name: name("y"), Version: 2}}}}}
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
