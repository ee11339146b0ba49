package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/member"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cluster/transport"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/metrics"
)

// errAgain ends a daemon that is to begin again in the same process.
var errAgain = errors.New("begin again")

// part is the daemon's in a cluster; nil: it is alone.
type part struct {
	member *member.Member
	log    *slog.Logger
	dir    string
}

// listenForPeers opens the listeners of a member.
func listenForPeers(ctx context.Context, s *settings) ([]net.Listener, error) {
	if !s.cluster.isMember() {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cluster.listen)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(listenError(s.cluster.listen, err).Error(), "--listen-addr", "--peer-listen-addr"))
	}
	return []net.Listener{l}, nil
}

// takePart makes the directory that of a member, if it is none yet, and has the service stand on it.
func takePart(ctx context.Context, s *settings, env engine.Env, config *server.Config, listeners []net.Listener, log *slog.Logger) (*part, error) {
	c := &s.cluster
	if !c.isMember() {
		return nil, nil
	}
	log.Warn("clusters are experimental in this build: see docs/CLUSTER.md for what is missing")
	if c.files != (transport.Files{}) {
		if _, err := c.files.Load(); err != nil {
			return nil, usageError{err}
		}
	}
	clients, err := c.clientAddr(s, listeners)
	if err != nil {
		return nil, usageError{err}
	}
	id, err := identify(ctx, s, env, config.Engine, log)
	if err != nil {
		return nil, err
	}
	env.Log = func(event string, attrs ...any) { log.Info(event, attrs...) }
	if err := member.Recover(env, s.dataDir); err != nil {
		return nil, err
	}
	m, err := member.New(env, member.Config{
		Identity: id, Dir: s.dataDir, Files: c.files, ClientAddr: clients, Version: version, Heartbeat: c.heartbeat, Election: c.election, KeepLog: c.logMB << 20,
	})
	if err != nil {
		return nil, err
	}
	config.Engine.Replicated, config.Engine.MustExist = true, true
	config.Cluster, config.Operator.Cluster = m, m
	log.Info("member", "cluster", id.Cluster, "id", id.ID, "peers", c.listen, "tls", c.files != (transport.Files{}))
	return &part{m, log, s.dataDir}, nil
}

// clientAddr is where clients reach this member.
func (c *clusterSettings) clientAddr(s *settings, listeners []net.Listener) (string, error) {
	if c.clients != "" {
		return c.clients, nil
	}
	host, _, err := net.SplitHostPort(s.listenAddr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("--listen-addr %s is every address of this machine: say with --client-advertise-addr at which of them clients reach it", s.listenAddr)
	}
	return listeners[0].Addr().String(), nil
}

// identify says which member the directory is, and makes it one if it is none.
func identify(ctx context.Context, s *settings, env engine.Env, o engine.Options, log *slog.Logger) (*founding.Identity, error) {
	c := &s.cluster
	id, err := founding.Read(env.FS, s.dataDir)
	switch {
	case err != nil:
		return nil, err
	case id != nil && id.Removed:
		return nil, node.ErrRemoved
	case id != nil && id.Leaving:
		return nil, usageError{fmt.Errorf("%s is leaving its cluster, and is not whole before that is done: run statehoused cluster leave %s again", s.dataDir, s.dataDir)}
	case id != nil && id.Addr() != c.advertise:
		return nil, usageError{fmt.Errorf("%s is the directory of member %d, which the others reach at %s: they would look for it there, and not at %s", s.dataDir, id.ID, id.Addr(), c.advertise)}
	case id != nil:
		return id, nil
	case c.init != "":
		id, err = founding.Found(env, o, addresses(c.init), c.advertise)
		if err == nil {
			log.Info("founded a cluster", "cluster", id.Cluster, "members", strings.Join(addresses(c.init), ", "))
		}
		return id, err
	case c.join != "":
		log.Info("joining", "at", c.join)
		return founding.Join(ctx, env, s.dataDir, &source{c: c, env: env, log: log})
	}
	return nil, usageError{fmt.Errorf("%s is of no cluster yet: give --cluster-init to the daemon that founds one, and --join to the others", s.dataDir)}
}

// assemble is assemble with the member beside the store.
func (p *part) assemble(env engine.Env, config server.Config, exposed error) (*server.Service, error) {
	service, err := assemble(env, config, exposed)
	if p == nil || err != nil {
		return service, err
	}
	if err := p.member.Open(service.Engine(), service.Answer); err != nil {
		return nil, errors.Join(err, service.Close())
	}
	return service, nil
}

// show shows the member's numbers among the daemon's.
func (p *part) show(m *metrics.Metrics) {
	if p == nil {
		return
	}
	for _, n := range p.member.Numbers() {
		if n.Counts {
			m.Counter(n.Name, n.Help, n.Value)
		} else {
			m.Gauge(n.Name, n.Help, n.Value)
		}
	}
}

// serve serves the peers. Its context ends when that breaks, or, after ctx has ended, when another member
// leads: clients come back to one that answers. stopped is to be called when nothing is answered any more, before the
// store is closed.
func (p *part) serve(ctx context.Context, listeners []net.Listener) (serving context.Context, stopped func() error) {
	if p == nil {
		return ctx, func() error { return nil }
	}
	peers, stopPeers := context.WithCancel(context.Background())
	serving, stop := context.WithCancel(context.Background())
	var over error // why it is no member as it was
	ended, driven := make(chan error, 1), make(chan struct{})
	driving, stopDriving := context.WithCancel(context.Background())
	go func() {
		defer close(driven)
		switch over = p.member.Drive(driving); {
		case errors.Is(over, node.ErrInstalled):
			p.log.Info("beginning again on a copy of the store that has come")
			over = errAgain
		case over != nil:
			p.log.Error("this is no member any more", "reason", over)
		default:
			return
		}
		stop()
	}()
	go func() {
		err := p.member.Listen(peers, listeners[0])
		if err != nil {
			p.log.Error("the members cannot be listened to any more", "reason", err)
		}
		stop()
		ended <- err
	}()
	forget := context.AfterFunc(ctx, func() {
		if err := p.member.HandOver(context.Background(), 0); err != nil {
			p.log.Warn("the leadership was not handed over", "reason", err)
		}
		stop()
	})
	return serving, func() error {
		forget()
		stopDriving()
		<-driven
		stopPeers()
		err := errors.Join(<-ended, p.member.Close())
		if err == nil && (over != errAgain || ctx.Err() == nil) {
			return over
		}
		return err
	}
}

// joinEvery is how often a member that cannot be reached is asked again.
const joinEvery = 500 * time.Millisecond

// source is where a directory that joins asks.
type source struct {
	c    *clusterSettings
	env  engine.Env
	log  *slog.Logger
	conn *grpc.ClientConn // to whoever has answered
}

// Join asks one after the other, until one answers.
func (s *source) Join(ctx context.Context, directory string) (*clusterpb.JoinResponse, error) {
	told := ""
	for {
		for _, addr := range addresses(s.c.join) {
			conn, err := transport.Dial(addr, s.c.files)
			if err != nil {
				return nil, usageError{err}
			}
			resp, err := clusterpb.NewPeerServiceClient(conn).Join(ctx, &clusterpb.JoinRequest{PeerAddr: s.c.advertise, Directory: directory, Protocol: transport.Protocol})
			if err == nil {
				s.conn = conn
				return resp, nil
			}
			_ = conn.Close()
			why := status.Convert(err)
			if why.Code() != codes.Unavailable && ctx.Err() == nil {
				return nil, fmt.Errorf("%s does not let this member join: %s", addr, why.Message())
			}
			if told != why.Message() {
				s.log.Warn("cannot join yet", "at", addr, "reason", why.Message())
				told = why.Message()
			}
		}
		select {
		case <-time.After(joinEvery):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Fetch reads a file of the store that members begin with.
func (s *source) Fetch(ctx context.Context, of *clusterpb.JoinResponse, name string, offset uint64) (io.ReadCloser, error) {
	return transport.Fetch(ctx, s.conn, of, name, offset)
}

// Copy copies the store of the member that has let this one in or, when that cannot be reached any more, of another.
func (s *source) Copy(ctx context.Context, of *clusterpb.JoinResponse, dir string) error {
	from := slices.Clone(of.GetMembers())
	slices.SortStableFunc(from, func(a, b *clusterpb.Member) int { return first(b, of) - first(a, of) })
	for {
		var failed error
		for _, m := range from {
			if m.GetId() == of.GetId() {
				continue
			}
			if failed = s.copyOf(ctx, of, m, dir); failed == nil || ctx.Err() != nil {
				return failed
			}
			if c := status.Code(failed); c != codes.Unavailable && c != codes.PermissionDenied { // it may not have heard of this member yet
				return fmt.Errorf("the store of member %d cannot be copied: %w", m.GetId(), failed)
			}
			s.log.Warn("the store cannot be copied from there", "member", m.GetId(), "reason", status.Convert(failed).Message())
		}
		select {
		case <-time.After(joinEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// first orders members: the keeper of what is to be fetched comes first.
func first(m *clusterpb.Member, of *clusterpb.JoinResponse) int {
	if m.GetId() == of.GetKeeper() {
		return 1
	}
	return 0
}

func (s *source) copyOf(ctx context.Context, of *clusterpb.JoinResponse, m *clusterpb.Member, dir string) error {
	conn, err := transport.Dial(m.GetPeerAddr(), s.c.files)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.log.Info("fetching a copy of the store", "from", m.GetId(), "at", m.GetPeerAddr())
	return member.Copy(transport.As(ctx, of, m.GetId()), s.env, clusterpb.NewPeerServiceClient(conn), dir)
}
