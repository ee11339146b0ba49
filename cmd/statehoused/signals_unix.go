//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stopSignals are those that stop the daemon. A shell that starts a program in the
// background has it ignore what the keyboard sends to the foreground; so does the
// daemon then.
func stopSignals() []os.Signal {
	if signal.Ignored(syscall.SIGINT) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT}
}

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
