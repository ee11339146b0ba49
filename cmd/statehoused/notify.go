package main

import (
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells a supervisor how the daemon is, by the protocol of sd_notify(3): a datagram
// of assignments to the socket in NOTIFY_SOCKET. That is all of it, so no library is needed.
// Without a supervisor it does nothing.
type notifier struct {
	conn net.Conn      // nil: nobody wants to know
	ping time.Duration // the watchdog's patience; 0: there is none
	log  *slog.Logger
}

// newNotifier reads who wants to know from the environment.
func newNotifier(getenv func(string) string, log *slog.Logger) *notifier {
	n := &notifier{log: log}
	socket := getenv("NOTIFY_SOCKET")
	if socket == "" {
		return n
	}
	if strings.HasPrefix(socket, "@") { // in the abstract namespace
		socket = "\x00" + socket[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		log.Warn("the supervisor cannot be told that the daemon serves", "error", err)
		return n
	}
	n.conn = conn
	usec, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 40)
	pid := getenv("WATCHDOG_PID")
	if err == nil && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.ping = time.Duration(usec) * time.Microsecond
	}
	return n
}

// tell sends assignments, a line each.
func (n *notifier) tell(assignments string) {
	if n.conn == nil {
		return
	}
	if _, err := n.conn.Write([]byte(assignments)); err != nil {
		n.log.Debug("the supervisor was not told", "error", err)
	}
}

// watchdog says twice in the supervisor's patience that the daemon is alive, as long as it is
// healthy, until the returned function is called. One that is not, or hangs, is restarted.
func (n *notifier) watchdog(healthy func() error) (stop func()) {
	if n.conn == nil || n.ping <= 0 {
		return func() {}
	}
	tick := time.NewTicker(max(n.ping/2, time.Millisecond))
	done := make(chan struct{})
	go func() {
		defer tick.Stop()
		for {
			if err := healthy(); err != nil {
				n.tell("STATUS=not serving: " + strings.ReplaceAll(err.Error(), "\n", " "))
			} else {
				n.tell("WATCHDOG=1")
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}
