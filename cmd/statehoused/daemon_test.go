package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// The real binary, built once.
var (
	binary      string
	buildFlags  []string
	raceEnabled bool
)

// sweep is set where there is time for longer runs.
var sweep = os.Getenv("STATEHOUSE_SWEEP") == "full"

func newRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 1)) }

func TestMain(m *testing.M) { os.Exit(withBinary(m.Run)) }

func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "statehoused-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "statehoused")
	args := append([]string{"build", "-tags", "grpcnotrace", "-o", binary, "-ldflags", "-X main.version=1.2.3 -X main.gitSHA=abcdef"}, buildFlags...)
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go %v: %v\n%s", args, err, out)
		return 1
	}
	return run()
}

// The words of waiting: see wiretest.
const patience = wiretest.Patience

var (
	errNotYet  = wiretest.ErrNotYet
	eventually = wiretest.Eventually
	call       = wiretest.Timeout
)

// daemon is a running statehoused. When the test ends it is killed, if it still
// runs, and its log must not tell of a race or a panic.
type daemon struct {
	pb.StatehouseServiceClient
	t     *testing.T
	cmd   *exec.Cmd
	addrs []string // it listens on
	conn  *grpc.ClientConn
	pipe  *os.File // its log is read from

	serving, ended chan struct{}

	mu   sync.Mutex
	said strings.Builder
	code int
}

// environment is a clean one: what the developer has set must not matter.
func environment(env ...string) []string {
	out := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	return append(out, env...)
}

func command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = environment(env...)
	return cmd
}

// launch starts the binary, and returns when it serves or has ended.
func launch(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	return launched(t, command(env, args...))
}

// launched is launch with a command that becomes the binary.
func launched(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := begun(t, cmd)
	select {
	case <-d.serving:
	case <-d.ended:
	case <-time.After(patience):
		t.Fatalf("the daemon neither serves nor ends:\n%s", d.log())
	}
	return d
}

// begun starts a command that becomes the binary, and does not wait.
func begun(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	if raceEnabled && !sweep {
		t.Skip("the daemon is a process of its own, built without the race detector")
	}
	d := &daemon{t: t, cmd: cmd, serving: make(chan struct{}), ended: make(chan struct{})}
	d.cmd.Dir = t.TempDir() // where ./data would be
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = in, in
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	d.pipe = out
	go d.listen(out)
	t.Cleanup(func() {
		d.kill()
		if d.conn != nil {
			_ = d.conn.Close()
		}
		if log := d.log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
			t.Errorf("the daemon's log:\n%s", log)
		}
	})
	return d
}

// listen reads the log until the process has ended.
func (d *daemon) listen(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d.mu.Lock()
		fmt.Fprintln(&d.said, lines.Text())
		if _, rest, found := strings.Cut(lines.Text(), "msg=listening address="); found {
			d.addrs = append(d.addrs, strings.Trim(strings.Fields(rest)[0], `"`))
		}
		d.mu.Unlock()
		if strings.Contains(lines.Text(), "msg=serving") {
			close(d.serving)
		}
	}
	_ = d.cmd.Wait()
	d.code = d.cmd.ProcessState.ExitCode()
	close(d.ended)
}

func (d *daemon) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.String()
}

// start launches a daemon that must serve, on a free loopback port.
func start(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	d := launch(t, nil, append([]string{"--data-dir", dir, "--listen-addr", "127.0.0.1:0"}, args...)...)
	d.connect()
	return d
}

func (d *daemon) connect(opts ...grpc.DialOption) {
	d.t.Helper()
	if len(d.addrs) == 0 {
		d.t.Fatalf("the daemon does not listen:\n%s", d.log())
	}
	d.conn = d.dial(opts...)
	d.StatehouseServiceClient = pb.NewStatehouseServiceClient(d.conn)
}

func (d *daemon) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	d.t.Helper()
	if len(opts) == 0 {
		opts = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient("passthrough:///"+d.addrs[0], opts...)
	if err != nil {
		d.t.Fatal(err)
	}
	return conn
}

// kill ends the process as a power cut would, as far as the process can tell.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// signal sends s and does not wait.
func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Error(err)
	}
}

// exit waits for the process to end by itself and returns its code.
func (d *daemon) exit() int {
	d.t.Helper()
	select {
	case <-d.ended:
		return d.code
	case <-time.After(patience):
		d.t.Fatalf("the daemon does not end:\n%s", d.log())
		return -1
	}
}

// terminate stops the daemon in order.
func (d *daemon) terminate() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != exitOK {
		d.t.Errorf("SIGTERM ended with %d:\n%s", code, d.log())
	}
}

// fails launches a daemon that must refuse to start: with a code, and in words.
func fails(t *testing.T, code int, says []string, env []string, args ...string) {
	t.Helper()
	d := launch(t, env, args...)
	select {
	case <-d.ended:
	default:
		t.Errorf("%v %v: it serves", env, args)
		return
	}
	if d.code != code {
		t.Errorf("%v %v: exit code %d, want %d:\n%s", env, args, d.code, code, d.log())
	}
	last := lastLine(d.log())
	if !strings.HasPrefix(last, "statehoused: ") {
		t.Errorf("%v %v: the last words are %q", env, args, last)
	}
	for _, word := range says {
		if !strings.Contains(last, word) {
			t.Errorf("%v %v: %q does not say %q", env, args, last, word)
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// verified holds that Verify finds nothing in a directory nobody has open.
func verified(t *testing.T, dir string) engine.Report {
	t.Helper()
	env, closeEnv := engine.OSEnv(func(err error) { t.Error(err) }, func(string, ...any) {})
	defer closeEnv()
	report, err := engine.Verify(env, dir, nil)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return report
}

func put(agent, key, json string) *pb.TransactOperation {
	return &pb.TransactOperation{AgentId: agent, Key: key, ValueJson: []byte(json)}
}

// detail is the StatehouseError's code, UNKNOWN where there is none.
func detail(err error) pb.ErrorCode {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*pb.StatehouseError); ok {
			return d.Code
		}
	}
	return pb.ErrorCode_UNKNOWN
}

// gone tells whether an error is what a client sees of a daemon that is no more.
func gone(err error) bool {
	c := status.Code(err)
	return c == codes.Unavailable || c == codes.Canceled || errors.Is(err, io.EOF)
}
