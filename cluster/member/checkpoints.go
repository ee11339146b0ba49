package member

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// checkpoints are the copies of the store that this member keeps for others, one for all that are behind at a time.
type checkpoints struct {
	mu      sync.Mutex
	made    int
	listing *node.Listing // nil: there is none
}

// checkpointDir is where it is, in the data directory.
const checkpointDir = "checkpoint"

func (m *Member) checkpointPath() string { return m.env.FS.PathJoin(m.config.Dir, checkpointDir) }

// MakeCheckpoint makes one, or says what the one that there is consists of.
func (p *peers) MakeCheckpoint(ctx context.Context, _ *clusterpb.MakeCheckpointRequest) (*clusterpb.MakeCheckpointResponse, error) {
	c := &p.m.checkpoints
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listing == nil {
		if err := p.m.makeCheckpoint(ctx); err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
		p.m.env.Log("made a copy of the store for a member that is behind", "member", transport.From(ctx))
	}
	resp := &clusterpb.MakeCheckpointResponse{Name: c.listing.Name}
	for _, f := range c.listing.Files {
		resp.Files = append(resp.Files, &clusterpb.CheckpointFile{Path: f.Path, Size: f.Size, Crc32C: f.Sum})
	}
	return resp, nil
}

func (m *Member) makeCheckpoint(ctx context.Context) error {
	c, dir := &m.checkpoints, m.checkpointPath()
	if err := m.env.FS.RemoveAll(dir); err != nil {
		return err
	}
	// Here it may take its time: Drive, which makes the checkpoint, leaves nobody waiting then.
	if err := errors.Join(m.engine.Refuses(), m.engine.Flush()); err != nil {
		return err
	}
	if err := m.await(ctx, func(done func(error)) { done(m.node.Checkpoint(dir)) }); err != nil {
		return err
	}
	c.made++
	var start [8]byte
	m.env.Rand(start[:])
	l, err := node.List(m.env.FS, dir, fmt.Sprintf("%d-%x-%d", m.config.Identity.ID, start, c.made))
	if err == nil {
		c.listing = &l
	}
	return err
}

// EndCheckpoint removes it.
func (p *peers) EndCheckpoint(_ context.Context, r *clusterpb.EndCheckpointRequest) (*clusterpb.EndCheckpointResponse, error) {
	c := &p.m.checkpoints
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listing != nil && c.listing.Name == r.GetName() {
		c.listing = nil
		p.m.order(p.m.node.Unpin)
		if err := p.m.env.FS.RemoveAll(p.m.checkpointPath()); err != nil {
			return nil, err
		}
	}
	return &clusterpb.EndCheckpointResponse{}, nil
}

// openCheckpoint opens one of its files, at an offset.
func (m *Member) openCheckpoint(name, path string, offset uint64) (io.ReadCloser, error) {
	c := &m.checkpoints
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listing != nil && c.listing.Name == name {
		for _, f := range c.listing.Files {
			if f.Path == path {
				file, err := m.env.FS.Open(m.env.FS.PathJoin(m.checkpointPath(), path))
				if err != nil {
					return nil, err
				}
				return founding.From(file, offset), nil
			}
		}
	}
	return nil, fmt.Errorf("there is no file %q of a checkpoint %q", path, name)
}
