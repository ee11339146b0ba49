package peers_test

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/sim/peers"
)

func message(t raftpb.MessageType, from, to, term, index uint64) *raftpb.Message {
	return &raftpb.Message{Type: t.Enum(), From: &from, To: &to, Term: &term, Index: &index}
}

// TestJudge: each invariant is broken by what breaks it, and by nothing that is like it.
func TestJudge(t *testing.T) {
	seen := func(node int, term, entry, commit uint64, leads bool, hash byte) peers.Seen {
		return peers.Seen{Node: node, Leads: leads, Term: term, Last: entry, Applied: entry, Committed: entry, Head: commit, Published: commit, Hash: [32]byte{hash}, Voters: []uint64{1, 2, 3}}
	}
	begins := func(s peers.Seen) peers.Seen { s.Begins = true; return s }
	for name, c := range map[string]struct { // order cannot matter
		do   func(j *peers.Judge)
		want string
	}{
		"two leaders of two terms": {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, true, 1)); j.See(seen(2, 3, 4, 1, true, 1)) }, ""},
		"two leaders of a term":    {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, true, 1)); j.See(seen(2, 2, 4, 1, true, 1)) }, "R1"},
		"the same commits":         {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, false, 1)); j.See(seen(2, 2, 3, 1, false, 1)) }, ""},
		"other commits":            {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, false, 1)); j.See(seen(2, 2, 3, 1, false, 2)) }, "R2"},
		"its own term's first entry": {func(j *peers.Judge) {
			m, index, term := message(raftpb.MsgApp, 1, 2, 3, 4), uint64(5), uint64(3)
			m.Entries = []*raftpb.Entry{{Index: &index, Term: &term}}
			j.Sent(m)
			j.See(seen(1, 3, 5, 1, true, 1))
		}, ""},
		"plans before it": {func(j *peers.Judge) {
			m, index, term := message(raftpb.MsgApp, 1, 2, 3, 4), uint64(5), uint64(3)
			m.Entries = []*raftpb.Entry{{Index: &index, Term: &term}}
			j.Sent(m)
			j.See(seen(1, 3, 4, 1, true, 1))
		}, "R3"},
		"plans on less":            {func(j *peers.Judge) { j.See(seen(1, 2, 3, 2, true, 1)); j.See(seen(2, 3, 4, 1, true, 2)) }, "R4"},
		"applied before committed": {func(j *peers.Judge) { s := seen(1, 2, 3, 1, false, 1); s.Committed = 2; j.See(s) }, "R5"},
		"published before applied": {func(j *peers.Judge) { s := seen(1, 2, 3, 1, false, 1); s.Published = 2; j.See(s) }, "R5"},
		"a vote, and again": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgVoteResp, 1, 2, 3, 0))
			j.Sent(message(raftpb.MsgVoteResp, 1, 2, 3, 0))
		}, ""},
		"two votes": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgVoteResp, 1, 2, 3, 0))
			j.Sent(message(raftpb.MsgVoteResp, 1, 3, 3, 0))
		}, "R6"},
		"votes for itself, and not": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgVote, 1, 2, 3, 0))
			j.Sent(message(raftpb.MsgVoteResp, 1, 3, 3, 0))
		}, "R6"},
		"has what it told": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgAppResp, 1, 2, 3, 7))
			j.See(begins(seen(1, 3, 7, 1, false, 1)))
		}, ""},
		"has less": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgAppResp, 1, 2, 3, 7))
			j.See(begins(seen(1, 3, 6, 1, false, 1)))
		}, "R6"},
		"has less, of a later term": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgAppResp, 1, 2, 3, 7))
			j.See(begins(seen(1, 4, 6, 1, false, 1)))
		}, ""},
		"an earlier term": {func(j *peers.Judge) {
			j.Sent(message(raftpb.MsgAppResp, 1, 2, 3, 7))
			j.See(begins(seen(1, 2, 7, 1, false, 1)))
		}, "R6"},
		"applies less after a crash": {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, false, 1)); j.See(begins(seen(1, 2, 2, 0, false, 0))) }, ""},
		"applies less":               {func(j *peers.Judge) { j.See(seen(1, 2, 3, 1, false, 1)); j.See(seen(1, 2, 2, 0, false, 0)) }, "R9"},
		"answers after a round": {func(j *peers.Judge) {
			j.See(seen(1, 2, 3, 1, true, 1))
			j.Heard(message(raftpb.MsgHeartbeatResp, 2, 1, 2, 0), 8)
			j.Answered(1, 7, "a get")
		}, ""},
		"answers after an earlier one": {func(j *peers.Judge) {
			j.See(seen(1, 2, 3, 1, true, 1))
			j.Heard(message(raftpb.MsgHeartbeatResp, 2, 1, 2, 0), 7)
			j.Answered(1, 7, "a get")
		}, "R10"},
	} {
		var broken []string
		c.do(peers.NewJudge(3, func(invariant, _, sentence string) { broken = append(broken, invariant); t.Log(name+":", sentence) }))
		if c.want == "" && len(broken) > 0 || c.want != "" && !slices.Contains(broken, c.want) {
			t.Errorf("%s: %v is broken, want %q", name, broken, c.want)
		}
	}
}

// TestNetwork: messages arrive in order, unless they are taken out of it, and none on a link that is cut.
func TestNetwork(t *testing.T) {
	n, listens := peers.New(3), func(node int) bool { return node != 3 }
	for i := range uint64(3) {
		n.Send(message(raftpb.MsgApp, 1, 2, 1, i+1), listens)
	}
	n.Send(message(raftpb.MsgApp, 1, 3, 1, 9), listens)
	if n.Waiting(1, 2) != 3 || n.Waiting(1, 3) != 0 || n.Waiting(2, 1) != 0 {
		t.Errorf("%d, %d and %d are under way", n.Waiting(1, 2), n.Waiting(1, 3), n.Waiting(2, 1))
	}
	n.Double(1, 2, 1)
	var got []uint64
	for _, nth := range []int{2, 1, 1, 1} {
		m, _ := n.Take(1, 2, nth)
		got = append(got, m.GetIndex())
	}
	if !slices.Equal(got, []uint64{2, 1, 3, 1}) {
		t.Errorf("they arrive as %v", got)
	}
	n.Send(message(raftpb.MsgApp, 1, 2, 1, 1), listens)
	n.Cut(1, 2, true)
	n.Send(message(raftpb.MsgApp, 1, 2, 1, 2), listens)
	n.Send(message(raftpb.MsgApp, 2, 1, 1, 2), listens)
	if n.Waiting(1, 2) != 0 || n.Waiting(2, 1) != 1 {
		t.Error("what is sent on a link that is cut arrives, or what is sent the other way does not")
	}
}
