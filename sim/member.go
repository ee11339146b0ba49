package sim

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/peers"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// A world of several nodes: each has a disk, a clock and a process, and what they send each other is
// under way on links until a step delivers it (package peers). What drives a node in production, its
// loop, are steps here: each that gives a node something to do has it do all there is (work).

// raftDir is where a member keeps its log, beside its store.
const raftDir = "/raft"

// makeCluster makes the nodes of a world, with copies of one store.
func (w *World) makeCluster(config Config) {
	w.peers, w.decided, w.came = peers.New(config.Nodes), make(map[string]bool), make(map[string]int64)
	w.judge = peers.NewJudge(config.Nodes, w.Violate)
	made := w.newNode("")
	w.nodes = nil
	w.node = made
	w.machine.disk = simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(w.seed, "disk"), Clock: w.Now, Capacity: config.Capacity})
	e, err := engine.Open(w.offline(w.machine.disk), w.served.Engine)
	if err == nil {
		err = e.Close()
	}
	if err != nil {
		panic("sim: the store that nodes begin with: " + err.Error())
	}
	for id := range config.Nodes {
		n := w.newNode(fmt.Sprintf("n%d", id+1))
		n.id = id + 1
		w.members = append(w.members, uint64(n.id))
		w.node = n
		w.use(made.machine.disk.Clone())
	}
	w.node = w.nodes[0]
}

// join makes a process, whose service is assembled, a member.
func (p *process) join() (err error) {
	p.member, err = cluster.Open(cluster.Config{
		ID: uint64(p.n.id), Members: p.w.members, Engine: p.service.Engine(), FS: p.n.machine.disk, Dir: raftDir,
		Rand: func(b []byte) { _, _ = p.rand.Read(b) }, // never fails
		Halt: p.halt,
	})
	return err
}

// listens reports whether a node's process takes in what is sent to it. One that stands still does.
func (w *World) listens(id int) bool {
	n := w.nodes[id-1]
	return n.process != nil && n.process.image == nil && n.process.member != nil
}

// doMember does what happens to one of several nodes, or between two.
func (w *World) doMember(s *step.Step) error {
	switch s.Verb {
	case step.Deliver, step.Drop, step.Dup:
		return w.doLink(s)
	case step.Hand:
		return w.hand(s)
	case step.Cut:
		w.cut(s, true)
		return nil
	case step.Heal:
		w.mend(s)
		return nil
	case step.Skew:
		w.jumped += s.Duration
		w.rec.note(w.name, "skew", s.Duration.String())
		w.rec.stats.Faults["clock skew"]++
		return nil
	case step.Wipe:
		return w.wipe()
	}
	p := w.process
	switch {
	case p == nil || p.member == nil:
		return misfit("%s does not run", w.name)
	case w.paused != (s.Verb == step.Resume):
		return misfit("%s stands still, or does not", w.name)
	}
	switch s.Verb {
	case step.Pause, step.Resume:
		w.paused = s.Verb == step.Pause
		w.rec.note(w.name, string(s.Verb), "")
		w.rec.stats.Faults["pause"]++
	case step.Tick:
		for range max(s.Nth, 1) {
			p.act(p.member.Tick)
			w.goRound(p)
		}
		if p.image == nil {
			p.act(func() { p.service.Engine().Tick(); p.service.Tick() })
			w.goRound(p)
		}
	case step.Plan:
		if !p.waited() {
			return misfit("%s has nothing to plan", w.name)
		}
		w.goRound(p)
	case step.Synced:
		return w.synced(p, s.Nth)
	case step.Campaign:
		return w.campaign(p)
	case step.Transfer:
		return w.transfer()
	}
	return nil
}

// waited reports whether somebody waits for the node to go round.
func (p *process) waited() bool {
	return p.asked || p.member.Leads() && p.queued() > p.left
}

func (p *process) queued() int { return int(p.service.Held().Commits.Queued) }

// goRound has a node do all there is for it, and sends what it has for others.
func (w *World) goRound(p *process) {
	if p.image != nil {
		return
	}
	var send []*raftpb.Message
	var err error
	var appends []*cluster.Append
	p.asked = false
	p.act(func() { send, appends, err = p.member.Work() })
	switch {
	case p.image != nil: // nobody hears from it
		return
	case err != nil:
		p.die(p.n.machine.disk.Kill(), "halt: "+err.Error())
		return
	}
	p.appends, p.left = append(p.appends, appends...), p.queued()
	for _, m := range send {
		w.judge.Sent(m)
		w.peers.Send(m, w.listens)
	}
	w.look(p, false)
}

// look has the node judged by how it stands.
func (w *World) look(p *process, begins bool) {
	e, st := p.service.Engine(), p.member.Status()
	head, hash := e.Head()
	w.judge.See(peers.Seen{
		Node: p.n.id, Begins: begins, Leads: p.member.Leads(), Term: st.Term, Last: st.Last, Applied: st.Applied, Committed: st.Committed,
		Head: uint64(head), Published: uint64(e.Published()), Hash: hash,
	})
}

// synced has a node's disk store what it was given, or the first n of it, and tells the node.
func (w *World) synced(p *process, n int) error {
	if len(p.appends) == 0 || n > len(p.appends) {
		return misfit("%s has given its disk no such thing to store", w.name)
	}
	if n == 0 {
		n = len(p.appends)
	}
	var err error
	p.act(func() { err = p.member.Store(p.appends[:n]) })
	switch {
	case p.image != nil:
		return nil
	case err != nil:
		p.die(p.n.machine.disk.Kill(), "halt: "+err.Error())
		return nil
	}
	p.act(func() { p.member.Stored(p.appends[:n]) })
	p.appends = slices.Delete(p.appends, 0, n)
	w.goRound(p)
	return nil
}

// doLink does what happens to a message between two nodes.
func (w *World) doLink(s *step.Step) error {
	from, to, nth := w.nodeNamed(s.Node), w.nodeNamed(s.Peer), max(s.Nth, 1)
	if w.peers.Waiting(from.id, to.id) < nth {
		return misfit("%s has sent %s no such message", from.name, to.name)
	}
	if s.Verb == step.Dup {
		w.peers.Double(from.id, to.id, nth)
		w.rec.stats.Faults["message doubled"]++
		return nil
	}
	if s.Verb == step.Deliver && to.paused {
		return misfit("%s stands still", to.name)
	}
	m, sent := w.peers.Take(from.id, to.id, nth)
	if w.rec.trace.print != nil {
		w.rec.say("%s", peers.Text(m))
	}
	if s.Verb == step.Drop {
		w.rec.stats.Faults["message lost"]++
		return nil
	}
	defer w.about(to)()
	p := to.process
	w.judge.Heard(m, sent)
	p.act(func() { p.member.Receive(m) })
	w.goRound(p)
	return nil
}

// cut cuts a link, or all of a node's; or it mends them.
func (w *World) cut(s *step.Step, cut bool) {
	n := w.nodeNamed(s.Node)
	if s.Peer != "" {
		w.cutLink(n, w.nodeNamed(s.Peer), cut)
	} else {
		for _, other := range w.nodes {
			if other != n {
				w.cutLink(n, other, cut)
				w.cutLink(other, n, cut)
			}
		}
	}
	if cut {
		w.rec.stats.Faults["link cut"]++
	}
}

func (w *World) cutLink(from, to *node, cut bool) {
	if w.peers.Cut(from.id, to.id, cut); cut {
		w.breakHanded(func(h *handed) bool { return h.call.node == from && h.to == to || h.to == from && h.call.node == to })
	}
}

// mend heals what a step names: a link, a node's disk and links, or everything.
func (w *World) mend(s *step.Step) {
	switch {
	case s.Peer != "":
		w.cut(s, false)
	case s.Node != "":
		w.cut(s, false)
		w.machine.disk.Heal()
		w.disarm()
	default:
		for _, n := range w.nodes {
			w.cut(&step.Step{Node: n.name}, false)
			n.machine.disk.Heal()
		}
		w.each(w.disarm)
	}
}

// wipe empties the disk of a node that does not run.
func (w *World) wipe() error {
	if w.process != nil {
		return misfit("%s runs", w.name)
	}
	w.use(simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(w.seed, "disk", w.name, fmt.Sprint(w.starts.count)), Clock: w.Now}))
	w.rec.note(w.name, "wiped", "")
	return nil
}

// mostTicks is in how many an election begins at most, where nobody leads.
const mostTicks = 20

// campaign lets time pass for a node until it stands for election.
func (w *World) campaign(p *process) error {
	if p.member.Leads() {
		return misfit("%s leads", w.name)
	}
	for range mostTicks {
		before, stored := w.peers.Sum(), len(p.appends)
		p.act(p.member.Tick)
		if w.goRound(p); p.image != nil || w.peers.Sum() != before || len(p.appends) > stored {
			return nil
		}
	}
	return nil
}

// transfer asks whoever leads to make way for a node.
func (w *World) transfer() error {
	for _, n := range w.nodes {
		if p := n.process; p != nil && p.image == nil && p.member != nil && p.member.Leads() && !n.paused && n != w.node {
			to, from := uint64(w.id), uint64(n.id)
			defer w.about(n)()
			p.act(func() { p.member.Receive(&raftpb.Message{Type: raftpb.MsgTransferLeader.Enum(), From: &to, To: &from}) })
			w.goRound(p)
			return nil
		}
	}
	return misfit("nobody leads who could make way for %s", w.name)
}

// nodeNamed is the node of that name; nil: there is none.
func (w *World) nodeNamed(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// leader is the node that leads, of two the one of the later term; nil: none does.
func (w *World) leader() *node {
	for _, n := range w.nodes {
		if p := n.process; p != nil && p.image == nil && p.member != nil && p.member.Leads() && !n.paused {
			return n
		}
	}
	return nil
}

// nudge does the next thing that happens by itself in a cluster: a leader plans, or a message arrives. It
// reports whether there was one.
func (w *World) nudge() bool {
	for _, n := range w.nodes {
		if p := n.process; p != nil && p.member != nil && p.waited() &&
			w.Apply(step.Step{Verb: step.Plan, Node: n.name}) == nil {
			return true
		}
	}
	for _, n := range w.nodes {
		if p := n.process; p != nil && len(p.appends) > 0 && w.Apply(step.Step{Verb: step.Synced, Node: n.name}) == nil {
			return true
		}
	}
	for _, from := range w.nodes {
		for _, to := range w.nodes {
			if from != to && w.peers.Waiting(from.id, to.id) > 0 && w.Apply(step.Step{Verb: step.Deliver, Node: from.name, Peer: to.name}) == nil {
				return true
			}
		}
	}
	for _, h := range w.handed {
		for _, s := range []step.Step{{Node: h.call.node.name, Peer: h.to.name}, {Node: h.to.name, Peer: h.call.node.name}} {
			if s.Verb = step.Hand; w.Apply(s) == nil {
				return true
			}
		}
	}
	return false
}

// flow lets everything that is under way between nodes arrive, and what comes of it.
func (w *World) flow() {
	for range 10_000 {
		if w.Broken() || !w.nudge() {
			return
		}
	}
}

// tickAll lets time pass for every node that runs.
func (w *World) tickAll() {
	_ = w.Apply(step.Step{Verb: step.Advance, Duration: tickTime})
	for _, n := range w.nodes {
		_ = w.Apply(step.Step{Verb: step.Tick, Node: n.name})
	}
}

// tickTime is between two ticks of a node, and electionTicks how many of them are an election timeout.
const (
	tickTime      = 100 * time.Millisecond
	electionTicks = 10
)

// carryThroughNodes takes a call to its end in a world of several nodes.
func (w *World) carryThroughNodes(c *Call) {
	if !c.arrived {
		_ = w.Apply(step.Step{Verb: step.Deliver, Of: c.op.ID})
	}
	for ticks := 0; !c.done && !w.Broken() && ticks < 4*electionTicks; {
		switch {
		case w.Apply(step.Step{Verb: step.Reply, Of: c.op.ID}) == nil:
		case c.watches():
			return
		case !w.nudge():
			w.tickAll()
			ticks++
		}
	}
}

// memberSteps are the verbs that mean something else, or something at all, where there are several nodes.
var memberSteps = map[step.Verb]bool{
	step.Tick: true, step.Plan: true, step.Campaign: true, step.Transfer: true, step.Cut: true, step.Heal: true, step.Skew: true,
	step.Synced: true, step.Pause: true, step.Resume: true, step.Wipe: true,
}

// alone are the verbs that a cluster does not know yet.
var alone = map[step.Verb]bool{
	step.Settle: true, step.Jump: true, step.Revoke: true, step.Import: true, step.Forge: true,
	step.Rot: true, step.Truncate: true, step.Remove: true, step.Tamper: true,
}

// fitsCluster reports why a step is none of a cluster.
func (w *World) fitsCluster(s *step.Step) error {
	for _, name := range []string{s.Node, s.Peer} {
		if name != "" && w.nodeNamed(name) == nil {
			return misfit("there is no node %s", name)
		}
	}
	switch {
	case alone[s.Verb]:
		return misfit("a cluster knows no such step")
	case s.Session != "" || s.Token != "":
		return misfit("no call to a cluster goes so")
	case s.Node != "":
		return nil
	case memberSteps[s.Verb] && s.Verb != step.Heal, s.Verb == step.Start, s.Verb == step.Stop, s.Verb == step.Drain, s.Verb == step.Kill, s.Verb == step.Crash,
		s.Verb == step.Flush, s.Verb == step.Compact, s.Verb == step.Fault, s.Verb == step.Capacity, s.Verb == step.Room:
		return misfit("it names no node")
	}
	return nil
}
