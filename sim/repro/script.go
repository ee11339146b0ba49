package repro

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/step"
)

// Script is what clients of a captured history asked: a workload for a simulated
// world. Of what they were told it keeps only which state they met.
type Script struct {
	units  []*unit
	keys   map[history.Name][]history.Record // what the log made of each key, in its order
	target verdict.Violation
	at     int // the unit that the target is about
	names  map[history.Name]bool
}

// unit is what belongs together: the requests of an interactive transaction, or
// one request.
type unit struct {
	ops    []*history.Operation
	client string
	call   int64
	before uint64 // a commit that had happened when it was asked
}

// NewScript makes a script of a history that shows v, without what rests on requests
// that are not in it.
func NewScript(h *history.History, v verdict.Violation) (*Script, error) {
	s := &Script{keys: make(map[history.Name][]history.Record), target: v, names: make(map[history.Name]bool)}
	if b := h.Header.Base; b != nil {
		for _, r := range b.Records {
			s.keys[r.Name] = append(s.keys[r.Name], r)
		}
	}
	byTxn := make(map[string]*history.Event)
	for i := range h.Log {
		ev := &h.Log[i]
		byTxn[ev.TxnID] = ev
		for _, o := range ev.Ops {
			if o.Lease != nil || o.Due || o.Act != nil {
				continue // it says nothing of a value
			}
			s.keys[o.Name] = append(s.keys[o.Name], history.Record{Name: o.Name, Exists: !o.Delete, Version: o.Version, CommitTS: ev.CommitTS, Value: o.Value})
		}
	}
	s.gather(h, byTxn)
	if len(s.units) == 0 {
		return nil, fmt.Errorf("there is no request in the history that could be made again")
	}
	s.aim(h, byTxn)
	return s, nil
}

// gather makes the units, in the order of their first calls.
func (s *Script) gather(h *history.History, byTxn map[string]*history.Event) {
	open := make(map[string]*unit)
	for _, op := range h.Operations {
		switch {
		case op.Error != nil && op.Error.Code == "INVALID_REQUEST":
			continue
		case op.Kind == history.Begin:
			if op.Out.TxnID == "" {
				continue
			}
			u := s.unit(op)
			open[op.Out.TxnID] = u
		case op.In.TxnID != "" && op.Kind != history.Transact && op.Kind != history.GetTxn:
			if u := open[op.In.TxnID]; u != nil {
				u.ops = append(u.ops, op)
			}
		default:
			s.unit(op)
		}
	}
	known := uint64(0) // a commit that had happened
	for _, u := range s.units {
		for _, op := range u.ops {
			switch ev := byTxn[op.In.TxnID]; {
			case op.In.TxnID != "" && ev != nil && op.Kind != history.Begin:
				u.before = ev.CommitTS - 1
			case op.Out.ReadTS > 0:
				u.before = op.Out.ReadTS
			case op.Out.SnapshotTS > 0:
				u.before = op.Out.SnapshotTS
			}
		}
		if u.before == 0 {
			u.before = known
		}
		known = max(known, u.before)
	}
}

func (s *Script) unit(op *history.Operation) *unit {
	u := &unit{ops: []*history.Operation{op}, client: op.Client, call: op.Call}
	s.units = append(s.units, u)
	return u
}

// aim finds the unit that the target is about, and the names that it speaks of.
func (s *Script) aim(h *history.History, byTxn map[string]*history.Event) {
	id, txn := s.target.Op, ""
	if id == 0 && s.target.CommitTS > 0 {
		for i := range h.Log {
			if h.Log[i].CommitTS == s.target.CommitTS {
				txn = h.Log[i].TxnID
			}
		}
	}
	s.at = -1
	for i, u := range s.units {
		for _, op := range u.ops {
			if id != 0 && op.ID == id || txn != "" && op.In.TxnID == txn {
				s.at = i
			}
		}
	}
	if s.at < 0 { // of a watch, or of the log: what was under way then
		s.at, _ = slices.BinarySearchFunc(s.units, s.target.Time, func(u *unit, t int64) int { return cmp.Compare(u.call, t) })
		s.at = min(s.at, len(s.units)-1)
	}
	for _, op := range s.units[s.at].ops {
		op.In.EachName(func(n history.Name) { s.names[history.Name{Namespace: n.Namespace, Agent: n.Agent}] = true })
	}
}

// part is a piece of a script: units for each of some clients, and what they found.
type part struct {
	clients [][]*unit
	setup   []history.Write
	size    int // requests
}

// cut draws a piece around what the target is about: how much, whose, and how many
// clients share it.
func (s *Script) cut(r *rand.Rand) *part {
	width := []int{6, 12, 25, 50, 100}[r.IntN(5)]
	at := s.at
	if r.IntN(4) == 0 {
		at = r.IntN(len(s.units))
	}
	from := max(0, at-r.IntN(width))
	close := r.IntN(2) == 0 // only what touches the same agents
	var list []*unit
	for _, u := range s.units[from:] {
		if !close || at != s.at || s.touches(u) {
			list = append(list, u)
		}
		if len(list) == width {
			break
		}
	}
	p := &part{clients: make([][]*unit, 2+r.IntN(4))}
	lanes := make(map[string]int)
	for _, u := range list {
		lane, known := lanes[u.client]
		if !known {
			lane = r.IntN(len(p.clients))
			lanes[u.client] = lane
		}
		p.clients[lane] = append(p.clients[lane], u)
		p.size += len(u.ops)
	}
	p.setup = s.state(list)
	return p
}

func (s *Script) touches(u *unit) bool {
	found := false
	for _, op := range u.ops {
		op.In.EachName(func(n history.Name) { found = found || s.names[history.Name{Namespace: n.Namespace, Agent: n.Agent}] })
	}
	return found
}

// state is what the first of some units met, as writes that make it.
func (s *Script) state(list []*unit) []history.Write {
	if len(list) == 0 {
		return nil
	}
	at := list[0].before
	var out []history.Write
	seen := make(map[history.Name]bool)
	for _, u := range list {
		for _, op := range u.ops {
			op.In.EachName(func(n history.Name) {
				if seen[n] || n.Key == "" {
					return
				}
				seen[n] = true
				vs := s.keys[n]
				i, _ := slices.BinarySearchFunc(vs, at+1, func(r history.Record, ts uint64) int { return cmp.Compare(r.CommitTS, ts) })
				if i > 0 && vs[i-1].Exists && len(out) < maxSetup {
					out = append(out, history.Write{Name: n, Value: writable(vs[i-1].Value)})
				}
			})
		}
	}
	return out
}

// maxSetup bounds the keys that a piece of a script begins with.
const maxSetup = 200

// maxPadding bounds how long a value is made that stands for a digest.
const maxPadding = 512

// writable is a value as it can be written: a digest becomes an object of the same length,
// if it is not too long, that is equal to another's only where the digests are.
func writable(text string) string {
	rest, ok := strings.CutPrefix(text, "digest:")
	if !ok {
		return step.Dense(text)
	}
	sum, length, _ := strings.Cut(rest, ":")
	object := `{"digest":"` + sum[:min(len(sum), 8)] + `"}`
	n, err := strconv.Atoi(length)
	if pad := min(n, maxPadding) - len(object) - len(`,"pad":""`); err == nil && pad > 0 {
		object = object[:len(object)-1] + `,"pad":"` + strings.Repeat("x", pad) + `"}`
	}
	return object
}
