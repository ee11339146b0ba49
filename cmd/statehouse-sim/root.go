package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/linearizability/verdict"
)

const rootHelp = `statehouse-sim runs the code of the daemon in a simulated world: disk, clock,
randomness, network and scheduling are simulated, everything else is what runs in
production. It injects crashes, failing disks, lost and repeated messages, and
judges every answer that a client was given.

A run follows from its seed: the same build and seed do the same thing. What fails
is shrunk to a scenario of a few lines, which anybody can run again.

Exit codes: 0 every guarantee held, 1 a guarantee was broken, 2 wrong usage (or a
scenario that does not make sense), 3 a request was never answered (liveness), 4
two runs of one seed differed, 5 the runs did too little to mean anything, 6 the
simulator itself failed, 7 a history could not be checked, 130 interrupted.`

// The exit codes.
const (
	exitViolation    = 1
	exitUsage        = 2
	exitLiveness     = 3
	exitNondetermism = 4
	exitVacuous      = 5
	exitInternal     = 6
	exitUnchecked    = 7
	exitInterrupted  = 130
)

// failure is an error with the code that the program exits with.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// codeOf is the exit code of a broken guarantee.
func codeOf(v *verdict.Violation) int {
	if v.Guarantee == "G9" {
		return exitLiveness
	}
	return exitViolation
}

// app is what the commands share: the outside world and the global flags.
type app struct {
	in     io.Reader
	out    io.Writer // both through show.Writer: what is printed may be a stranger's
	err    io.Writer
	raw    rawOutput
	now    func() time.Time
	asJSON bool
}

// rawOutput is the output as it is: for bytes that go to a program, and to move a
// terminal's cursor.
type rawOutput struct{ out, err io.Writer }

func newRoot(in io.Reader, out, err io.Writer) *cobra.Command {
	a := &app{in: in, out: show.NewWriter(out), err: show.NewWriter(err), raw: rawOutput{out, err}, now: time.Now}
	root := &cobra.Command{
		Use: "statehouse-sim", Short: "Simulate Statehouse, break its world, and check that its guarantees hold",
		Long: rootHelp, Version: version + " (" + commit() + ")", SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print JSON, one object a line")
	root.AddCommand(
		a.fuzzCommand(), a.runCommand(), a.sweepCommand(), a.shrinkCommand(), a.explainCommand(), a.proveCommand(), a.interleaveCommand(),
		a.liveCommand(), a.checkCommand(), a.convertCommand(), a.bundleCommand(), a.reproCommand(), a.plantCommand(), a.ciCommand(), a.serveCommand(), a.workerCommand(),
	)
	return root
}

// terminal reports whether a person watches standard error.
func (a *app) terminal() bool {
	f, ok := a.raw.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// clearLine wipes what a progress line left.
func (a *app) clearLine() {
	if !a.asJSON && a.terminal() {
		fmt.Fprint(a.raw.err, "\r\x1b[K")
	}
}

// execute runs the tool and returns the process's exit code.
func execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var f *failure
	if errors.As(err, &f) {
		if text := err.Error(); text != "" {
			fmt.Fprintln(root.ErrOrStderr(), "statehouse-sim: "+text)
		}
		return f.code
	}
	fmt.Fprintln(root.ErrOrStderr(), "statehouse-sim: "+err.Error())
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitUsage
}

// single makes this process as deterministic as a run needs it: one thread at a
// time runs Go code, and nothing is collected in the middle of a run. What it returns
// undoes it.
func single() (undo func()) {
	threads, percent := runtime.GOMAXPROCS(1), debug.SetGCPercent(-1)
	return func() {
		runtime.GOMAXPROCS(threads)
		debug.SetGCPercent(percent)
	}
}

// collector makes a function that collects garbage, once enough of it has piled up. It is
// called between two runs of a process that is single.
func collector() func() {
	const enough = 256 << 20
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	collected := uint64(0)
	return func() {
		metrics.Read(allocated)
		if n := allocated[0].Value.Uint64(); n-collected > enough {
			runtime.GC()
			collected = n
		}
	}
}

// commit is the commit that this build is of, as far as can be told: "go run" does
// not stamp its builds, but runs in the repository that it builds from.
func commit() string {
	if gitSHA != "unknown" {
		return gitSHA
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	if sha, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output(); err == nil {
		return strings.TrimSpace(string(sha))
	}
	return "unknown"
}
