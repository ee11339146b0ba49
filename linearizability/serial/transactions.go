package serial

import (
	"math"
	"slices"

	"statehouse.dev/statehouse/history"
)

// addSnapshot adds what a transaction read: all of it as of its beginning.
func (c *constraints) addSnapshot(t *txn) {
	if t.begin.Out.SnapshotTS < c.base {
		return
	}
	v := &constraint{op: t.begin, call: t.begin.Call, ret: t.begin.Return, placed: true, point: t.begin.Out.SnapshotTS}
	hidden := c.missing.of(t)
	for _, r := range t.reads {
		c.look(v, r, t.own(r.Return), hidden)
		if !hidden {
			c.checkOwn(t, r)
		}
	}
	c.placed = append(c.placed, v)
}

// own are the keys that a transaction may have written before time.
func (t *txn) own(time int64) map[history.Name]bool {
	m := make(map[history.Name]bool)
	for _, s := range t.staged {
		if s.Outcome != history.Fail && s.Call < time {
			m[s.In.Name()] = true
		}
	}
	return m
}

// checkOwn holds a read in a transaction to the transaction's own writes: what it has written
// is there, and what it has deleted is not.
func (c *constraints) checkOwn(t *txn, r *history.Operation) {
	last := make(map[history.Name]*history.Operation) // nil: which is the last one, is not known
	for _, s := range t.staged {
		n := s.In.Name()
		before, again := last[n]
		switch {
		case s.Outcome == history.Fail || s.Call >= r.End():
		case s.Outcome != history.OK || s.Return > r.Call || again && (before == nil || before.Return > s.Call):
			last[n] = nil
		default:
			last[n] = s
		}
	}
	check := func(n history.Name, exists bool) {
		if w := last[n]; w != nil && exists != (w.Kind == history.StageWrite) {
			c.breaks(&constraint{op: r}, "G3", "own-write-unseen", "it does not see the %s #%d of key %q in its own transaction", w.Kind, w.ID, n.Key)
		}
	}
	for i := range r.Out.Records {
		check(r.Out.Records[i].Name, r.Out.Records[i].Exists)
	}
	for _, k := range r.Out.Keys {
		check(history.Name{Namespace: r.In.Namespace, Agent: r.In.Agent, Key: k}, true)
	}
}

// outcome is what the answers say of how a transaction ended.
type outcome struct {
	*constraint
	asked    []*history.Operation // the requests that may have done it
	versions []history.KeyVersion // that it made
	dead     bool                 // it was said to have ended otherwise
	nothing  bool                 // where it is placed it is said to have changed nothing
}

// addCommit adds what became of a transaction, as one constraint: however often it was
// asked for, it took effect once.
func (c *constraints) addCommit(t *txn, log map[string]*history.Event) {
	o := c.attempted(t)
	if len(o.asked) == 0 {
		return
	}
	hidden, ev := c.missing.of(t), log[t.id]
	if hidden { // an earlier request may have done it
		if o.call = math.MinInt64; t.begin != nil {
			o.call = t.begin.Call
		}
	}
	c.asked(t, o)
	if ev == nil && o.placed && o.point <= c.base && c.base > 0 && (t.begin == nil || t.begin.Out.SnapshotTS < c.base) {
		return // it was before the base
	}
	c.guessed = c.guessed || hidden && o.asked[0].Kind == history.Commit
	c.does(o.constraint, t, o.asked)
	if o.asked[0].Outcome == history.OK || !hidden && c.alike(t, o.asked) {
		c.wants(o.constraint, t, o.asked[0])
		c.wantsResults(o.constraint, o.asked[0])
	}
	if ev != nil && (hidden || logKnows(o.asked) || slices.ContainsFunc(ev.Ops, func(op history.EventOp) bool { return op.Due })) {
		o.does = c.done(ev)
		asAsked(o.does, o.asked)
	}
	if len(o.does) == 0 {
		o.commit = false // it changes nothing: it only sees
		if t.begin != nil && len(o.sees) == 0 {
			if !hidden {
				c.checkReader(o.constraint, t)
			}
			return
		}
	}
	if log == nil || c.settle(t, o, ev) {
		c.file(t, o, ev)
	}
}

// attempted gathers the requests to commit a transaction, and where their answers place it.
func (c *constraints) attempted(t *txn) *outcome {
	o := &outcome{constraint: &constraint{ret: never, commit: true}}
	for _, op := range t.attempts {
		if op.Outcome == history.Fail && (op.Error == nil || final(op.Error.Code) || op.Error.Code == "TXN_ID_REUSED") {
			continue
		}
		if o.op == nil {
			o.op, o.call = op, op.Call
		}
		switch {
		case op.Outcome == history.OK:
			if !o.placed {
				o.asked = o.asked[:0] // those before asked for the same, or did nothing
			}
			o.asked = append(o.asked, op)
			c.place(t, o, op)
		case !o.placed:
			o.asked = append(o.asked, op)
		}
	}
	return o
}

// place takes down where an answer says that a transaction committed.
func (c *constraints) place(t *txn, o *outcome, op *history.Operation) {
	if op.Kind == history.Transact {
		nothing := mayBeNothing(op) && len(op.Out.Versions) == 0
		switch { // of what changed nothing the next daemon knows no more, and looks again
		case o.placed && nothing:
			return
		case o.placed && o.nothing && o.point != op.Out.CommitTS:
			o.constraint = &constraint{op: op, call: op.Call, ret: never, commit: true}
			o.asked = []*history.Operation{op}
		}
		o.nothing = nothing
	}
	o.ret = min(o.ret, op.Return)
	if len(op.Out.Versions) > 0 {
		o.versions = versionsOf(op)
	}
	if o.placed && o.point != op.Out.CommitTS {
		o.op = op
		c.breaks(o.constraint, "G6", "places-differ", "transaction %s was said to be commit %d, and commit %d", t.id, o.point, op.Out.CommitTS)
	}
	o.placed, o.point, o.time = true, op.Out.CommitTS, op.Out.CommitTime
}

// asked takes down what the answers to aborts and questions say of how a transaction ended.
func (c *constraints) asked(t *txn, o *outcome) {
	for _, op := range t.told {
		switch {
		case op.Outcome != history.OK || op.Kind == history.GetTxn && op.Out.State == "too_old":
		case op.Kind == history.GetTxn && op.Out.State == "committed":
			c.place(t, o, op)
		case op.Kind == history.GetTxn && (op.Out.State == "open" || op.Out.State == "never_seen"):
			if first := o.asked[0]; first.Kind == history.Commit || !mayBeNothing(first) { // what changes nothing is soon forgotten
				o.call = max(o.call, op.Call) // it had not taken effect then
			}
		case op.Kind == history.Abort && t.begin == nil && !givenByDaemon(t.id):
			// of what a client chose for a transact: nothing of that name can be aborted
		case t.begin == nil && slices.ContainsFunc(o.asked, func(a *history.Operation) bool { return a.End() > op.Call }):
			// what came to nothing may be sent again, and a daemon that has started since takes it
		default:
			o.dead = true
		}
	}
}

// settle has the log decide where a transaction committed, and reports whether it did.
func (c *constraints) settle(t *txn, o *outcome, ev *history.Event) bool {
	switch {
	case ev == nil && !o.commit:
		return true
	case ev == nil && o.placed:
		c.breaks(o.constraint, "G1", "acked-not-in-log", "transaction %s was acknowledged as commit %d, and is not in the log", t.id, o.point)
		return false
	case ev == nil:
		return false
	case o.placed && o.point != ev.CommitTS:
		c.breaks(o.constraint, "G6", "places-differ", "transaction %s was said to be commit %d, and is commit %d in the log", t.id, o.point, ev.CommitTS)
		return false
	}
	o.placed, o.point, o.time = true, ev.CommitTS, ev.CommitTime
	return true
}

// file puts a transaction among the placed constraints, or the free ones.
func (c *constraints) file(t *txn, o *outcome, ev *history.Event) {
	switch {
	case o.dead && o.placed && o.commit:
		c.breaks(o.constraint, "G6", "aborted-and-committed", "transaction %s was said to have ended otherwise, and is commit %d", t.id, o.point)
	case o.placed:
		c.told[ev] = true
		c.number(o.constraint, o.versions)
		c.placed = append(c.placed, o.constraint)
	case !o.dead && o.commit:
		c.free = append(c.free, o.constraint)
	}
}

// does sets what a transaction does. Requests with one id should ask for the same; where they
// do not, one of them was done.
func (c *constraints) does(a *constraint, t *txn, asked []*history.Operation) {
	for i, op := range asked {
		list := c.effects(t, op)
		if i == 0 {
			a.does = list
		} else if !slices.Equal(a.does, list) {
			a.does = append(a.does, list...)
			slices.SortFunc(a.does, compareEffects)
			a.does = slices.CompactFunc(a.does, func(x, y effect) bool { return x.name == y.name })
			for k := range a.does {
				a.does[k].blur, a.does[k].facts = true, facts{}
			}
		}
	}
}

// alike reports whether requests with one id ask for the same on the same conditions: else which
// of them was done is not known.
func (c *constraints) alike(t *txn, asked []*history.Operation) bool {
	if len(asked) == 1 {
		return true
	}
	first, in := c.effects(t, asked[0]), &asked[0].In
	return !slices.ContainsFunc(asked[1:], func(op *history.Operation) bool {
		return !slices.Equal(c.effects(t, op), first) || !slices.Equal(op.In.Keys, in.Keys) || !slices.Equal(op.In.Heads, in.Heads) ||
			readsOf(op.In.Reads) != readsOf(in.Reads)
	})
}

func compareEffects(x, y effect) int { return history.CompareNames(x.name, y.name) }

// effects of one request, one a key, sorted: the last write of a key counts.
func (c *constraints) effects(t *txn, op *history.Operation) []effect {
	byName := make(map[history.Name]effect)
	add := func(w *history.Write, blur bool) {
		e := effect{name: w.Name, blur: blur}
		if !blur {
			e.facts = facts{known: knowsExists, exists: !w.Delete}
			if !w.Delete {
				e.known, e.value = e.known|knowsValue, c.canonical(w.Value)
			}
		}
		byName[w.Name] = e
		if c.heads[history.AgentName{Namespace: w.Namespace, Agent: w.Agent}] {
			n := headOf(w.Namespace, w.Agent)
			byName[n] = effect{name: n, head: true}
		}
	}
	for i := range op.In.Writes {
		w := &op.In.Writes[i]
		if !w.Evaluates() {
			add(w, false)
			continue
		}
		if w.Op == history.Fork {
			n := headOf(w.Namespace, w.Agent)
			byName[n] = effect{name: n, head: true}
		}
		for _, e := range c.came(op, i) {
			if _, again := byName[e.name]; again {
				e.pointer, e.delta = "", "" // what was there between is not told
			}
			byName[e.name] = e
			if c.heads[history.AgentName{Namespace: w.Namespace, Agent: w.Agent}] {
				n := headOf(w.Namespace, w.Agent)
				byName[n] = effect{name: n, head: true}
			}
		}
	}
	if op.Kind == history.Commit {
		for _, s := range t.staged {
			if s.Outcome != history.Fail { // once the commit is on its way, none is accepted
				before, again := byName[s.In.Name()]
				add(&history.Write{Name: s.In.Name(), Value: s.In.Value, Delete: s.Kind == history.StageDelete}, s.Outcome == history.Unknown || again && before.blur)
			}
		}
	}
	list := make([]effect, 0, len(byName))
	for _, e := range byName { // sorted below
		list = append(list, e)
	}
	slices.SortFunc(list, compareEffects)
	return list
}

// wants adds what must be so for a transaction to commit: its conditions, and what
// it read.
func (c *constraints) wants(a *constraint, t *txn, op *history.Operation) {
	add := func(n history.Name, expected uint64) { a.sees = append(a.sees, sight{n, expects(expected)}) }
	for i := range op.In.Writes {
		if w := &op.In.Writes[i]; w.Expected != nil {
			add(w.Name, *w.Expected)
		}
	}
	for _, s := range t.staged {
		if s.Outcome == history.OK && s.In.Expected != nil {
			add(s.In.Name(), *s.In.Expected)
		}
	}
	for _, k := range op.In.Keys {
		if k.Lease != "" {
			lease := leaseOf(k.Namespace, k.Agent, k.Lease)
			a.sees = append(a.sees, sight{lease, heldUnder(lease, k.Expected)})
			continue
		}
		add(k.Name, k.Expected)
	}
	for _, w := range op.In.Heads {
		a.sees = append(a.sees, sight{headOf(w.Namespace, w.Agent), facts{known: knowsVersion, version: w.Expected}})
	}
	c.wantsReads(a, op.In.Reads)
	if len(a.does)+len(a.sees) == 0 {
		return
	}
	for _, r := range t.reads {
		if r.Call < op.Call {
			c.look(a, r, t.own(r.Return), c.missing.of(t))
		}
	}
}

// done is what a commit did as the log says, where requests of it may be missing.
func (c *constraints) done(ev *history.Event) []effect {
	op := history.Operation{Kind: history.Transact}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		if o.Act == nil { // agents that have one are left out
			op.In.Writes = append(op.In.Writes, history.Write{Name: keptAs(o), Value: o.Value, Delete: o.Delete})
		}
	}
	list := c.effects(&txn{}, &op)
	for i := range ev.Ops {
		if o := &ev.Ops[i]; o.Act != nil && c.heads[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}] {
			list = append(list, effect{name: headOf(o.Namespace, o.Agent), head: true})
		}
	}
	asWakes(list, ev)
	slices.SortFunc(list, compareEffects)
	list = slices.CompactFunc(list, func(x, y effect) bool { return x.name == y.name })
	if ev.Cause != "" { // it moves no head
		list = slices.DeleteFunc(list, func(e effect) bool { return e.head })
	}
	return list
}

// addUntold adds the commits that only the log has.
func (c *constraints) addUntold(h *history.History) {
	for i := range h.Log {
		ev := &h.Log[i]
		if c.told[ev] || !c.missing.requests() && !ev.ByOperator() && ev.Cause == "" {
			continue
		}
		op := &history.Operation{Client: "nobody", Kind: history.Commit, In: history.Input{TxnID: ev.TxnID}}
		a := &constraint{op: op, call: math.MinInt64, ret: never, placed: true, point: ev.CommitTS, time: ev.CommitTime, commit: true, does: c.done(ev)}
		c.number(a, nil)
		c.placed = append(c.placed, a)
	}
}

// number adds the versions that a client was told, and the place, to what a commit does.
func (c *constraints) number(a *constraint, versions []history.KeyVersion) {
	next := 0 // mostly they come in the same order
	for i := range a.does {
		e := &a.does[i]
		switch {
		case e.head:
			e.facts = facts{known: knowsVersion, version: a.point}
		case !e.blur:
			e.known, e.ts = e.known|knowsTS, a.point
		}
		for range versions {
			v := &versions[next%len(versions)]
			next++
			if v.Name == e.name && v.Version != 0 {
				e.known, e.version = e.known|knowsVersion, v.Version
				break
			}
		}
	}
}

// checkReader holds a transaction that has no writes and no conditions to its snapshot: what
// it saw there is a constraint already.
func (c *constraints) checkReader(a *constraint, t *txn) {
	if a.placed && a.point != t.begin.Out.SnapshotTS {
		c.breaks(a, "G3", "places-differ", "transaction %s only read, at %d, and is said to be at %d", t.id, t.begin.Out.SnapshotTS, a.point)
	}
}
