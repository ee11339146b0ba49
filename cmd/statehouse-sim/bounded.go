package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/sim/mutant"
)

// bound is what a process may take, a worker for one job. A mistake can make a loop endless, or a table
// boundless, or let everybody wait for each other.
type bound struct {
	time   time.Duration // of its processor, and to do nothing at all
	memory int64
}

// within does a job, and kills the worker if that takes more than it may: killed says of
// what. err is that of a worker which is no more.
func (w *worker) within(j job, b bound) (o outcome, killed string, err error) {
	done, watched := make(chan struct{}), make(chan string, 1)
	go func() { watched <- watch(w.cmd.Process, done, b) }()
	o, err = w.do(j)
	close(done)
	return o, <-watched, err
}

// watch looks at a process until it is done, and kills it if that takes more than it may.
func watch(p *os.Process, done <-chan struct{}, b bound) string {
	const pause = 200 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	pid := p.Pid
	began, _ := processorTime(pid)
	last, idle := began, time.Duration(0)
	for {
		select {
		case <-done:
			return ""
		case <-tick.C:
		}
		// The clock says little: the machine may be busy with something else.
		now, asleep := processorTime(pid)
		if idle += pause; now != last || !asleep {
			idle = 0
		}
		last = now
		killed := ""
		switch {
		case now-began > b.time || idle > b.time:
			killed = mutant.Hang
		case residentMemory(pid) > b.memory:
			killed = mutant.Memory
		default:
			continue
		}
		_ = p.Kill() // it has ended otherwise
		return killed
	}
}

// processorTime is how long a process has run, and whether it waits for something, where the
// system says so: Linux. Elsewhere it seems to wait all the time.
func processorTime(pid int) (total time.Duration, asleep bool) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // none: it says nothing
	_, rest, _ := bytes.Cut(text, []byte(") "))
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0, true
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100), fields[0] == "S"
}

// residentMemory is what a process has in memory, in bytes, likewise.
func residentMemory(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
