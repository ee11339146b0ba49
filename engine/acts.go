package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// An act is a change that the log has as what was asked, and not as the keys that it comes to:
// they may be any number, and whoever waits for the writer must not wait for them. What an act
// comes to is derived whenever it is read.
//
// There are two. A delete of very many keys is in rangeacts.go. The other is the fork: a new agent
// begins with the state that another one had after some commit. Nothing is copied. The rows of the fork are its own and, below them, those of its
// parent up to that commit, with the versions and the commit_ts that they have there: so versions
// go on, and reads at a version, conditions and histories hold across the fork. A view of both
// (forkrows.go) is what reads walk. A chore copies the rows when the parent is to lose them
// (forkcopy.go); then the fork is whole, and reads its own rows alone.
//
// A fork is an agent's first commit, so an agent has one or none, and what it inherits never
// changes.

// forkTag is the tag of rows that say of what an agent is a fork.
//
//	f namespace 00 agent 00 -> uvarint commit_ts · string parent · uvarint commit_ts there · 1 byte: state · string: copied up to
const forkTag = 'f'

const actFork = 1 // the kind, the first byte of the field

// Fork asks for an agent that begins with the state that another agent of the namespace had.
type Fork struct {
	Parent string // agent
	At     At     // zero: just before the commit that makes the fork

	upTo CommitTS // what At means; 0: see At
}

// Lineage says of what an agent is a fork.
type Lineage struct {
	Parent   AgentName
	ParentTS CommitTS // the state after this commit is what it began with
	CommitTS CommitTS // its first commit
}

// A fork is an agent that began as a fork. It is never changed.
type fork struct {
	agent  AgentName
	at     CommitTS // its first commit
	parent AgentName
	upTo   CommitTS // it has what the parent had after this commit
	whole  bool     // it has all of that in rows of its own
	bare   bool     // and nothing that was superseded there: its past begins with itself
	copied string   // how far it came to be whole, or then bare: the last row, by its key without the agent
}

func (f *fork) lineage() Lineage { return Lineage{f.parent, f.upTo, f.at} }

func (f *fork) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.at))
	dst = binary.AppendUvarint(layout.AppendString(dst, f.parent.Agent), uint64(f.upTo))
	state := byte(0)
	if f.whole {
		state = 1
	}
	if f.bare {
		state = 2
	}
	return layout.AppendString(append(dst, state), f.copied)
}

func parseFork(key, body []byte) (*fork, bool) {
	f := new(fork)
	rest, ok := layout.SplitNames(key, forkTag, &f.agent.Namespace, &f.agent.Agent)
	d := layout.Decoder{Rest: body}
	f.at = CommitTS(d.Uvarint())
	f.parent = AgentName{Namespace: f.agent.Namespace, Agent: d.Str()}
	f.upTo = CommitTS(d.Uvarint())
	state := d.Byte()
	f.whole, f.bare, f.copied = state >= 1, state == 2, d.Str()
	return f, ok && len(rest) == 0 && d.End() && state <= 2 && f.upTo < f.at && f.upTo > 0
}

func (f *fork) key() []byte { return layout.AgentPrefix(forkTag, f.agent) }

// field is what the event of the fork has of it.
func (f *fork) field() []byte {
	return binary.AppendUvarint(layout.AppendString([]byte{actFork}, f.parent.Agent), uint64(f.upTo))
}

// act is an act of an agent; one of them.
type act struct {
	fork *fork
	many *rangeAct
}

func (x act) agent() AgentName {
	if x.fork != nil {
		return x.fork.agent
	}
	return x.many.agent
}

// act is what an event says of an act, which is the agent's at ts; nil: it is of operations.
func actOf(r *layout.EventRow, a AgentName, ts CommitTS) (x *act, ok bool) {
	body, found := r.Fields.Get(layout.FieldAct)
	if !found {
		return nil, true
	}
	d := layout.Decoder{Rest: body}
	switch d.Byte() {
	case actFork:
		x = &act{fork: &fork{agent: a, at: ts, parent: AgentName{Namespace: a.Namespace, Agent: d.Str()}, upTo: CommitTS(d.Uvarint())}}
		return x, d.End() && len(r.Ops) == 0
	case actDelete:
		x = &act{many: &rangeAct{agent: a, at: ts, time: r.CommitTime, prefix: d.Str()}}
		return x, d.End()
	case actRestore:
		x = &act{many: &rangeAct{agent: a, at: ts, time: r.CommitTime, prefix: d.Str(), restores: true, to: CommitTS(d.Uvarint())}}
		return x, d.End() && (ts == 0 || x.many.to < ts)
	}
	return nil, false
}

// forks are the agents that began as forks. Readers and the writer use them: one is added when its
// commit is published, and replaced when it is whole.
type forks struct {
	some atomic.Bool // there is one. So whoever uses none pays for a load
	mu   sync.RWMutex
	of   map[AgentName]*fork
	made map[AgentName][]*fork // those of a parent, in the order of their commits
	part map[string][]*fork    // those of a namespace that are not whole, by upTo
	old  map[string][]*fork    // likewise those that are, and not bare
	deep []AgentName           // those whose views are deep, and that were not whole when they were put here
}

// get is the fork that an agent is; nil: it is none.
func (t *forks) get(a AgentName) *fork {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of[a]
}

// put adds a fork, or replaces it.
func (t *forks) put(f *fork) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of, t.made = make(map[AgentName]*fork), make(map[AgentName][]*fork)
		t.part, t.old = make(map[string][]*fork), make(map[string][]*fork)
	}
	old := t.of[f.agent]
	t.of[f.agent] = f
	t.made[f.parent] = replaced(t.made[f.parent], old, f, func(a, b *fork) int { return cmp.Compare(a.at, b.at) })
	byUpTo := func(a, b *fork) int { return cmp.Compare(a.upTo, b.upTo) }
	var part, past *fork
	switch {
	case !f.whole:
		part = f
	case !f.bare:
		past = f
	}
	t.part[f.agent.Namespace] = replaced(t.part[f.agent.Namespace], old, part, byUpTo)
	t.old[f.agent.Namespace] = replaced(t.old[f.agent.Namespace], old, past, byUpTo)
	if old == nil && t.depthOf(f) > deepFork {
		t.deep = append(t.deep, f.agent)
	}
	t.some.Store(true)
}

// replaced is a list in order with one fork in the place of another. Readers may have the old list.
func replaced(list []*fork, old, f *fork, order func(a, b *fork) int) []*fork {
	compare := func(a, b *fork) int { return cmp.Or(order(a, b), compareAgents(a.agent, b.agent)) }
	list = slices.Clone(list)
	if old != nil {
		if i, found := slices.BinarySearchFunc(list, old, compare); found {
			list = slices.Delete(list, i, i+1)
		}
	}
	if f != nil {
		i, _ := slices.BinarySearchFunc(list, f, compare)
		list = slices.Insert(list, i, f)
	}
	return list
}

// forksOf are an agent's forks, in the order of their commits.
func (t *forks) forksOf(a AgentName) []*fork {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.made[a]
}

// under are an agent's forks, theirs and so on.
func (t *forks) under(a AgentName) (list []*fork) {
	list = slices.Clone(t.forksOf(a))
	for i := 0; i < len(list); i++ {
		list = append(list, t.forksOf(list[i].agent)...)
	}
	return list
}

// all are all forks, in byte order.
func (t *forks) all() (list []*fork) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, f := range t.of { // sorted below: order cannot matter
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *fork) int { return compareAgents(a.agent, b.agent) })
	return list
}

// partial are the forks of a namespace that are not whole, by the commit up to which they inherited.
func (t *forks) partial(namespace string) []*fork {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.part[namespace]
}

// pasts are the forks of a namespace that have the past of what they inherited in rows of their own, by
// the commit up to which they inherited.
func (t *forks) pasts(namespace string) []*fork {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.old[namespace]
}

// deepest is a fork whose view is deep; nil: there is none.
func (t *forks) deepest() *fork {
	if !t.some.Load() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.deep) > 0 {
		if f := t.of[t.deep[0]]; t.depthOf(f) > deepFork {
			return f
		}
		t.deep = t.deep[1:]
	}
	return nil
}

// load reads the forks of a store.
func (t *forks) load(r *store) error {
	it, err := newRowIter(r, []byte{forkTag}, []byte{forkTag + 1})
	if err != nil {
		return err
	}
	var all []*fork
	of := make(map[AgentName]*fork)
	for ok := it.first(); ok; ok = it.next() {
		f, good := parseFork(it.key(), it.body)
		if !good {
			it.corrupt()
			break
		}
		all, of[f.agent] = append(all, f), f
	}
	if err := it.close(); err != nil {
		return err
	}
	// Parents come first. Of what is corrupt a fork may be its own parent, and walks to the first one have no end.
	slices.SortStableFunc(all, func(a, b *fork) int { return cmp.Compare(a.at, b.at) })
	for _, f := range all {
		if p := of[f.parent]; p != nil && p.at > f.upTo {
			return layout.CorruptRow(f.key(), "a fork of an agent that began after what it inherits")
		}
		t.put(f)
	}
	slices.SortFunc(t.deep, compareAgents)
	return nil
}

// begun reports whether an agent may have had any state at ts. What a fork inherits has the
// commit_ts that it has in the parent, which says nothing of when the fork had it.
func (t *forks) begun(a AgentName, ts CommitTS) bool {
	f := t.get(a)
	return f == nil || ts >= f.at
}

// base is where the oldest version of the agent's keys that can be read is the current one: at the
// floor, of the agent from which the key was inherited if the floor is before that, or else where the
// fork begins.
func (t *forks) base(a AgentName, floor CommitTS) (CommitTS, AgentName) {
	f := t.get(a)
	for ; f != nil && floor <= f.upTo; f = t.get(a) {
		a = f.parent
	}
	if f != nil {
		floor = max(floor, f.at)
	}
	return floor, a
}

// owner is the agent whose event is that of the commit ts of the agent a: what a fork inherited was
// committed to its parent.
func (t *forks) owner(a AgentName, ts CommitTS) AgentName {
	for f := t.get(a); f != nil && ts <= f.upTo; f = t.get(a) {
		a = f.parent
	}
	return a
}

// depth is how many agents besides its own a view of the agent walks.
func (t *forks) depth(a AgentName) (n int) {
	if !t.some.Load() {
		return 0
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.depthOf(t.of[a])
}

func (t *forks) depthOf(f *fork) (n int) {
	for ; f != nil && !f.whole; f = t.of[f.parent] {
		n++
	}
	return n
}

// A view of many rows that are elsewhere is slow. From deepFork on a chore copies what a fork
// inherits, so that deepestFork, which is refused, is seldom met.
const (
	deepFork    = 8
	deepestFork = 16
)

// Lineage reports of what an agent is a fork; nil: of none. forks are its own forks, in the order of
// their commits, and since when there are which.
func (s Snapshot) Lineage(a AgentName) (of *Lineage, forks []Forked, err error) {
	if err := a.Normalize(); err != nil {
		return nil, nil, err
	}
	if f := s.e.db.forks.get(a); f != nil && f.at <= s.ts {
		l := f.lineage()
		of = &l
	}
	for _, f := range s.e.db.forks.forksOf(a) {
		if f.at <= s.ts {
			forks = append(forks, Forked{f.agent, f.lineage()})
		}
	}
	return of, forks, nil
}

// Forked is a fork and its lineage.
type Forked struct {
	Agent AgentName
	Lineage
}

// resolveFork finds out which commit a fork means.
func (e *Engine) resolveFork(w *Write) error {
	f, is := w.Eval.(Fork)
	if !is || f.At == (At{}) {
		return nil
	}
	s, err := e.Snapshot(f.At)
	if err != nil {
		return err
	}
	if f.upTo = s.ts; s.ts == 0 {
		return noParent(AgentName{Namespace: w.Name.Namespace, Agent: f.Parent}, 0)
	}
	w.Eval = f
	return nil
}

func (f Fork) check(w *Write, _ *Limits) (Evaluation, error) {
	n := w.Name.AgentName()
	parent := AgentName{Namespace: n.Namespace, Agent: f.Parent}
	if err := n.Normalize(); err != nil {
		return nil, err
	}
	if err := parent.Normalize(); err != nil {
		return nil, err
	}
	switch {
	case n == parent:
		return nil, words.Failf(ErrInvalid, "agent %q cannot be a fork of itself", n.Agent).With("field", "agent_id")
	case w.Name.Key != "" || w.Expected != nil || w.TTL != 0:
		return nil, words.Failf(ErrInvalid, "a fork is of an agent: it has no key, no expected version and no time to live").With("field", "key")
	}
	w.Name.Namespace = n.Namespace
	return f, nil
}

func (Fork) hasValue() bool { return false }

func (f Fork) fingerprint(b []byte) []byte {
	return f.At.fingerprint(layout.AppendString(append(b, 'f'), f.Parent))
}

func (f Fork) evaluate(v *evaluation, op *askedOp) (err error) {
	part := &v.parts[v.part(op.name.AgentName())]
	part.made, err = v.pl.planFork(part.agent, &f)
	return err
}

func (Fork) result(_ *results, op *askedOp) (OpResult, error) { return OpResult{Name: op.name}, nil }

// checkActs refuses a request that does more to an agent than one act.
func checkActs(writes []*Write) error {
	acted := make(map[AgentName]bool)
	for _, w := range writes {
		if _, is := w.Eval.(Fork); is {
			acted[w.Name.AgentName()] = true
		}
	}
	if len(acted) == 0 {
		return nil
	}
	for _, w := range writes {
		a := w.Name.AgentName()
		if first, is := acted[a]; is && !first {
			return words.Failf(ErrInvalid, "the transaction does more to agent %q than to fork it: write to the fork in a transaction after it", a.Agent).With("field", "operations")
		}
		if acted[a] {
			acted[a] = false
		}
	}
	return nil
}

func noParent(a AgentName, at CommitTS) error {
	return words.Failf(ErrPrecondition, "precondition failed: agent %q has nothing to fork at commit %d: it begins later", a.Agent, at).
		With("namespace", a.Namespace).With("agent_id", a.Agent).With("reason", "no_parent")
}
