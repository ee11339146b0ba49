package sim

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/step"
)

// membership is what the service of a process asks of its member.
type membership struct{ p *process }

var _ server.Cluster = membership{}

// Leader implements server.Cluster. Clients reach a node by its name.
func (m membership) Leader() server.Leader {
	st := m.p.member.Status()
	l := server.Leader{Here: m.p.member.Leads(), Term: st.Term}
	if n := m.p.w.nodeOfID(st.Leader); n != nil {
		l.Address = n.name
	}
	return l
}

// Confirm implements server.Cluster. The round begins when the node goes round next.
func (m membership) Confirm(ctx context.Context) (err error) {
	told := make(chan struct{})
	m.p.asked = true
	m.p.member.Confirm(func(e error) { err = e; close(told) })
	if waited := m.p.w.tasks.Await(ctx, told); waited != nil {
		return waited
	}
	return err
}

// Status implements server.Cluster.
func (m membership) Status() server.ClusterStatus {
	st := m.p.member.Status()
	s := server.ClusterStatus{ID: st.ID, LeaderID: st.Leader, Term: st.Term, Applied: st.Applied, Committed: st.Committed, Role: roles[st.Role]}
	for _, o := range st.Members {
		s.Members = append(s.Members, server.ClusterMember{ID: o.ID, Learner: o.Learner, Match: o.Match})
	}
	return s
}

var roles = map[cluster.Role]server.ClusterRole{
	cluster.Leader: server.Leading, cluster.Follower: server.Follower, cluster.Candidate: server.Candidate, cluster.Learner: server.Learner,
}

// local are the methods that a node answers from what it has.
var local = map[string]bool{"Health": true, "Version": true, "GetStatus": true, "Watch": true, "ListRefusals": true, "ListStreams": true}

// claims are the refusals that say something of the newest state.
var claims = map[string]bool{
	"CONFLICT": true, "PRECONDITION_FAILED": true, "VERSION_NOT_FOUND": true,
	"LEASE_HELD": true, "LEASE_LOST": true, "EVALUATION_FAILED": true,
}

// judgeMember holds a node to the contact that its answer takes (R10). Whether a refusal is deserved is judged
// of a daemon that is alone.
func (w *World) judgeMember(a *asked, resp []byte, err error, gone bool) {
	_, refusal := record.Outcome(err)
	if err != nil && !gone {
		w.rec.probe("refused: " + refusal.Code)
	}
	w.judgeKey(a, err)
	in := &a.op.In
	switch {
	case err != nil && !claims[refusal.Code], local[a.method], in.At != nil, in.AtTime != 0, in.PageOf != 0, in.To != nil, a.op.Kind == "":
		return // it says nothing of what is newest
	case a.op.Kind == history.StageWrite, a.op.Kind == history.StageDelete, in.TxnID != "" && !a.op.Kind.Info().Commits && a.op.Kind != history.GetTxn && a.op.Kind != history.Abort:
		return // what it is about is in a transaction, whose beginning was confirmed
	}
	if a.Stranger && err == nil {
		w.rec.violate("G10", "revoked-key-answered", a.op.ID, fmt.Sprintf("#%d of %s, a %s, came with the key %q after that was revoked, and is answered", a.op.ID, a.op.Client, a.op.Kind, a.token))
	}
	if a.op.Kind.Info().Commits {
		if w.known(a, resp, err) {
			return
		}
		w.decided[in.TxnID] = true
	}
	w.judge.Answered(w.id, a.sent, fmt.Sprintf("#%d, a %s", a.op.ID, a.op.Kind))
}

// known reports whether what a commit is answered was known before it came: it was answered once, or it is at
// a commit that could be read then. A commit of conditions alone is about what is newest.
func (w *World) known(a *asked, resp []byte, err error) bool {
	if err != nil || a.op.Kind == history.Transact && len(a.op.In.Writes) == 0 {
		return w.decided[a.op.In.TxnID]
	}
	m := step.MethodOf(a.op.Kind).NewAnswer()
	at, is := m.(interface{ GetCommitTs() uint64 })
	return is && proto.Unmarshal(resp, m) == nil && at.GetCommitTs() <= a.Began
}

// askedFirst is how many messages nodes had sent when a request came. Of a commit that came before, wherever, it
// is then: what is in flight already answers all who ask for it.
func (w *World) askedFirst(c *Call) int64 {
	now, id := w.peers.Sent(), c.op.In.TxnID
	if !c.commits() {
		return now
	}
	first, known := w.came[id]
	if !known {
		first, w.came[id] = now, now
	}
	return first
}
