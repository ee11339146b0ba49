package peers

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// What members that come and go are held to: R7, and of R8 that nobody fetches a store who need not.

// seeMembers holds what a node says of its cluster to what others say, and to what it was.
func (j *Judge) seeMembers(n *judged) {
	s := &n.Seen
	if s.Bare || s.Between {
		return
	}
	if text := fmt.Sprint(s.Voters, s.Learners, s.Removed); j.members[s.Applied] == "" {
		j.members[s.Applied] = text
	} else if j.members[s.Applied] != text {
		j.broken("R7", "members-differ", "as of entry %d the voters, the learners and who was removed are %s on n%d, and %s elsewhere", s.Applied, text, s.Node, j.members[s.Applied])
	}
	for _, id := range s.Removed {
		if slices.Contains(s.Voters, id) || slices.Contains(s.Learners, id) {
			j.broken("R7", "id-used-again", "n%d was removed, and is a member again on n%d", id, s.Node)
		}
	}
	switch own := uint64(s.Node); {
	case s.Begins && slices.Contains(s.Removed, own):
		j.broken("R7", "removed-begins", "n%d knows that it was removed, and starts all the same", own)
	case s.Leads && !slices.Contains(s.Voters, own):
		j.broken("R7", "leads-without-a-vote", "n%d plans, and has no vote among %v", own, s.Voters)
	}
	if last := &n.voters[len(n.voters)-1]; !slices.Equal(last.ids, s.Voters) {
		n.voters = append(n.voters, voters{s.Sent, slices.Clone(s.Voters)})
	}
}

// speaks holds a node that knows that it was removed to saying nothing.
func (j *Judge) speaks(n *judged, m *raftpb.Message) {
	if slices.Contains(n.Removed, m.GetFrom()) {
		j.broken("R7", "removed-speaks", "n%d knows that it was removed, and sends n%d %s", m.GetFrom(), m.GetTo(), Text(m))
	}
}

// changesSent holds a leader to having applied its last change of members before it begins another.
func (j *Judge) changesSent(n *judged, m *raftpb.Message) {
	for _, e := range m.GetEntries() {
		index := e.GetIndex()
		if last := j.changes[m.GetTerm()]; e.GetType() == raftpb.EntryNormal || e.GetTerm() != m.GetTerm() || index <= last {
			continue
		} else if last > n.Applied {
			j.broken("R7", "two-changes", "n%d changes the members in entry %d, and has not applied its change in entry %d", m.GetFrom(), index, last)
		}
		j.changes[m.GetTerm()] = index
	}
}

// Fetches is told that a node begins to fetch a copy of another's store, since that one has sent it a mark in place of
// entries.
func (j *Judge) Fetches(node, from int) {
	n := &j.nodes[node-1]
	if first, sent := n.marks[uint64(from)]; sent && !n.Bare && first <= n.Committed+1 {
		j.broken("R8", "needless-copy", "n%d has entry %d and fetches a copy of the store of n%d, whose log began at entry %d", node, n.Committed, from, first)
	}
}
