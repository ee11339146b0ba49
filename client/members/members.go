package members

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Member is one of the daemons.
type Member struct {
	// Address is what daemons call it when they say where the one that leads is.
	Address string
	Conn    grpc.ClientConnInterface
}

// Options are the outside world. All must be set.
type Options struct {
	Now         func() time.Time
	WithTimeout func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

const (
	// askAgain is for how long it is taken for known who leads, unless a call fails: one that no longer leads hands
	// requests on and need not say so.
	askAgain = 2 * time.Second
	// askFor is how long a member may take to say who leads.
	askFor = time.Second
)

// Conn is a connection to all of them.
type Conn struct {
	members []Member
	o       Options
	at      atomic.Int64 // the member that calls go to
	turn    atomic.Int64 // of reads that may go to any

	asking sync.Mutex
	asked  time.Time      // under asking
	stale  atomic.Bool    // it is to be asked again, whenever it was last
	alone  atomic.Bool    // the daemon is no cluster: nothing is to be asked
	failed []atomic.Int64 // when a member failed last, in Unix nanoseconds
}

// New makes a connection of those to the members, of which there must be one at least.
func New(members []Member, o Options) *Conn {
	return &Conn{members: members, o: o, failed: make([]atomic.Int64, len(members))}
}

// TellsSent: the connections to the members do.
func (c *Conn) TellsSent() {}

// Invoke makes a unary call, at one member.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	i := c.member(ctx, args)
	err := c.members[i].Conn.Invoke(ctx, method, args, reply, opts...)
	c.learn(i, err)
	return err
}

// NewStream makes a stream, at one member.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	i := c.member(ctx, nil)
	s, err := c.members[i].Conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		c.learn(i, err)
		return nil, err
	}
	return stream{s, c, i}, nil
}

// stream is one of a member.
type stream struct {
	grpc.ClientStream
	conn   *Conn
	member int
}

func (s stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.conn.learn(s.member, err)
	return err
}

// member chooses where a call goes.
func (c *Conn) member(ctx context.Context, args any) int {
	if r, is := args.(interface{ GetMaxStalenessMs() uint64 }); is && r.GetMaxStalenessMs() > 0 {
		return c.next()
	}
	if !c.alone.Load() && c.asking.TryLock() { // else another call asks; this one goes where all go
		if now := c.o.Now(); c.stale.Load() || now.Sub(c.asked) >= askAgain {
			c.stale.Store(false)
			c.asked = now
			c.find(ctx)
		}
		c.asking.Unlock()
	}
	return int(c.at.Load())
}

// next is the member whose turn it is, but for those that failed a moment ago if others did not.
func (c *Conn) next() int {
	now := c.o.Now().UnixNano()
	for range c.members {
		i := int(c.turn.Add(1)) % len(c.members)
		if now-c.failed[i].Load() >= int64(askAgain) {
			return i
		}
	}
	return int(c.turn.Add(1)) % len(c.members)
}

// find asks who leads: the member that calls go to, and if it does not answer the others.
func (c *Conn) find(ctx context.Context) {
	first := int(c.at.Load())
	for n := range c.members {
		i := (first + n) % len(c.members)
		if n > 0 && c.o.Now().UnixNano()-c.failed[i].Load() < int64(askAgain) || ctx.Err() != nil {
			continue
		}
		asking, cancel := c.o.WithTimeout(ctx, askFor)
		s, err := pb.NewStatehouseServiceClient(c.members[i].Conn).GetStatus(asking, &pb.GetStatusRequest{})
		cancel()
		if err != nil {
			c.failed[i].Store(c.o.Now().UnixNano())
			continue
		}
		switch leader := s.GetCluster().GetLeaderAddress(); {
		case s.GetCluster() == nil:
			c.alone.Store(true)
		case leader == "":
			continue // another may know
		default:
			if j := c.of(leader); j >= 0 {
				i = j
			}
		}
		c.at.Store(int64(i))
		return
	}
}

// of is the member with an address; -1: there is none.
func (c *Conn) of(address string) int {
	for i := range c.members {
		if c.members[i].Address == address {
			return i
		}
	}
	return -1
}

// learn takes down what a failure says of the member that calls go to.
func (c *Conn) learn(i int, err error) {
	code := status.Code(err)
	if code != codes.Unavailable && code != codes.DeadlineExceeded {
		return
	}
	for _, d := range status.Convert(err).Details() {
		if d, is := d.(*pb.StatehouseError); is {
			if code != codes.Unavailable {
				return // a transaction that has expired
			}
			if j := c.of(d.GetDetails()["leader"]); j >= 0 {
				c.at.CompareAndSwap(int64(i), int64(j))
				return
			}
			c.stale.Store(true)
			if d.GetExactCode() == pb.ErrorCode_NOT_LEADER {
				return // it cannot know; another may
			}
		}
	}
	c.failed[i].Store(c.o.Now().UnixNano())
	c.stale.Store(true)
	c.at.CompareAndSwap(int64(i), int64((i+1)%len(c.members)))
}
