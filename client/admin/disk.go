package admin

import (
	"context"
	"iter"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// DiskUsage is what takes space in a daemon's data directory.
type DiskUsage struct {
	Parts       []DiskPart
	Total, Free uint64
}

// DiskPart is one thing that does.
type DiskPart struct {
	Name  string
	Bytes uint64
}

// DiskUsage says what takes space.
func (c *Client) DiskUsage(ctx context.Context) (DiskUsage, error) {
	resp, err := ask(ctx, c, c.stub.GetDiskUsage, &pb.GetDiskUsageRequest{})
	u := DiskUsage{Total: resp.GetTotalBytes(), Free: resp.GetFreeBytes()}
	for _, m := range resp.GetParts() {
		u.Parts = append(u.Parts, DiskPart{m.GetPart(), m.GetBytes()})
	}
	return u, err
}

// CompactProgress is how far a compaction has come.
type CompactProgress struct {
	Done, Total uint64 // bytes, about
	Ended       bool
}

// Compact rewrites the daemon's files, so that what was erased, pruned or overwritten before is in
// none of them, and yields how far it is.
func (c *Client) Compact(ctx context.Context) iter.Seq2[CompactProgress, error] {
	return follow(ctx, c.stub.Compact, &pb.CompactRequest{}, func(m *pb.CompactProgress) CompactProgress {
		return CompactProgress{m.GetBytesDone(), m.GetBytesTotal(), m.GetDone()}
	})
}
