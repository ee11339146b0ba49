package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// answers holds that the daemon still commits.
func (d *daemon) answers(t *testing.T, what string) {
	t.Helper()
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: what, Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Whoever read the log, or standard output, is gone, and there is more to say.
func TestReaderOfTheLogIsGone(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "data"))
	if err := d.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		d.signal(syscall.SIGUSR1)
		d.signal(syscall.SIGHUP)
		d.answers(t, fmt.Sprint(i))
	}
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != exitOK {
		t.Errorf("it ended with %d, %v", code, d.cmd.ProcessState)
	}
}

// The log goes into a pipe that is full: nothing waits for it, not even the end.
func TestReaderOfTheLogSleeps(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	const setPipeSize = 1031
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, in.Fd(), setPipeSize, 4096); errno != 0 {
		t.Skip(errno)
	}
	d := &daemon{t: t, cmd: command(nil, "--use-memory", "--listen-addr", "127.0.0.1:0"), ended: make(chan struct{})}
	d.cmd.Dir, d.cmd.Stderr = t.TempDir(), in
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	t.Cleanup(d.kill)
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), "msg=serving"); {
		if _, rest, found := strings.Cut(lines.Text(), "msg=listening address="); found {
			d.addrs = append(d.addrs, strings.Fields(rest)[0])
		}
	}
	go func() {
		_ = d.cmd.Wait()
		d.code = d.cmd.ProcessState.ExitCode()
		close(d.ended)
	}()
	d.connect()
	t.Cleanup(func() { _ = d.conn.Close() })
	for i := range 100 { // a line each, at the least
		d.signal(syscall.SIGHUP)
		d.answers(t, fmt.Sprint(i))
	}
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != exitOK {
		t.Errorf("it ended with %d", code)
	}
}

// Nobody has given it a place for its words at all: no file of the store may come to
// stand where they go.
func TestClosedStandardStreams(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	addr := d.addrs[0]
	d.terminate()
	cmd := exec.Command("sh", "-c", `exec "$0" "$@" <&- >&- 2>&-`, binary, "--data-dir", dir, "--listen-addr", addr)
	cmd.Env = environment()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	again := &daemon{t: t, cmd: cmd, addrs: []string{addr}}
	again.connect()
	defer again.conn.Close()
	eventually(t, "it serves", func() error {
		_, err := again.Health(call(t), &pb.HealthRequest{})
		return err
	})
	again.answers(t, "closed")
	again.signal(syscall.SIGHUP)
	again.answers(t, "reloaded")
	again.signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	verified(t, dir)
}

// A daemon in the background of a shell is not what the keyboard interrupts.
func TestInterruptIgnored(t *testing.T) {
	cmd := exec.Command("sh", "-c", `trap "" INT; exec "$0" "$@"`, binary, "--use-memory", "--listen-addr", "127.0.0.1:0")
	cmd.Env = environment()
	d := launched(t, cmd)
	d.connect()
	d.signal(syscall.SIGINT)
	d.signal(syscall.SIGHUP)
	eventually(t, "it reloads", func() error {
		if !strings.Contains(d.log(), "msg=reloaded") {
			return errNotYet
		}
		return nil
	})
	d.answers(t, "interrupted")
	d.terminate()
}

// rotation is a daemon whose files change.
type rotation struct {
	*daemon
	t                        *testing.T
	cert, key, token, config string
}

// TestReload changes files under a daemon that runs.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	r := rotation{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), token: filepath.Join(dir, "token"), config: filepath.Join(dir, "config.yaml")}
	first := r.newCertificate()
	r.write(r.token, "one\n")
	r.write(r.config, "log-level: info\ncache-mb: 8\n")
	r.daemon = launch(t, nil, "--config", r.config, "--use-memory", "--listen-addr", "127.0.0.1:0", "--tls-cert", r.cert, "--tls-key", r.key, "--token-file", r.token)
	old := r.client(first)
	r.accepts(old, "one", "two")
	watch, err := old.Watch(bearer(t, "one"), &pb.WatchRequest{AgentId: "a"})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}

	// All at once: who is connected stays so, who comes sees the new certificate.
	second := r.newCertificate()
	text, err := os.ReadFile(r.cert)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.cert, "\ufeff"+string(text))
	r.write(r.token, "\ufefftwo\r\n")
	r.write(r.config, "log-level: debug\ncache-mb: 16\n")
	r.reload(`msg=reloaded changed="token, certificate, log-level" needs_restart=cache-mb`)
	r.accepts(old, "two", "one")
	r.accepts(r.client(second), "two", "one")
	if _, err := r.client(first).Health(bearer(t, "two"), &pb.HealthRequest{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a handshake that expects the old certificate: %v", err)
	}
	if _, err := old.Transact(bearer(t, "two"), &pb.TransactRequest{TxnId: "x", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Error(err)
	}
	if got, err := watch.Recv(); err != nil || got.Cursor != 1 {
		t.Errorf("the watch from before: %v %v", got, err)
	}

	// What is broken changes nothing, not even what is whole beside it.
	for path, text := range map[string]string{r.cert: "nonsense", r.key: "", r.token: "no header", r.config: "log-level: loud\n"} { // any order
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r.write(path, text)
		r.reload("msg=\"nothing was reloaded, everything stays as it was\" reason=")
		r.accepts(r.client(second), "two", "three")
		r.write(path, string(before))
	}
	if err := os.Remove(r.token); err != nil {
		t.Fatal(err)
	}
	r.reload("the token file cannot be read")
	r.accepts(old, "two", "")
	r.write(r.token, "three")
	r.reload("msg=reloaded changed=token needs_restart=cache-mb")
	r.accepts(old, "three", "two")
	r.reload("msg=reloaded changed=nothing needs_restart=cache-mb")
	if log := r.log(); strings.Contains(log, "three") || strings.Contains(log, "no header") {
		t.Errorf("the log tells tokens:\n%s", log)
	}
	r.terminate()
}

// What protects a daemon that others can reach cannot be taken away by a reload.
func TestReloadKeepsTheDoorShut(t *testing.T) {
	dir := t.TempDir()
	r := rotation{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), config: filepath.Join(dir, "config.yaml")}
	pool := r.newCertificate()
	protected := "tls-cert: " + r.cert + "\ntls-key: " + r.key + "\n"
	r.write(r.config, protected+"token: one\n")
	r.daemon = launch(t, nil, "--config", r.config, "--use-memory", "--listen-addr", "0.0.0.0:0")
	r.addrs[0] = "127.0.0.1" + r.addrs[0][strings.LastIndexByte(r.addrs[0], ':'):]
	r.write(r.config, protected)
	r.reload("can be reached from other machines")
	r.write(r.config, "token: two\n")
	r.reload(`msg=reloaded changed=token needs_restart="tls-cert, tls-key"`)
	r.accepts(r.client(pool), "two", "one")
	r.terminate()
}

func (r *rotation) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// newCertificate puts a new certificate and key in place.
func (r *rotation) newCertificate() *x509.CertPool {
	r.t.Helper()
	cert, key, pool := certificate(r.t)
	for from, to := range map[string]string{cert: r.cert, key: r.key} { // any order
		if err := os.Rename(from, to); err != nil {
			r.t.Fatal(err)
		}
	}
	return pool
}

// reload waits until the daemon has said one more time what it is to say.
func (r *rotation) reload(says string) {
	r.t.Helper()
	before := strings.Count(r.log(), says)
	r.signal(syscall.SIGHUP)
	eventually(r.t, "the daemon says "+says, func() error {
		if strings.Count(r.log(), says) == before {
			return fmt.Errorf("not yet:\n%s", r.log())
		}
		return nil
	})
}

// client is one on a connection of its own.
func (r *rotation) client(pool *x509.CertPool) pb.StatehouseServiceClient {
	conn := r.dial(grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	r.t.Cleanup(func() { _ = conn.Close() })
	return pb.NewStatehouseServiceClient(conn)
}

func (r *rotation) accepts(c pb.StatehouseServiceClient, good, bad string) {
	r.t.Helper()
	if _, err := c.Health(bearer(r.t, good), &pb.HealthRequest{}); err != nil {
		r.t.Errorf("token %q: %v", good, err)
	}
	if _, err := c.Health(bearer(r.t, bad), &pb.HealthRequest{}); detail(err) != pb.ErrorCode_UNAUTHENTICATED {
		r.t.Errorf("token %q: %v", bad, err)
	}
}

func bearer(t *testing.T, token string) context.Context {
	return metadata.AppendToOutgoingContext(call(t), "authorization", "Bearer "+token)
}

// Offline there is nothing to reload: verify ends with its terminal, also while its disk does
// not answer.
func TestVerifyEndsWithItsTerminal(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "STATEHOUSE")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // or a test that nohup runs would hand on that it is ignored
	defer signal.Stop(caught)
	cmd := command(nil, "verify", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	silent, err := os.OpenFile(pipe, os.O_WRONLY, 0) // until verify opens it, too
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_ = cmd.Process.Signal(syscall.SIGHUP)
	limit := time.AfterFunc(wiretest.Patience, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGHUP {
		t.Errorf("it ended otherwise: %v", cmd.ProcessState)
	}
}
