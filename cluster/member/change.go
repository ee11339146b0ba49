package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

// Who the members are changes by entries of the log, and the member that leads begins each change. A member that is
// added has an id and an address, and no directory: the first that joins with that address is given it, for
// good. It has no vote before it is promoted.
//
// Whoever asks may ask again, not knowing what became of the first time: what is so already is no mistake.

// What a cluster may have. More voters make each commit slower, and outlast no more failures than anybody has had.
const (
	mostVoters  = 7
	mostMembers = 14
)

// Add implements admin.Cluster.
func (m *Member) Add(ctx context.Context, addr string) (id uint64, err error) {
	if err := transport.CheckAddr(addr); err != nil {
		return 0, &engine.Failure{Kind: engine.ErrInvalid, Message: "a member is not added: " + err.Error(), Details: map[string]string{"field": "peer_address"}}
	}
	err = m.await(ctx, func(done func(error)) {
		s := m.node.Status()
		switch o := m.at(&s, addr); {
		case o != nil && o.Learner && o.Place.Directory == "":
			id = o.ID // it was added already
			done(nil)
		case o != nil:
			done(fmt.Errorf("%w: member %d is at %s; if its disk is lost, remove it first", node.ErrRefused, o.ID, addr))
		case len(s.Members) >= mostMembers:
			done(fmt.Errorf("%w: it has %d members, and may have no more", node.ErrRefused, len(s.Members)))
		default:
			id = s.Next
			m.node.SetPlace(id, node.Place{Address: addr}, done)
		}
	})
	if err == nil {
		err = m.await(ctx, func(done func(error)) {
			s := m.node.Status()
			if slices.ContainsFunc(s.Members, func(o node.Member) bool { return o.ID == id }) {
				done(nil)
				return
			}
			m.node.AddLearner(id, done)
		})
	}
	if err != nil {
		return 0, refusal(err)
	}
	return id, nil
}

// Promote implements admin.Cluster.
func (m *Member) Promote(ctx context.Context, id uint64) error {
	return refusal(m.await(ctx, func(done func(error)) {
		s := m.node.Status()
		voters, votes := 0, false
		for _, o := range s.Members {
			if !o.Learner {
				voters++
				votes = votes || o.ID == id
			}
		}
		switch {
		case votes && m.node.Leads():
			done(nil)
		case voters >= mostVoters:
			done(fmt.Errorf("%w: %d members vote, and no more may", node.ErrRefused, voters))
		default:
			m.node.Promote(id, done)
		}
	}))
}

// Remove implements admin.Cluster.
func (m *Member) Remove(ctx context.Context, id uint64) error {
	return refusal(m.await(ctx, func(done func(error)) {
		s := m.node.Status()
		switch {
		case slices.Contains(s.Removed, id):
			done(nil)
		case id == s.ID && m.node.Leads():
			done(fmt.Errorf("%w: member %d leads: have another lead first, with statehousectl cluster transfer", node.ErrRefused, id))
		default:
			m.node.Remove(id, done)
		}
	}))
}

// refusal is why a change was not made, as clients are told.
func refusal(err error) error {
	if errors.Is(err, node.ErrRefused) || errors.Is(err, node.ErrBusy) {
		return &engine.Failure{Kind: engine.ErrPrecondition, Message: err.Error()}
	}
	return err
}

// at is the member with an address; nil: there is none.
func (m *Member) at(s *node.Status, addr string) *node.Member {
	i := slices.IndexFunc(s.Members, func(o node.Member) bool { return m.addrOf(o) == addr })
	if i < 0 {
		return nil
	}
	return &s.Members[i]
}

// awaits reports whether who is at an address is one of those that founded the cluster.
func (m *Member) awaits(s *node.Status, addr string) bool {
	o := m.at(s, addr)
	return o != nil && o.Place == (node.Place{}) && !m.config.Identity.Added
}

// stranger refuses an address at which no member is to be.
func (m *Member) stranger(s *node.Status, addr string) error {
	var all []string
	for _, o := range s.Members {
		all = append(all, m.addrOf(o))
	}
	return fmt.Errorf("%w: no member is to be at %s, but at %s: add it first, with statehousectl cluster add %s", node.ErrRefused, addr, strings.Join(all, ", "), addr)
}

// letIn gives a member that was added to the directory that asks, unless it was given to another. All members know to
// which before it is told so. This member leads.
func (m *Member) letIn(ctx context.Context, r *clusterpb.JoinRequest) (*clusterpb.JoinResponse, error) {
	if r.GetDirectory() == "" {
		return nil, status.Error(codes.InvalidArgument, "a directory without a mark cannot join")
	}
	resp := &clusterpb.JoinResponse{ClusterId: m.config.Identity.Cluster, Keeper: m.config.Identity.ID, Added: true}
	err := m.await(ctx, func(done func(error)) {
		s := m.node.Status()
		for _, o := range s.Members {
			resp.Members = append(resp.Members, &clusterpb.Member{Id: o.ID, PeerAddr: m.addrOf(o)})
		}
		o := m.at(&s, r.GetPeerAddr())
		switch {
		case o == nil:
			done(m.stranger(&s, r.GetPeerAddr()))
			return
		case o.Place.Directory == r.GetDirectory():
			done(nil)
		case o.Place.Directory != "" || o.ID == s.ID:
			done(founding.ErrTaken)
		case o.Place.Address == "":
			done(fmt.Errorf("%w: member %d founded the cluster: it joins at the member that was started with --cluster-init. If its disk is lost, have it removed (statehousectl cluster remove) and a new member added (cluster add)", node.ErrRefused, o.ID))
		default:
			m.node.SetPlace(o.ID, node.Place{Address: r.GetPeerAddr(), Directory: r.GetDirectory()}, done)
		}
		resp.Id = o.ID
	})
	switch {
	case errors.Is(err, node.ErrRefused), errors.Is(err, founding.ErrTaken):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	m.env.Log("a member joins", "member", resp.GetId(), "address", r.GetPeerAddr())
	return resp, nil
}
