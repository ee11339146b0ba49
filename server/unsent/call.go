package unsent

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// Answer is what is known of a method's answers.
type Answer struct {
	// Cost is what making one may take in memory: what is read, the message, and the
	// message as bytes. An estimate from above, for values in JSON. 0: nothing is read,
	// something is done.
	Cost int64
	// State says that it tells how the daemon is: it is refused last.
	State bool
}

// Costs of answers.
const (
	PageCost  = 9 << 20
	ValueCost = 3 << 20
	NamesCost = PageCost / 4
)

// largeAnswer is from where on an answer counts as a page, whatever asked for it.
const largeAnswer = 64 << 10

// priority is when an answer is refused for want of room, of bytes as far as that is
// known.
func (a Answer) priority(bytes int64) priority {
	switch {
	case a.State:
		return priorityState
	case bytes > 0 && a.Cost == 0:
		return priorityDone
	case bytes > largeAnswer, a.Cost >= PageCost && bytes == 0:
		return priorityPage
	}
	return prioritySmall
}

// Call is a unary request on its way: what making its answer takes, and what counts the
// answer. Budget.Unary makes it the context of what it calls. A nil one counts nothing:
// it is of a transport that keeps nothing, as the simulator's.
type Call struct {
	context.Context
	conn     *conn
	making   int64
	reserved *reservation
	size     int

	session *Stream // that it is a request of; nil: a call of its own
}

type callKey struct{}

// Value is the call itself to CallOf.
func (c *Call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// CallOf is the call of a request's context.
func CallOf(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Admit waits for its turn to make an answer, or refuses the request, for which nothing has
// been done yet.
func (c *Call) Admit(ctx context.Context, a Answer) error {
	if c == nil {
		return nil
	}
	err := c.conn.budget.full(a.priority(0))
	if err == nil && a.Cost > 0 {
		c.making, err = c.conn.budget.turn(ctx, c.conn, a.Cost)
	}
	return err
}

// Count counts an answer. A read's is refused where there is no room. What has been
// done cannot be refused any more: a small answer has room whatever there is, and of a
// large one that has none the client knows as much as if it were lost.
func (c *Call) Count(a Answer, resp any) error {
	m, isProto := resp.(proto.Message)
	if c == nil || !isProto {
		return nil
	}
	c.size = proto.Size(m)
	bytes := int64(max(c.size, smallBuffer)) + answerOverhead
	if c.session != nil {
		bytes = int64(c.size) + sessionOverhead
	}
	r := a.priority(bytes)
	done := r == priorityDone
	if done && bytes > largeAnswer {
		r = priorityState
	}
	var err error
	if c.reserved = c.session.ofShare(bytes); c.reserved != nil {
		return nil
	}
	if c.reserved, err = c.conn.budget.take(c.conn, nil, bytes, r); err != nil && done {
		return &engine.Failure{
			Kind:    engine.ErrOutcomeUnknown,
			Message: "the request was carried out or refused, but its answer has no room: " + err.Error() + "; or ask for the outcome",
		}
	}
	return err
}

// Unary is the outermost interceptor of unary requests: what passes it goes to the
// transport, as bytes that are counted.
func (b *Budget) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c := &Call{Context: ctx, conn: b.connOf(ctx)}
	defer func() { b.making.Release(c.making) }()
	resp, err := handler(c, req)
	m, isProto := resp.(proto.Message)
	switch {
	case c.reserved == nil:
		return resp, err
	case err != nil || !isProto:
		c.reserved.release()
		return resp, err
	}
	return encode(m, c.size, c.reserved)
}

// connOf is the connection of a request.
func (b *Budget) connOf(ctx context.Context) *conn {
	c := &conn{budget: b} // of another transport: counted all the same
	if p, ok := peer.FromContext(ctx); ok {
		if c, ok := p.Addr.(*conn); ok {
			return c
		}
		c.name = p.Addr.String()
	}
	return c
}
