package serial

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// constraint is one atomic step of the model between call and ret: it requires the state in
// sees and lists, then applies does.
type constraint struct {
	op        *history.Operation // to name it by
	call, ret int64
	placed    bool   // it has a place in the order; otherwise it may not even have happened
	point     uint64 // its place: commits are at their commit_ts, reads after the one they are as of
	time      int64  // of a commit, as clients or the log were told; 0: it is not known
	commit    bool
	firm      bool // it has no place, and happened: a refusal
	sees      []sight
	lists     []stretch
	does      []effect
}

// never is when something returns that no client saw return.
const never = math.MaxInt64

// sight is what a constraint sees of a key, or wants of it.
type sight struct {
	name history.Name
	facts
}

// effect is what a constraint does to a key.
type effect struct {
	name history.Name
	facts
	blur bool // it is not known whether it was written, or with what
	head bool // the name is that of an agent's head (see headOf)
	// Of an increment: delta was added to the number at the pointer.
	pointer, delta string
}

// stretch is a listing: no key of an agent between two keys exists but those shown.
type stretch struct {
	agent         history.AgentName
	prefix        string
	after, before string // both exclusive; "": no bound
	shown         map[history.Name]bool
}

func (s *stretch) covers(key string) bool {
	return key[:min(1, len(key))] != leaseMark[:1] && len(key) >= len(s.prefix) && key[:len(s.prefix)] == s.prefix && key > s.after && (s.before == "" || key < s.before)
}

// headOf is the name under which the model keeps an agent's head, as a version:
// no record has an empty key.
func headOf(ns, agent string) history.Name { return history.Name{Namespace: ns, Agent: agent} }

// constraints of a history, and what contradicts itself without any search.
type constraints struct {
	placed  []*constraint // in the order
	refused []*constraint // commits that were, for a reason
	free    []*constraint // commits of unknown outcome, in the order of their calls
	broken  []verdict.Violation

	form   func(value string) string // the form in which values are compared
	rounds bool                      // in it numbers are not exact
	values map[string]string         // their forms
	heads  map[history.AgentName]bool
	views  map[int]*constraint // that a read belongs to, by its number
	ends   map[int]string      // the last key of each page, likewise
	txns   map[string]*txn
	order  []*txn

	listings []listing // of transactions that their clients hold

	missing missing
	base    uint64                     // what took effect before it is no constraint
	told    map[*history.Event]bool    // events that are constraints
	acts    map[history.AgentName]bool // agents whose keys an act or a fork has changed
	guessed bool                       // what a commit did is not all in the history, nor is it in a log
}

// txn is what was asked with one transaction id.
type txn struct {
	id       string
	begin    *history.Operation
	staged   []*history.Operation
	reads    []*history.Operation
	attempts []*history.Operation
	told     []*history.Operation // aborts, and questions about the outcome
}

// constraintsOf states a history as constraints. A log decides what became of unknown outcomes
// and where; without one (nil), only what clients were told counts.
func constraintsOf(h *history.History, log map[string]*history.Event, middle *Middle) *constraints {
	c := &constraints{
		values: make(map[string]string), heads: make(map[history.AgentName]bool),
		views: make(map[int]*constraint), ends: make(map[int]string), txns: make(map[string]*txn),
		missing: missingFrom(h, middle), told: make(map[*history.Event]bool), acts: actedOn(h),
	}
	if b := h.Header.Base; b != nil {
		c.base = b.CommitTS
	}
	if c.form = history.Normal; slices.ContainsFunc(h.Operations, func(op *history.Operation) bool { return op.In.Doubles }) {
		c.form, c.rounds = history.Rounded, true // in which all of them see alike
	}
	covered := h.Covered()
	for _, op := range h.Operations {
		if !within(covered, op) {
			continue
		}
		for _, w := range op.In.Heads {
			c.heads[history.AgentName{Namespace: w.Namespace, Agent: w.Agent}] = true
		}
		for i := range op.In.Writes { // which must have no head
			if w := &op.In.Writes[i]; w.Op == history.Fork {
				c.heads[history.AgentName{Namespace: w.Namespace, Agent: w.Agent}] = true
			}
		}
		c.take(op)
	}
	for _, t := range c.order {
		if t.begin != nil {
			c.addSnapshot(t)
		}
		c.addCommit(t, log)
		c.addRefusals(t)
	}
	if log != nil && c.missing.any() {
		c.addUntold(h)
	}
	slices.SortStableFunc(c.placed, comparePlaces)
	c.leaveOut()
	c.checkRealTime()
	c.checkListings()
	return c
}

// comparePlaces puts a commit before the reads that are as of it. Those are all of
// one state: among them the clock decides.
func comparePlaces(a, b *constraint) int {
	switch {
	case a.point != b.point:
		return cmp.Compare(a.point, b.point)
	case a.commit != b.commit && a.commit:
		return -1
	case a.commit != b.commit:
		return 1
	}
	return cmp.Compare(a.call, b.call)
}

// take puts an operation where it belongs.
func (c *constraints) take(op *history.Operation) {
	id := op.In.TxnID
	if op.Kind == history.Begin {
		id = op.Out.TxnID
	}
	switch {
	case id == "" && op.Outcome == history.OK:
		c.addAnswer(op)
		return
	case id == "":
		return
	}
	t := c.txns[id]
	if t == nil {
		t = &txn{id: id}
		c.txns[id] = t
		c.order = append(c.order, t)
	}
	switch op.Kind {
	case history.Begin:
		if op.Outcome == history.OK {
			t.begin = op
		}
	case history.Get, history.BatchGet, history.ListKeys, history.Scan:
		if op.Outcome == history.OK {
			t.reads = append(t.reads, op)
		}
	case history.StageWrite, history.StageDelete:
		t.staged = append(t.staged, op)
	case history.Commit, history.Transact:
		t.attempts = append(t.attempts, op)
	case history.Abort, history.GetTxn:
		t.told = append(t.told, op)
	}
}

// addAnswer adds what a read outside of transactions saw.
func (c *constraints) addAnswer(op *history.Operation) {
	switch op.Kind {
	case history.Get, history.BatchGet, history.ListKeys, history.Scan:
		if op.In.AtTime == 0 {
			c.addRead(op)
		}
	case history.GetVersion, history.KeyHistory:
		c.addVersions(op)
	case history.Find:
		if op.In.AtTime == 0 && op.In.PageOf == 0 {
			c.addFound(op)
		}
	case history.RenewLeases:
		c.addRenewals(op)
	case history.Replay:
		if op.In.Lineage {
			c.addLineage(op)
		}
	}
}

// addRead adds a read at one point. Pages belong to the read that opened them: all are as of
// its point. A read of the past may come any time after that.
func (c *constraints) addRead(op *history.Operation) {
	v := c.views[op.In.PageOf]
	if v == nil {
		if op.In.PageOf != 0 || op.Out.ReadTS < c.base {
			return // of a read that is not among the constraints, or of what was before all of them
		}
		v = &constraint{op: op, call: op.Call, ret: op.Return, placed: true, point: op.Out.ReadTS}
		switch {
		case op.In.At != nil:
			v.call, v.point = math.MinInt64, *op.In.At
		case op.In.MaxStale > 0: // it may have come to an earlier state
			v.call = math.MinInt64
		}
		c.placed = append(c.placed, v)
	}
	c.views[op.ID] = v
	c.look(v, op, nil, false)
}

// addVersions adds each version that was read by its number, or in the history of its key, as
// a read of the past: as of the commit that made it.
func (c *constraints) addVersions(op *history.Operation) {
	for i := range op.Out.Records {
		if r := &op.Out.Records[i]; r.CommitTS > c.base {
			c.placed = append(c.placed, &constraint{
				op: op, call: math.MinInt64, ret: op.Return, placed: true, point: r.CommitTS, sees: []sight{c.sight(op, r)},
			})
		}
	}
}

// sight is what a read saw of a record.
func (c *constraints) sight(op *history.Operation, r *history.Record) sight {
	f := facts{known: knowsExists | knowsVersion | knowsTS, exists: r.Exists, version: r.Version, ts: r.CommitTS}
	if r.Exists && !r.Erased && !r.Pruned {
		f = c.showing(f, op, r.Value)
	}
	return sight{r.Name, f}
}

// look adds to a constraint what a read saw, but for keys that its own transaction
// wrote. Where own writes may be missing (hidden), it passes over records that can be one,
// and draws nothing from what is not listed.
func (c *constraints) look(v *constraint, op *history.Operation, own map[history.Name]bool, hidden bool) {
	in := &op.In
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if own[r.Name] || hidden && uncommitted(r) {
			continue
		}
		v.sees = append(v.sees, c.sight(op, r))
	}
	if op.Kind != history.ListKeys && op.Kind != history.Scan || hidden || in.Delimiter != "" {
		return
	}
	s := stretch{agent: history.AgentName{Namespace: in.Namespace, Agent: in.Agent}, prefix: in.Prefix, shown: make(map[history.Name]bool)}
	for n := range own { // into a map: order cannot matter
		s.shown[n] = true
	}
	for _, k := range op.Out.Keys {
		n := history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: k}
		if s.shown[n] = true; !own[n] {
			v.sees = append(v.sees, sight{n, facts{known: knowsExists, exists: true}})
		}
	}
	for i := range op.Out.Records {
		s.shown[op.Out.Records[i].Name] = true
	}
	// What a page tells ends with its last key, which is among those shown.
	c.ends[op.ID] = op.Out.LastShown()
	s.after = c.ends[in.PageOf]
	if op.Out.More {
		s.before = c.ends[op.ID]
	}
	if in.Reverse {
		s.after, s.before = s.before, s.after
	}
	v.lists = append(v.lists, s)
}

func (c *constraints) canonical(value string) string {
	v, known := c.values[value]
	if !known {
		v = c.form(value)
		c.values[value] = v
	}
	return v
}

// checkRealTime compares the order that the answers claim with the clock: what had returned
// before something else was called cannot come after it. Porcupine sees that too, but only
// within the window that it is given. Nor may commit times fall in that order.
func (c *constraints) checkRealTime() {
	var last *constraint // of those before, the one called last
	var time int64       // of the last commit
	for i := 0; i < len(c.placed); {
		group := i // constraints at one place: a commit by itself, reads together
		for ; i < len(c.placed) && c.placed[i].point == c.placed[group].point && c.placed[i].commit == c.placed[group].commit; i++ {
			a := c.placed[i]
			if a.commit && i > group {
				c.breaks(a, "G3", "place-taken", "it is said to be commit %d, and so is #%d", a.point, c.placed[group].op.ID)
			}
			if a.commit && a.time != 0 && a.time < time {
				c.breaks(a, "G5", "commit-time-falls", "commit %d is at %d, and one before it at %d", a.point, a.time, time)
			}
			if a.commit {
				time = max(time, a.time)
			}
			if last != nil && a.ret < last.call {
				c.breaks(a, "G3", "order-against-time", "it took place at %d, after what was asked for only later by #%d, at %d", a.point, last.op.ID, last.point)
			}
		}
		for _, a := range c.placed[group:i] {
			if last == nil || a.call > last.call {
				last = a
			}
		}
	}
}

func (c *constraints) breaks(a *constraint, guarantee, check, format string, args ...any) {
	c.broken = append(c.broken, verdict.Violation{
		Guarantee: guarantee, Check: check, Op: a.op.ID, CommitTS: a.point, Time: a.op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: ", a.op.ID, a.op.Kind, a.op.Client) + fmt.Sprintf(format, args...),
	})
}
