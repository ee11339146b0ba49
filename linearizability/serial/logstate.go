package serial

import (
	"slices"
	"sort"

	"statehouse.dev/statehouse/history"
)

// logState is the state as of a commit, as the log shows it.
type logState struct {
	c     *constraints
	ts    uint64
	log   []history.Event
	state map[history.Name]facts
	keys  map[history.AgentName][]string // that ever were, sorted
	vague map[history.Name]bool          // keys whose first versions neither base nor log tells of
}

func newLogState(h *history.History, c *constraints) *logState {
	s := &logState{c: c, log: h.Log, state: make(map[history.Name]facts), keys: make(map[history.AgentName][]string)}
	if b := h.Header.Base; b != nil {
		s.ts = b.CommitTS
		for i := range b.Records {
			r := &b.Records[i]
			s.set(r.Name, r.Exists, r.Version, r.CommitTS, r.Value)
		}
		for _, a := range b.Agents {
			s.state[headOf(a.Namespace, a.Agent)] = facts{known: knowsVersion, version: a.HeadTS}
		}
		s.findVague()
	}
	return s
}

// findVague finds the keys that no operation speaks of: of those, the base need not have the
// state.
func (s *logState) findVague() {
	seen := make(map[history.Name]bool)
	for i := range s.log {
		for k := range s.log[i].Ops {
			o := &s.log[i].Ops[k]
			n := keptAs(o)
			if _, known := s.state[n]; known || seen[n] {
				continue
			}
			if seen[n] = true; o.Version > 1 {
				if s.vague == nil {
					s.vague = make(map[history.Name]bool)
				}
				s.vague[n] = true
			}
		}
	}
}

func (s *logState) set(n history.Name, exists bool, version, ts uint64, value string) {
	f := facts{known: knowsExists | knowsVersion | knowsTS, exists: exists, version: version, ts: ts}
	if exists {
		f.known, f.value = f.known|knowsValue, s.c.canonical(value)
	}
	a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
	if _, known := s.state[n]; !known && !isLease(n) {
		keys := s.keys[a]
		i := sort.SearchStrings(keys, n.Key)
		s.keys[a] = slices.Insert(keys, i, n.Key)
	}
	s.state[n] = f
}

// head moves the head of an agent, if it counts.
func (s *logState) head(o *history.EventOp, ts uint64) {
	if s.c.heads[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}] {
		s.state[headOf(o.Namespace, o.Agent)] = facts{known: knowsVersion, version: ts}
	}
}

// advance moves the state on to a commit.
func (s *logState) advance(ts uint64) {
	for len(s.log) > 0 && s.log[0].CommitTS <= ts {
		ev := &s.log[0]
		for i := range ev.Ops {
			o := &ev.Ops[i]
			if ev.Cause == "" {
				s.head(o, ev.CommitTS)
			}
			if o.Act != nil {
				continue // such agents are left out
			}
			s.set(keptAs(o), !o.Delete, o.Version, ev.CommitTS, o.Value)
			f := s.state[keptAs(o)]
			if o.Erased || o.Pruned { // its value is not known any more
				f.known, f.value = f.known&^knowsValue, ""
			}
			if o.Due {
				f = asWake(f, ev)
			}
			s.state[keptAs(o)] = f
		}
		s.log = s.log[1:]
	}
}

func (s *logState) facts(n history.Name) facts {
	if f, known := s.state[n]; known {
		return f
	}
	if s.vague[n] {
		return facts{}
	}
	return facts{known: knowsExists | knowsVersion | knowsTS} // never written
}

// existing lists the keys that exist in a stretch.
func (s *logState) existing(l *stretch) []history.Name {
	keys := s.keys[l.agent]
	var out []history.Name
	for i := sort.SearchStrings(keys, max(l.prefix, l.after)); i < len(keys) && (l.covers(keys[i]) || keys[i] <= l.after); i++ {
		if n := (history.Name{Namespace: l.agent.Namespace, Agent: l.agent.Agent, Key: keys[i]}); l.covers(keys[i]) && s.state[n].exists {
			out = append(out, n)
		}
	}
	return out
}
