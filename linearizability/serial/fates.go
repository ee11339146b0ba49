package serial

import (
	"math"
	"slices"

	"statehouse.dev/statehouse/history"
)

// addSnapshot adds what a transaction read: all of it as of its beginning.
func (c *claims) addSnapshot(f *fate) {
	if f.begin.Out.SnapshotTS < c.base {
		return
	}
	v := &claim{op: f.begin, call: f.begin.Call, ret: f.begin.Return, placed: true, point: f.begin.Out.SnapshotTS}
	for _, r := range f.reads {
		c.look(v, r, f.own(r.Return), c.missing.of(f))
	}
	c.placed = append(c.placed, v)
}

// own are the keys that a transaction may have written before time.
func (f *fate) own(time int64) map[history.Name]bool {
	m := make(map[history.Name]bool)
	for _, s := range f.staged {
		if s.Outcome != history.Fail && s.Call < time {
			m[s.In.Name()] = true
		}
	}
	return m
}

// addCommit adds what became of a transaction, as one claim: however often it was
// asked for, it took effect once.
func (c *claims) addCommit(f *fate, log map[string]*history.Event) {
	a := &claim{ret: never, commit: true}
	var asked []*history.Operation // those that may have done it
	var versions []history.KeyVersion
	dead := false
	place := func(op *history.Operation) {
		a.ret = min(a.ret, op.Return)
		if len(op.Out.Versions) > 0 {
			versions = op.Out.Versions
		}
		if a.placed && a.point != op.Out.CommitTS {
			a.op = op
			c.breaks(a, "G6", "places-differ", "transaction %s was said to be commit %d, and commit %d", f.id, a.point, op.Out.CommitTS)
		}
		a.placed, a.point = true, op.Out.CommitTS
	}
	for _, op := range f.attempts {
		if op.Outcome == history.Fail && (op.Error == nil || final(op.Error.Code) || op.Error.Code == "TXN_ID_REUSED") {
			continue
		}
		if a.op == nil {
			a.op, a.call = op, op.Call
		}
		switch {
		case op.Outcome == history.OK:
			if !a.placed {
				asked = asked[:0] // those before asked for the same, or did nothing
			}
			asked = append(asked, op)
			place(op)
		case !a.placed:
			asked = append(asked, op)
		}
	}
	if len(asked) == 0 {
		return
	}
	hidden := c.missing.of(f)
	if hidden { // an earlier request may have done it
		if a.call = math.MinInt64; f.begin != nil {
			a.call = f.begin.Call
		}
	}
	for _, op := range f.told {
		switch {
		case op.Outcome != history.OK || op.Kind == history.GetTxn && op.Out.State == "too_old":
		case op.Kind == history.GetTxn && op.Out.State == "committed":
			place(op)
		case op.Kind == history.GetTxn && (op.Out.State == "open" || op.Out.State == "never_seen"):
			a.call = max(a.call, op.Call) // it had not taken effect then
		case op.Kind == history.Abort && f.begin == nil && !givenByDaemon(f.id):
			// of what a client chose for a transact: nothing of that name can be aborted
		default:
			dead = true
		}
	}
	ev := log[f.id]
	if ev == nil && a.placed && a.point <= c.base && c.base > 0 && (f.begin == nil || f.begin.Out.SnapshotTS < c.base) {
		return // it was before the base
	}
	c.guessed = c.guessed || hidden && asked[0].Kind == history.Commit
	c.does(a, f, asked)
	if !hidden || asked[0].Outcome == history.OK {
		c.wants(a, f, asked[0])
	}
	if hidden && ev != nil {
		a.does = c.done(ev)
	}
	if len(a.does) == 0 {
		a.commit = false // it changes nothing: it only sees
		switch {
		case f.begin != nil && len(a.sees) == 0 && hidden:
			return
		case f.begin != nil && len(a.sees) == 0:
			c.checkReader(a, f)
			return
		}
	}
	switch {
	case log == nil || ev == nil && !a.commit:
	case ev == nil && !a.placed:
		return
	case ev == nil:
		c.breaks(a, "G1", "acked-not-in-log", "transaction %s was acknowledged as commit %d, and is not in the log", f.id, a.point)
		return
	case a.placed && a.point != ev.CommitTS:
		c.breaks(a, "G6", "places-differ", "transaction %s was said to be commit %d, and is commit %d in the log", f.id, a.point, ev.CommitTS)
		return
	default:
		a.placed, a.point = true, ev.CommitTS
	}
	switch {
	case dead && a.placed && a.commit:
		c.breaks(a, "G6", "aborted-and-committed", "transaction %s was said to have ended otherwise, and is commit %d", f.id, a.point)
	case a.placed:
		c.told[ev] = true
		c.number(a, versions)
		c.placed = append(c.placed, a)
	case !dead && a.commit:
		c.free = append(c.free, a)
	}
}

// does sets what a transaction does. Requests under one id should ask for the same;
// where they do not, what was done is one of them.
func (c *claims) does(a *claim, f *fate, asked []*history.Operation) {
	for i, op := range asked {
		list := c.effects(f, op)
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

func compareEffects(x, y effect) int { return history.CompareNames(x.name, y.name) }

// effects of one request, one a key, sorted: the last write of a key counts.
func (c *claims) effects(f *fate, op *history.Operation) []effect {
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
		add(&op.In.Writes[i], false)
	}
	if op.Kind == history.Commit {
		for _, s := range f.staged {
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
func (c *claims) wants(a *claim, f *fate, op *history.Operation) {
	add := func(n history.Name, expected uint64) { a.sees = append(a.sees, sight{n, expects(expected)}) }
	for i := range op.In.Writes {
		if w := &op.In.Writes[i]; w.Expected != nil {
			add(w.Name, *w.Expected)
		}
	}
	for _, s := range f.staged {
		if s.Outcome == history.OK && s.In.Expected != nil {
			add(s.In.Name(), *s.In.Expected)
		}
	}
	for _, k := range op.In.Keys {
		add(k.Name, k.Expected)
	}
	for _, w := range op.In.Heads {
		a.sees = append(a.sees, sight{headOf(w.Namespace, w.Agent), facts{known: knowsVersion, version: w.Expected}})
	}
	if len(a.does)+len(a.sees) == 0 {
		return
	}
	for _, r := range f.reads {
		if r.Call < op.Call {
			c.look(a, r, f.own(r.Return), c.missing.of(f))
		}
	}
}

// done is what the log says that a commit did, for one of which the requests may be
// missing.
func (c *claims) done(ev *history.Event) []effect {
	op := history.Operation{Kind: history.Transact}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		op.In.Writes = append(op.In.Writes, history.Write{Name: o.Name, Value: o.Value, Delete: o.Delete})
	}
	return c.effects(&fate{}, &op)
}

// addUntold adds the commits that only the log tells of.
func (c *claims) addUntold(h *history.History) {
	for i := range h.Log {
		ev := &h.Log[i]
		if c.told[ev] {
			continue
		}
		op := &history.Operation{Client: "nobody", Kind: history.Commit, In: history.Input{TxnID: ev.TxnID}}
		a := &claim{op: op, call: math.MinInt64, ret: never, placed: true, point: ev.CommitTS, commit: true, does: c.done(ev)}
		c.number(a, nil)
		c.placed = append(c.placed, a)
	}
}

// number adds what the answer said of versions, and the place, to what a commit
// does.
func (c *claims) number(a *claim, versions []history.KeyVersion) {
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
			if v.Name == e.name {
				e.known, e.version = e.known|knowsVersion, v.Version
				break
			}
		}
	}
}

// checkReader checks the place of a transaction that has no writes and wanted
// nothing: that it read from, where what it saw is a claim already.
func (c *claims) checkReader(a *claim, f *fate) {
	if a.placed && a.point != f.begin.Out.SnapshotTS {
		c.breaks(a, "G3", "places-differ", "transaction %s only read, at %d, and is said to be at %d", f.id, f.begin.Out.SnapshotTS, a.point)
	}
}
