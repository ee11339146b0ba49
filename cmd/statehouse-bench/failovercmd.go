package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/connect"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/failover"
)

const failoverHelp = `Commit at a cluster and read from it for a while, and print for how long nothing was acknowledged at worst:
kill the member that leads meanwhile. --address names the members, separated by commas.

With --history it writes down what its clients asked and were told, with the log; statehouse-sim check says
whether any answer was wrong. What it writes stays in the store, in namespaces whose names begin with "bench".

.ci/failover does all of it on loopback, make failover builds what it needs first.

Exit codes: 0 measured, 1 failed, or nothing was acknowledged for longer than --most, 2 wrong usage, 130 interrupted.`

// failoverRun is the command.
type failoverRun struct {
	*app
	daemon  connect.Flags
	o       failover.Options
	most    time.Duration
	history string
}

func (a *app) failoverCommand() *cobra.Command {
	r := &failoverRun{app: a, daemon: connect.Flags{Getenv: os.Getenv, Err: a.err}}
	cmd := &cobra.Command{
		Use: "failover", Short: "Load a cluster whose members are killed", Long: failoverHelp, Args: show.Takes(0, 0),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			r.o.Addresses = strings.Split(r.daemon.Address, ",")
			r.daemon.Address = r.o.Addresses[0]
			if err := r.daemon.Complete(cmd.Flags()); err != nil {
				return err
			}
			switch {
			case r.o.Clients < 1 || r.o.Duration <= 0 || r.o.Pause < 0 || r.most < 0:
				return errors.New("--clients must be at least 1, --duration more than 0, --pause and --most at least 0")
			case !r.yes:
				return errors.New("failover commits at the daemons for as long as --duration says, and what it writes stays there: say --yes if that is meant")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.run(cmd.Context()); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	r.daemon.Register(f)
	f.IntVar(&r.o.Clients, "clients", 8, "clients, each of which waits for its answers")
	f.DurationVar(&r.o.Duration, "duration", 20*time.Second, "how long")
	f.DurationVar(&r.o.Pause, "pause", 5*time.Millisecond, "of a client, after each answer")
	f.DurationVar(&r.most, "most", 0, "how long nothing may be acknowledged; 0: however long")
	f.StringVar(&r.history, "history", "", "file to write what was asked and answered to, for statehouse-sim check")
	f.BoolVarP(&a.yes, "yes", "y", false, "commit at daemons that run")
	f.BoolVar(&a.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (r *failoverRun) run(ctx context.Context) error {
	config, err := r.daemon.Config()
	if err != nil {
		return usageError{err}
	}
	config.Namespace = fmt.Sprintf("bench-failover-%d", time.Now().UnixNano())
	r.o.Config = config
	report, h, err := failover.Run(ctx, r.o)
	if err != nil {
		return err
	}
	if r.history != "" {
		file, err := os.Create(r.history)
		if err == nil {
			err = errors.Join(h.Write(file), file.Close())
		}
		if err != nil {
			return fmt.Errorf("the history cannot be written: %w", err)
		}
	}
	if r.asJSON {
		var e show.Encoder
		text, err := e.Encode(report)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(r.out, string(text))
		if err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(r.out, "commits %d, reads %d, given up %d\nlatency of a commit p50 %v, p99 %v\nlongest time without a commit %v, from %v on\n",
		report.Commits, report.Reads, report.Failed, ms3(report.P50), ms3(report.P99), ms3(report.Outage), ms3(report.At)); err != nil {
		return err
	}
	if report.Why != "" && !r.asJSON {
		r.say("the last that was given up: %s", report.Why)
	}
	if r.most > 0 && report.Outage > r.most {
		return fmt.Errorf("nothing was acknowledged for %v, and --most is %v", ms3(report.Outage), r.most)
	}
	return nil
}

func ms3(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
