package evaluate

import (
	"fmt"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// Changes are what a transact must do if it is evaluated after a commit.
type Changes struct {
	Keys map[history.Name]Change
	// Forks are the agents that begin, and from what.
	Forks map[history.AgentName]history.Act
	// Results are what its client is told of each operation, versions aside.
	Results []Expected
	// Refused is the code of the error that it must be answered with, and because of what; "": none.
	Refused string
	Because history.Name
	// Unjudged: values or names are not what they were, or a claim was asked for, so that what
	// comes out is not known.
	Unjudged bool
}

// Change of one key: what it becomes.
type Change struct {
	Delete   bool
	Value    string
	Lease    *history.LeaseChange
	Optional bool // it may also stay as it is, the state being the same
}

// Expected is what is told of an operation.
type Expected struct {
	Name    history.Name // that it is about: of an append, that of the key that it got; of a lease, the model's
	Changes bool         // the version that the commit gave Name is told
	Version uint64       // otherwise this one
	Existed bool
	Value   string // "": none
	Acquire *history.Write
}

// state is the state as a request sees it: that after a commit, under its own operations.
type state struct {
	m      *model.Model
	before uint64
	out    *Changes
}

// Of evaluates a transact against the state after commit before.
func Of(m *model.Model, op *history.Operation, before uint64) *Changes {
	s := &state{m: m, before: before, out: &Changes{Keys: make(map[history.Name]Change), Forks: make(map[history.AgentName]history.Act)}}
	for i := range op.In.Writes {
		w := &op.In.Writes[i]
		s.out.Results = append(s.out.Results, Expected{Name: w.Name})
		if s.operation(w, &s.out.Results[i]); s.out.Refused != "" {
			break
		}
	}
	s.onlyLast(op)
	return s.out
}

// onlyLast leaves the value in the result of the last of several operations on a key.
func (s *state) onlyLast(op *history.Operation) {
	last := make(map[history.Name]int)
	for i := range s.out.Results {
		last[s.out.Results[i].Name] = i
	}
	for i := range s.out.Results {
		if r := &s.out.Results[i]; last[r.Name] != i && !r.Existed {
			r.Value = ""
		}
	}
}

// see is a key's value now.
func (s *state) see(n history.Name) (value string, exists bool) {
	if c, changed := s.out.Keys[n]; changed {
		return c.Value, !c.Delete
	}
	v := s.m.At(n, s.before)
	if v.Exists() && v.Lost {
		s.out.Unjudged = true
	}
	if !v.Exists() {
		return "", false
	}
	return v.Value, true
}

func (s *state) refuse(code string, n history.Name) { s.out.Refused, s.out.Because = code, n }

// redacted reports whether text is not what it was.
func redacted(text string) bool { return strings.HasPrefix(text, "digest:") }

func (s *state) operation(w *history.Write, r *Expected) {
	with := w.Arguments()
	switch w.Op {
	case "":
		r.Changes = true
		s.out.Keys[w.Name] = Change{Delete: w.Delete, Value: w.Value}
	case history.IfAbsent:
		s.ifAbsent(w, r)
	case history.Append:
		s.append(w, r)
	case history.Increment:
		value, exists := s.see(w.Name)
		s.out.Unjudged = s.out.Unjudged || redacted(value) || redacted(with.Delta)
		s.computed(w, r, func() (string, bool) { return Add(value, exists, &with) })
	case history.Merge:
		value, exists := s.see(w.Name)
		s.out.Unjudged = s.out.Unjudged || redacted(value) || redacted(w.Value)
		s.computed(w, r, func() (string, bool) { return Merged(value, exists, w.Value) })
	case history.DeletePrefix, history.DeleteAgent:
		s.clear(w)
	case history.Restore:
		s.restore(w, &with)
	case history.Fork:
		s.fork(w, &with)
	case history.Acquire, history.Release, history.Complete:
		s.lease(w, &with, r)
	default:
		s.out.Unjudged = true
	}
}

func (s *state) computed(w *history.Write, r *Expected, f func() (string, bool)) {
	r.Changes = true
	if s.out.Unjudged {
		return
	}
	value, ok := f()
	if !ok {
		s.refuse("EVALUATION_FAILED", w.Name)
		return
	}
	r.Value = value
	s.out.Keys[w.Name] = Change{Value: value}
}

func (s *state) ifAbsent(w *history.Write, r *Expected) {
	if value, exists := s.see(w.Name); exists {
		r.Existed, r.Value = true, value
		r.Version = s.m.At(w.Name, s.before).Num()
		return
	}
	r.Changes = true
	s.out.Keys[w.Name] = Change{Value: w.Value}
}

// digits of the number of an append.
const digits = 16

// append gives the next number: one past the largest that a key of the sequence ever had.
func (s *state) append(w *history.Write, r *Expected) {
	last := ""
	take := func(n history.Name) {
		rest, is := strings.CutPrefix(n.Key, w.Key)
		if is && n.Namespace == w.Namespace && n.Agent == w.Agent && len(rest) == digits && strings.Trim(rest, "0123456789") == "" {
			last = max(last, rest)
		}
	}
	a := history.AgentName{Namespace: w.Namespace, Agent: w.Agent}
	for _, n := range s.m.Under(a, w.Key) {
		if s.m.At(n, s.before) != nil {
			take(n)
		}
	}
	for n := range s.out.Keys { // the largest of them: order cannot matter
		take(n)
	}
	number := uint64(0)
	for _, c := range last {
		number = number*10 + uint64(c-'0')
	}
	if number == 1e16-1 {
		s.refuse("EVALUATION_FAILED", w.Name)
		return
	}
	r.Name.Key = fmt.Sprintf("%s%016d", w.Key, number+1)
	r.Changes = true
	s.out.Keys[r.Name] = Change{Value: w.Value}
}

// clear deletes what exists.
func (s *state) clear(w *history.Write) {
	for _, n := range s.under(w) {
		if _, exists := s.see(n); exists {
			s.out.Keys[n] = Change{Delete: true}
		}
	}
	if w.Op != history.DeleteAgent {
		return
	}
	for n := range s.m.Keys { // into a map: order cannot matter
		if model.Hidden(n) && n.Namespace == w.Namespace && n.Agent == w.Agent {
			if _, exists := s.see(n); exists {
				s.out.Keys[n] = Change{Delete: true, Lease: &history.LeaseChange{}}
			}
		}
	}
}

// under are the keys of an operation on many: those that ever were, and those of the request.
func (s *state) under(w *history.Write) []history.Name {
	prefix := w.Key
	if w.Op == history.DeleteAgent {
		prefix = ""
	}
	list := s.m.Under(history.AgentName{Namespace: w.Namespace, Agent: w.Agent}, prefix)
	for n := range s.out.Keys { // each by itself, in any order
		if n.Namespace == w.Namespace && n.Agent == w.Agent && strings.HasPrefix(n.Key, prefix) && !model.Hidden(n) {
			list = append(list, n)
		}
	}
	return list
}

// moment is the commit that an operation means by then.
func (s *state) moment(a *history.Arguments) uint64 {
	switch {
	case a.At != nil:
		return *a.At
	case a.AtTime != 0:
		return s.m.TimeAt(a.AtTime, s.before)
	}
	return s.before
}

func (s *state) restore(w *history.Write, a *history.Arguments) {
	at := s.moment(a)
	if at < s.m.Base {
		s.out.Unjudged = true
		return
	}
	for _, n := range s.under(w) {
		then, now := s.m.At(n, at), s.m.At(n, s.before)
		_, own := s.out.Keys[n]
		switch {
		case own: // an operation of the request before it
			s.out.Unjudged = true
		case !model.Differs(then, now), then.Exists() && now.Exists() && then.Value == now.Value && !then.Lost:
		case !then.Exists():
			s.out.Keys[n] = Change{Delete: true}
		default:
			s.out.Unjudged = s.out.Unjudged || then.Lost
			s.out.Keys[n] = Change{Value: then.Value, Optional: now.Exists() && history.SameValue(now.Value, then.Value)}
		}
	}
}

func (s *state) fork(w *history.Write, a *history.Arguments) {
	child := history.AgentName{Namespace: w.Namespace, Agent: w.Agent}
	at := s.moment(a)
	if at < s.m.Base {
		s.out.Unjudged = true
		return
	}
	if s.m.HeadAt(child, s.before) != 0 || s.m.HeadAt(history.AgentName{Namespace: a.Namespace, Agent: a.Agent}, at) == 0 {
		s.refuse("PRECONDITION_FAILED", history.Name{Namespace: w.Namespace, Agent: w.Agent})
		return
	}
	s.out.Forks[child] = history.Act{Kind: "forked", Namespace: a.Namespace, Agent: a.Agent, CommitTS: at}
}

// lease acquires or releases.
func (s *state) lease(w *history.Write, a *history.Arguments, r *Expected) {
	if w.Op == history.Complete || strings.HasPrefix(w.Key, "due:") {
		s.out.Unjudged = true // the lease of a claim
		return
	}
	n := model.LeaseName(w.Namespace, w.Agent, w.Key)
	_, held := s.see(n)
	_, own := s.out.Keys[n]
	r.Name, r.Changes = n, true
	if s.m.Base > 0 && s.m.At(n, s.before) == nil {
		s.out.Unjudged = true // it may have been held when the history began
		return
	}
	switch {
	case w.Op == history.Acquire && held:
		s.refuse("LEASE_HELD", n)
	case w.Op == history.Acquire:
		r.Acquire = w
		s.out.Keys[n] = Change{Lease: &history.LeaseChange{Holder: a.Holder, TTL: a.TTL}}
	case !held || own || s.m.At(n, s.before).Num() != a.Token:
		s.refuse("LEASE_LOST", n)
	default:
		s.out.Keys[n] = Change{Delete: true, Lease: &history.LeaseChange{}}
	}
}
