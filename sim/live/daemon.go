package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// daemon is a statehoused, in one process after the other: always on the same store and at
// the same address.
type daemon struct {
	binary, dir, address string
	args                 []string

	// Of the process that runs now, or ran last.
	cmd   *exec.Cmd
	said  *words
	ended chan struct{} // closed when the process is gone
}

// freeAddress finds a port for all processes of the daemon. It is not one that the system
// hands out: a client of ours that dials while no daemon listens could be given that very
// port to dial from, be connected with itself, and keep the daemon out.
func freeAddress() (string, error) {
	var last error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		return address, l.Close()
	}
	return "", fmt.Errorf("finding a free port: %w", last)
}

// launch starts the process and waits for nothing.
func (d *daemon) launch() error {
	d.said, d.ended = &words{}, make(chan struct{})
	d.cmd = exec.Command(d.binary, append([]string{"--data-dir", d.dir, "--listen-addr", d.address}, d.args...)...)
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // no setting of the person who runs this
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	if err := d.cmd.Start(); err != nil {
		close(d.ended)
		return fmt.Errorf("starting %s: %w", d.binary, err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // what it ended with is asked of its state
		close(ended)
	}(d.cmd, d.ended)
	return nil
}

// start launches the process, and waits until it says that it serves.
func (d *daemon) start(ctx context.Context, patience time.Duration) error {
	if err := d.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	go func(ended chan struct{}) {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}(d.ended)
	conn, err := grpc.NewClient("passthrough:///"+d.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.5, MaxDelay: 50 * time.Millisecond}, MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		err := serves(ctx, healthpb.NewHealthClient(conn))
		if err == nil {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("it ended with exit code %d: %s", d.code(), d.said.last())
		default:
		}
		if ctx.Err() != nil {
			return fmt.Errorf("it neither serves nor ends (%w): %s", err, d.said.last())
		}
	}
}

// serves waits until the health service says so.
func serves(ctx context.Context, health healthpb.HealthClient) error {
	s, err := health.Watch(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	for err == nil {
		var m *healthpb.HealthCheckResponse
		if m, err = s.Recv(); err == nil && m.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
	}
	return err
}

// kill ends the process on the spot, and waits until it is gone.
func (d *daemon) kill() {
	if d.cmd == nil || d.cmd.Process == nil {
		return // it never ran
	}
	_ = d.cmd.Process.Kill() // it may be gone already
	<-d.ended
}

func (d *daemon) signal(s syscall.Signal) error { return d.cmd.Process.Signal(s) }

// errStuck: the process was told to end, and does not.
var errStuck = errors.New("it does not end")

// terminate asks the process to end, and waits.
func (d *daemon) terminate(patience time.Duration) error {
	if err := d.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		return errStuck
	}
	if code := d.code(); code != 0 {
		return fmt.Errorf("exit code %d: %s", code, d.said.last())
	}
	return nil
}

// code is what the process ended with, once it has; -1: by a signal.
func (d *daemon) code() int { return d.cmd.ProcessState.ExitCode() }

// words is what a process said: the last of it.
type words struct {
	mu  sync.Mutex
	buf []byte
}

// maxWords of a process are kept: a Go panic with all its goroutines.
const maxWords = 256 << 10

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf = append(w.buf, p...); len(w.buf) > 2*maxWords {
		w.buf = append([]byte(nil), w.buf[len(w.buf)-maxWords:]...)
	}
	return len(p), nil
}

func (w *words) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}

// last lines of it.
func (w *words) last() string {
	lines := strings.Split(strings.TrimSpace(w.text()), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// panicked is the part of it that shows a panic or a data race; "" for none.
func (w *words) panicked() string {
	text := w.text()
	for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if i := strings.Index(text, sign); i >= 0 {
			return text[i:min(len(text), i+4000)]
		}
	}
	return ""
}
