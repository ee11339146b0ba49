package live

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/members"
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// A run with several daemons that keep one store: what is done to them is in clusternemesis.go. Whatever that is, the
// clients are judged as those of one daemon are, and at the end all members have the same.

// cluster is the members. Each is reached by the others through a relay.
type cluster struct {
	members []*daemon
	relays  []*relay
	conns   []*grpc.ClientConn // the nemesis's
	down    []atomic.Bool      // it was killed and is not started yet
}

// beginCluster makes the members, and starts them.
func (r *run) beginCluster(ctx context.Context) error {
	c := &cluster{down: make([]atomic.Bool, r.o.Members)}
	r.cluster = c
	var at []string
	for range r.o.Members {
		l, err := newRelay()
		if err != nil {
			return err
		}
		c.relays, at = append(c.relays, l), append(at, l.address())
	}
	for i := range r.o.Members {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		args := append(slices.Clone(r.o.Args), "--peer-listen-addr", c.relays[i].upstream, "--peer-advertise-addr", at[i], "--metrics-listen-addr", "off")
		if i == 0 {
			args = append(args, "--cluster-init", strings.Join(at, ","))
		} else {
			args = append(args, "--join", at[0])
		}
		c.members = append(c.members, &daemon{binary: r.o.Daemon, dir: filepath.Join(r.o.Dir, fmt.Sprint(i+1)), address: address, args: args})
		conn, err := client.Connect(client.Config{Address: address})
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
	}
	for _, d := range c.members {
		if err := d.launch(); err != nil {
			return err
		}
		r.count(func(s *Stats) { s.Processes++ })
	}
	return r.whole(ctx)
}

func (c *cluster) close() {
	for i, d := range c.members {
		d.kill()
		_ = c.conns[i].Close()
	}
	for _, l := range c.relays {
		l.close()
	}
}

// dial is a connection to all members.
func (c *cluster) dial() (*allMembers, error) {
	all := new(allMembers)
	var list []members.Member
	for _, d := range c.members {
		conn, err := client.Connect(client.Config{Address: d.address})
		if err != nil {
			return nil, err
		}
		list, all.conns = append(list, members.Member{Address: d.address, Conn: conn}), append(all.conns, conn)
	}
	all.Conn = members.New(list, members.Options{Now: time.Now, WithTimeout: context.WithTimeout})
	return all, nil
}

type allMembers struct {
	*members.Conn
	conns []*grpc.ClientConn
}

// Close implements io.Closer.
func (a *allMembers) Close() (err error) {
	for _, conn := range a.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// states asks all members that run how they stand.
func (c *cluster) states(ctx context.Context) ([]*pb.GetStatusResponse, error) {
	all := make([]*pb.GetStatusResponse, len(c.members))
	for i := range c.members {
		if c.down[i].Load() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, time.Second)
		s, err := pb.NewStatehouseServiceClient(c.conns[i]).GetStatus(asking, &pb.GetStatusRequest{})
		cancel()
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", i+1, err)
		}
		all[i] = s
	}
	return all, nil
}

// leads is the member that leads, of those that answer; -1: none of them does.
func leads(all []*pb.GetStatusResponse) int {
	at, term := -1, uint64(0)
	for i, s := range all {
		if c := s.GetCluster(); c.GetRole() == pb.ClusterRole_CLUSTER_ROLE_LEADER && c.GetTerm() > term {
			at, term = i, c.GetTerm()
		}
	}
	return at
}

// few is how many commits may be between members that are at work.
const few = 200

// whole waits until one member leads, all know it, and none is far behind.
func (r *run) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Patience)
	defer cancel()
	for {
		all, err := r.cluster.states(ctx)
		if err == nil {
			err = isWhole(all, few)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || r.died() {
			return fmt.Errorf("the cluster is not whole: %w", err)
		}
		until(ctx, time.Now().Add(20*time.Millisecond))
	}
}

func isWhole(all []*pb.GetStatusResponse, most uint64) error {
	at := leads(all)
	if at < 0 {
		return errors.New("no member leads")
	}
	low, high := all[at].GetPublishedTs(), all[at].GetPublishedTs()
	for i, s := range all {
		if s.GetCluster().GetLeaderId() != all[at].GetCluster().GetId() {
			return fmt.Errorf("member %d does not know that %d leads", i+1, at+1)
		}
		low, high = min(low, s.GetPublishedTs()), max(high, s.GetPublishedTs())
	}
	if high-low > most {
		return fmt.Errorf("a member is at commit %d, and another at %d", low, high)
	}
	return nil
}

// verifyCluster waits until all members have the same, ends them in order, and compares their stores.
func (r *run) verifyCluster(ctx context.Context) {
	c := r.cluster
	ctx, cancel := context.WithTimeout(ctx, r.o.Patience)
	defer cancel()
	for {
		all, err := c.states(ctx)
		if err == nil {
			err = isWhole(all, 0)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			r.violate("G9", "never-the-same", "no fault is left, and the members do not come to have the same: %v", err)
			return
		}
		until(ctx, time.Now().Add(20*time.Millisecond))
	}
	chains := map[string]bool{}
	for i := range c.members {
		c.down[i].Store(true)
	}
	for i, d := range c.members {
		if err := d.terminate(r.o.Patience); err != nil {
			r.violate("G9", "does-not-end", "member %d was told to end: %v", i+1, err)
			return
		}
	}
	for i, d := range c.members {
		v, err := verifyStore(d.dir)
		if err != nil {
			r.violate("G8", "verify", "verify finds the store of member %d corrupt, and no fault has touched it: %v", i+1, err)
			return
		}
		chains[fmt.Sprintf("%d %x", v.Commits, v.ChainHash)] = true
	}
	if len(chains) != 1 {
		r.violate("G8", "chains", "the members have not the same: %v", chains)
		return
	}
	r.count(func(s *Stats) { s.Verified = true })
}

// verifyStore checks a store that no daemon has open.
func verifyStore(dir string) (*engine.Report, error) {
	type result struct {
		*engine.Report
		error
	}
	done := make(chan result, 2)
	go func() {
		halt := func(err error) {
			done <- result{nil, fmt.Errorf("storage failed: %w", err)}
			select {} // a halt never returns
		}
		env, closeEnv := engine.OSEnv(halt, func(string, ...any) {})
		defer closeEnv()
		v, err := engine.Verify(env, dir, nil)
		done <- result{&v, err}
	}()
	r := <-done
	return r.Report, r.error
}
