package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// A delete or restore of more keys than a transaction may change is an act: the commit has what was
// asked, the prefix and of a restore the commit, and no key, so it takes no longer than any other. What
// it did to each key is derived when rows are read (rangerows.go): a key under the prefix that existed
// before has one more row, a tombstone of the act's commit; or after a restore one that is not as it was
// then has the value of then, or a tombstone (rangethen.go). A chore then writes these rows
// (rangechore.go), in pieces. That changes nothing that is read; when all are there the act is under way
// no longer, and reads cost what they did before. The log has it for good.
//
// One act of an agent is under way at a time. What is derived is of users' records: the engine's own
// stay, but for the wake-ups of what is deleted, which are operations of the same commit.

// rangeTag is the tag of rows of acts on many keys that are under way.
//
//	g namespace 00 agent 00 -> uvarint commit_ts · commit_time · string prefix · string: carried out up to · of a restore: uvarint commit_ts of then
const rangeTag = 'g'

// The kinds, the first byte of the field of the event.
const (
	actDelete  = 2
	actRestore = 3
)

// A rangeAct deleted the keys of an agent that begin with a prefix, or gave them the state that they had
// after a commit. It is never changed.
type rangeAct struct {
	agent  AgentName
	at     CommitTS
	time   time.Time // of the commit
	prefix string
	done   string // how far it is carried out: the last row that was looked at, by its key without the agent

	restores bool
	to       CommitTS // the state after this commit is restored
}

func (g *rangeAct) key() []byte { return layout.AgentPrefix(rangeTag, g.agent) }

func (g *rangeAct) append(dst []byte) []byte {
	dst = layout.AppendTime(binary.AppendUvarint(dst, uint64(g.at)), g.time)
	dst = layout.AppendString(layout.AppendString(dst, g.prefix), g.done)
	if g.restores {
		dst = binary.AppendUvarint(dst, uint64(g.to))
	}
	return dst
}

func parseRangeAct(key, body []byte) (*rangeAct, bool) {
	g := new(rangeAct)
	rest, ok := layout.SplitNames(key, rangeTag, &g.agent.Namespace, &g.agent.Agent)
	d := layout.Decoder{Rest: body}
	g.at, g.time = CommitTS(d.Uvarint()), d.Time()
	g.prefix, g.done = d.Str(), d.Str()
	if g.restores = len(d.Rest) > 0; g.restores {
		g.to = CommitTS(d.Uvarint())
	}
	return g, ok && len(rest) == 0 && d.End() && g.at > 0 && g.to < g.at
}

// field is what the event of the act has of it.
func (g *rangeAct) field() []byte {
	if g.restores {
		return binary.AppendUvarint(layout.AppendString([]byte{actRestore}, g.prefix), uint64(g.to))
	}
	return layout.AppendString([]byte{actDelete}, g.prefix)
}

// same reports whether two are one act, however far it is carried out.
func (g *rangeAct) same(o *rangeAct) bool {
	return g.agent == o.agent && g.at == o.at && g.time.Equal(o.time) && g.prefix == o.prefix && g.restores == o.restores && g.to == o.to
}

// covers reports whether the act is about a key.
func (g *rangeAct) covers(key string) bool {
	return strings.HasPrefix(key, g.prefix) && key >= firstKey
}

// meets reports whether the act is about keys of an interval.
func (g *rangeAct) meets(s interval) bool {
	end := string(layout.Successor([]byte(g.prefix)))
	return (s.to == "" || g.prefix < s.to) && (end == "" || s.from < end)
}

// bounds are those of the rows of what it is about.
func (g *rangeAct) bounds() (lower, upper []byte) {
	base := layout.AgentPrefix(layout.RecordTag, g.agent)
	return append(bytes.Clone(base), max(g.prefix, firstKey)...), layout.Successor(append(bytes.Clone(base), g.prefix...))
}

// rangeActs are the acts under way, and what remembers those that were. Readers and the writer use
// them: one is added when its commit is published, and ended when all of it is in rows.
type rangeActs struct {
	some atomic.Bool // there was one since the store was opened. So whoever uses none pays for a load
	mu   sync.RWMutex
	of   map[AgentName]*rangeAct // under way
	line []*rangeAct             // those, by their commits
	last map[AgentName]CommitTS  // of agents that had one since the store was opened
}

// get is the act under way of an agent; nil: there is none.
func (t *rangeActs) get(a AgentName) *rangeAct {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of[a]
}

// put adds an act, or replaces it by itself when more of it is carried out.
func (t *rangeActs) put(g *rangeAct) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of, t.last = make(map[AgentName]*rangeAct), make(map[AgentName]CommitTS)
	}
	t.remove(g.agent)
	t.of[g.agent], t.last[g.agent] = g, g.at
	i, _ := slices.BinarySearchFunc(t.line, g, func(a, b *rangeAct) int {
		return cmp.Or(cmp.Compare(a.at, b.at), compareAgents(a.agent, b.agent))
	})
	t.line = slices.Insert(t.line, i, g)
	t.some.Store(true)
}

// end ends the act of an agent.
func (t *rangeActs) end(a AgentName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(a)
}

func (t *rangeActs) remove(a AgentName) {
	delete(t.of, a)
	t.line = slices.DeleteFunc(slices.Clone(t.line), func(g *rangeAct) bool { return g.agent == a })
}

// first is the oldest act under way; nil: there is none.
func (t *rangeActs) first() *rangeAct {
	if line := t.all(); len(line) > 0 {
		return line[0]
	}
	return nil
}

// all are the acts under way, by their commits.
func (t *rangeActs) all() []*rangeAct {
	if !t.some.Load() {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.line
}

// load reads the acts under way of a store.
func (t *rangeActs) load(r *store) error {
	it, err := newRowIter(r, []byte{rangeTag}, []byte{rangeTag + 1})
	if err != nil {
		return err
	}
	for ok := it.first(); ok; ok = it.next() {
		g, good := parseRangeAct(it.key(), it.body)
		if !good {
			it.corrupt()
			break
		}
		t.put(g)
	}
	return it.close()
}

// loadActs reads what reads of records must know besides their rows.
func (s *store) loadActs() error {
	if err := s.forks.load(s); err != nil {
		return err
	}
	return s.acts.load(s)
}

// derived reports whether the records of an agent have rows that are not in the store under its name.
func (s *store) derived(a AgentName) bool {
	return s.forks.get(a) != nil || s.acts.get(a) != nil
}

// cached is what a record is called in caches of the newest state, by its prefix, and a sequence, by
// what the prefixes of its records begin with. What a cache has of a key before an act is wrong from
// then on: that it was never written, or that it exists. So the keys of a fork have other names there,
// and those of an agent have others after each act.
func (s *store) cached(prefix string) string {
	if !s.forks.some.Load() && !s.acts.some.Load() {
		return prefix
	}
	var a AgentName
	if _, ok := layout.SplitNames([]byte(prefix), layout.RecordTag, &a.Namespace, &a.Agent); !ok {
		return prefix
	}
	if s.forks.get(a) != nil {
		prefix = string(rune(forkTag)) + prefix // of no record, which would begin with another tag
	}
	if last := s.acts.lastOf(a); last != 0 {
		prefix = string(binary.BigEndian.AppendUint64([]byte{rangeTag}, uint64(last))) + prefix
	}
	return prefix
}

func (t *rangeActs) lastOf(a AgentName) CommitTS {
	if !t.some.Load() {
		return 0
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.last[a]
}
