package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	lin "statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/sim/live"
	"statehouse.dev/statehouse/sim/planted"
)

type liveFlags struct {
	live.Options
	report string
}

func (a *app) liveCommand() *cobra.Command {
	var o liveFlags
	cmd := &cobra.Command{
		Use: "live", Short: "Kill and stop the real daemon under real clients, and judge what they were told", Args: cobra.NoArgs,
		Long: `live runs the real daemon: its binary, on this machine's disk, with clients that talk
to it over gRPC at once. It kills it (SIGKILL), stops it (SIGSTOP) and ends it
(SIGTERM) in the midst of that, at moments drawn from the seed, and gives what every
client was told to the same judge as the simulator does. At the end the daemon is
killed once more, its log is read, and its store is verified offline.

Unlike a run of the simulator it does not follow from its seed alone: the operating
system schedules it.

Without --daemon it builds the daemon of the repository that it is run in, or takes
the statehoused on the PATH.`,
		Example: "  statehouse-sim live\n  statehouse-sim live --for 5m --clients 32 --kills 60 --stops 20\n  statehouse-sim live --daemon /usr/bin/statehoused --report live.html",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.live(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Daemon, "daemon", "", "the daemon's binary")
	f.DurationVar(&o.For, "for", 20*time.Second, "how long the clients work")
	f.IntVar(&o.Clients, "clients", 8, "clients at work at once")
	f.IntVar(&o.Kills, "kills", 5, "how often to kill the daemon; some of them are followed by another while it comes back")
	f.IntVar(&o.Stops, "stops", 3, "how often to stop the daemon for up to 1.5 s")
	f.Uint64Var(&o.Seed, "seed", 1, "what the moments and the clients' choices are drawn from")
	f.StringVar(&o.report, "report", "", "write an HTML report of the run to this file")
	return cmd
}

func (a *app) live(ctx context.Context, o liveFlags) error {
	if o.For <= 0 || o.Clients < 1 || o.Kills < 0 || o.Stops < 0 {
		return failed(exitUsage, "--for must be more than 0, --clients at least 1, --kills and --stops not negative")
	}
	dir, err := os.MkdirTemp("", "statehouse-live-")
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	kept := false
	defer func() {
		if !kept {
			_ = os.RemoveAll(dir)
		}
	}()
	if o.Daemon == "" {
		if o.Daemon, err = findDaemon(ctx, dir); err != nil {
			return failed(exitUsage, "%v", err)
		}
	}
	o.Dir = filepath.Join(dir, "data")
	o.Terms = (o.Kills + 2) / 4
	clear := func() {}
	if f, ok := a.err.(*os.File); ok && !a.asJSON && term.IsTerminal(int(f.Fd())) {
		o.Progress = func(s live.Stats) { fmt.Fprintf(f, "\r\x1b[K%s", liveLine(&s)) }
		clear = func() { fmt.Fprint(f, "\r\x1b[K") }
	}
	r, err := live.Run(ctx, o.Options)
	clear()
	switch {
	case ctx.Err() != nil:
		return failed(exitInterrupted, "interrupted")
	case err != nil:
		return failed(exitInternal, "%v", err)
	}
	kept = len(r.Violations) > 0
	if o.report != "" {
		if err := writeLiveReport(o.report, r); err != nil {
			return err
		}
	}
	return a.concludeLive(r, o.report, o.Dir)
}

// findDaemon builds the daemon into dir, or finds it.
func findDaemon(ctx context.Context, dir string) (string, error) {
	root, err := planted.Root(ctx, ".")
	if err == nil {
		return live.Build(ctx, root, dir)
	}
	path, err := exec.LookPath("statehoused")
	if err != nil {
		return "", fmt.Errorf("there is no daemon: give --daemon, put statehoused on the PATH, or run this inside the repository (%w)", err)
	}
	return path, nil
}

func liveLine(s *live.Stats) string {
	return fmt.Sprintf("%.1fs, %d operations, %d acked commits, %d kills, %d stops", s.Seconds, s.Operations, s.Acked, s.Kills, s.Stops)
}

func writeLiveReport(path string, r *live.Result) error {
	judged := r.Judged
	judged.Violations, judged.Verdict = r.Violations, r.Verdict()
	f, err := os.Create(path)
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	err = lin.Report(f, r.History, judged)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return failed(exitInternal, "the report: %v", err)
	}
	return nil
}

// concludeLive prints what came of it.
func (a *app) concludeLive(r *live.Result, report, data string) error {
	if a.asJSON {
		line := struct {
			live.Stats
			Verdict    lin.Verdict     `json:"verdict"`
			Violations []lin.Violation `json:"violations"`
			Vacuous    bool            `json:"vacuous"`
			Commit     string          `json:"commit"`
		}{r.Stats, r.Verdict(), append([]lin.Violation{}, r.Violations...), r.Vacuous(), commit()}
		if err := json.NewEncoder(a.out).Encode(line); err != nil {
			return err
		}
	} else if err := a.printLive(r, report, data); err != nil {
		return err
	}
	switch {
	case len(r.Violations) > 0:
		v := &r.Violations[0]
		return &failure{codeOf(v), fmt.Errorf("%s is broken", v.Promise)}
	case r.Vacuous():
		return failed(exitVacuous, "the run did too little to mean anything")
	}
	return nil
}

func (a *app) printLive(r *live.Result, report, data string) error {
	s := &r.Stats
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "operations\t%d in %.1fs (%.0f/s), all judged\n", s.Operations, s.Seconds, float64(s.Operations)/max(s.Seconds, 0.001))
	fmt.Fprintf(w, "commits\t%d acknowledged, %d in the log\n", s.Acked, s.Commits)
	fmt.Fprintf(w, "unknown\t%d commits were sent and not answered: %d of them are in the log; %d other calls without an answer\n", s.Unknown, s.Applied, s.Broken)
	fmt.Fprintf(w, "faults\t%d kills, %d stops, %d ends in order; %d lives of the daemon\n", s.Kills, s.Stops, s.Terms, s.Lives)
	verified := "the store was not verified"
	if s.Verified {
		verified = "the state was rebuilt from the log and compared: it is right"
	}
	fmt.Fprintf(w, "verify\t%s\n", verified)
	fmt.Fprintf(w, "verdict\t%s\n", r.Verdict())
	if report != "" {
		fmt.Fprintf(w, "report\t%s\n", report)
	}
	if err := w.Flush(); err != nil || len(r.Violations) == 0 {
		return err
	}
	judged := r.Judged
	judged.Violations = r.Violations
	if err := lin.Story(a.out, r.History, judged, 20); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nthe store is kept in %s\n", data)
	return err
}
