package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
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
)

// programmer is a client process: one program after the other, on a connection of
// its own.
type programmer struct {
	r    *run
	conn *grpc.ClientConn
	rand *rand.Rand
	env  *workload.Env
}

// dial is a real connection, as client.Dial makes it, with the recorder on it.
func (r *run) dial(name string) (*grpc.ClientConn, grpc.ClientConnInterface, error) {
	conn, err := client.Connect(client.Config{Address: r.daemon.address})
	if err != nil {
		return nil, nil, err
	}
	var inner grpc.ClientConnInterface = conn
	if r.o.Wrap != nil {
		inner = r.o.Wrap(name, inner)
	}
	return conn, r.rec.Conn(name, inner), nil
}

func (r *run) connect(i int) (*programmer, error) {
	name := fmt.Sprintf("c%d", i+1)
	conn, recorded, err := r.dial(name)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(r.o.Seed, uint64(i)+100))
	c, err := client.New(recorded, client.Config{Timeout: roundTimeout, AttemptTimeout: attemptTimeout, PageSize: 1 + rng.IntN(6)})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	pause := func(ctx context.Context, d time.Duration) error {
		until(ctx, time.Now().Add(d))
		return ctx.Err()
	}
	return &programmer{r: r, conn: conn, rand: rng, env: &workload.Env{
		Client: c, Rand: rng, Name: name, Ops: 1, Agents: 6, Pause: pause, Within: context.WithTimeout, Epoch: r.begun,
	}}, nil
}

func (p *programmer) close() { _ = p.conn.Close() }

// work runs programs until stop is closed. The round that is under way then is
// finished.
func (p *programmer) work(ctx context.Context, stop <-chan struct{}) {
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
