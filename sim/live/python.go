package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/intent"
)

// Python is a Python SDK under test.
type Python struct {
	Dir     string // of the package, and of tests/intents, which uses it
	Program string // the interpreter
	Async   bool   // the client that is awaited
}

// Kind is the name of the client.
func (p *Python) Kind() string {
	if p.Async {
		return "async"
	}
	return "sync"
}

// FindPython finds an interpreter that has what the SDK needs: $PYTHON, that of python/ci.sh
// or the one on the PATH.
func FindPython(ctx context.Context, root string) (string, error) {
	places := []string{os.Getenv("PYTHON"), filepath.Join(root, ".cache", "python", "venv", "bin", "python"), "python3"}
	var last error
	for _, program := range slices.DeleteFunc(places, func(p string) bool { return p == "" }) {
		out, err := exec.CommandContext(ctx, program, "-c", "import grpc, google.protobuf, typing_extensions").CombinedOutput()
		if err == nil {
			return program, nil
		}
		last = fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return "", fmt.Errorf("there is no Python with grpcio, protobuf and typing_extensions (python/ci.sh makes one): %w", last)
}

// RunPython runs the daemon under programs that use the Python SDK through a proxy which breaks
// connections, and judges both what went over the wire, as the SDK itself records it below its
// retries, and what the programs were told.
func RunPython(ctx context.Context, o Options, p Python) (*Result, error) {
	r, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.daemon.kill()
	wall, err := newProxy(r.daemon.address, o.Seed)
	if err != nil {
		return nil, err
	}
	defer wall.close()
	out, err := os.MkdirTemp("", "statehouse-python-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	worked, err := r.drive(ctx, &p, wall, out)
	if err != nil || ctx.Err() != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	res := &Result{Stats: r.soFar(), History: &history.History{}}
	if r.alive() && worked {
		log, complete, err := r.audit(ctx)
		if err != nil {
			return nil, err
		}
		r.verify(ctx)
		if err := r.judgePython(res, out, log, complete); err != nil {
			return nil, err
		}
	}
	seconds := res.Stats.Seconds
	res.Stats = r.soFar()
	res.Stats.Seconds, res.Stats.Cuts = seconds, int(wall.cuts.Load())
	if len(res.History.Operations) > 0 {
		res.Stats.Operations, res.Stats.Acked = len(res.History.Operations), acknowledged(res.History)
		res.Stats.resolve(res.History)
	}
	res.Violations = append(r.violations, res.Violations...)
	return res, nil
}

// drive runs the programs, and the nemesis beside them. It reports whether they ended well.
func (r *run) drive(ctx context.Context, p *Python, wall *proxy, out string) (bool, error) {
	cmd := exec.CommandContext(ctx, p.Program, "-W", "error", "-m", "intents", "--address", wall.address(),
		"--seed", fmt.Sprint(r.o.Seed), "--clients", fmt.Sprint(r.o.Clients), "--kind", p.Kind(), "--out", out)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONPATH=" + p.Dir + string(os.PathListSeparator) + filepath.Join(p.Dir, "tests")}
	said := &words{}
	cmd.Stdout, cmd.Stderr = said, said
	stop, err := cmd.StdinPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.harass(ctx, plan(rand.New(rand.NewPCG(r.o.Seed, 1)), &r.o))
	until(ctx, r.begun.Add(r.o.For))
	wall.calm.Store(true)
	_ = stop.Close() // it is closed already if the program has ended
	select {
	case err := <-ended:
		if err != nil && ctx.Err() == nil {
			r.violate("G9", "client-failed", "the program that uses the SDK failed (%v): %s", err, said.last())
		}
		return err == nil, nil
	case <-time.After(r.o.Patience):
		r.violate("G9", "no-end", "Python clients are still waiting %v after the last fault", r.o.Patience)
		_ = cmd.Process.Kill() // it may end at last
		<-ended
		return false, nil
	}
}

// judgePython judges the two histories that the programs have left in a folder.
func (r *run) judgePython(res *Result, out string, log []history.Event, complete bool) error {
	wire, err := readFrom(filepath.Join(out, "wire.jsonl"))
	if err != nil {
		return err
	}
	told, err := readFrom(filepath.Join(out, "intents.jsonl"))
	if err != nil {
		return err
	}
	wire.Log, wire.Complete, wire.Header.Source = log, complete, "live"
	res.History = wire
	if !complete {
		return nil
	}
	intent.Exact(told, log)
	res.Judged = linearizability.Check(wire, linearizability.Options{Seed: r.o.Seed, Samples: 2, SampleSize: 60})
	res.Violations = append(res.Violations, res.Judged.Violations...)
	res.Violations = append(res.Violations, intent.Judge(wire, told, intent.Network{})...)
	res.Violations = append(res.Violations, unasked(told, log)...)
	if res.Judged.Verdict == verdict.Unknown && len(res.Violations) == 0 {
		res.Violations = append(res.Violations, notJudged)
	}
	return nil
}

// unasked are the commits that no call asked for: all who write are recorded.
func unasked(told *history.History, log []history.Event) (list []verdict.Violation) {
	asked := make(map[string]bool)
	for _, op := range told.Operations {
		asked[op.In.Metadata[intent.Tag]] = op.Kind.Info().Commits
	}
	for i := range log {
		if ev := &log[i]; !asked[ev.Metadata[intent.Tag]] {
			list = append(list, verdict.Violation{
				Guarantee: "G2", Check: "intent-unasked-commit", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("transaction %s is commit %d, and no user asked for that", ev.TxnID, ev.CommitTS),
			})
		}
	}
	return list
}

func readFrom(path string) (*history.History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return history.ReadHistory(f)
}

// acknowledged counts the commits that were acknowledged.
func acknowledged(h *history.History) (n int) {
	for _, op := range h.Operations {
		if op.Kind.Info().Commits && op.Outcome == history.OK {
			n++
		}
	}
	return n
}
