package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
)

// handOverEvery is how often it is looked whether another leads.
const handOverEvery = 5 * time.Millisecond

// HandOver ends leading in favour of another member, which 0 leaves open, and returns when one leads; at once
// where this one does not. A handing over that does not succeed within the time of an election is given up, and
// this one leads on.
func (m *Member) HandOver(ctx context.Context, to uint64) error {
	if s := m.status.Load(); s.Role != node.Leader {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*m.config.Election)
	defer cancel()
	refused := make(chan error, 1)
	m.order(func() {
		s := m.node.Status()
		if to := successor(&s, to); to == 0 {
			refused <- errors.New("there is no such other member that is reached and may vote")
		} else {
			m.node.Transfer(to)
		}
	})
	look := time.NewTicker(handOverEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if s := m.status.Load(); s.Role != node.Leader && s.Leader != 0 {
				return nil
			}
			if m.transport.Reached() == 0 { // they are being stopped, too
				return errors.New("no other member is reached")
			}
		case err := <-refused:
			return err
		case <-m.stopped:
			return engine.ErrNotLeader
		case <-ctx.Done():
			return fmt.Errorf("no other member has begun to lead: %w", ctx.Err())
		}
	}
}

// successor is who is to lead: the one that is asked for, or the one that has most of the log; 0: there is none.
func successor(s *node.Status, asked uint64) (to uint64) {
	var most uint64
	for _, o := range s.Members {
		if o.ID != s.ID && !o.Learner && o.Active && (o.ID == asked || asked == 0 && (to == 0 || o.Match > most)) {
			to, most = o.ID, o.Match
		}
	}
	return to
}
