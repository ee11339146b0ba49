//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are those that are answered while the daemon runs.
type signals struct{ hangup, user1 chan os.Signal }

// catchSignals holds the signals from now on, to the end of the process. What comes
// before somebody answers waits; more of the same kind is the same question.
func catchSignals() *signals {
	// A reader of the log, or of standard output, that has gone makes a write fail. It
	// must not end the daemon.
	signal.Ignore(syscall.SIGPIPE)
	s := &signals{make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.hangup, syscall.SIGHUP)
	signal.Notify(s.user1, syscall.SIGUSR1)
	return s
}

// release has SIGHUP end the process, as by default, and SIGUSR1 do nothing, as the Go
// runtime has it.
func (s *signals) release() {
	signal.Stop(s.hangup)
	signal.Stop(s.user1)
}
