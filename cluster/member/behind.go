package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// A member that is too far behind for the others' logs fetches a checkpoint of the one that said so, in a goroutine of its
// own, while it goes on. When that is here and verified the node is told, and ends: the daemon begins again on it.

// IncomingDir is where a checkpoint comes in, in the data directory.
const IncomingDir = "store.incoming"

// fetchAgain is how long is waited before what has failed is tried again.
const fetchAgain = time.Second

// catchUp begins to fetch, if that is needed and not under way.
func (m *Member) catchUp(ctx context.Context) {
	from, behind := m.node.Behind()
	if !behind || !m.fetching.CompareAndSwap(false, true) {
		return
	}
	m.env.Log("this member is too far behind for the logs of the others, and fetches a copy of the store", "from", from)
	m.fetches.Go(func() {
		defer m.fetching.Store(false)
		if err := m.fetch(ctx, from); err != nil && ctx.Err() == nil {
			m.env.Log("the copy of the store has not come", "from", from, "reason", err)
			select {
			case <-time.After(fetchAgain):
			case <-ctx.Done():
			}
		}
	})
}

func (m *Member) fetch(ctx context.Context, from uint64) error {
	p := m.transport.Peer(from)
	if p == nil {
		return fmt.Errorf("there is no member %d", from)
	}
	ctx, stub := p.Call(ctx)
	return takeIn(ctx, m.env, stub, m.env.FS.PathJoin(m.config.Dir, IncomingDir), func(mark *node.Mark) error {
		return m.await(ctx, func(done func(error)) { done(m.node.Install(mark)) })
	})
}

// takeIn has a member make a checkpoint and fetches it into a directory, where what came of it before may be. What is
// there and verified is used.
func takeIn(ctx context.Context, env engine.Env, stub clusterpb.PeerServiceClient, dir string, use func(*node.Mark) error) error {
	of, err := stub.MakeCheckpoint(ctx, &clusterpb.MakeCheckpointRequest{})
	if err != nil {
		return err
	}
	l := node.Listing{Name: of.GetName()}
	for _, f := range of.GetFiles() {
		l.Files = append(l.Files, node.Transfer{Path: f.GetPath(), Size: f.GetSize(), Sum: f.GetCrc32C()})
	}
	in, err := node.Begin(env.FS, dir, l)
	if err != nil {
		return err
	}
	if err := receive(ctx, stub, of.GetName(), in); err != nil {
		return errors.Join(err, in.Close())
	}
	mark, err := in.Finish(env)
	if err == nil {
		err = use(mark)
	}
	if err == nil || errors.Is(err, node.ErrTransfer) || errors.Is(err, node.ErrRefused) {
		_, ended := stub.EndCheckpoint(ctx, &clusterpb.EndCheckpointRequest{Name: of.GetName()})
		err = errors.Join(err, ended)
	}
	return err
}

// Copy makes a copy of another member's store in a directory, and the log of a member that is new and goes on from
// there: see founding.Source.
func Copy(ctx context.Context, env engine.Env, stub clusterpb.PeerServiceClient, dir string) error {
	fs := env.FS
	return takeIn(ctx, env, stub, fs.PathJoin(dir, founding.CopyDir), func(mark *node.Mark) error {
		log := fs.PathJoin(dir, founding.LogDir)
		if err := fs.RemoveAll(log); err != nil {
			return err
		}
		return node.JoinLog(fs, log, mark, env.Halt)
	})
}

// receive fetches what has not come yet.
func receive(ctx context.Context, stub clusterpb.PeerServiceClient, name string, in *node.Incoming) error {
	for {
		path, offset, more := in.Next()
		if !more {
			return nil
		}
		one, cancel := context.WithCancel(ctx)
		s, err := stub.FetchFile(one, &clusterpb.FetchFileRequest{Checkpoint: name, Name: path, Offset: uint64(offset)})
		for err == nil {
			var data *clusterpb.FetchFileResponse
			if data, err = s.Recv(); err == nil {
				err = in.Put(data.GetData())
			}
		}
		cancel()
		if !errors.Is(err, io.EOF) {
			return err
		}
		if next, at, _ := in.Next(); next == path && at == offset {
			return io.ErrUnexpectedEOF
		}
	}
}
