package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/cmd/show"
)

// newLogger is a logger whose level can be changed while it is used.
func newLogger(s *settings, level *slog.LevelVar, w io.Writer) *slog.Logger {
	level.Set(s.level)
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

const (
	waitingLines = 4096            // of the log, while whoever reads it is slow
	lastWords    = 2 * time.Second // that the end of the process waits for its reader
)

// sink writes what it is given from a goroutine of its own, so that nothing else waits
// for whoever reads the log: a terminal that is stopped, a pipe that is full. Least of
// all may the end of a daemon whose storage has failed wait for that. What does not
// fit is counted, and the count is written once there is room.
type sink struct {
	w     io.Writer
	lines chan line
	lost  atomic.Int64
	last  lastLines
}

// line is text to write, or a question: has everything before it been written?
type line struct {
	text    []byte
	written chan<- struct{}
}

func newSink(w io.Writer) *sink {
	s := &sink{w: w, lines: make(chan line, waitingLines)}
	go s.run()
	return s
}

// run writes until the process ends. An error says that the reader is gone: there is
// nobody to tell.
func (s *sink) run() {
	for l := range s.lines {
		_, _ = s.w.Write(l.text)
		if n := s.lost.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(s.w, "statehoused: %s of the log had to be dropped: its reader is slow\n", show.Count(n, "line"))
		}
		if l.written != nil {
			close(l.written)
		}
	}
}

func (s *sink) Write(p []byte) (int, error) {
	s.last.add(p)
	select {
	case s.lines <- line{text: append([]byte(nil), p...)}:
	default:
		s.lost.Add(1)
	}
	return len(p), nil
}

// flush waits until everything is written, but not for ever.
func (s *sink) flush() {
	written, enough := make(chan struct{}), time.After(lastWords)
	select {
	case s.lines <- line{written: written}:
	case <-enough:
		return
	}
	select {
	case <-written:
	case <-enough:
	}
}
