package client

import (
	"context"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Operations on many keys of an agent, as writes of Transact, and what an agent was forked from.

// DeletePrefix deletes every key of an agent that begins with a prefix, which is not empty. If they are
// more than a transaction may change, it must be the only operation on the agent.
func DeletePrefix(agent, prefix string) Write {
	return state.Acting(RecordName{Agent: agent, Key: prefix}, func(o *pb.TransactOperation) { o.DeletePrefix = true })
}

// DeleteAgent deletes every key of an agent.
func DeleteAgent(agent string) Write {
	return state.Acting(RecordName{Agent: agent}, func(o *pb.TransactOperation) { o.DeleteAgent = true })
}

// Restore gives every key of an agent that begins with a prefix, which may be empty, the state that it
// had at a point. Nothing is lost: it is a commit like any other. If they are more than a transaction may
// change, it must be the only operation on the agent.
func Restore(agent, prefix string, at At) Write {
	return state.Acting(RecordName{Agent: agent, Key: prefix}, func(o *pb.TransactOperation) { o.Restore = &pb.Restore{At: state.Point(at)} })
}

// ForkAgent makes a new agent that begins with the state which another one of its namespace had at a
// point; the zero At is the moment of the commit. Versions go on, and nothing is copied, however many
// keys there are.
func ForkAgent(agent, parent string, at At) Write {
	return state.Acting(RecordName{Agent: agent}, func(o *pb.TransactOperation) {
		o.Fork = &pb.Fork{Namespace: o.Namespace, AgentId: parent, At: state.Point(at)}
	})
}

// Fork commits a fork. ErrPrecondition: the new agent exists, or the parent did not exist then.
func (c *Client) Fork(ctx context.Context, agent, parent string, at At) (Commit, error) {
	return c.Transact(ctx, Batch{Writes: []Write{ForkAgent(agent, parent, at)}})
}

// Lineage returns an agent with its lineage; Head is 0 if it has no commit.
func (c *Client) Lineage(ctx context.Context, agent string) (Lineage, error) {
	resp, err := ask(ctx, c, c.stub.GetAgent, &pb.GetAgentRequest{Namespace: c.config.Namespace, AgentId: agent})
	return state.LineageOf(resp), err
}
