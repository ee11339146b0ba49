package node

import (
	"fmt"

	"go.etcd.io/raft/v3"

	"statehouse.dev/statehouse/engine"
)

// Transfer has a leader hand over to another member, which may vote; 0: to the one that has most of the log. It begins
// nothing from here on, until another leads or, when that takes longer than an election, this one goes on.
func (n *Node) Transfer(to uint64) error {
	s := n.raft.Status()
	if s.RaftState != raft.StateLeader {
		return fmt.Errorf("%w: there is nothing to hand over", engine.ErrNotLeader)
	}
	if to == 0 {
		var most uint64
		for id := range s.Config.Voters.IDs() { // of equal ones the lowest: any order
			if p := s.Progress[id]; id != s.ID && p.RecentActive && (to == 0 || p.Match > most || p.Match == most && id < to) {
				to, most = id, p.Match
			}
		}
	}
	if _, votes := s.Config.Voters.IDs()[to]; !votes || to == s.ID {
		return fmt.Errorf("there is no other member %d that is reached and may vote", to)
	}
	n.raft.TransferLeader(to)
	return nil
}
