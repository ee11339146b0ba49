package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/cmd/promtext"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// watchedDaemon is a daemon and where its metrics are.
func watchedDaemon(t *testing.T, dir string, args ...string) (*daemon, string) {
	t.Helper()
	d := start(t, dir, append([]string{"--metrics-listen-addr", "127.0.0.1:0"}, args...)...)
	found := regexp.MustCompile(`msg=metrics url=(http://[^/]+)/metrics`).FindStringSubmatch(d.log())
	if found == nil {
		t.Fatalf("the log does not say where the metrics are:\n%s", d.log())
	}
	return d, found[1]
}

// fetch gets a page; 0 when nobody answers.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func scrape(t *testing.T, base string) promtext.Samples {
	t.Helper()
	status, text := fetch(t, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", status, text)
	}
	all, err := promtext.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inSession sends one request in a session of its own and waits for its answer.
func inSession(t *testing.T, d *daemon, method string, req proto.Message) {
	t.Helper()
	stream, err := d.Session(call(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.SessionRequests{Requests: []*pb.SessionRequest{{Id: 1, Method: method, Request: raw}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv() // its end
}

// TestMetricsCount: each request counts once, under its method and the code of its answer, with its
// duration; each commit in each phase.
func TestMetricsCount(t *testing.T) {
	d, base := watchedDaemon(t, filepath.Join(t.TempDir(), "data"), "--metrics-namespaces", "mine, theirs")
	before := scrape(t, base)
	for i := range 5 {
		if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	zero := uint64(0)
	conflicting := put("a", "k", `{}`)
	conflicting.ExpectedVersion = &zero
	for i := range 3 {
		_, err := d.Transact(call(t), &pb.TransactRequest{TxnId: fmt.Sprint("c", i), Operations: []*pb.TransactOperation{conflicting}})
		if detail(err) != pb.ErrorCode_PRECONDITION_FAILED {
			t.Fatal(err)
		}
	}
	if _, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "a\x00", Key: "k"}); detail(err) != pb.ErrorCode_INVALID_REQUEST {
		t.Fatal(err)
	}
	inSession(t, d, "GetState", &pb.GetStateRequest{Namespace: "mine", AgentId: "a", Key: "k"})
	inSession(t, d, "GetState", &pb.GetStateRequest{Namespace: "else", AgentId: "a", Key: "k"})
	now := scrape(t, base)
	rise := func(name string, labels ...string) float64 {
		var matches []promtext.Match
		for i := 0; i < len(labels); i += 2 {
			matches = append(matches, promtext.With(labels[i], labels[i+1]))
		}
		return now.Rise(before, "statehouse_"+name, matches...)
	}
	for _, c := range []struct {
		what string
		got  float64
		want float64
	}{
		{"commits", rise("requests_total", "method", "Transact", "code", "OK", "via", "call"), 5},
		{"refused commits", rise("requests_total", "method", "Transact", "code", "PRECONDITION_FAILED", "via", "call"), 3},
		{"commits by any code", rise("requests_total", "method", "Transact"), 8},
		{"bad reads", rise("requests_total", "method", "GetState", "code", "INVALID_REQUEST", "via", "call"), 1},
		{"reads in sessions", rise("requests_total", "method", "GetState", "code", "OK", "via", "session"), 2},
		{"durations of commits", rise("request_duration_seconds_count", "method", "Transact"), 8},
		{"durations of reads", rise("request_duration_seconds_count", "method", "GetState"), 3},
		{"waits for the writer", rise("commit_phase_seconds_count", "phase", "queue"), 8},
		{"syncs", rise("commit_phase_seconds_count", "phase", "sync"), 5},
		{"commits of groups", rise("commit_group_size_sum"), 5},
		{"groups", rise("commit_group_size_count"), 8},
		{"fsyncs", min(rise("wal_fsync_seconds_count"), 5), 5},
		{"the last commit", now.Sum("statehouse_published_commit_ts"), 5},
		{"my namespace", rise("namespace_requests_total", "namespace", "mine", "result", "ok"), 1},
		{"all others", rise("namespace_requests_total", "namespace", "(other)"), 10},
		{"sessions that ended", rise("requests_total", "method", "Session"), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if took := rise("request_duration_seconds_sum", "method", "Transact"); took <= 0 || took > 60 {
		t.Errorf("commits took %v s", took)
	}
	d.terminate()
}

// TestMetricsOfHostileNames: whatever clients send, no name, key, value or method of theirs becomes
// a label, and there are not more numbers than before.
func TestMetricsOfHostileNames(t *testing.T) {
	d, base := watchedDaemon(t, filepath.Join(t.TempDir(), "data"), "--slow-ms", "1")
	const mark = "hostile-name"
	attack := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("%s-%d\"}\n", mark, i)
			key := fmt.Sprintf("%s-%d", mark, i)
			ctx := metadata.AppendToOutgoingContext(call(t), "traceparent", "00-"+mark, "x-"+mark, key)
			_ = d.conn.Invoke(ctx, "/statehouse.v1.StatehouseService/"+key, &pb.HealthRequest{}, &pb.HealthResponse{})
			_ = d.conn.Invoke(ctx, "/"+key+"/Get", &pb.HealthRequest{}, &pb.HealthResponse{})
			_, _ = d.GetState(ctx, &pb.GetStateRequest{Namespace: name, AgentId: name, Key: name})
			_, _ = d.Transact(ctx, &pb.TransactRequest{TxnId: key, Operations: []*pb.TransactOperation{{Namespace: key, AgentId: key, Key: key, ValueJson: []byte(`{"v":"` + key + `"}`)}}, Metadata: map[string]string{key: key}})
			_, _ = d.GetState(ctx, &pb.GetStateRequest{Namespace: key, AgentId: key, Key: key})
			inSession(t, d, key, &pb.HealthRequest{})
		}
	}
	attack(0, 3)
	_, first := fetch(t, base+"/metrics")
	attack(3, 30)
	_, text := fetch(t, base+"/metrics")
	if strings.Contains(text, mark) {
		t.Errorf("a client's words are in the metrics: %.200s", text[strings.Index(text, mark)-100:])
	}
	if a, b := strings.Count(first, "\n"), strings.Count(text, "\n"); b > a {
		t.Errorf("%d lines of metrics became %d with the names that were asked for", a, b)
	}
	all, err := promtext.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if n := all.Sum("statehouse_requests_total", promtext.With("method", "unknown")); n != 30 {
		t.Errorf("%v requests of unknown methods in sessions, want 30", n)
	}
	for line := range strings.Lines(d.log()) {
		if strings.Contains(line, "a request was slow") && strings.Contains(line, mark) {
			t.Errorf("the log of slow requests tells what is in them: %s", line)
		}
	}
	d.terminate()
}

// TestReady: /readyz says 503 as soon as the daemon drains, and /livez goes on; whether writes are
// accepted is told apart.
func TestReady(t *testing.T) {
	d, base := watchedDaemon(t, filepath.Join(t.TempDir(), "data"))
	if status, text := fetch(t, base+"/readyz"); status != http.StatusOK || !strings.Contains(text, "writes accepted") {
		t.Errorf("a daemon that serves: %d %q", status, text)
	}
	if status, _ := fetch(t, base+"/livez"); status != http.StatusOK {
		t.Errorf("it lives: %d", status)
	}
	if status, _ := fetch(t, base+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("profiles without --pprof: %d", status)
	}
	// A message that does not arrive keeps the drain going.
	conn := d.dial()
	defer conn.Close()
	half, err := conn.NewStream(call(t), &grpc.StreamDesc{ClientStreams: true}, "/statehouse.v1.StatehouseService/Transact")
	if err != nil {
		t.Fatal(err)
	}
	if err := half.SendMsg(&pb.TransactRequest{TxnId: "half"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the half request is seen", func() error {
		if scrape(t, base).Sum("statehouse_limit_used", promtext.With("limit", "connections")) < 1 {
			return errNotYet
		}
		return nil
	})
	d.signal(syscall.SIGTERM)
	var text string
	eventually(t, "it is not ready", func() error {
		status := 0
		if status, text = fetch(t, base+"/readyz"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %q %w", status, text, errNotYet)
		}
		return nil
	})
	if !strings.Contains(text, "draining") {
		t.Errorf("while draining: %q", text)
	}
	if status, text := fetch(t, base+"/livez"); status != http.StatusOK {
		t.Errorf("a daemon that drains lives: %d %q", status, text)
	}
	if n := scrape(t, base).Sum("statehouse_ready"); n != 0 {
		t.Errorf("the metrics say ready %v", n)
	}
	_ = half.CloseSend()
	if code := d.exit(); code != exitOK {
		t.Errorf("exit %d:\n%s", code, d.log())
	}
}

// TestReadyOnAFullDisk: reads go on, so it is ready; who wants to write asks for that.
func TestReadyOnAFullDisk(t *testing.T) {
	mounted := mount(t, "size=64m")
	d, base := watchedDaemon(t, filepath.Join(mounted, "data"))
	fill(t, filepath.Join(mounted, "filler"), 60<<20)
	eventually(t, "writes are refused", func() error {
		if scrape(t, base).Sum("statehouse_writes_refused") != 1 {
			return errNotYet
		}
		return nil
	})
	if status, text := fetch(t, base+"/readyz"); status != http.StatusOK || !strings.Contains(text, "writes refused: the disk has") {
		t.Errorf("%d %q", status, text)
	}
	if status, text := fetch(t, base+"/readyz?writes"); status != http.StatusServiceUnavailable || !strings.Contains(text, "writes refused") {
		t.Errorf("asked for writes: %d %q", status, text)
	}
	d.terminate()
}

// TestMetricsAddress: a port that was asked for must be free. The default need not be: a daemon
// next to another serves, and says that its metrics are not.
func TestMetricsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	fails(t, exitFailed, []string{"in use", "--metrics-listen-addr"}, nil, "--data-dir", filepath.Join(dir, "a"), "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", taken.Addr().String())
	fails(t, exitUsage, []string{"--pprof"}, nil, "--data-dir", filepath.Join(dir, "a"), "--pprof", "--metrics-listen-addr", "0.0.0.0:0")
	fails(t, exitUsage, []string{"--pprof"}, nil, "--data-dir", filepath.Join(dir, "a"), "--pprof", "--metrics-listen-addr", "off")
	fails(t, exitUsage, []string{"--metrics-listen-addr"}, nil, "--data-dir", filepath.Join(dir, "a"), "--metrics-listen-addr", "http://x:1")
	off := start(t, filepath.Join(dir, "off"), "--metrics-listen-addr", "off")
	if strings.Contains(off.log(), "metrics") {
		t.Errorf("off: %s", off.log())
	}
	off.terminate()
	if l, err := net.Listen("tcp", "127.0.0.1:50052"); err == nil {
		defer l.Close()
	} // else another has it, which is as good
	d := start(t, filepath.Join(dir, "b"))
	if !strings.Contains(d.log(), "metrics are not served") {
		t.Errorf("the default port is taken, and the log does not say so:\n%s", d.log())
	}
	d.terminate()
}

// TestSlowRequests: a request that takes long is in the log with where its time went.
func TestSlowRequests(t *testing.T) {
	d, base := watchedDaemon(t, filepath.Join(t.TempDir(), "data"), "--slow-ms", "1")
	value := `{"v":"` + strings.Repeat("secret", 150_000) + `"}`
	eventually(t, "a slow one", func() error {
		ctx := metadata.AppendToOutgoingContext(call(t), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if _, err := d.Transact(ctx, &pb.TransactRequest{TxnId: fmt.Sprint(time.Now().UnixNano()), Operations: []*pb.TransactOperation{put("a", "k", value)}}); err != nil {
			return err
		}
		if !strings.Contains(d.log(), "a request was slow") {
			return errNotYet
		}
		return nil
	})
	for _, part := range []string{"method=/statehouse.v1.StatehouseService/Transact", "code=OK", "queue=", "plan=", "sync=", "send=", "trace_id=0af7651916cd43dd8448eb211c80319c"} {
		if !strings.Contains(d.log(), part) {
			t.Errorf("%q is not in the log:\n%s", part, d.log())
		}
	}
	if strings.Contains(d.log(), "secretsecret") {
		t.Error("a value is in the log")
	}
	_ = base
	d.terminate()
}

// TestDiagnostics: what an operator is told has neither the token nor a value in it, and the level of
// the log changes while the daemon runs.
func TestDiagnostics(t *testing.T) {
	const token = "a-token-that-nobody-else-knows"
	d := launch(t, []string{"STATEHOUSE_TOKEN=" + token}, "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "127.0.0.1:0", "--pprof")
	d.connect()
	authorised := func() context.Context {
		return metadata.AppendToOutgoingContext(call(t), "authorization", "Bearer "+token)
	}
	if _, err := d.Transact(authorised(), &pb.TransactRequest{TxnId: "t", Operations: []*pb.TransactOperation{put("a", "k", `{"v":"a-private-value"}`)}}); err != nil {
		t.Fatal(err)
	}
	admin := pb.NewAdminServiceClient(d.conn)
	if _, err := admin.GetDiagnostics(call(t), &pb.GetDiagnosticsRequest{}); detail(err) != pb.ErrorCode_UNAUTHENTICATED {
		t.Errorf("without the token: %v", err)
	}
	told, err := admin.GetDiagnostics(authorised(), &pb.GetDiagnosticsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"metrics", "config", "log", "goroutines"} {
		text := told.GetParts()[part]
		if len(text) == 0 {
			t.Errorf("%s is missing", part)
		}
		if bytes.Contains(text, []byte(token)) || bytes.Contains(text, []byte("a-private-value")) {
			t.Errorf("%s tells a secret", part)
		}
	}
	for line, want := range map[string]bool{ // each by itself: a refusal at the door counts, and took no time
		`statehouse_requests_total{code="UNAUTHENTICATED",method="AdminService/GetDiagnostics",via="call"} 1`: true,
		`statehouse_request_duration_seconds_count{method="AdminService/GetDiagnostics"}`:                     false,
	} {
		if bytes.Contains(told.GetParts()["metrics"], []byte(line)) != want {
			t.Errorf("%s is in the metrics: want %v", line, want)
		}
	}
	if _, err := admin.GetDiagnostics(authorised(), &pb.GetDiagnosticsRequest{Parts: []string{"values"}}); detail(err) != pb.ErrorCode_INVALID_REQUEST {
		t.Errorf("of a part that is none: %v", err)
	}
	if got, err := admin.SetLogLevel(authorised(), &pb.SetLogLevelRequest{Level: "debug"}); err != nil || got.GetPrevious() != "info" {
		t.Errorf("%v %v", got, err)
	}
	if strings.Contains(d.log(), "a session begins") {
		t.Error("a session is told of at info")
	}
	ctx := authorised()
	if s, err := d.Session(ctx); err == nil {
		_ = s.CloseSend()
		_, _ = s.Recv()
	}
	eventually(t, "a session is told of at debug", func() error {
		if !strings.Contains(d.log(), `level=DEBUG msg="a session begins"`) {
			return errNotYet
		}
		return nil
	})
	if _, err := admin.SetLogLevel(authorised(), &pb.SetLogLevelRequest{Level: "loud"}); detail(err) != pb.ErrorCode_INVALID_REQUEST {
		t.Errorf("a level that is none: %v", err)
	}
	d.terminate()
}

// TestOpenTransactions: an operator sees what is open, and can abort it.
func TestOpenTransactions(t *testing.T) {
	d := start(t, filepath.Join(t.TempDir(), "data"))
	admin := pb.NewAdminServiceClient(d.conn)
	begun, err := d.BeginTransaction(call(t), &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(call(t), &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "a", Key: "k", ValueJson: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GetState(call(t), &pb.GetStateRequest{TxnId: begun.TxnId, AgentId: "a", Key: "other"}); err != nil {
		t.Fatal(err)
	}
	list, err := admin.ListTransactions(call(t), &pb.ListTransactionsRequest{})
	if err != nil || len(list.GetTransactions()) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	x := list.GetTransactions()[0]
	if x.TxnId != begun.TxnId || x.Operations != 1 || x.Reads != 1 || x.Bytes == 0 || x.ExpireTime.AsTime().Sub(x.BeginTime.AsTime()) != 30*time.Second {
		t.Errorf("%v", x)
	}
	if _, err := admin.AbortTransaction(call(t), &pb.AbortTransactionRequest{TxnId: begun.TxnId}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(call(t), &pb.CommitRequest{TxnId: begun.TxnId}); detail(err) != pb.ErrorCode_TXN_ABORTED {
		t.Errorf("commit of what was aborted: %v", err)
	}
	if _, err := admin.AbortTransaction(call(t), &pb.AbortTransactionRequest{TxnId: begun.TxnId}); detail(err) != pb.ErrorCode_TXN_NOT_FOUND {
		t.Errorf("again: %v", err)
	}
	d.terminate()
}
