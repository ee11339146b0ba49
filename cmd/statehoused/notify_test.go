//go:build unix

package main

import (
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// supervisor is a socket like systemd's.
func supervisor(t *testing.T, path string) func() string {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return func() string {
		text := make([]byte, 4096)
		_ = l.SetReadDeadline(time.Now().Add(patience))
		n, err := l.Read(text)
		if err != nil {
			t.Fatalf("the supervisor hears nothing: %v", err)
		}
		return string(text[:n])
	}
}

// TestNotify: a daemon tells its supervisor when it serves, that it lives, and when it stops.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	heard := supervisor(t, path)
	d := launch(t, []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=200000"}, "--listen-addr", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
	if got := heard(); !strings.HasPrefix(got, "READY=1\nSTATUS=serving ") {
		t.Errorf("first it says %q", got)
	}
	for range 3 {
		if got := heard(); got != "WATCHDOG=1" {
			t.Errorf("then it says %q", got)
		}
	}
	d.terminate()
	for got := heard(); got != "STOPPING=1"; got = heard() {
		if got != "WATCHDOG=1" {
			t.Fatalf("at the end it says %q", got)
		}
	}
}

// TestWatchdogOfTheSick: no supervisor takes a daemon that is not healthy for one that is.
func TestWatchdogOfTheSick(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	heard := supervisor(t, path)
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000"}
	n := newNotifier(func(name string) string { return env[name] }, slog.New(slog.DiscardHandler))
	var sick atomic.Bool
	stop := n.watchdog(func() error {
		if sick.Load() {
			return errors.New("storage\nfailed")
		}
		return nil
	})
	defer stop()
	if got := heard(); got != "WATCHDOG=1" {
		t.Error(got)
	}
	sick.Store(true)
	const underWay = 100 // pings that may be: far more than there are
	for pings := 0; ; pings++ {
		got := heard()
		if got == "STATUS=not serving: storage failed" {
			break
		}
		if got != "WATCHDOG=1" || pings == underWay {
			t.Fatalf("after %d pings it says %q", pings, got)
		}
	}
	for range 5 {
		if got := heard(); got == "WATCHDOG=1" {
			t.Error("it is sick and says that it lives")
		}
	}
}

// TestNobodyToNotify: without a supervisor, with one that is gone, and with a watchdog for
// another process, nothing is told and nothing fails.
func TestNobodyToNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	supervisor(t, path)
	for _, env := range []map[string]string{
		{}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1"}, {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "x"},
	} {
		n := newNotifier(func(name string) string { return env[name] }, slog.New(slog.DiscardHandler))
		n.tell("READY=1")
		n.watchdog(func() error { t.Error("it pings"); return nil })()
	}
}
