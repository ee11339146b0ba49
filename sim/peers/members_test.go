package peers_test

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/sim/peers"
)

// TestMembers: members that come and go keep R7, and copies R8, unless something is done that breaks them.
func TestMembers(t *testing.T) {
	seen := func(node int, entry uint64, voters ...uint64) peers.Seen {
		return peers.Seen{Node: node, Term: 2, Last: entry, First: 2, Applied: entry, Committed: entry, Voters: voters}
	}
	leads := func(s peers.Seen) peers.Seen { s.Leads = true; return s }
	begins := func(s peers.Seen) peers.Seen { s.Begins = true; return s }
	without := func(s peers.Seen, id uint64) peers.Seen { s.Removed = []uint64{id}; return s }
	changes := func(from, at, term uint64) *raftpb.Message {
		m := message(raftpb.MsgApp, from, 2, term, at-1)
		m.Entries = []*raftpb.Entry{{Index: &at, Term: &term, Type: raftpb.EntryConfChangeV2.Enum()}}
		return m
	}
	for name, c := range map[string]struct { // order cannot matter
		do   func(j *peers.Judge)
		want string
	}{
		"the same members": {func(j *peers.Judge) { j.See(seen(1, 3, 1, 2, 3)); j.See(seen(2, 3, 1, 2, 3)); j.See(seen(2, 4, 1, 2)) }, ""},
		"other members":    {func(j *peers.Judge) { j.See(seen(1, 3, 1, 2, 3)); j.See(seen(2, 3, 1, 2)) }, "R7"},
		"members of a state that is not in its place": {func(j *peers.Judge) {
			j.See(seen(1, 3, 1, 2, 3))
			s := seen(2, 3, 1, 2)
			s.Between = true
			j.See(s)
		}, ""},
		"a change after another": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			j.Sent(changes(1, 4, 2))
			j.See(leads(seen(1, 4, 1, 2)))
			j.Sent(changes(1, 5, 2))
		}, ""},
		"a change beside another": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			j.Sent(changes(1, 4, 2))
			j.Sent(changes(1, 5, 2))
		}, "R7"},
		"the same change, and again": {func(j *peers.Judge) { j.Sent(changes(1, 4, 2)); j.Sent(changes(1, 4, 2)) }, ""},
		"a removed id again":         {func(j *peers.Judge) { j.See(without(seen(1, 3, 1, 2, 3), 3)) }, "R7"},
		"starts when it is removed":  {func(j *peers.Judge) { j.See(begins(without(seen(3, 3, 1, 2), 3))) }, "R7"},
		"ends when it is removed":    {func(j *peers.Judge) { j.See(without(seen(3, 3, 1, 2), 3)) }, ""},
		"speaks when it is removed": {func(j *peers.Judge) {
			j.See(without(seen(3, 3, 1, 2), 3))
			j.Sent(message(raftpb.MsgAppResp, 3, 1, 2, 3))
		}, "R7"},
		"plans without a vote": {func(j *peers.Judge) { j.See(leads(seen(4, 3, 1, 2, 3))) }, "R7"},
		"plans on fewer entries": {func(j *peers.Judge) {
			j.See(leads(seen(1, 5, 1, 2, 3)))
			s := leads(seen(2, 4, 1, 2, 3))
			s.Term = 3
			j.See(s)
		}, "R4"},
		"answers by those who decide now": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			s := leads(seen(1, 4, 1, 2, 3, 4))
			s.Sent = 5
			j.See(s)
			j.Heard(message(raftpb.MsgHeartbeatResp, 2, 1, 2, 0), 8)
			j.Heard(message(raftpb.MsgHeartbeatResp, 4, 1, 2, 0), 8)
			j.Answered(1, 7, "a get")
		}, ""},
		"answers by those who decided": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			s := leads(seen(1, 4, 1, 2, 3, 4))
			s.Sent = 5
			j.See(s)
			j.Heard(message(raftpb.MsgHeartbeatResp, 2, 1, 2, 0), 8)
			j.Answered(1, 7, "a get")
		}, "R10"},
		"answers what came when others decided": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			s := leads(seen(1, 4, 1, 2, 3, 4))
			s.Sent = 9
			j.See(s)
			j.Heard(message(raftpb.MsgHeartbeatResp, 2, 1, 2, 0), 8)
			j.Answered(1, 7, "a get")
		}, ""},
		"answers by who has no vote": {func(j *peers.Judge) {
			j.See(leads(seen(1, 3, 1, 2, 3)))
			j.Heard(message(raftpb.MsgHeartbeatResp, 4, 1, 2, 0), 8)
			j.Answered(1, 7, "a get")
		}, "R10"},
		"a copy for who needs it": {func(j *peers.Judge) {
			s := seen(1, 9, 1, 2, 3)
			s.First = 5
			j.See(s)
			j.See(seen(2, 3, 1, 2, 3))
			j.Sent(message(raftpb.MsgSnap, 1, 2, 2, 0))
			j.Fetches(2, 1)
		}, ""},
		"a copy for who does not": {func(j *peers.Judge) {
			s := seen(1, 9, 1, 2, 3)
			s.First = 5
			j.See(s)
			j.See(seen(2, 4, 1, 2, 3))
			j.Sent(message(raftpb.MsgSnap, 1, 2, 2, 0))
			j.Fetches(2, 1)
		}, "R8"},
	} {
		var broken []string
		c.do(peers.NewJudge(3, func(invariant, _, sentence string) { broken = append(broken, invariant); t.Log(name+":", sentence) }))
		if c.want == "" && len(broken) > 0 || c.want != "" && !slices.Contains(broken, c.want) {
			t.Errorf("%s: %v is broken, want %q", name, broken, c.want)
		}
	}
}
