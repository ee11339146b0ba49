package session

import "time"

// Workers runs jobs on goroutines that are used again: their stacks have grown already.
type Workers struct {
	jobs chan Job
	idle chan struct{} // one for each goroutine that may wait for a job
	end  chan struct{}
}

// NewWorkers keeps up to most goroutines when they have nothing to do.
func NewWorkers(most int) *Workers {
	return &Workers{jobs: make(chan Job), idle: make(chan struct{}, most), end: make(chan struct{})}
}

// Go runs a job.
func (w *Workers) Go(j Job) {
	select {
	case w.jobs <- j:
	default:
		go w.work(j)
	}
}

// Stop ends the goroutines that wait for jobs, after the last session.
func (w *Workers) Stop() { close(w.end) }

func (w *Workers) work(j Job) {
	for {
		j.Run()
		select {
		case w.idle <- struct{}{}:
		default:
			return // there are enough
		}
		select {
		case j = <-w.jobs:
			<-w.idle
		case <-w.end:
			return
		}
	}
}

// After is time.AfterFunc, as Env has it.
func After(d time.Duration, f func()) (stop func() bool) { return time.AfterFunc(d, f).Stop }
