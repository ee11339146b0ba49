// Package interrupt says which signals end a command.
package interrupt

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals are SIGTERM and, unless whoever started the program has had it ignored, SIGINT.
// A shell does that for what it runs in the background, and nohup for what is to go on when
// its terminal is gone: an interrupt is then meant for others. To be notified of it would
// end that.
func Signals() []os.Signal {
	if signal.Ignored(syscall.SIGINT) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT}
}
