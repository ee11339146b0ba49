package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/live"
	"statehouse.dev/statehouse/sim/planted"
)

type liveFlags struct {
	live.Options
	round   time.Duration
	report  string
	history string
	python  string
	kind    string // of the Python client
}

func (a *app) liveCommand() *cobra.Command {
	var o liveFlags
	cmd := &cobra.Command{
		Use: "live", Short: "Kill and stop the real daemon under real clients, and judge what they were told", Args: cobra.NoArgs,
		Long: `live runs the real daemon: its binary, on this machine's disk, with clients that talk
to it over gRPC at once. It kills it (SIGKILL), stops it (SIGSTOP) and ends it
(SIGTERM) while they work, at moments drawn from the seed, and gives what every
client was told to the same judge as the simulator does. At the end the daemon is
killed once more, its log is read, and its store is verified offline.

Unlike a run of the simulator it does not follow from its seed alone: the operating
system schedules it.

A long run is made of rounds, each with a store of its own, so that what must be
remembered and judged at once stays small.

With --cluster several daemons keep one store, and the clients have the addresses of all. One
fault comes after the other, at even distances, once the members have recovered from the one before. At
the end all must have the same, and it is told for how long no commit was acknowledged.

With --python the clients are programs that use the Python SDK, through a proxy which cuts
connections and loses answers. Judged are the requests, which the SDK records below its
retries, and what its users asked and were told.

Without --daemon it builds the daemon of the repository that it is run in, or takes
the statehoused on the PATH.`,
		Example: "  statehouse-sim live\n  statehouse-sim live --for 5m --clients 32 --kills 60 --stops 20\n  statehouse-sim live --daemon /usr/bin/statehoused --report live.html\n" +
			"  statehouse-sim live --python python --client async --for 5m",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.live(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Daemon, "daemon", "", "the daemon's binary")
	f.DurationVar(&o.For, "for", 20*time.Second, "how long the clients work")
	f.DurationVar(&o.round, "round", 30*time.Second, "the longest that one store is used")
	f.IntVar(&o.Clients, "clients", 8, "clients at work at once")
	f.IntVar(&o.Kills, "kills", 5, "how often to kill the daemon; some of them are followed by another while it comes back")
	f.IntVar(&o.Stops, "stops", 3, "how often to stop the daemon for up to 1.5 s")
	f.IntVar(&o.Members, "cluster", 1, "how many daemons keep the store, 3, 5 or 7: --kills and --stops are of the one that leads then")
	f.IntVar(&o.Terms, "follower-kills", 0, "with --cluster, how often to kill a member that does not lead")
	f.IntVar(&o.Deaf, "deaf", 0, "with --cluster, how often the one that leads hears nothing from the others for 3 s, which hear it")
	f.Uint64Var(&o.Seed, "seed", 1, "what the moments and the clients' choices are drawn from")
	f.StringVar(&o.report, "report", "", "write an HTML report of the run to this file")
	f.StringVar(&o.Capture, "capture", "", "write what the daemon of the last round recorded itself to this file, for check and repro")
	f.StringVar(&o.python, "python", "", "let the Python SDK in this directory do it, whose connections are broken, too")
	f.StringVar(&o.kind, "client", "both", "the client of the SDK: sync, async, or both in turn")
	f.StringVar(&o.history, "history", "", "write what the clients of the last round asked and were told to this file, for check")
	return cmd
}

func (a *app) live(ctx context.Context, o liveFlags) error {
	if o.For <= 0 || o.round <= 0 || o.Clients < 1 || o.Kills < 0 || o.Stops < 0 {
		return failed(exitUsage, "--for and --round must be more than 0, --clients at least 1, --kills and --stops not negative")
	}
	if o.Members < 1 || o.Members > 7 || o.Members%2 == 0 || o.Members > 1 && (o.python != "" || o.Capture != "") || o.Members == 1 && (o.Terms > 0 || o.Deaf > 0) {
		return failed(exitUsage, "--cluster is 3, 5 or 7 and goes with neither --python nor --capture; --follower-kills and --deaf are for it")
	}
	run, least, err := o.runner(ctx)
	if err != nil {
		return failed(exitUsage, "%v", err)
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
	var total live.Stats
	var last *live.Result
	rounds := max(least, int((o.For+o.round-1)/o.round))
	for i := range rounds {
		part := o.part(i, rounds)
		part.Dir = filepath.Join(dir, fmt.Sprintf("data-%d", i+1))
		if last, err = a.liveRound(ctx, part, &total, func(ctx context.Context, part live.Options) (*live.Result, error) { return run(ctx, part, i) }); err != nil {
			return err
		}
		total.Add(&last.Stats)
		if len(last.Violations) > 0 {
			kept = true
			break
		}
		if err := os.RemoveAll(part.Dir); err != nil {
			return failed(exitInternal, "%v", err)
		}
	}
	if o.report != "" {
		if err := writeLiveReport(o.report, last); err != nil {
			return err
		}
	}
	if o.history != "" {
		if err := historyTo(o.history, last.History); err != nil {
			return err
		}
	}
	return a.concludeLive(last, &total, o.report, dir)
}

// runner is what runs a round, given its number, and how many rounds there are at least.
func (o *liveFlags) runner(ctx context.Context) (run func(context.Context, live.Options, int) (*live.Result, error), least int, err error) {
	if o.python == "" {
		return func(ctx context.Context, part live.Options, _ int) (*live.Result, error) { return live.Run(ctx, part) }, 1, nil
	}
	kinds := map[string][]bool{"sync": {false}, "async": {true}, "both": {false, true}}[o.kind]
	if kinds == nil || o.Capture != "" {
		return nil, 0, errors.New("--client is sync, async or both, and --capture is not for --python")
	}
	dir, err := filepath.Abs(o.python)
	if err != nil {
		return nil, 0, err
	}
	program, err := live.FindPython(ctx, filepath.Dir(dir))
	if err != nil {
		return nil, 0, err
	}
	return func(ctx context.Context, part live.Options, i int) (*live.Result, error) {
		return live.RunPython(ctx, part, live.Python{Dir: dir, Program: program, Async: kinds[i%len(kinds)]})
	}, len(kinds), nil
}

// part is the share of a round in the whole.
func (o *liveFlags) part(i, rounds int) live.Options {
	share := func(n int) int { return n*(i+1)/rounds - n*i/rounds }
	part := o.Options
	part.For = o.For / time.Duration(rounds)
	part.Kills, part.Stops, part.Terms, part.Deaf = share(o.Kills), share(o.Stops), share((o.Kills+2)/4), share(o.Deaf)
	if o.Members > 1 {
		part.Terms = share(o.Terms)
	}
	part.Seed = o.Seed + uint64(i)
	return part
}

// liveRound runs one round, and shows how far it is to a person.
func (a *app) liveRound(ctx context.Context, o live.Options, before *live.Stats, run func(context.Context, live.Options) (*live.Result, error)) (*live.Result, error) {
	if !a.asJSON && a.terminal() {
		o.Progress = func(s live.Stats) {
			s.Add(before)
			a.clearLine()
			fmt.Fprintf(a.err, "%.1fs, %d operations, %d acked commits, %d kills, %d stops", s.Seconds, s.Operations, s.Acked, s.Kills, s.Stops)
		}
		defer a.clearLine()
	}
	r, err := run(ctx, o)
	switch {
	case ctx.Err() != nil:
		return nil, failed(exitInterrupted, "interrupted")
	case err != nil:
		return nil, failed(exitInternal, "%v", err)
	}
	return r, nil
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

func writeLiveReport(path string, r *live.Result) error {
	judged := r.Judged
	judged.Violations, judged.Verdict = r.Violations, r.Verdict()
	return reportTo(path, r.History, judged)
}

// concludeLive prints what came of it. last is the round that it ended with.
func (a *app) concludeLive(last *live.Result, total *live.Stats, report, dir string) error {
	vacuous := total.Acked < 10 || last.Vacuous()
	if a.asJSON {
		line := struct {
			live.Stats
			Verdict    verdict.Verdict     `json:"verdict"`
			Violations []verdict.Violation `json:"violations"`
			Vacuous    bool                `json:"vacuous"`
			Commit     string              `json:"commit"`
		}{*total, last.Verdict(), append([]verdict.Violation{}, last.Violations...), vacuous, commit()}
		if err := json.NewEncoder(a.out).Encode(line); err != nil {
			return err
		}
	} else if err := a.printLive(last, total, report, dir); err != nil {
		return err
	}
	switch {
	case len(last.Violations) > 0:
		v := &last.Violations[0]
		return &failure{codeOf(v), fmt.Errorf("%s is broken", v.Guarantee)}
	case vacuous:
		return failed(exitVacuous, "the run did too little to mean anything")
	}
	return nil
}

func (a *app) printLive(last *live.Result, s *live.Stats, report, dir string) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "operations\t%d in %.1fs (%.0f/s), all judged\n", s.Operations, s.Seconds, float64(s.Operations)/max(s.Seconds, 0.001))
	fmt.Fprintf(w, "commits\t%d acknowledged, %d in the log\n", s.Acked, s.Commits)
	fmt.Fprintf(w, "unknown\t%d commits were sent and not answered: %d of them are in the log; %d other calls without an answer\n", s.Unknown, s.Applied, s.Broken)
	fmt.Fprintf(w, "faults\t%d kills, %d stops, %d clean shutdowns; %d processes of the daemon; %d connections cut\n", s.Kills, s.Stops, s.Terms, s.Processes, s.Cuts)
	if n := len(s.Outages); n > 0 {
		slices.Sort(s.Outages)
		fmt.Fprintf(w, "without a leader\tno commit for %v at the median of %d faults, %v at most\n", s.Outages[n/2].Round(time.Millisecond), n, s.Outages[n-1].Round(time.Millisecond))
	}
	verified := "the state was rebuilt from the log and compared: it is right"
	if !s.Verified {
		verified = "it was not verified"
	}
	fmt.Fprintf(w, "store\t%s\n", verified)
	fmt.Fprintf(w, "verdict\t%s\n", last.Verdict())
	if report != "" {
		fmt.Fprintf(w, "report\t%s\n", report)
	}
	if err := w.Flush(); err != nil || len(last.Violations) == 0 {
		return err
	}
	judged := last.Judged
	judged.Violations = last.Violations
	if err := linearizability.Timeline(a.out, last.History, judged, 20); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nthe store is kept in %s\n", dir)
	return err
}
