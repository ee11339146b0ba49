//go:build unix

package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/wiretest"
)

// withFiles launches a daemon that may open only so many files.
func withFiles(t *testing.T, files int, args ...string) *daemon {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, fmt.Sprint(files), binary, "--listen-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = environment()
	return launched(t, cmd)
}

// idle opens connections that say nothing, or as much as a client does that then asks
// for nothing, and keeps them until the test ends.
func (d *daemon) idle(n int) {
	d.t.Helper()
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil || uint64(own.Cur) < uint64(n)+100 {
		d.t.Skipf("the test itself may open %d files only", own.Cur)
	}
	for i := range n {
		c, err := net.DialTimeout("tcp", d.addrs[0], patience)
		if err != nil {
			d.t.Fatalf("connection %d: %v", i, err)
		}
		d.t.Cleanup(func() { _ = c.Close() })
		if i%2 == 0 {
			_, _ = io.WriteString(c, http2.ClientPreface)
			_ = http2.NewFramer(c, nil).WriteSettings()
		}
	}
}

// Whatever the process may open, the shares add up to no more, and a daemon that serves
// has connections.
func TestShareFiles(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for limit := range 9000 {
		config := server.Config{}.WithDefaults()
		tuning := engine.Tuning{}
		err := shareFiles(limit, &tuning, &config, quiet)
		if (err != nil) != (limit < 199) {
			t.Fatalf("%d files: %v", limit, err)
		}
		if sum := tuning.Files() + config.ConnectionFiles() + otherFiles; err == nil && (sum > limit || config.Connections < fewestConnections || config.KeptBack < 4) {
			t.Fatalf("%d files: %d are shared, to %d connections and %d kept back", limit, sum, config.Connections, config.KeptBack)
		}
		if limit >= 8400 && config.Connections != 4096 {
			t.Fatalf("%d files: %d connections", limit, config.Connections)
		}
	}
}

// Connections never get at the files of the store, however few files the daemon may
// open: it writes, flushes and reads on under thousands of them.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ files, crowd int }{{256, 700}, {1024, 2500}} {
		t.Run(fmt.Sprint(c.files), func(t *testing.T) {
			t.Parallel() // the system tries a connection again that found no room, and most of this waits for it
			dir := filepath.Join(t.TempDir(), "data")
			d := withFiles(t, c.files, "--data-dir", dir)
			d.connect()
			if !strings.Contains(d.log(), "fewer connections than --max-connections") {
				t.Errorf("it does not say that it takes fewer connections:\n%s", d.log())
			}
			var crowd sync.WaitGroup
			crowd.Go(func() { d.idle(c.crowd) })
			value := fmt.Sprintf(`{"v":%q}`, strings.Repeat("x", 60_000))
			const commits = 400 // 24 MB: tables are written and merged
			for i := range commits {
				req := &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{put("a", fmt.Sprint("k", i%50), value)}}
				_, err := d.Transact(call(t), req, grpc.WaitForReady(true)) // its connection may be closed, and the next one refused
				for try := 1; status.Code(err) == codes.Unavailable && try < 10; try++ {
					_, err = d.Transact(call(t), req, grpc.WaitForReady(true)) // gRPC goes to another connection once by itself, and this crowd may close that, too
				}
				if err != nil {
					t.Fatalf("commit %d: %v\n%s", i, err, d.log())
				}
			}
			crowd.Wait()
			late := d.dial()
			defer late.Close()
			if got, err := pb.NewStatehouseServiceClient(late).GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "k7"}); err != nil || !got.Exists {
				t.Errorf("a new client: %v", err)
			}
			if n := len(replay(t, d, "default").events); n != commits {
				t.Errorf("replay has %d events", n)
			}
			d.terminate()
			verified(t, dir)
		})
	}
	d := withFiles(t, 100, "--use-memory")
	if code := d.exit(); code != exitUsage || !strings.Contains(lastLine(d.log()), "ulimit -n") {
		t.Errorf("with 100 files: %d\n%s", code, d.log())
	}
}

// Five thousand idle connections, more than there may be, shut nobody out.
func TestFiveThousandIdleConnections(t *testing.T) {
	t.Parallel() // with those of TestFewFiles, which wait
	d := start(t, filepath.Join(t.TempDir(), "data"))
	before := d.memory("VmRSS")
	d.idle(5000)
	for range 20 {
		conn := d.dial()
		if h, err := pb.NewStatehouseServiceClient(conn).Health(call(t), &pb.HealthRequest{}); err != nil || h.Status != "ok" {
			t.Errorf("a new client: %v", err)
		}
		if _, err := pb.NewStatehouseServiceClient(conn).GetState(call(t), &pb.GetStateRequest{AgentId: "a", Key: "k"}); err != nil {
			t.Errorf("a new client: %v", err)
		}
		_ = conn.Close()
	}
	t.Logf("resident: %d MiB before, %d after", before>>20, d.memory("VmRSS")>>20)
	d.terminate()
}

// Bodies that never end, of many requests on few connections, do not fill the memory:
// whether the daemon wants a token or not, and whatever their frames. They took 1.7 GB.
// What they take is --max-request-bytes, and half as much of requests that are refused
// and not told so yet, however many there are; with a token only what comes before the
// refusal. Where there is memory the collector lets four times as much garbage be, so
// it is made to collect early: what is measured is what is held.
func TestEndlessBodies(t *testing.T) {
	const requestBytes = 64 << 20
	for _, c := range []struct {
		what  string
		most  int64 // resident memory that comes to what there was
		frame int
		token bool
	}{
		{"with a token", requestBytes / 2, 12 << 10, true},
		{"without", requestBytes * 3 / 2, 12 << 10, false},
		{"in frames that take four times their bytes", requestBytes * 3 / 2, 4097, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			args := []string{"--listen-addr", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"), "--max-request-bytes", fmt.Sprint(requestBytes)}
			if c.token {
				args = append(args, "--token", "s3cret")
			}
			d := launch(t, []string{"GOGC=10"}, args...)
			d.connect()
			before := d.memory("VmRSS")
			var attackers sync.WaitGroup
			conns := make([]net.Conn, 4)
			for i := range conns {
				attackers.Go(func() { conns[i] = d.endless(1000, c.frame) })
			}
			attackers.Wait()
			peak := d.memory("VmHWM")
			t.Logf("resident: %d MiB before, %d at most", before>>20, peak>>20)
			if peak > before+c.most && !raceEnabled {
				t.Errorf("4,000 bodies that do not end took %d MiB", (peak-before)>>20)
			}
			if !c.token {
				if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
					t.Errorf("a whole request: %v", err)
				}
			}
			if !strings.Contains(d.log(), "refused") {
				t.Errorf("the log says nothing of it:\n%s", d.log())
			}
			for _, c := range conns {
				_ = c.Close() // the drain would wait for them
			}
			d.terminate()
		})
	}
}

// endless sends as much of the bodies of n requests as it may, in frames of a size, as
// fast as it is taken. The connection stays open.
func (d *daemon) endless(n, frame int) net.Conn {
	c, err := net.Dial("tcp", d.addrs[0])
	if err != nil {
		d.t.Error(err)
		return &net.TCPConn{}
	}
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	go func() { _, _ = io.Copy(io.Discard, c) }()
	fr := http2.NewFramer(c, nil)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = fr.WriteSettings()
	for i := range n {
		id := uint32(2*i + 1)
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: wiretest.Header(pb.StatehouseService_Transact_FullMethodName), EndHeaders: true})
		_ = fr.WriteData(id, false, wiretest.Prefix(4<<20-1))
		for range 60 << 10 / frame {
			if fr.WriteData(id, false, make([]byte, frame)) != nil {
				return c // cut off
			}
		}
	}
	return c
}
