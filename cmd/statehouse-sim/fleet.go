package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
)

// fleet runs jobs in worker processes, one a core, each of which does one run at
// a time on one thread: that is what makes runs exact.
type fleet struct {
	size   int
	binary string // of the workers
	// recycle is how many runs a process does. What a halted engine holds stays with
	// the process, as it does in production, where the process ends.
	recycle int
	env     []string // variables that the workers have besides ours
	most    bound    // what a run may take; the zero value is endless
}

// endless is hundreds of times what a run takes: one that takes more does not end.
var endless = bound{time.Minute, 4 << 30}

func newFleet(size int) (*fleet, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, failed(exitInternal, "finding this program: %v", err)
	}
	return &fleet{size: size, binary: binary, recycle: 500}, nil
}

// run does the jobs that next hands out, until it has no more, and gives each
// outcome to done. Neither is called by two goroutines at once.
func (f *fleet) run(ctx context.Context, next func() (job, bool), done func(outcome)) error {
	var mu sync.Mutex
	take := func() (job, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return job{}, false
		}
		return next()
	}
	give := func(o outcome) {
		mu.Lock()
		defer mu.Unlock()
		done(o)
	}
	errs := make(chan error, f.size)
	for range f.size {
		go func() { errs <- f.serve(ctx, take, give) }()
	}
	var first error
	for range f.size {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// serve feeds one worker, and a new one whenever that has done its share.
func (f *fleet) serve(ctx context.Context, take func() (job, bool), give func(outcome)) error {
	for ctx.Err() == nil {
		w, err := f.hire(ctx)
		if err != nil {
			return err
		}
		more := true
		for n := 0; n < f.recycle && more; n++ {
			var j job
			if j, more = take(); !more {
				break
			}
			o, killed, err := w.within(j, cmp.Or(f.most, endless))
			if err == nil {
				give(o)
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			give(w.died(j, killed))
			break
		}
		_ = w.dismiss() // what it had to say it has said
		if !more {
			return nil
		}
	}
	return nil
}

type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	last saying // what it said on standard error
}

// saying keeps the beginning of what a process says, which may be without end.
type saying struct{ bytes.Buffer }

func (s *saying) Write(b []byte) (int, error) {
	_, _ = s.Buffer.Write(b[:min(len(b), max(0, 1<<16-s.Len()))]) // it cannot fail
	return len(b), nil
}

// died is the outcome of a job whose process did not survive it: a panic that cannot be
// recovered, as Pebble's are, or a run without an end, for which it was killed.
func (w *worker) died(j job, killed string) outcome {
	_ = w.dismiss()
	sentence := "the process was torn down in the middle of the run:\n" + firstLines(w.last.String(), 12)
	if killed != "" {
		sentence = "the run did not end, and its process was killed: " + killed
	}
	return outcome{Seed: j.Seed, Class: j.Class, File: j.Scenario, Violations: []verdict.Violation{{
		Guarantee: "G7", Check: "process-died", Sentence: sentence,
	}}}
}

func (f *fleet) hire(ctx context.Context) (*worker, error) {
	cmd := exec.CommandContext(ctx, f.binary, "worker")
	cmd.Env = append(os.Environ(), f.env...)
	w := &worker{cmd: cmd}
	cmd.Stderr = &w.last
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	w.in, w.out = in, bufio.NewReaderSize(out, 1<<20)
	return w, nil
}

func (w *worker) do(j job) (o outcome, err error) {
	if err := json.NewEncoder(w.in).Encode(j); err != nil {
		return o, err
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(line, &o)
}

func (w *worker) dismiss() error {
	_ = w.in.Close()
	return w.cmd.Wait()
}
