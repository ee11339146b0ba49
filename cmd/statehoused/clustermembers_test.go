package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// operators is how operators ask a member.
func (s *several) operators(i int) pb.AdminServiceClient {
	return pb.NewAdminServiceClient(s.at[i].Load().conn)
}

// promoted has a learner promoted as soon as it has caught up.
func (s *several) promoted(by int, id uint64) {
	s.t.Helper()
	eventually(s.t, "the learner is promoted", func() error {
		_, err := s.operators(by).PromoteMember(call(s.t), &pb.PromoteMemberRequest{Id: id})
		return err
	})
}

// replace removes the member of a place, whose daemon does not run any more, and has another take it, with a fresh
// directory.
func (s *several) replace(by, lost int) {
	s.t.Helper()
	_, err := s.operators(by).RemoveMember(call(s.t), &pb.RemoveMemberRequest{Id: s.ids[lost]})
	must(s.t, err)
	added, err := s.operators(by).AddMember(call(s.t), &pb.AddMemberRequest{PeerAddress: s.peers[lost]})
	must(s.t, err)
	s.ids[lost], s.dirs[lost] = added.GetId(), filepath.Join(s.t.TempDir(), "data")
	s.at[lost].Store(start(s.t, s.dirs[lost], s.joining(lost, by)...))
	s.promoted(by, added.GetId())
}

// joining are the arguments of a member that was added.
func (s *several) joining(i, at int) []string {
	return append([]string{"--peer-listen-addr", s.peers[i], "--metrics-listen-addr", "off", "--disk-reserve-mb", "1", "--join", s.peers[at]}, s.more[i]...)
}

// TestClusterReplace: under load a member whose disk is lost is removed, another takes its place with a fresh directory,
// and so does one in the place of each of the others, one after the other, until none of those that founded the
// cluster is left. Nothing that was acknowledged is lost, and all that is known of the members outlives a restart.
func TestClusterReplace(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	w := s.write(4)
	w.reach(30)
	for lost := range s.at {
		s.leader(0, 1, 2)
		by := (lost + 1) % 3
		s.at[lost].Load().kill()
		s.leader(without(lost)...)
		w.reach(10)
		s.replace(by, lost)
		w.reach(10)
	}
	for i := range s.at {
		s.at[i].Load().kill()
	}
	for i := range s.at { // --join stays among the flags, and does nothing more
		s.at[i].Store(start(t, s.dirs[i], s.joining(i, (i+1)%3)...))
	}
	w.reach(20)
	leader := s.leader(0, 1, 2)
	c, err := s.operators(leader).GetCluster(call(t), &pb.GetClusterRequest{})
	must(t, err)
	var ids []uint64
	for i, m := range c.GetMembers() {
		ids = append(ids, m.GetId())
		if m.GetPeerAddress() != s.peers[i] || m.GetLearner() || m.GetProblem() != "" {
			t.Errorf("member %d is %v", m.GetId(), m)
		}
	}
	if !slices.Equal(ids, []uint64{4, 5, 6}) {
		t.Errorf("the members are %d", ids)
	}
	w.end()
	s.stop()
}

// TestClusterRemoved: who was removed ends, says why, and does not come back; the others do not notice that it tries. A
// learner hears of it, too.
func TestClusterRemoved(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	leader := s.leader(0, 1, 2)
	gone := without(leader)[0]
	lone := freeAddrs(t, 1)[0]
	added, err := s.operators(gone).AddMember(call(t), &pb.AddMemberRequest{PeerAddress: lone})
	must(t, err)
	learner := start(t, filepath.Join(t.TempDir(), "data"), "--peer-listen-addr", lone, "--metrics-listen-addr", "off", "--disk-reserve-mb", "1", "--join", s.peers[gone])
	eventually(t, "it is a learner", func() error {
		st, err := learner.GetStatus(call(t), &pb.GetStatusRequest{})
		if c := st.GetCluster(); err != nil || c.GetRole() != pb.ClusterRole_CLUSTER_ROLE_LEARNER || c.GetId() != added.GetId() || c.GetLeaderId() == 0 {
			return fmt.Errorf("%v, %v", c, err)
		}
		return nil
	})
	for _, id := range []uint64{added.GetId(), s.ids[gone]} {
		_, err := s.operators(leader).RemoveMember(call(t), &pb.RemoveMemberRequest{Id: id})
		must(t, err)
		_, err = s.operators(leader).RemoveMember(call(t), &pb.RemoveMemberRequest{Id: id})
		must(t, err) // that the answer was lost is no mistake
	}
	for _, d := range []*daemon{learner, s.at[gone].Load()} {
		if code := d.exit(); code != exitDataDir || !strings.Contains(d.log(), "was removed from its cluster") {
			t.Errorf("who was removed ended with %d:\n%s", code, d.log())
		}
	}
	before, err := s.at[leader].Load().GetStatus(call(t), &pb.GetStatusRequest{})
	must(t, err)
	for range 2 {
		fails(t, exitDataDir, []string{"was removed from its cluster"}, nil, append([]string{"--data-dir", s.dirs[gone], "--listen-addr", "127.0.0.1:0"}, s.args(gone)...)...)
	}
	after, err := s.at[leader].Load().GetStatus(call(t), &pb.GetStatusRequest{})
	must(t, err)
	if before.GetCluster().GetTerm() != after.GetCluster().GetTerm() {
		t.Errorf("there was an election: %v, %v", before.GetCluster(), after.GetCluster())
	}
}

// TestClusterChanges: what cannot be changed so is refused, each refusal says what to do, who changes something is in the
// audit log, and a directory that is not the one that a member was given to is told.
func TestClusterChanges(t *testing.T) {
	s := newSeveral(t)
	s.start(0, 1, 2)
	leader := s.leader(0, 1, 2)
	by := without(leader)[0] // who does not lead hands it on
	ask := s.operators(by)
	at := freeAddrs(t, 2)
	refused := func(what string, err error, says ...string) {
		t.Helper()
		if c := status.Code(err); c != codes.FailedPrecondition && c != codes.InvalidArgument {
			t.Errorf("%s: %v", what, err)
		}
		for _, word := range says {
			if !strings.Contains(status.Convert(err).Message(), word) {
				t.Errorf("%s: %v does not say %q", what, err, word)
			}
		}
	}
	joins := func(dir, peer string) []string {
		return []string{"--data-dir", dir, "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off", "--disk-reserve-mb", "1", "--peer-listen-addr", peer, "--join", s.peers[by]}
	}

	fails(t, exitFailed, []string{"statehousectl cluster add " + at[0]}, nil, joins(filepath.Join(t.TempDir(), "data"), at[0])...)
	_, err := ask.AddMember(call(t), &pb.AddMemberRequest{PeerAddress: "here"})
	refused("an address that is none", err, "host:port")
	_, err = ask.AddMember(call(t), &pb.AddMemberRequest{PeerAddress: s.peers[2]})
	refused("a member's address", err, "member 3 is at", "remove it first")
	_, err = ask.PromoteMember(call(t), &pb.PromoteMemberRequest{Id: 9})
	refused("a member that is none", err, "no learner")
	_, err = ask.RemoveMember(call(t), &pb.RemoveMemberRequest{Id: 9})
	refused("a member that is none", err, "no member")
	_, err = ask.RemoveMember(call(t), &pb.RemoveMemberRequest{Id: s.ids[leader]})
	refused("the one that leads", err, "cluster transfer")

	first, err := ask.AddMember(call(t), &pb.AddMemberRequest{PeerAddress: at[0]})
	must(t, err)
	again, err := ask.AddMember(call(t), &pb.AddMemberRequest{PeerAddress: at[0]})
	if err != nil || again.GetId() != first.GetId() || first.GetId() != 4 {
		t.Errorf("it was added as %v, and again as %v, %v", first, again, err)
	}
	_, err = ask.PromoteMember(call(t), &pb.PromoteMemberRequest{Id: 4})
	refused("one that has not joined", err, "start its daemon")

	dir := filepath.Join(t.TempDir(), "data")
	d := start(t, dir, joins(dir, at[0])[4:]...)
	d.kill()
	fails(t, exitFailed, []string{"another directory already", "cluster remove"}, nil, joins(filepath.Join(t.TempDir(), "data"), at[0])...)
	_, err = ask.AddMember(call(t), &pb.AddMemberRequest{PeerAddress: at[0]})
	refused("one that has joined", err, "member 4 is at")
	fails(t, exitUsage, []string{"member 4", at[0], at[1]}, nil, joins(dir, at[1])...)
	d = start(t, dir, joins(dir, at[0])[4:]...)
	s.promoted(by, 4)
	_, err = ask.PromoteMember(call(t), &pb.PromoteMemberRequest{Id: 4})
	must(t, err) // as above

	// Of four, one that is lost leaves three; with two lost none may be removed but by those who can agree on it.
	s.at[without(leader, by)[0]].Load().kill()
	d.kill()
	eventually(t, "it is refused for want of a majority", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // in which nobody can agree on it
		defer cancel()
		if _, err := ask.RemoveMember(ctx, &pb.RemoveMemberRequest{Id: s.ids[by]}); err == nil {
			return errors.New("it was removed")
		}
		return nil
	})
	s.start(without(leader, by)[0])
	s.leader(0, 1, 2)

	var acts []string
	r, err := ask.ListAudit(call(t), &pb.ListAuditRequest{})
	must(t, err)
	for _, e := range r.GetEntries() {
		acts = append(acts, e.GetAction()+" "+e.GetDetails()["member"]+e.GetDetails()["peer_address"])
	}
	for _, want := range []string{"AddMember " + at[0], "PromoteMember 4", "RemoveMember 9"} {
		if !slices.Contains(acts, want) {
			t.Errorf("%q is not in the audit log: %q", want, acts)
		}
	}
}
