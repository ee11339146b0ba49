package sim

import (
	"errors"
	"fmt"
	"time"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/sim/copies"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// A node that is too far behind for the logs of the others fetches a copy of another's store (package copies). In
// production it does so beside everything else; here each step of it is one of the world, and a link that is cut or
// a process that ends breaks it off.

// Where copies are, on the disk of who fetches one and of who keeps one.
const (
	incomingDir = dataDir + "/store.incoming"
	shelfDir    = dataDir + "/checkpoint"
)

// fetchAgain is after how long what has failed is tried again.
const fetchAgain = time.Second

// How a process ends that is to begin again on another store, and that of who was removed.
const (
	beginsAgain = "begins again on a copy"
	wasRemoved  = "removed"
)

// coming is a copy on its way.
type coming struct {
	*copies.Copy
	from *process
}

// recover ends what was begun before the process ended. It comes before the store is opened.
func (p *process) recover() error {
	disk := p.n.machine.disk
	p.shelf.Dir = shelfDir
	return errors.Join(
		cluster.Recover(cluster.Recovery{FS: disk, Dir: raftDir, Store: dataDir, Incoming: incomingDir, Halt: p.halt}),
		disk.RemoveAll(shelfDir),
	)
}

// fetches reports whether a copy is on its way to a node, or should be.
func (n *node) fetches() bool {
	if !n.takesPart() {
		return false
	}
	_, behind := n.process.member.Behind()
	return behind || n.process.coming != nil
}

// fetch does the next thing towards a copy: it asks for one, takes a stretch of it, or has what has come verified and installed.
func (w *World) fetch(p *process) error {
	c := p.coming
	switch {
	case c == nil:
		return w.beginFetch(p)
	case c.from.n.paused:
		return misfit("%s stands still", c.from.n.name)
	}
	path, offset, more := c.Next()
	if !more {
		w.installCopy(p)
		return nil
	}
	var data []byte
	var err error
	w.in(c.from, func(disk *simdisk.Disk) { data, err = c.from.shelf.Read(disk, c.Name, path, offset) })
	if c.from.image != nil {
		return nil // reap breaks it off
	}
	if err == nil {
		p.act(func() { err = c.Put(data) })
	}
	w.fetched(p, err)
	return nil
}

// in has the process of another node do something.
func (w *World) in(p *process, do func(disk *simdisk.Disk)) {
	defer w.about(p.n)()
	p.act(func() { do(p.n.machine.disk) })
}

// beginFetch asks whoever said that a node is behind for a copy.
func (w *World) beginFetch(p *process) error {
	id, behind := p.member.Behind()
	from := w.nodeOfID(id)
	switch {
	case !behind:
		return misfit("%s is not too far behind for the logs of the others", p.n.name)
	case w.clock.elapsed < p.fetchFrom:
		return misfit("%s waits before it tries again", p.n.name)
	case from == nil || !from.takesPart() || from.paused || from.process.service == nil || w.peers.IsCut(p.n.id, from.id) || w.peers.IsCut(from.id, p.n.id):
		return misfit("%s does not reach n%d", p.n.name, id)
	}
	w.judge.Fetches(p.n.id, from.id)
	p.installs = false // else it were at an end
	s := from.process
	var l cluster.Listing
	var made bool
	var err error
	w.in(s, func(disk *simdisk.Disk) {
		l, made, err = s.shelf.Take(s.member, disk, fmt.Sprintf("%s-%d", from.name, s.generation))
	})
	if s.image != nil {
		return nil
	}
	if made {
		w.rec.note(from.name, "copy", "made for "+p.n.name)
		w.rec.probe("copy of a store made")
	}
	if err == nil {
		var c *copies.Copy
		if p.act(func() { c, err = copies.Begin(p.n.machine.disk, incomingDir, l) }); err == nil && p.image == nil {
			p.coming = &coming{c, s}
		}
	}
	w.fetched(p, err)
	return nil
}

// fetched says that something towards a copy was done, or has failed: then it is broken off, and tried again later.
func (w *World) fetched(p *process, err error) {
	if err == nil || p.image != nil {
		return
	}
	w.rec.note(p.n.name, "copy", "has not come: "+step.FirstLine(err.Error()))
	p.fetchFrom = w.clock.elapsed + fetchAgain
	w.breakOff(p)
}

func (w *World) breakOff(p *process) {
	if c := p.coming; c != nil {
		p.coming = nil
		p.act(func() { _ = c.Close() }) // what has come of it is verified
	}
}

// installCopy has what has come verified, and taken by the node for its state.
func (w *World) installCopy(p *process) {
	c := p.coming
	var over bool
	var err error
	p.act(func() { over, err = c.Install(p.member, p.env()) })
	if p.image != nil {
		return
	}
	p.coming = nil
	if over {
		w.in(c.from, func(disk *simdisk.Disk) { _ = c.from.shelf.End(c.from.member, disk, c.Name) }) // it goes with the process, else
	}
	if w.fetched(p, err); err == nil {
		w.rec.note(p.n.name, "copy", "is here, of "+c.from.n.name)
		w.rec.probe("copy of a store installed")
		p.installs = true
		w.goRound(p)
	}
}

// breakCopies breaks off what is on its way to a node from another.
func (w *World) breakCopies(broken func(at, from *node) bool) {
	for _, n := range w.nodes {
		if n.takesPart() && n.process.coming != nil && broken(n, n.process.coming.from.n) {
			back := w.about(n)
			w.rec.note(n.name, "copy", "broken off")
			w.breakOff(n.process)
			back()
		}
	}
}
