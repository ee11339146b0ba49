package sim

import (
	"math/bits"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// duePerHold is what it takes to end what is due: its deadline, itself, its value, what is due of a record.
const duePerHold = 4

// slack is what any request may look at besides: its id, a bound, the row after the last.
const slack = 8

// search is what it takes to find an older version of a key.
const search = 2 * slack

// past is all that was ever written, by what requests look for.
type past struct {
	log      []history.Event
	versions map[history.Name][]uint64 // the commits of each key
	deleted  map[history.Name]bool     // keys that ever were
	keys     map[agentName][]string    // in order
	events   map[agentName][]event     // of an agent; of a namespace under an empty name
	parts    int                       // agents of the commit that has most
	txns     map[string]*txnPast       // what was done in them
	every    uint64                    // commits after which a watch is told how far it has come
	fired    bool                      // the daemon made commits of its own
	acts     bool                      // agents were forked: what they read of each other is not counted here
	restores bool                      // very many keys were restored: to find what a key was then takes a search
}

type agentName struct{ namespace, agent string }

// event is an agent's part of a commit.
type event struct {
	ts    uint64
	ops   int
	parts int // of a namespace: the agents in it
}

// txnPast is what clients did in a transaction.
type txnPast struct {
	snapshot uint64
	staged   []history.Name
	reads    int
	listed   map[agentName]bool
}

func newPast(h *history.History, every int) *past {
	p := &past{
		every: uint64(every),
		log:   h.Log, versions: make(map[history.Name][]uint64), deleted: make(map[history.Name]bool), keys: make(map[agentName][]string),
		events: make(map[agentName][]event), txns: make(map[string]*txnPast),
	}
	for i := range h.Log {
		p.addCommit(&h.Log[i])
	}
	for a := range p.keys { // each for itself
		slices.Sort(p.keys[a])
	}
	for _, op := range h.Operations {
		p.addTxn(op)
	}
	return p
}

func (p *past) addCommit(ev *history.Event) {
	agents := 0
	p.fired = p.fired || ev.Cause != ""
	for _, op := range ev.Ops {
		p.acts = p.acts || op.Act != nil
		p.restores = p.restores || op.Act != nil && op.Act.Kind == "restored"
		a := agentName{op.Namespace, op.Agent}
		if len(p.versions[op.Name]) == 0 {
			p.keys[a] = append(p.keys[a], op.Key)
		}
		p.versions[op.Name] = append(p.versions[op.Name], ev.CommitTS)
		p.deleted[op.Name] = p.deleted[op.Name] || op.Delete
		isNew := p.addEvent(a, ev.CommitTS)
		p.addEvent(agentName{op.Namespace, ""}, ev.CommitTS)
		if isNew {
			agents++
			list := p.events[agentName{op.Namespace, ""}]
			list[len(list)-1].parts++
		}
	}
	p.parts = max(p.parts, agents)
}

func (p *past) addEvent(a agentName, ts uint64) (isNew bool) {
	list := p.events[a]
	if n := len(list); n == 0 || list[n-1].ts != ts {
		list, isNew = append(list, event{ts: ts}), true
	}
	list[len(list)-1].ops++
	p.events[a] = list
	return isNew
}

func (p *past) txn(name string) *txnPast {
	if p.txns[name] == nil {
		p.txns[name] = &txnPast{listed: make(map[agentName]bool)}
	}
	return p.txns[name]
}

func (p *past) addTxn(op *history.Operation) {
	in := &op.In
	if op.Kind == history.Begin && op.Outcome == history.OK {
		p.txn(op.Out.TxnID).snapshot = op.Out.SnapshotTS
	}
	if in.TxnID == "" {
		return
	}
	t := p.txn(in.TxnID)
	switch op.Kind {
	case history.StageWrite, history.StageDelete:
		t.staged = append(t.staged, history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key})
	case history.Get:
		t.reads++
	case history.BatchGet:
		t.reads += len(in.Names)
	case history.Scan, history.ListKeys:
		t.listed[agentName{in.Namespace, in.Agent}] = true
	}
}

func log2(n int) int64 { return int64(bits.Len(uint(n))) }

// reading is what it takes to find a version of a key: a few steps back, then a search.
func (p *past) reading(n history.Name) int64 {
	v := len(p.versions[n])
	return 2 + min(int64(v), 10+log2(v))
}

// passing is what it takes a list to pass a key.
func (p *past) passing(n history.Name) int64 {
	if len(p.versions[n]) == 1 {
		return 2
	}
	return 1 + 2*p.reading(n)
}

// during lists an agent's events in (after, upTo].
func (p *past) during(a agentName, after, upTo uint64) []event {
	list := p.events[a]
	from, _ := slices.BinarySearchFunc(list, after+1, func(e event, ts uint64) int { return int(int64(e.ts - ts)) })
	to, _ := slices.BinarySearchFunc(list, upTo+1, func(e event, ts uint64) int { return int(int64(e.ts - ts)) })
	return list[from:max(from, to)]
}

// bound is what the handler of a call may read, once it is known what it was to read.
func (p *past) bound(c *Call) (steps int64, known bool) {
	op, in := c.op, &c.op.In
	if p.acts {
		return 0, false
	}
	if c.Stream() {
		return p.streaming(c), true
	}
	if c.commits() {
		return slack + 2*int64(p.parts) + p.listings(p.txns[in.TxnID], c.published) + p.listings(readsOf(in), c.published), true
	}
	if op.Outcome != history.OK {
		return 0, false
	}
	steps = slack
	if in.AtTime != 0 {
		steps += log2(len(p.log))
	}
	switch op.Kind {
	case history.Get:
		steps += p.reading(history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key})
	case history.BatchGet:
		for _, n := range in.Names {
			steps += p.reading(n)
		}
	case history.Scan, history.ListKeys:
		steps += p.listing(op)
		if in.Delimiter != "" { // each folder is passed, and its keys that are gone are looked at
			steps += p.everything(in.Namespace)
		}
	case history.Find, history.Diff, history.ListLeases, history.GetAgent:
		steps += p.everything(in.Namespace)
	case history.RenewLeases, history.RefreshExpiry:
		steps += 4 * int64(len(in.Renewals)+len(in.Names))
	case history.KeyHistory:
		steps += p.reading(history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key}) + 2*int64(len(op.Out.Records))
	case history.ListAgents:
		steps += 3*int64(len(op.Out.Agents)) + p.agents(in.Namespace)
	case history.ListSpaces:
		steps += int64(len(op.Out.Keys))
	case history.GetTxn, history.Abort:
		steps += 2 * int64(p.parts)
	}
	return steps, true
}

// everything is what it takes to look at all that a namespace has, and at each change of it: of what has
// no index, no less is promised.
func (p *past) everything(namespace string) (steps int64) {
	steps = 4 * (2 + p.agents(namespace))
	for n := range p.versions { // a sum
		if n.Namespace == namespace {
			steps += 2 * p.passing(n)
		}
	}
	for _, e := range p.events[agentName{namespace, ""}] {
		steps += 4 + 4*int64(e.ops)
	}
	return steps
}

func (p *past) agents(namespace string) (n int64) {
	for a := range p.events { // counted
		if a.namespace == namespace {
			n++
		}
	}
	return n
}

// listing is what a page of a list may read: what is on it, and what is not to be seen.
func (p *past) listing(op *history.Operation) (steps int64) {
	in := &op.In
	seen := make(map[string]bool)
	for _, k := range op.Out.Keys {
		seen[k] = true
	}
	for _, r := range op.Out.Records {
		seen[r.Key] = true
	}
	own := make(map[history.Name]bool)
	if t := p.txns[in.TxnID]; in.TxnID != "" && t != nil {
		for _, n := range t.staged {
			own[n] = true
		}
	}
	after := int64(0) // what it takes to look at the key after the page
	last := ""
	for k := range seen { // the last of all
		if last == "" || (k > last) != in.Reverse {
			last = k
		}
	}
	for _, k := range p.keys[agentName{in.Namespace, in.Agent}] {
		n := history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: k}
		cost := p.passing(n)
		switch {
		case !strings.HasPrefix(k, in.Prefix):
		case seen[k], p.deleted[n], own[n], p.versions[n][0] > op.Out.ReadTS:
			steps += cost
		case in.Reverse && k < last, !in.Reverse && k > last && after == 0:
			after = cost
		case last == "":
			after = max(after, cost)
		}
	}
	return steps + after
}

// listings is what it takes to look at the changes of what a transaction listed.
func (p *past) listings(t *txnPast, upTo uint64) (steps int64) {
	if t == nil {
		return 0
	}
	for a := range t.listed { // a sum
		steps += 2 + int64(len(p.during(a, t.snapshot, upTo)))
	}
	return steps
}

// readsOf is what a transact says that its transaction read; nil: nothing.
func readsOf(in *history.Input) *txnPast {
	if in.Reads == nil {
		return nil
	}
	t := &txnPast{snapshot: in.Reads.Snapshot, reads: len(in.Reads.Keys), listed: make(map[agentName]bool)}
	for i := range in.Reads.Ranges {
		t.listed[agentName{in.Reads.Ranges[i].Namespace, in.Reads.Ranges[i].Agent}] = true
	}
	return t
}

// writes is what the writer may read for a commit, to plan and to settle it.
func (p *past) writes(op *history.Operation, published uint64) (plan, settle int64) {
	in := &op.In
	names, touched := len(in.Keys)+len(in.Heads), make(map[agentName]bool)
	for _, wr := range in.Writes {
		if wr.Evaluates() || p.acts { // it may look at all that the agent has, and a fork at its parent
			plan += p.everything(wr.Namespace)
			settle += p.everything(wr.Namespace)
		}
		names += 2 // itself and a condition
		touched[agentName{wr.Namespace, wr.Agent}] = true
		switch wr.Op {
		case "":
		case history.DeletePrefix, history.DeleteAgent, history.Restore, history.Fork:
			plan += p.everything(wr.Namespace)
		default:
			names += 4 // what is there, the end of a sequence, a deadline
		}
	}
	if t := readsOf(in); t != nil {
		plan += int64(t.reads) + p.listings(t, published)
	}
	if t := p.txns[in.TxnID]; op.Kind == history.Commit && t != nil {
		for _, n := range t.staged {
			names += 2
			touched[agentName{n.Namespace, n.Agent}] = true
		}
		plan += int64(t.reads) + p.listings(t, published)
	}
	const outcome, pruned = 2, 4
	return plan + int64(names) + 3*int64(len(touched)) + outcome + pruned, settle + 2 + int64(p.parts)
}

// streaming is what a stream may read: each event of its range once, the values in them,
// the row after each message, and a look at each mark.
func (p *past) streaming(c *Call) int64 {
	in := &c.op.In
	from, to, marks := uint64(0), c.published, uint64(0)
	if c.watches() {
		if in.From != nil {
			from = *in.From
		} else if len(c.op.Batches) > 0 {
			from = c.op.Batches[0].Cursor
		}
		marks = to/p.every - min(from, to)/p.every
	} else {
		if in.From != nil && *in.From > 0 {
			from = *in.From - 1
		}
		if in.To != nil {
			to = min(to, *in.To)
		}
	}
	steps := slack + 2*int64(marks)
	if in.FromTime != 0 || in.ToTime != 0 {
		steps += 2 * log2(len(p.log))
	}
	agent := agentName{in.Namespace, in.Agent}
	if in.AllAgents {
		agent.agent = ""
		steps += 2 * int64(to-min(from, to)) // the log's rows, which may be of other namespaces
	}
	events := p.during(agent, from, to)
	if in.Limit > 0 && in.Limit < uint64(len(events)) && in.Prefix == "" && in.FromTime == 0 {
		events = events[:in.Limit+1]
	}
	for _, e := range events {
		steps += 4 + 2*int64(e.ops) + int64(e.parts)
	}
	return steps
}
