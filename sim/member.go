package sim

import (
	"errors"
	"fmt"
	"slices"

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
	w.peers, w.decided, w.came = peers.New(peers.MostNodes), make(map[string]bool), make(map[string]int64)
	w.judge = peers.NewJudge(config.Nodes, w.Violate)
	made := w.newNode("")
	w.nodes = nil
	w.node = made
	w.machine.disk = simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(w.seed, "disk"), Clock: w.Now, Capacity: config.Capacity})
	if err := w.makeStore(); err != nil {
		panic("sim: the store that nodes begin with: " + err.Error())
	}
	for id := range config.Nodes {
		w.members = append(w.members, uint64(id+1))
		w.newMachine(id+1, made.machine.disk.Clone())
	}
	w.node = w.nodes[0]
}

// makeStore makes the store that nodes begin with, and in it their keys, if they have any.
func (w *World) makeStore() (err error) {
	if !w.config.Keys {
		var e *engine.Engine
		if e, err = engine.Open(w.offline(w.machine.disk), w.served.Engine); err == nil {
			err = e.Close()
		}
		return err
	}
	p := w.newProcess()
	p.act(func() { err = p.assemble() })
	if err != nil {
		return err
	}
	w.process = p
	w.makeKeys(p)
	w.process = nil
	p.act(func() { err = p.closeAll() })
	return err
}

// newMachine makes a node with a disk.
func (w *World) newMachine(id int, disk *simdisk.Disk) *node {
	n := w.newNode(fmt.Sprintf("n%d", id))
	n.id = id
	defer w.about(n)()
	w.use(disk)
	return n
}

// emptyDisk is one that a machine gets, with a directory for the daemon's data.
func (w *World) emptyDisk(name string, count int) *simdisk.Disk {
	disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(w.seed, "disk", name, fmt.Sprint(count)), Clock: w.Now})
	err := disk.MkdirAll(dataDir, 0o755)
	root, open := disk.OpenDir("/")
	if err := errors.Join(err, open, root.Sync(), root.Close()); err != nil {
		panic("sim: a new disk fails: " + err.Error())
	}
	return disk
}

// join makes a process, whose service is assembled unless there is no store yet, a member.
func (p *process) join() (err error) {
	c := cluster.Config{
		ID: uint64(p.n.id), Members: p.w.members, FS: p.n.machine.disk, Dir: raftDir, KeepLog: p.w.config.KeepLog,
		Rand: func(b []byte) { _, _ = p.rand.Read(b) }, // never fails
		Halt: p.halt,
	}
	if p.n.joins {
		c.Members = nil
	}
	if p.service != nil {
		c.Engine = p.service.Engine()
	}
	p.member, err = cluster.Open(c)
	return err
}

// listens reports whether a node's process takes in what is sent to it. One that stands still does.
func (w *World) listens(id int) bool {
	n := w.nodeOfID(uint64(id))
	return n != nil && n.takesPart()
}

// takesPart reports whether its process runs, and is a member.
func (n *node) takesPart() bool {
	return n.process != nil && n.process.image == nil && n.process.member != nil
}

// nodeOfID is the node of that id; nil: there is none.
func (w *World) nodeOfID(id uint64) *node {
	for _, n := range w.nodes {
		if n.id == int(id) {
			return n
		}
	}
	return nil
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
	case step.Add, step.Promote, step.Remove:
		return w.change(s)
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
		if p.image == nil && p.service != nil {
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
	case step.Fetch:
		return w.fetch(p)
	}
	return nil
}

// waited reports whether somebody waits for the node to go round.
func (p *process) waited() bool {
	return p.asked || p.member.Leads() && p.queued() > p.left
}

func (p *process) queued() int {
	if p.service == nil {
		return 0
	}
	return int(p.service.Held().Commits.Queued)
}

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
	case errors.Is(err, cluster.ErrInstalled):
		w.again = true
		p.die(p.n.machine.disk.Kill(), beginsAgain)
		return
	case errors.Is(err, cluster.ErrRemoved):
		w.removed = true
		p.die(p.n.machine.disk.Kill(), wasRemoved)
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
	st := p.member.Status()
	seen := peers.Seen{
		Node: p.n.id, Begins: begins, Bare: p.service == nil, Between: p.installs, Leads: p.member.Leads(), Term: st.Term, Last: st.Last, First: st.First, Applied: st.Applied, Committed: st.Committed,
		Removed: st.Removed, Sent: w.peers.Sent(),
	}
	if !seen.Bare {
		head, hash := p.service.Engine().Head()
		seen.Head, seen.Published, seen.Hash = uint64(head), uint64(p.service.Engine().Published()), hash
	}
	for _, m := range st.Members {
		if m.Learner {
			seen.Learners = append(seen.Learners, m.ID)
		} else {
			seen.Voters = append(seen.Voters, m.ID)
		}
	}
	w.judge.See(seen)
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

// wipe empties the disk of a node that does not run. It is a member no more: others may take its place.
func (w *World) wipe() error {
	if w.process != nil {
		return misfit("%s runs", w.name)
	}
	w.use(w.emptyDisk(w.name, w.starts.count))
	w.diskLost, w.again = true, false
	w.rec.note(w.name, "wiped", "")
	w.rec.stats.Faults["disk lost"]++
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
		before := w.peers.Sum()
		p.act(p.member.Tick)
		if w.goRound(p); p.image != nil || w.peers.Sum() != before || p.member.Status().Role == cluster.Candidate {
			return nil
		}
	}
	return nil
}

// transfer asks whoever leads to make way for a node.
func (w *World) transfer() error {
	for _, n := range w.nodes {
		if p := n.process; n.takesPart() && p.member.Leads() && !n.paused && n != w.node {
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
func (w *World) leader() (leads *node) {
	for _, n := range w.nodes {
		if n.takesPart() && n.process.member.Leads() && !n.paused && (leads == nil || n.process.member.Status().Term > leads.process.member.Status().Term) {
			leads = n
		}
	}
	return leads
}

// memberSteps are the verbs that mean something else, or something at all, where there are several nodes.
var memberSteps = map[step.Verb]bool{
	step.Tick: true, step.Plan: true, step.Campaign: true, step.Transfer: true, step.Cut: true, step.Heal: true, step.Skew: true,
	step.Synced: true, step.Pause: true, step.Resume: true, step.Wipe: true, step.Add: true, step.Promote: true, step.Remove: true, step.Fetch: true,
}

// alone are the verbs that a cluster does not know yet.
var alone = map[step.Verb]bool{
	step.Settle: true, step.Jump: true, step.Import: true, step.Forge: true,
	step.Rot: true, step.Truncate: true, step.Tamper: true,
}

// fitsCluster reports why a step is none of a cluster.
func (w *World) fitsCluster(s *step.Step) error {
	for _, name := range []string{s.Node, s.Peer} {
		if name != "" && w.nodeNamed(name) == nil && (s.Verb != step.Add || name != subject(s)) {
			return misfit("there is no node %s", name)
		}
	}
	switch {
	case alone[s.Verb]:
		return misfit("a cluster knows no such step")
	case s.Session != "" || s.Token != "" && !w.config.Keys:
		return misfit("no call to a cluster goes so")
	case s.Node != "":
		return nil
	case memberSteps[s.Verb] && s.Verb != step.Heal, s.Verb == step.Start, s.Verb == step.Stop, s.Verb == step.Drain, s.Verb == step.Kill, s.Verb == step.Crash,
		s.Verb == step.Flush, s.Verb == step.Compact, s.Verb == step.Revoke, s.Verb == step.Fault, s.Verb == step.Capacity, s.Verb == step.Room:
		return misfit("it names no node")
	}
	return nil
}
