package edn

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// WriteRegisters writes what a history's transactions read and wrote, as Elle's workload
// rw-register has it (Kingsbury and Alvaro, VLDB 2020): an operation :txn for each transaction
// that was to be committed, and for each read of the present outside of one. Its registers
// are the keys, and the values are their versions, since those are written only once: nil
// for a key that was never written; a tombstone has a version, too.
//
// Left out are reads of the past, pages but the first, lists of names, streams, conditions
// of writes, and what a transaction read of its own writes. A version that no one knows,
// because its transaction is not in the log, is a number below zero.
func WriteRegisters(out io.Writer, h *history.History) error {
	g := &gathering{byID: make(map[string]*transaction), log: make(map[string]*history.Event)}
	for i := range h.Log {
		g.log[h.Log[i].TxnID] = &h.Log[i]
	}
	for _, op := range h.Operations {
		g.take(op)
	}
	t := &timeline{}
	for _, x := range g.all {
		g.add(t, x)
	}
	slices.SortStableFunc(t.entries, byTime)
	w := &writer{out: bufio.NewWriter(out)}
	if err := w.write(t); err != nil {
		return err
	}
	return w.out.Flush()
}

// gathering puts together what belongs to one transaction.
type gathering struct {
	all     []*transaction
	byID    map[string]*transaction
	log     map[string]*history.Event
	unknown int
}

// transaction is one with all attempts to commit it: together they are one operation.
type transaction struct {
	first    *history.Operation
	reads    []access
	staged   []history.Name
	attempts []*history.Operation
}

// access is a read or write of a key's version; 0: it was never written.
type access struct {
	name    history.Name
	version int64
}

func (g *gathering) transaction(id string, op *history.Operation) *transaction {
	x := g.byID[id]
	if x == nil || id == "" {
		x = &transaction{first: op}
		g.all = append(g.all, x)
		g.byID[id] = x
	}
	return x
}

func (g *gathering) take(op *history.Operation) {
	in := &op.In
	switch op.Kind {
	case history.Begin:
		if op.Outcome == history.OK {
			g.transaction(op.Out.TxnID, op)
		}
	case history.StageWrite, history.StageDelete:
		if x := g.byID[in.TxnID]; x != nil && op.Outcome != history.Fail {
			x.stage(in.Name())
		}
	case history.Transact:
		x := g.transaction(in.TxnID, op)
		for _, w := range in.Writes {
			x.stage(w.Name)
		}
		x.attempts = append(x.attempts, op)
	case history.Commit:
		if x := g.byID[in.TxnID]; x != nil {
			x.attempts = append(x.attempts, op)
		}
	case history.Get, history.BatchGet, history.Scan:
		if op.Outcome != history.OK || in.At != nil || in.AtTime != 0 || in.PageOf != 0 {
			return
		}
		x := g.byID[in.TxnID]
		if in.TxnID == "" {
			x = g.transaction("", op)
			x.attempts = []*history.Operation{op}
		}
		if x != nil {
			x.read(op.Out.Records)
		}
	}
}

func (x *transaction) stage(n history.Name) {
	if !slices.Contains(x.staged, n) {
		x.staged = append(x.staged, n)
	}
}

func (x *transaction) read(records []history.Record) {
	for i := range records {
		if r := &records[i]; !slices.Contains(x.staged, r.Name) {
			x.reads = append(x.reads, access{r.Name, int64(r.Version)})
		}
	}
}

// add adds a transaction that somebody tried to commit: as it ended for the first who was
// told, unless it is unknown.
func (g *gathering) add(t *timeline, x *transaction) {
	if len(x.attempts) == 0 {
		return
	}
	kind, end := "fail", x.attempts[0]
	for _, op := range x.attempts {
		switch {
		case op.Outcome == history.OK && (kind != "ok" || op.Return < end.Return):
			kind, end = "ok", op
		case op.Outcome == history.Unknown && kind == "fail":
			kind, end = "info", op
		}
	}
	writes := g.writes(x, kind, end)
	var asked, told []string
	for _, r := range x.reads {
		asked = append(asked, fmt.Sprintf("[:r %s nil]", register(r.name)))
		told = append(told, fmt.Sprintf("[:r %s %s]", register(r.name), version(r.version)))
	}
	for _, w := range writes {
		one := fmt.Sprintf("[:w %s %d]", register(w.name), w.version)
		asked, told = append(asked, one), append(told, one)
	}
	if len(asked) == 0 {
		return
	}
	if kind != "ok" {
		told = asked
	}
	list := func(accesses []string) []field {
		return []field{{"value", literal("[" + strings.Join(accesses, " ") + "]")}}
	}
	a := &act{}
	t.add(entry{x.first.Call, rankInvoke, a, "invoke", "txn", list(asked)})
	t.add(entry{max(end.Return, x.first.Call), rankComplete, a, kind, "txn", list(told)})
}

// writes are a transaction's, with the versions that they were given.
func (g *gathering) writes(x *transaction, kind string, end *history.Operation) []access {
	var list []access
	ev := g.log[end.In.TxnID]
	switch {
	case kind == "ok" && end.In.TxnID != "":
		for _, v := range end.Out.Versions {
			list = append(list, access{v.Name, int64(v.Version)})
		}
	case kind == "info" && ev != nil:
		for _, o := range ev.Ops {
			list = append(list, access{o.Name, int64(o.Version)})
		}
	default:
		for _, n := range x.staged {
			g.unknown++
			list = append(list, access{n, int64(-g.unknown)})
		}
	}
	slices.SortFunc(list, func(a, b access) int { return history.CompareNames(a.name, b.name) })
	return slices.Compact(list) // a key can be written twice in one
}

// register is a key's name as one string: a slash in a namespace or an agent is escaped, so
// that no two are the same.
func register(n history.Name) string {
	escape := strings.NewReplacer("%", "%25", "/", "%2F")
	text, _ := fromJSON(escape.Replace(n.Namespace) + "/" + escape.Replace(n.Agent) + "/" + n.Key) // a string can be written
	return string(text)
}

func version(v int64) string {
	if v == 0 {
		return "nil"
	}
	return fmt.Sprint(v)
}
