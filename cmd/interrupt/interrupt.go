// Package interrupt says which signals end a command. The daemon and the tools share it,
// so that Ctrl-C and a background shell mean the same to all of them.
package interrupt

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals returns SIGTERM and, unless the program was started with it ignored, SIGINT. A
// shell ignores SIGINT for commands in the background: an interrupt is then meant for
// others, and to be notified of it would end that.
func Signals() []os.Signal {
	if signal.Ignored(syscall.SIGINT) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT}
}
