// Package edn reads and writes histories as Jepsen does: EDN, a map for each invocation and
// each completion, in the order of time (https://github.com/jepsen-io/jepsen). What Jepsen has
// no word for (the log, the base, batches of streams, notes, gaps) are :info operations of
// the process :nemesis, which its checkers pass over.
package edn

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"

	"statehouse.dev/statehouse/history"
)

// Suffix of the names of files in this format.
const Suffix = ".edn"

// Write writes a history so that Read makes the same of it.
func Write(out io.Writer, h *history.History) error {
	t := &timeline{}
	beside := func(time int64, f string, v any) {
		t.add(entry{time: time, rank: rankBeside, kind: "info", f: f, fields: []field{{"value", v}}})
	}
	for _, op := range h.Operations {
		t.addOperation(op)
		for _, b := range op.Batches {
			beside(max(b.Time, op.Call), "batch", history.BatchOf{Op: op.ID, Batch: b})
		}
	}
	for i := range h.Notes {
		beside(h.Notes[i].Time, "note", &h.Notes[i])
	}
	for i := range h.Gaps {
		beside(h.Gaps[i].From, "gap", &h.Gaps[i])
	}
	slices.SortStableFunc(t.entries, byTime)
	head, tail := &timeline{}, &timeline{}
	first, last := int64(0), int64(0)
	if n := len(t.entries); n > 0 {
		first, last = min(first, t.entries[0].time), t.entries[n-1].time
	}
	aside := func(t *timeline, time int64, f string, v any) {
		t.add(entry{time: time, kind: "info", f: f, fields: []field{{"value", v}}})
	}
	aside(head, first, "header", h.Header)
	if b := h.Header.Base; b != nil {
		for i := range b.Records {
			aside(head, first, "record", &b.Records[i])
		}
		for i := range b.Agents {
			aside(head, first, "agent", &b.Agents[i])
		}
	}
	for i := range h.Log {
		aside(tail, last, "event", &h.Log[i])
	}
	aside(tail, last, "end", map[string]bool{"complete": h.Complete})
	w := &writer{out: bufio.NewWriter(out)}
	for _, part := range []*timeline{head, t, tail} {
		if err := w.write(part); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// timeline is what happened, in order of time once it is sorted.
type timeline struct{ entries []entry }

// entry becomes a map.
type entry struct {
	time    int64
	rank    int
	act     *act // nil: it is the nemesis'
	kind, f string
	fields  []field
}

type field struct {
	name  string
	value any // as JSON
}

// act is what one process does from an invocation to its completion.
type act struct{ process int }

// At one time all are invoked before any completes: so they are concurrent, as they are
// for the judge.
const (
	rankInvoke = iota
	rankBeside
	rankComplete
)

func byTime(a, b entry) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.rank, b.rank)) }

func (t *timeline) add(e entry) { t.entries = append(t.entries, e) }

func (t *timeline) addOperation(op *history.Operation) {
	a := &act{}
	asked := []field{{"value", op.In}, {"client", op.Client}, {"id", op.ID}}
	if op.Rest != 0 {
		asked = append(asked, field{"rest", op.Rest})
	}
	t.add(entry{op.Call, rankInvoke, a, "invoke", string(op.Kind), asked})
	e := entry{op.Return, rankComplete, a, "info", string(op.Kind), nil}
	switch op.Outcome {
	case history.OK:
		e.kind, e.fields = "ok", []field{{"value", op.Out}}
	case history.Fail:
		e.kind = "fail"
	case history.Unknown:
		if e.time = max(op.Return, op.Call); op.Error == nil && op.Return == 0 {
			return // no one answered
		}
	}
	if op.Error != nil {
		e.fields = append(e.fields, field{"error", op.Error})
	}
	t.add(e)
}

// writer numbers what it writes, and gives each act a process: the lowest that is free. A
// process that does not know how its operation ended is never free again.
type writer struct {
	out   *bufio.Writer
	index int
	busy  []bool // by process
}

func (w *writer) write(t *timeline) error {
	for i := range t.entries {
		e := &t.entries[i]
		process := ":nemesis"
		if e.act != nil {
			if e.kind == "invoke" {
				e.act.process = w.free()
			} else if e.kind != "info" {
				w.busy[e.act.process] = false
			}
			process = fmt.Sprint(e.act.process)
		}
		fmt.Fprintf(w.out, "{:index %d, :time %d, :type :%s, :process %s, :f :%s", w.index, e.time, e.kind, process, e.f)
		w.index++
		for _, f := range e.fields {
			text, err := fromJSON(f.value)
			if err != nil {
				return err
			}
			fmt.Fprintf(w.out, ", :%s %s", f.name, text)
		}
		if _, err := w.out.WriteString("}\n"); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) free() int {
	i := slices.Index(w.busy, false)
	if i < 0 {
		i = len(w.busy)
		w.busy = append(w.busy, false)
	}
	w.busy[i] = true
	return i
}

// keyword is what can be one as it is.
var keyword = regexp.MustCompile(`^[a-z][a-z_]*$`)

// fromJSON writes as EDN what v is as JSON: members in their order, names as keywords
// where they can be.
func fromJSON(v any) ([]byte, error) {
	if text, is := v.(literal); is {
		return []byte(text), nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	x := translation{in: d}
	err = x.value()
	return x.out, err
}

// literal is EDN already.
type literal string

type translation struct {
	in  *json.Decoder
	out []byte
}

func (x *translation) value() error {
	token, err := x.in.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		return x.list(t)
	case string:
		x.text(t)
	case json.Number:
		x.out = append(x.out, t...)
		if n := len(t); n > 19 || n == 19 && t > "9223372036854775807" {
			x.out = append(x.out, 'N') // more than a long holds
		}
	case bool:
		x.out = fmt.Append(x.out, t)
	case nil:
		x.out = append(x.out, "nil"...)
	}
	return nil
}

// list translates what is between brackets, and they are the same in both.
func (x *translation) list(open json.Delim) error {
	x.out = append(x.out, byte(open))
	for n := 0; x.in.More(); n++ {
		if n > 0 {
			x.out = append(x.out, ", "...)
		}
		if open == '{' {
			name, err := x.in.Token()
			if err != nil {
				return err
			}
			if s := name.(string); keyword.MatchString(s) {
				x.out = append(append(x.out, ':'), s...)
			} else {
				x.text(s)
			}
			x.out = append(x.out, ' ')
		}
		if err := x.value(); err != nil {
			return err
		}
	}
	end, err := x.in.Token()
	if err == nil {
		x.out = append(x.out, byte(end.(json.Delim)))
	}
	return err
}

// text writes a string: EDN has JSON's escapes, but for characters beyond 16 bits, which
// JSON leaves as they are.
func (x *translation) text(s string) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be
	x.out = append(x.out, bytes.TrimRight(b.Bytes(), "\n")...)
}
