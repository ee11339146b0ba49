package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/sim/intent"
	"statehouse.dev/statehouse/sim/workload"
)

const (
	// attemptTimeout is shorter than what most stops last, so that requests are given
	// up which the daemon carries out later, and are sent again meanwhile.
	attemptTimeout = time.Second
	// roundTimeout bounds what a program does in one round: a watch that nothing comes
	// to, a commit whose outcome is not known.
	roundTimeout = 3 * time.Second
	// blockRounds is about how long a client stays with one program.
	blockRounds = 40
	// endured is how many answers a client waits for at the end.
	endured = 20
)

// programmer is a client process: one program after the other, on a connection of
// its own.
type programmer struct {
	r    *run
	conn io.Closer
	rand *rand.Rand
	env  *workload.Env
	calm *intent.Client // one that waits for each answer as long as it takes
}

// dial is a real connection, as client.Dial makes it, with the recorder on it: on its session, if
// its calls go in one.
func (r *run) dial(name string, inSession bool) (io.Closer, grpc.ClientConnInterface, error) {
	if r.cluster != nil {
		conn, err := r.cluster.dial()
		if err != nil {
			return nil, nil, err
		}
		inner := grpc.ClientConnInterface(conn)
		if r.o.Wrap != nil {
			inner = r.o.Wrap(name, inner)
		}
		return conn, r.rec.Conn(name, inner), nil
	}
	conn, err := client.Connect(client.Config{Address: r.daemon.address})
	if err != nil {
		return nil, nil, err
	}
	var inner grpc.ClientConnInterface = conn
	if inSession {
		inner = session.New(conn, session.Options{})
	}
	if r.o.Wrap != nil {
		inner = r.o.Wrap(name, inner)
	}
	return conn, r.rec.Conn(name, inner), nil
}

func (r *run) connect(i int) (*programmer, error) {
	name := fmt.Sprintf("c%d", i+1)
	conn, recorded, err := r.dial(name, i%2 == 0) // the calls of every other client are gRPC's own
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(r.o.Seed, uint64(i)+100))
	c, err := client.New(recorded, client.Config{Timeout: roundTimeout, AttemptTimeout: attemptTimeout, PageSize: 1 + rng.IntN(6)})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	calm, err := client.New(recorded, client.Config{Timeout: r.o.Patience, AttemptTimeout: -1})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	pause := func(ctx context.Context, d time.Duration) error {
		until(ctx, time.Now().Add(d))
		return ctx.Err()
	}
	return &programmer{r: r, conn: conn, rand: rng, calm: r.told.Client(name, calm, false), env: &workload.Env{
		Client: r.told.Client(name, c, false), Rand: rng, Name: name, Ops: 1, Agents: 6, Pause: pause, Within: context.WithTimeout, Epoch: r.begun,
	}}, nil
}

func (p *programmer) close() { _ = p.conn.Close() }

// work runs programs until stop is closed, and waits for some answers then.
func (p *programmer) work(ctx context.Context, stop <-chan struct{}) {
	p.program(ctx, stop)
	p.endure(ctx)
}

// endure makes a few commits after the last fault, at the same time as all the
// others, and waits for the answer to each: a request that a client would have given
// up and sent again long before is found here if it is never answered (G9).
func (p *programmer) endure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.r.o.Patience)
	defer cancel()
	for i := range endured {
		if ctx.Err() != nil || !p.r.alive() {
			return
		}
		value := fmt.Appendf(nil, `{"by":%q,"calm":%d}`, p.env.Name, i)
		_, err := p.calm.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("calm", p.env.Name, value)}})
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && p.r.alive() {
			p.r.violate("G9", "no-answer", "%s: a commit is not answered within %v, with a daemon that runs and no fault left: %v", p.env.Name, p.r.o.Patience, err)
		}
	}
}

// program runs programs until stop is closed. The round that is under way then is
// finished.
func (p *programmer) program(ctx context.Context, stop <-chan struct{}) {
	all := workload.All()
	for {
		l := all[p.rand.IntN(len(all))]
		for range 1 + p.rand.IntN(2*blockRounds) {
			select {
			case <-stop:
				return
			case <-ctx.Done():
				return
			default:
			}
			if err := p.round(ctx, l); err != nil {
				p.r.violate("G3", "workload-"+l.Name, "%s: %v", p.env.Name, err)
				return
			}
		}
	}
}

func (p *programmer) round(ctx context.Context, l workload.Workload) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	return l.Run(ctx, p.env)
}
