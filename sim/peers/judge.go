package peers

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// Judge holds nodes to the invariants of a cluster. What it is told is what each node says of itself, what it
// sends, and what it answers; of each breach it tells once.
//
//	R1  one node plans in a term
//	R2  equal commits have equal hashes, on every node
//	R3  a node plans only when the first entry of its own term is applied
//	R4  what whoever begins to plan has is not less than what any node had published
//	R5  published <= applied <= committed
//	R6  what a node told others is on its disk, after a crash, too
//	R7  one change of members is under way, and who was removed is none any more
//	R8  nobody fetches a copy of a store who lacks nothing but what the others' logs have
//	R9  entries are applied once, in order
//	R10 nothing is answered without contact to a majority after the request came
//
// What else R8 says, that all goes on when everything is healed, the end of a run shows.
type Judge struct {
	// Violate is told what is broken.
	Violate func(invariant, check, sentence string)

	nodes     []judged
	planners  map[uint64]int      // by term
	firsts    map[uint64]uint64   // the first entry of a term, as its leader sent it
	hashes    map[uint64][32]byte // by commit
	published map[uint64]uint64   // the last commit that any node had published in a term
	applied   map[uint64]uint64   // the last entry that any node had applied in a term
	members   map[uint64]string   // as of an entry
	changes   map[uint64]uint64   // the last entry with a change of members that the leader of a term sent
	told      map[string]bool
}

// judged is what there is to know of a node.
type judged struct {
	Seen
	heard []int64 // by peer: when what was heard of it last was sent
	// What it told others: its term, for whom it voted in a term, and up to which entry it has the log of a
	// term.
	term    uint64
	votes   map[uint64]uint64
	matches map[uint64]uint64

	voters []voters          // as it has known them, from the first
	marks  map[uint64]uint64 // by who sent it one in place of entries: the first entry that there was then
}

// voters are those of whom a majority decides, since when.
type voters struct {
	since int64 // messages that had been sent
	ids   []uint64
}

// Seen is what a node says of itself.
type Seen struct {
	Node               int
	Begins             bool // it has just been started
	Leads              bool
	Term               uint64
	Last               uint64 // entry, on its disk
	Applied, Committed uint64 // entries
	Head, Published    uint64 // commits
	Hash               [32]byte

	Bare             bool   // it has no store yet, and what is said of one says nothing
	Between          bool   // it takes another state for its own, and knows more of its members than it has applied
	First            uint64 // entry that its log has
	Voters, Learners []uint64
	Removed          []uint64 // who was a member, and must never be one again
	Sent             int64    // messages of all nodes, until now
}

// MostNodes is how many nodes there may be, those that have gone among them.
const MostNodes = 9

// NewJudge makes a judge of nodes, of which so many are there from the beginning and decide.
func NewJudge(nodes int, violate func(invariant, check, sentence string)) *Judge {
	j := &Judge{
		Violate: violate, nodes: make([]judged, MostNodes), planners: make(map[uint64]int), firsts: make(map[uint64]uint64), hashes: make(map[uint64][32]byte),
		published: make(map[uint64]uint64), applied: make(map[uint64]uint64), members: make(map[uint64]string), changes: make(map[uint64]uint64), told: make(map[string]bool),
	}
	var first voters
	for id := range uint64(nodes) {
		first.ids = append(first.ids, id+1)
	}
	for i := range j.nodes {
		j.nodes[i].heard, j.nodes[i].voters = make([]int64, MostNodes), []voters{first}
		j.nodes[i].votes, j.nodes[i].matches, j.nodes[i].marks = make(map[uint64]uint64), make(map[uint64]uint64), make(map[uint64]uint64)
	}
	return j
}

func (j *Judge) broken(invariant, check, format string, args ...any) {
	if key := invariant + check; !j.told[key] {
		j.told[key] = true
		j.Violate(invariant, check, fmt.Sprintf(format, args...))
	}
}

// See is told how a node stands.
func (j *Judge) See(s Seen) {
	n := &j.nodes[s.Node-1]
	before := n.Seen
	if s.Begins {
		j.begins(n, &s)
		before = s
		before.Leads = false
	}
	n.Seen = s
	if s.Applied < before.Applied || s.Published < before.Published || s.Head < before.Head {
		j.broken("R9", "applied-backwards", "n%d had applied entry %d and commit %d, and has entry %d and commit %d", s.Node, before.Applied, before.Head, s.Applied, s.Head)
	}
	if s.Published > s.Head || s.Applied > s.Committed {
		j.broken("R5", "ahead-of-log", "n%d has published commit %d of %d, and applied entry %d of %d that are committed", s.Node, s.Published, s.Head, s.Applied, s.Committed)
	}
	if hash, known := j.hashes[s.Head]; s.Bare {
	} else if known && hash != s.Hash {
		j.broken("R2", "chains-differ", "commit %d is %.4x on n%d, and %.4x on another node", s.Head, s.Hash, s.Node, hash)
	} else if !known {
		j.hashes[s.Head] = s.Hash
	}
	j.seeMembers(n)
	if s.Leads {
		j.leads(&s, !before.Leads || before.Term != s.Term)
	}
	j.published[s.Term] = max(j.published[s.Term], s.Published)
	j.applied[s.Term] = max(j.applied[s.Term], s.Applied)
}

// leads holds who plans to what it must know and be.
func (j *Judge) leads(s *Seen, since bool) {
	if other, known := j.planners[s.Term]; known && other != s.Node {
		j.broken("R1", "two-planners", "n%d and n%d plan in term %d", other, s.Node, s.Term)
	}
	j.planners[s.Term] = s.Node
	if !since {
		return
	}
	if first, sent := j.firsts[s.Term]; sent && s.Applied < first {
		j.broken("R3", "plans-early", "n%d plans in term %d, has applied entry %d, and the first of its term is %d", s.Node, s.Term, s.Applied, first)
	}
	if published := until(j.published, s.Term); s.Head < published {
		j.broken("R4", "plans-on-less", "n%d plans on commit %d, and commit %d was published", s.Node, s.Head, published)
	}
	if applied := until(j.applied, s.Term); s.Applied < applied {
		j.broken("R4", "plans-on-fewer-entries", "n%d plans when it has applied entry %d, and entry %d was applied elsewhere", s.Node, s.Applied, applied)
	}
}

// until is the largest of the values of terms up to one: who was deposed and has not heard of it may begin, to no avail.
func until(of map[uint64]uint64, last uint64) (most uint64) {
	for term, v := range of { // a maximum: any order
		if term <= last {
			most = max(most, v)
		}
	}
	return most
}

// begins holds a node that starts to what it told others before.
func (j *Judge) begins(n *judged, s *Seen) {
	if s.Term < n.term {
		j.broken("R6", "term-forgotten", "n%d spoke in term %d, and starts in term %d", s.Node, n.term, s.Term)
	}
	if match := n.matches[s.Term]; s.Last < match {
		j.broken("R6", "entries-forgotten", "n%d told that it has entry %d of term %d, and starts with %d", s.Node, match, s.Term, s.Last)
	}
	clear(n.heard)
}

// Sent is told what a node sends.
func (j *Judge) Sent(m *raftpb.Message) {
	n := &j.nodes[m.GetFrom()-1]
	j.speaks(n, m)
	switch m.GetType() {
	case raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp, raftpb.MsgTransferLeader:
		return // their term is none that it is in, or they have none
	case raftpb.MsgVote:
		j.votes(n, m.GetTerm(), m.GetFrom(), m.GetFrom())
	case raftpb.MsgVoteResp:
		if !m.GetReject() {
			j.votes(n, m.GetTerm(), m.GetFrom(), m.GetTo())
		}
	case raftpb.MsgAppResp:
		if !m.GetReject() {
			n.matches[m.GetTerm()] = max(n.matches[m.GetTerm()], m.GetIndex())
		}
	case raftpb.MsgApp:
		for _, e := range m.GetEntries() {
			if first, known := j.firsts[e.GetTerm()]; !known || e.GetIndex() < first {
				j.firsts[e.GetTerm()] = e.GetIndex()
			}
		}
		j.changesSent(n, m)
	case raftpb.MsgSnap:
		j.nodes[m.GetTo()-1].marks[m.GetFrom()] = n.First
	}
	n.term = max(n.term, m.GetTerm())
}

func (j *Judge) votes(n *judged, term, from, who uint64) {
	if before, voted := n.votes[term]; voted && before != who {
		j.broken("R6", "votes-twice", "n%d voted for n%d in term %d, and for n%d", from, before, term, who)
	}
	n.votes[term] = who
}

// Heard is told what a node has received, and when that was sent.
func (j *Judge) Heard(m *raftpb.Message, sent int64) {
	j.HeardFrom(int(m.GetFrom()), int(m.GetTo()), sent)
}

// HeardFrom is Heard of what is no message of raft's.
func (j *Judge) HeardFrom(from, to int, sent int64) {
	heard := j.nodes[to-1].heard
	heard[from-1] = max(heard[from-1], sent)
}

// Answered is told that a node answers a request that came when. What it says rests on what is newest.
func (j *Judge) Answered(node int, came int64, what string) {
	n := &j.nodes[node-1]
	if !n.Leads { // through whoever does, and that through a majority
		if contacts := 1 + n.since(came, nil); contacts < 2 {
			j.broken("R10", "answered-alone", "n%d answers %s, and since that came it has heard of no other", node, what)
		}
		return
	}
	for i, v := range n.voters {
		if i+1 < len(n.voters) && n.voters[i+1].since <= came {
			continue // others decided when it came
		}
		contacts := n.since(came, v.ids)
		if slices.Contains(v.ids, uint64(node)) {
			contacts++
		}
		if contacts > len(v.ids)/2 {
			return
		}
	}
	j.broken("R10", "answered-alone", "n%d answers %s, and since that came it has heard of no majority of %v", node, what, n.voters[len(n.voters)-1].ids)
}

// since counts those of whom it has heard what was sent after a moment, of some, or of all.
func (n *judged) since(came int64, of []uint64) (count int) {
	for i, sent := range n.heard {
		if sent > came && (of == nil || slices.Contains(of, uint64(i+1))) {
			count++
		}
	}
	return count
}
