package node

import (
	"slices"

	"go.etcd.io/raft/v3"
)

// Role is what a node is in its cluster.
type Role string

// The roles. A node leads from when the first entry of its term is applied on.
const (
	Leader    Role = "leader"
	Follower  Role = "follower"
	Candidate Role = "candidate"
	Learner   Role = "learner"
)

// Status is what a node knows of itself and its cluster.
type Status struct {
	ID, Leader         uint64 // Leader 0: it knows of none
	Role               Role
	Term               uint64
	Applied, Committed uint64 // entries; Committed as far as this node has heard
	Last, LastTerm     uint64 // entry of its log, on disk
	Members            []Member
	Removed            []uint64 // who was a member
	Version            uint64   // of the cluster
	First              uint64   // the first entry that the log has
	Next               uint64   // the first id that nobody had
}

// Member is one of a cluster, itself included.
type Member struct {
	ID      uint64
	Learner bool
	Place   Place // zero: where it was when the cluster was founded
	// What only the leader knows of it: up to which entry its log is that of the leader, on disk, and whether it
	// has answered of late.
	Match  uint64
	Active bool
}

// Lag is how many entries are committed and not applied here.
func (s *Status) Lag() uint64 { return s.Committed - s.Applied }

// Status says how it stands.
func (n *Node) Status() Status {
	rs := n.raft.Status()
	s := Status{ID: n.config.ID, Leader: rs.Lead, Term: rs.GetTerm(), Applied: n.applied, Committed: rs.GetCommit(), Role: Follower,
		Removed: slices.Clone(n.mark.removed), Version: n.mark.version, First: n.log.mark.GetIndex() + 1, Next: 1}
	s.Last, _ = n.log.LastIndex()
	s.LastTerm, _ = n.log.Term(s.Last)
	switch {
	case n.leads:
		s.Role = Leader
	case rs.RaftState != raft.StateFollower:
		s.Role = Candidate
	}
	for id := range rs.Config.Voters.IDs() { // in any order: sorted below
		s.Members = append(s.Members, Member{ID: id})
	}
	for id := range rs.Config.Learners { // in any order, as above
		s.Members = append(s.Members, Member{ID: id, Learner: true})
		if id == s.ID {
			s.Role = Learner
		}
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return int(a.ID) - int(b.ID) })
	for i := range s.Members {
		m := &s.Members[i]
		p := rs.Progress[m.ID]
		m.Match, m.Active = p.Match, p.RecentActive
		m.Place, s.Next = n.mark.place(m.ID), max(s.Next, m.ID+1)
	}
	for _, id := range s.Removed {
		s.Next = max(s.Next, id+1)
	}
	return s
}

// ID is which member this is.
func (n *Node) ID() uint64 { return n.config.ID }
