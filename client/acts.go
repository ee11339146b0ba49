package client

import (
	"context"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Operations on many keys of an agent, as writes of Transact, and what an agent was forked from.

// DeletePrefix deletes every key of an agent that begins with a prefix, which is not empty.
// ErrLimit: they are more than a transaction may change.
func DeletePrefix(agent, prefix string) Write {
	return Write{RecordName: RecordName{Agent: agent, Key: prefix}, act: func(o *pb.TransactOperation) { o.DeletePrefix = true }}
}

// DeleteAgent deletes every key of an agent.
func DeleteAgent(agent string) Write {
	return Write{RecordName: RecordName{Agent: agent}, act: func(o *pb.TransactOperation) { o.DeleteAgent = true }}
}

// Restore gives every key of an agent that begins with a prefix, which may be empty, the state that it
// had at a point. Nothing is lost: it is a commit like any other.
func Restore(agent, prefix string, at At) Write {
	return Write{RecordName: RecordName{Agent: agent, Key: prefix}, act: func(o *pb.TransactOperation) { o.Restore = &pb.Restore{At: at.message()} }}
}

// ForkAgent makes a new agent that begins with the state which another one of its namespace had at a
// point; the zero At is the moment of the commit. Versions go on, and nothing is copied, however many
// keys there are.
func ForkAgent(agent, parent string, at At) Write {
	w := Write{RecordName: RecordName{Agent: agent}}
	w.act = func(o *pb.TransactOperation) {
		o.Fork = &pb.Fork{Namespace: o.Namespace, AgentId: parent, At: at.message()}
	}
	return w
}

// Fork commits a fork. ErrPrecondition: the new agent exists, or the parent did not exist then.
func (c *Client) Fork(ctx context.Context, agent, parent string, at At) (Commit, error) {
	return c.Transact(ctx, Batch{Writes: []Write{ForkAgent(agent, parent, at)}})
}

// Origin is what an agent was forked from.
type Origin struct {
	Namespace, Agent string
	CommitTS         CommitTS // the commit after which the state was that of the fork
	ForkedTS         CommitTS // the fork's own first commit
	ForkedAt         time.Time
}

// Lineage is an agent, what it was forked from, and what was forked from it.
type Lineage struct {
	Agent
	From  *Origin // nil: it is no fork
	Forks []Agent // in the order in which they were made; at most 1,000
}

// Lineage returns an agent with its lineage; Head is 0 if it has no commit.
func (c *Client) Lineage(ctx context.Context, agent string) (Lineage, error) {
	resp, err := ask(ctx, c, c.stub.GetAgent, &pb.GetAgentRequest{Namespace: c.config.Namespace, AgentId: agent})
	l := Lineage{Agent: agentOf(resp.GetAgent())}
	if f := resp.GetForkedFrom(); f != nil {
		l.From = &Origin{f.GetNamespace(), f.GetAgentId(), CommitTS(f.GetCommitTs()), CommitTS(f.GetForkedTs()), timeOf(f.GetForkedAt())}
	}
	for _, a := range resp.GetForks() {
		l.Forks = append(l.Forks, agentOf(a))
	}
	return l, err
}

func agentOf(a *pb.Agent) Agent {
	return Agent{a.GetNamespace(), a.GetAgentId(), CommitTS(a.GetFirstTs()), CommitTS(a.GetHeadTs()), timeOf(a.GetHeadTime())}
}
