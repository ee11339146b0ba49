package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/cluster/transport"
)

// clusterSettings are those of a daemon that is one of several.
type clusterSettings struct {
	listen    string // where the other members reach this one; empty: it is alone
	init      string
	join      string
	advertise string
	clients   string
	files     transport.Files
	election  time.Duration
	heartbeat time.Duration
	logMB     uint64
}

// mostMembers bounds a cluster: every commit waits for a majority.
const mostMembers = 7

func (c *clusterSettings) register(f *pflag.FlagSet) {
	f.StringVar(&c.listen, "peer-listen-addr", "", "(experimental) makes the daemon a member of a cluster, several daemons that keep one store: address to listen on for the others; beyond loopback it needs --peer-tls-cert, -key and -ca")
	f.StringVar(&c.init, "cluster-init", "", "(experimental) founds a cluster when the directory is of none yet: the peer addresses of all its members, 3, 5 or 7, separated by commas, this one's among them; the store that is here becomes that of all")
	f.StringVar(&c.join, "join", "", "(experimental) joins a cluster when the directory is empty: the peer address of the member that was started with --cluster-init or, for one that was added with statehousectl cluster add, of any; or several separated by commas")
	f.StringVar(&c.advertise, "peer-advertise-addr", "", "(experimental) where the other members reach this one, as --cluster-init names it; --peer-listen-addr when empty")
	f.StringVar(&c.clients, "client-advertise-addr", "", "(experimental) where clients reach this member, which others tell them when it leads; --listen-addr when empty")
	f.StringVar(&c.files.Cert, "peer-tls-cert", "", "(experimental) PEM file with this member's certificate, for the others, as server and as client")
	f.StringVar(&c.files.Key, "peer-tls-key", "", "(experimental) PEM file with that certificate's key")
	f.StringVar(&c.files.CA, "peer-tls-ca", "", "(experimental) PEM file with the CA that has signed the members' certificates, and no others")
	f.DurationVar(&c.election, "election-timeout", time.Second, "(experimental) how long a member hears from no leader before it wants to lead, up to twice as long; the same on all")
	f.DurationVar(&c.heartbeat, "heartbeat", 100*time.Millisecond, "(experimental) how often the leader is heard from; the same on all")
	f.Uint64Var(&c.logMB, "raft-log-mb", 64, "(experimental) size of the log that is kept for members that are behind, in MiB; who is farther behind fetches a copy of the store")
}

// isMember reports whether the daemon is one of several.
func (c *clusterSettings) isMember() bool { return c.listen != "" }

func addresses(list string) (all []string) {
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); addr != "" {
			all = append(all, addr)
		}
	}
	return all
}

// checkCluster checks what a member is given.
func (s *settings) checkCluster() error {
	c := &s.cluster
	if !c.isMember() {
		for _, given := range []struct{ name, value string }{
			{"cluster-init", c.init}, {"join", c.join}, {"peer-advertise-addr", c.advertise}, {"client-advertise-addr", c.clients},
			{"peer-tls-cert", c.files.Cert}, {"peer-tls-key", c.files.Key}, {"peer-tls-ca", c.files.CA},
		} {
			if given.value != "" {
				return fmt.Errorf("--%s is of a member of a cluster, which needs --peer-listen-addr, too", given.name)
			}
		}
		return nil
	}
	switch {
	case s.useMemory:
		return errors.New("--use-memory and --peer-listen-addr do not go together: a member must remember what it has promised")
	case !s.fsyncOnCommit:
		return errors.New("--fsync-on-commit=false and --peer-listen-addr do not go together: a member acknowledges to the others what is on its disk")
	case c.init != "" && c.join != "":
		return errors.New("--cluster-init founds a cluster and --join joins one that there is: give one of them")
	case c.files != (transport.Files{}) && (c.files.Cert == "" || c.files.Key == "" || c.files.CA == ""):
		return errors.New("--peer-tls-cert, --peer-tls-key and --peer-tls-ca go together: members show certificates to each other")
	case c.heartbeat < 10*time.Millisecond:
		return fmt.Errorf("--heartbeat must be at least 10ms, not %v", c.heartbeat)
	case c.election < 3*c.heartbeat:
		return fmt.Errorf("--election-timeout (%v) must be at least three times --heartbeat (%v), so that one that is lost begins no election", c.election, c.heartbeat)
	}
	return errors.Join(c.checkAddresses(), c.checkFounding())
}

func (c *clusterSettings) checkAddresses() error {
	host, err := listenHost(c.listen)
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "--listen-addr", "--peer-listen-addr"))
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && c.files == (transport.Files{}) {
		return fmt.Errorf("--peer-listen-addr %s can be reached from other machines: give --peer-tls-cert, --peer-tls-key and --peer-tls-ca, so that members are let in and nobody else", c.listen)
	}
	if c.advertise == "" {
		c.advertise = c.listen
	}
	for _, a := range []struct{ name, value string }{{"peer-advertise-addr", c.advertise}, {"client-advertise-addr", c.clients}} {
		if a.value == "" {
			continue
		}
		if err := transport.CheckAddr(a.value); err != nil {
			return fmt.Errorf("--%s: %w", a.name, err)
		}
	}
	return nil
}

func (c *clusterSettings) checkFounding() error {
	if c.init == "" {
		return nil
	}
	members := addresses(c.init)
	if n := len(members); n%2 == 0 || n > mostMembers {
		return fmt.Errorf("--cluster-init names %d members; a cluster has 3, 5 or 7 (or 1, to try): one more than an odd number outlasts no more failures", n)
	}
	for i, addr := range members {
		if slices.Contains(members[:i], addr) {
			return fmt.Errorf("--cluster-init names %s twice", addr)
		}
	}
	if !slices.Contains(members, c.advertise) {
		return fmt.Errorf("--cluster-init names %s, and this member is %s for the others (--peer-advertise-addr, or --peer-listen-addr): it must be one of them", strings.Join(members, ", "), c.advertise)
	}
	return nil
}
