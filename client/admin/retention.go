package admin

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Retention is how much of a namespace's past is kept.
type Retention struct {
	Namespace string
	// MaxAge is how long what was replaced can still be read and replayed; 0: for ever.
	MaxAge time.Duration
	// MaxVersions of a key keep their values; 0: all do.
	MaxVersions uint64
	// Floor is the first commit that can be read; 0: all can.
	Floor client.CommitTS
}

// SetRetention changes what is kept of a namespace. What exceeds it goes in the background, and
// does not come back.
func (c *Client) SetRetention(ctx context.Context, r Retention) (Retention, error) {
	req := &pb.SetRetentionRequest{Namespace: r.Namespace, MaxVersions: r.MaxVersions}
	if r.MaxAge != 0 {
		req.MaxAge = durationpb.New(r.MaxAge)
	}
	m, err := ask(ctx, c, c.stub.SetRetention, req)
	return retentionOf(m), err
}

// Retentions lists what was set.
func (c *Client) Retentions(ctx context.Context) ([]Retention, error) {
	resp, err := ask(ctx, c, c.stub.ListRetention, &pb.ListRetentionRequest{})
	var list []Retention
	for _, m := range resp.GetRetentions() {
		list = append(list, retentionOf(m))
	}
	return list, err
}

func retentionOf(m *pb.Retention) Retention {
	return Retention{
		Namespace: m.GetNamespace(), MaxAge: m.GetMaxAge().AsDuration(), MaxVersions: m.GetMaxVersions(), Floor: client.CommitTS(m.GetFloorTs()),
	}
}
