// Package failover is a load on a cluster while its members are killed: clients that commit and read, each over
// connections to all members, as programs do that use the Go client. It tells for how long nothing was committed, and
// writes down everything that was asked and answered, for a judge.
package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/members"
	"statehouse.dev/statehouse/client/reach"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
)

// Options say what is asked of whom.
type Options struct {
	Config    client.Config // but for the address
	Addresses []string      // as the members call themselves
	Clients   int
	Duration  time.Duration
	Pause     time.Duration // of a client, after each answer
}

// Report is what came of it. Latencies are of commits, repeated tries included.
type Report struct {
	Commits int           `json:"commits"`
	Reads   int           `json:"reads"`
	Failed  int           `json:"failed"`        // requests that were given up
	Why     string        `json:"why,omitempty"` // the last of them
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Outage  time.Duration `json:"outage_ns"` // the longest time without a commit that was acknowledged
	At      time.Duration `json:"outage_at_ns"`
}

// keysOf is how many keys a client writes, few, so that what it reads was written by others meanwhile.
const keysOf = 4

// attempt is how long a try may take: a member that is stopped answers none.
const attempt = time.Second

// load is a run.
type load struct {
	o     Options
	began time.Time
	conns []*grpc.ClientConn
	rec   *record.Recorder

	mu     sync.Mutex
	acks   []time.Duration // since it began
	took   []time.Duration
	reads  int
	failed int
	why    error // of the last
}

// Run puts the load on the cluster and returns what came of it, with the history of its clients, which has the log that
// it is judged by.
func Run(ctx context.Context, o Options) (r *Report, h *history.History, err error) {
	l := &load{o: o, began: time.Now()}
	l.rec = record.NewRecorder(func() int64 { return int64(time.Since(l.began)) })
	defer func() {
		for _, conn := range l.conns {
			err = errors.Join(err, conn.Close())
		}
	}()
	for _, address := range o.Addresses {
		one := o.Config
		one.Address = address
		conn, err := client.Connect(one)
		if err != nil {
			return nil, nil, err
		}
		l.conns = append(l.conns, conn)
	}
	var all sync.WaitGroup
	running, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	for i := range o.Clients {
		name := fmt.Sprint("c", i+1)
		c, err := l.client(func(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return l.rec.Conn(name, conn) })
		if err != nil {
			return nil, nil, err
		}
		all.Go(func() { l.ask(running, c, i) })
	}
	all.Wait()
	ended := time.Since(l.began)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	observer, err := l.client(func(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return conn })
	if err != nil {
		return nil, nil, err
	}
	h = l.rec.History()
	if err := record.Cover(ctx, observer, h); err != nil {
		return nil, nil, fmt.Errorf("what was asked cannot be compared with the log: %w", err)
	}
	return l.report(ended), h, nil
}

// client is one with a connection to each of the members.
func (l *load) client(through func(grpc.ClientConnInterface) grpc.ClientConnInterface) (*client.Client, error) {
	var list []members.Member
	for i, address := range l.o.Addresses {
		list = append(list, members.Member{Address: address, Conn: through(reach.Authorised(l.conns[i], l.o.Config.Token))})
	}
	config := l.o.Config
	config.AttemptTimeout, config.FailFast, config.Token = attempt, false, "" // as a program that goes on
	return client.New(members.New(list, members.Options{Now: time.Now, WithTimeout: context.WithTimeout}), config)
}

// ask commits and reads until ctx ends.
func (l *load) ask(ctx context.Context, c *client.Client, i int) {
	rng := rand.New(rand.NewPCG(uint64(i), 1))
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		var err error
		commit := n%3 > 0
		if commit {
			_, err = c.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(agent(i), key(rng), json.RawMessage(fmt.Sprintf(`{"client":%d,"n":%d}`, i, n)))}})
		} else {
			_, err = c.Get(ctx, agent(rng.IntN(l.o.Clients)), key(rng))
		}
		if ctx.Err() != nil {
			return
		}
		l.note(commit, time.Since(began), err)
		select {
		case <-time.After(l.o.Pause):
		case <-ctx.Done():
		}
	}
}

func agent(i int) string        { return fmt.Sprint("failover-", i) }
func key(rng *rand.Rand) string { return fmt.Sprint("key-", rng.IntN(keysOf)) }

func (l *load) note(commit bool, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failed++
		l.why = err
	case commit:
		l.acks, l.took = append(l.acks, time.Since(l.began)), append(l.took, took)
	default:
		l.reads++
	}
}

// report is what came of it, at its end.
func (l *load) report(ended time.Duration) *Report {
	r := &Report{Commits: len(l.acks), Reads: l.reads, Failed: l.failed}
	if l.why != nil {
		r.Why = l.why.Error()
	}
	slices.Sort(l.took)
	if n := len(l.took); n > 0 {
		r.P50, r.P99 = l.took[n/2], l.took[n*99/100]
	}
	slices.Sort(l.acks)
	last := time.Duration(0)
	for _, at := range append(l.acks, ended) {
		if at-last > r.Outage {
			r.Outage, r.At = at-last, last
		}
		last = at
	}
	return r
}
