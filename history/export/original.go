package export

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Original is a file that a tool of the original Statehouse has written about one agent: the events of
// "statehousectl replay AGENT --json", one a line, or the state of "statehousectl dump AGENT".
//
//	{"txn_id": "…", "commit_ts": 7, "namespace": "default", "agent_id": "a", "operations": [{"key": "k", "value": {…}, "version": 1}]}
//	{"k": {"value": {…}, "version": 3, "commit_ts": 9}, …}
//
// An operation without a value is a delete. A replay has all of an agent's history, a dump its current
// values only, and does not say whose they are.
type Original struct {
	Target Target
	Dump   bool
	in     *bufio.Scanner
	name   string
	line   int
	names  *Names
	state  []Event // of a dump, in order
}

// Names counts names that were changed: control characters are escaped as in URLs, since no name has
// them here.
type Names struct{ Changed int }

type originalEvent struct {
	TxnID      string              `json:"txn_id"`
	CommitTS   uint64              `json:"commit_ts"`
	Namespace  string              `json:"namespace"`
	Agent      string              `json:"agent_id"`
	Operations []originalOperation `json:"operations"`
}

type originalOperation struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Version uint64          `json:"version"`
}

type originalRecord struct {
	Value    json.RawMessage `json:"value"`
	Version  uint64          `json:"version"`
	CommitTS uint64          `json:"commit_ts"`
}

// NewOriginal begins to read a file. Of a dump whose says whose it is.
func NewOriginal(in io.Reader, name string, whose Target, names *Names) (*Original, error) {
	b := bufio.NewReaderSize(in, 64<<10)
	o := &Original{name: name, names: names}
	first, err := b.Peek(64)
	if err != nil && err != io.EOF {
		return nil, err
	}
	// A dump is written over many lines, an event on one.
	if text := strings.TrimSpace(string(first)); strings.HasPrefix(text, "{") && (text == "{}" || strings.HasPrefix(text[1:], "\n") || strings.HasPrefix(text[1:], "\r\n")) {
		if whose.Agent == "" {
			return nil, o.wrong(errors.New("a dump does not say whose it is: name the agent with --agent"))
		}
		o.Dump, o.Target = true, whose
		return o, o.readDump(b)
	}
	o.in = scanner(b)
	return o, nil
}

func (o *Original) wrong(err error) error {
	if o.line > 0 {
		return fmt.Errorf("%s, line %d: %w", o.name, o.line, err)
	}
	return fmt.Errorf("%s: %w", o.name, err)
}

// Next returns the next commit, or io.EOF.
func (o *Original) Next() (*Event, error) {
	if o.Dump {
		if len(o.state) == 0 {
			return nil, io.EOF
		}
		ev := o.state[0]
		o.state = o.state[1:]
		return &ev, nil
	}
	for o.in.Scan() {
		o.line++
		text := bytes.TrimSpace(o.in.Bytes())
		if len(text) == 0 || bytes.HasPrefix(text, []byte("No events found for agent ")) {
			continue
		}
		ev, err := o.event(text)
		if err != nil {
			return nil, o.wrong(err)
		}
		if len(ev.Operations) > 0 {
			return ev, nil
		}
	}
	if err := o.in.Err(); err != nil {
		return nil, o.wrong(err)
	}
	return nil, io.EOF
}

func (o *Original) event(text []byte) (*Event, error) {
	var was originalEvent
	if err := decode(text, &was); err != nil {
		return nil, fmt.Errorf("this is no event of the original's \"replay --json\": %w", err)
	}
	whose := Target{o.clean(cmp.Or(was.Namespace, "default")), o.clean(was.Agent)}
	switch {
	case was.Agent == "":
		return nil, errors.New("the event does not say whose it is")
	case o.Target == Target{}:
		o.Target = whose
	case o.Target != whose:
		return nil, fmt.Errorf("an event of agent %q after those of %q: a file has one agent", whose.Agent, o.Target.Agent)
	}
	ev := &Event{CommitTS: was.CommitTS, TxnID: was.TxnID}
	for _, op := range was.Operations {
		next := Operation{Namespace: whose.Namespace, Agent: whose.Agent, Key: o.clean(op.Key), Version: op.Version}
		if next.Deleted = len(op.Value) == 0 || string(op.Value) == "null"; !next.Deleted {
			next.Value = bytes.Clone(op.Value)
		}
		ev.Operations = append(ev.Operations, next)
	}
	return ev, nil
}

func (o *Original) readDump(in io.Reader) error {
	var records map[string]originalRecord
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&records); err != nil {
		return o.wrong(fmt.Errorf("this is no dump of the original: %w", err))
	}
	byCommit := make(map[uint64]*Event)
	for _, key := range slices.Sorted(maps.Keys(records)) {
		rec := records[key]
		ev := byCommit[rec.CommitTS]
		if ev == nil {
			ev = &Event{CommitTS: rec.CommitTS}
			byCommit[rec.CommitTS] = ev
		}
		ev.Operations = append(ev.Operations, Operation{Namespace: o.Target.Namespace, Agent: o.Target.Agent, Key: o.clean(key), Version: rec.Version, Value: rec.Value})
	}
	for _, ts := range slices.Sorted(maps.Keys(byCommit)) {
		o.state = append(o.state, *byCommit[ts])
	}
	return nil
}

// clean escapes control characters, which no name has here.
func (o *Original) clean(name string) string {
	if !strings.ContainsFunc(name, control) {
		return name
	}
	o.names.Changed++
	var b strings.Builder
	for _, c := range []byte(name) {
		if control(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func control(r rune) bool { return r < 0x20 }

// Originals merges files into one history, in the order of commit_ts. Agents that a transaction wrote to
// have a part of it each, which become one commit again.
type Originals struct {
	Versions bool // count versions anew, where those in the files are not 1, 2, 3…

	files []*Original
	heads []*Event
	next  map[string]uint64 // versions, by name
}

// Add adds a file.
func (m *Originals) Add(o *Original) error {
	ev, err := o.Next()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	m.files, m.heads = append(m.files, o), append(m.heads, ev)
	return nil
}

// Next returns the next commit, or io.EOF.
func (m *Originals) Next() (*Event, error) {
	if len(m.heads) == 0 {
		return nil, io.EOF
	}
	first := slices.MinFunc(m.heads, func(a, b *Event) int { return cmp.Compare(a.CommitTS, b.CommitTS) })
	whole := &Event{CommitTS: first.CommitTS, TxnID: first.TxnID}
	for i := 0; i < len(m.heads); {
		ev := m.heads[i]
		if ev.CommitTS != whole.CommitTS {
			i++
			continue
		}
		if ev.TxnID != "" && whole.TxnID != "" && ev.TxnID != whole.TxnID {
			return nil, fmt.Errorf("transactions %s and %s have the same commit_ts %d: the files are not of one store", whole.TxnID, ev.TxnID, ev.CommitTS)
		}
		whole.TxnID = cmp.Or(whole.TxnID, ev.TxnID)
		whole.Operations = append(whole.Operations, ev.Operations...)
		next, err := m.files[i].Next()
		switch {
		case err == io.EOF:
			m.files, m.heads = slices.Delete(m.files, i, i+1), slices.Delete(m.heads, i, i+1)
			continue
		case err != nil:
			return nil, err
		case next.CommitTS <= ev.CommitTS:
			return nil, m.files[i].wrong(fmt.Errorf("commit %d comes after commit %d", next.CommitTS, ev.CommitTS))
		}
		m.heads[i] = next
		i++
	}
	if m.Versions {
		m.count(whole)
	}
	return whole, nil
}

func (m *Originals) count(ev *Event) {
	if m.next == nil {
		m.next = make(map[string]uint64)
	}
	for i := range ev.Operations {
		op := &ev.Operations[i]
		name := op.Namespace + "\x00" + op.Agent + "\x00" + op.Key
		m.next[name]++
		op.Version = m.next[name]
	}
}
