// Package copies carries copies of stores between the nodes of a simulated cluster, as package cluster/member does
// between machines: a node keeps one for all that are behind at a time (Shelf), and who is behind fetches it in stretches
// (Copy), which a step of the world brings one after the other. What is done with either, and when it breaks off, the
// world says.
package copies

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
)

// Shelf is what the process of a node keeps for others, in a directory.
type Shelf struct {
	Dir     string
	made    int
	listing *node.Listing // nil: there is none
}

// Take says what the copy consists of that is there, or makes one. start is what no other process of any node is called.
func (s *Shelf) Take(n *node.Node, fs vfs.FS, start string) (l node.Listing, made bool, err error) {
	if s.listing != nil {
		return *s.listing, false, nil
	}
	if err := fs.RemoveAll(s.Dir); err != nil {
		return l, false, err
	}
	if err := n.Checkpoint(s.Dir); err != nil {
		return l, false, err
	}
	s.made++
	if l, err = node.List(fs, s.Dir, fmt.Sprintf("%s-%d", start, s.made)); err == nil {
		s.listing = &l
	}
	return l, true, err
}

// Read reads a stretch of a file of the copy of that name.
func (s *Shelf) Read(fs vfs.FS, name, path string, offset int64) ([]byte, error) {
	if s.listing == nil || s.listing.Name != name {
		return nil, fmt.Errorf("there is no copy %s any more", name)
	}
	return node.ReadStretch(fs, s.Dir, path, offset, stretch)
}

// stretch is how much comes at a time.
const stretch = 8 << 10

// End removes the copy of that name, which whoever fetched it needs no more.
func (s *Shelf) End(n *node.Node, fs vfs.FS, name string) error {
	if s.listing == nil || s.listing.Name != name {
		return nil
	}
	s.listing = nil
	n.Unpin()
	return fs.RemoveAll(s.Dir)
}

// Copy is one on its way.
type Copy struct {
	Name string
	in   *node.Incoming
}

// Begin begins to take a copy in, or goes on with what has come of the same one.
func Begin(fs vfs.FS, dir string, l node.Listing) (*Copy, error) {
	in, err := node.Begin(fs, dir, l)
	return &Copy{l.Name, in}, err
}

// Next says which stretch is to come next; false: all has come.
func (c *Copy) Next() (path string, offset int64, more bool) { return c.in.Next() }

// Put takes it.
func (c *Copy) Put(data []byte) error { return c.in.Put(data) }

// Install verifies what has come, and has the node take it for its state. over says that the copy is of no use any more.
func (c *Copy) Install(n *node.Node, env engine.Env) (over bool, err error) {
	mark, err := c.in.Finish(env)
	if err == nil {
		err = n.Install(mark)
	}
	return err == nil || errors.Is(err, node.ErrTransfer) || errors.Is(err, node.ErrRefused), err
}

// Close breaks it off. What has come stays.
func (c *Copy) Close() error { return c.in.Close() }
