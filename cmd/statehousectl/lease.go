package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) leaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lease",
		Short: "Let one worker at a time act for an agent",
		Long: "A lease of an agent is held by one worker at a time: until it is released, or lapses because\n" +
			"it was not renewed within its time to live. Each acquisition has a token, which rises for good. A\n" +
			"commit may require the lease under its token, and is refused once it is not held under it any more.",
		Args: show.Takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.leaseAcquireCommand(), a.leaseRenewCommand(), a.leaseReleaseCommand(), a.leaseListCommand(), a.leaseRunCommand())
	return cmd
}

// leaseFlags are those of the commands that acquire.
type leaseFlags struct {
	holder string
	ttl    time.Duration
	wait   bool
}

func (l *leaseFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.holder, "holder", "", "who holds it, for people; this machine and process by default")
	f.DurationVar(&l.ttl, "ttl", 30*time.Second, "how long it is held without being renewed; 100ms to 720h")
	f.BoolVar(&l.wait, "wait", false, "wait until it is free")
}

func (l *leaseFlags) options() client.LeaseOptions {
	o := client.LeaseOptions{Holder: l.holder, TTL: l.ttl, Wait: l.wait}
	if o.Holder == "" {
		host, _ := os.Hostname()
		o.Holder = fmt.Sprintf("%s, process %d", host, os.Getpid())
	}
	return o
}

// leaseShape is a lease for --json.
type leaseShape struct {
	Namespace  string          `json:"namespace"`
	Agent      string          `json:"agent"`
	Lease      string          `json:"lease"`
	Token      client.Version  `json:"token"`
	Holder     string          `json:"holder,omitempty"`
	TTL        int64           `json:"ttl_ms,omitempty"`
	Deadline   time.Time       `json:"deadline,omitzero"`
	AcquiredTS client.CommitTS `json:"acquired_ts,omitempty"`
	AcquiredAt time.Time       `json:"acquired_at,omitzero"`
}

func (a *app) leaseAcquireCommand() *cobra.Command {
	var l leaseFlags
	cmd := &cobra.Command{
		Use:   "acquire AGENT LEASE",
		Short: "Acquire a lease, and print its token",
		Long: "acquire takes a lease that is free, prints its token, and leaves it to lease renew and lease\n" +
			"release. lease run holds one as long as a command runs.",
		Example:           "  statehousectl lease acquire planner main --ttl 5m",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	l.register(cmd)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		held, err := s.AcquireLease(ctx, args[0], args[1], l.options())
		switch {
		case err != nil:
			return err
		case s.asJSON:
			c := held.Condition()
			return s.p.object(leaseShape{Namespace: c.Namespace, Agent: c.Agent, Lease: c.Lease, Token: c.Token, Holder: l.options().Holder, TTL: l.ttl.Milliseconds()})
		}
		return s.p.line("token %d", held.Token)
	})
	return cmd
}

func (a *app) leaseRenewCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:               "renew AGENT LEASE TOKEN",
		Short:             "Hold a lease for longer",
		Args:              show.Takes(3, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "for how long from now; as it was acquired by default")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		token, err := tokenOf(args[2])
		if err != nil {
			return err
		}
		r, err := s.RenewLeases(ctx, client.Renewal{LeasePrecondition: client.LeasePrecondition{Agent: args[0], Lease: args[1], Token: token}, TTL: ttl})
		switch {
		case err != nil:
			return err
		case r[0].Lost:
			return lostf("the lease %s of agent %s is not held under token %d: it has lapsed, was released, or another holds it", quote(args[1]), quote(args[0]), token)
		case s.asJSON:
			return s.p.object(leaseShape{Namespace: s.namespace, Agent: args[0], Lease: args[1], Token: token, Deadline: r[0].Deadline})
		}
		return s.p.line("until %s", r[0].Deadline.Format(time.RFC3339))
	})
	return cmd
}

func (a *app) leaseReleaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "release AGENT LEASE TOKEN",
		Short:             "Give up a lease",
		Args:              show.Takes(3, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		token, err := tokenOf(args[2])
		if err != nil {
			return err
		}
		commit, err := s.Transact(ctx, client.Batch{Writes: []client.Write{client.Release(args[0], args[1], token)}})
		switch {
		case err != nil:
			return err
		case s.asJSON:
			return s.p.object(leaseShape{Namespace: s.namespace, Agent: args[0], Lease: args[1], Token: token})
		}
		return s.p.line("commit %d", commit.CommitTS)
	})
	return cmd
}

func tokenOf(text string) (client.Version, error) {
	token, err := strconv.ParseUint(text, 10, 64)
	if err != nil || token == 0 {
		return 0, usagef("%q is no token: lease acquire prints it, and lease ls", text)
	}
	return client.Version(token), nil
}

func (a *app) leaseListCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:               "ls [AGENT]",
		Short:             "List the leases that are held",
		Args:              show.Takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only leases that start with this")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		agent := ""
		if len(args) > 0 {
			agent = args[0]
		}
		s.p.list("AGENT", "LEASE", "TOKEN", "UNTIL", "HOLDER")
		found := false
		for l, err := range s.Leases(ctx, agent, prefix) {
			if err == nil && s.asJSON {
				err = s.p.object(leaseShape{l.Namespace, l.Agent, l.Name, l.Token, l.Holder, l.TTL.Milliseconds(), l.Deadline, l.AcquiredTS, l.AcquiredAt})
			} else if err == nil {
				err = s.p.row(nil, quote(l.Agent), quote(l.Name), "token "+l.Token.String(), "until "+l.Deadline.Format(time.RFC3339), printable(l.Holder))
			}
			if err != nil {
				return err
			}
			found = true
		}
		if !found {
			return s.noteNothing(ctx)
		}
		return nil
	})
	return cmd
}

func (a *app) leaseRunCommand() *cobra.Command {
	var l leaseFlags
	cmd := &cobra.Command{
		Use:   "run AGENT LEASE -- COMMAND [ARGUMENT…]",
		Short: "Run a command while a lease is held",
		Long: "run acquires a lease, runs a command with STATEHOUSE_LEASE_TOKEN in its environment, renews the\n" +
			"lease as long as it runs, and releases it. If the lease is lost the command gets SIGTERM, and after\n" +
			"ten seconds SIGKILL, and run exits with 3; else with what the command exits with.",
		Example: "  statehousectl lease run planner main --wait -- ./worker.sh",
		Args:    cobra.MinimumNArgs(3),
	}
	l.register(cmd)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		return s.HoldLease(ctx, args[0], args[1], l.options(), func(ctx context.Context, held *client.Lease) error {
			return s.runUnder(ctx, held, args[2:])
		})
	})
	return cmd
}

// runUnder runs a command that ends when ctx does.
func (s *session) runUnder(ctx context.Context, held *client.Lease, command []string) error {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = s.in, s.out, s.err
	c.Env = append(os.Environ(), fmt.Sprintf("STATEHOUSE_LEASE_TOKEN=%d", held.Token))
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return passedOn(exit.ExitCode())
	}
	if err != nil && ctx.Err() == nil {
		return failedf("%s: %v", printable(command[0]), err)
	}
	return err
}
