package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/server"
)

// TestCaptureComplete: a recording of a client on a store in use becomes one that can be
// judged, by a tool that knows nothing but the file and the daemon's address.
func TestCaptureComplete(t *testing.T) {
	service, err := server.Assemble(engine.MemoryEnv(func(err error) { t.Error(err) }, nil), server.Config{Engine: engine.Options{Dir: "data"}})
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, nil, l) }()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = service.Close()
	})
	conn, err := client.Connect(client.Config{Address: l.Addr().String()})
	must(t, err)
	defer conn.Close()
	began := time.Now()
	recorder := record.NewRecorder(func() int64 { return int64(time.Since(began)) })
	write := func(agent string, over ...*record.Recorder) {
		t.Helper()
		c, err := client.New(conn, client.Config{})
		if len(over) > 0 {
			c, err = client.New(over[0].Conn("c", conn), client.Config{})
		}
		must(t, err)
		_, err = c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put(agent, "k", json.RawMessage(`{"n":1}`))}})
		must(t, err)
	}
	write("other")
	write("mine")
	write("mine", recorder)
	write("other")
	write("mine", recorder)

	dir := t.TempDir()
	bare, whole := filepath.Join(dir, "bare.jsonl"), filepath.Join(dir, "whole.jsonl.zst")
	f, err := os.Create(bare)
	must(t, err)
	h := recorder.History()
	h.Header.Source = history.SourceClient
	must(t, errors.Join(h.Write(f), f.Close()))

	run := func(args ...string) (int, string) {
		var out, errs strings.Builder
		code := execute(t.Context(), newRoot(strings.NewReader(""), &out, &errs), append([]string{"--address", l.Addr().String()}, args...))
		return code, out.String() + errs.String()
	}
	if code, text := run("capture", "complete", bare, "-o", whole); code != 0 || !strings.Contains(text, "2 operations, 1 agents from commit 2 to 5") {
		t.Fatalf("exit %d: %s", code, text)
	}
	h, err = readHistory(whole)
	must(t, err)
	linearizability.AdmitOthers(h)
	if got := linearizability.Check(h, linearizability.Options{}); !h.Complete || got.Verdict != verdict.OK || len(h.Log) != 2 {
		t.Errorf("complete: %v, %d commits, %+v", h.Complete, len(h.Log), got)
	}
	if code, text := run("capture", "complete", whole, "-o", filepath.Join(dir, "again.jsonl")); code == 0 || !strings.Contains(text, "already") {
		t.Errorf("a second time: exit %d: %s", code, text)
	}
	for _, redact := range []string{"values", "names"} {
		given := filepath.Join(dir, redact+".jsonl")
		if code, text := run("capture", "complete", bare, "-o", given, "--redact", redact); code != 0 {
			t.Fatalf("exit %d: %s", code, text)
		}
		raw, err := os.ReadFile(given)
		must(t, err)
		if strings.Contains(string(raw), `{\"n\":1}`) || redact == "names" && strings.Contains(string(raw), `"mine"`) {
			t.Errorf("--redact %s leaves something: %s", redact, raw)
		}
		h, err := readHistory(given)
		must(t, err)
		linearizability.AdmitOthers(h)
		if got := linearizability.Check(h, linearizability.Options{}); got.Verdict != verdict.OK {
			t.Errorf("--redact %s: %+v", redact, got)
		}
	}
	if code, text := run("capture", "complete", filepath.Join(dir, "none"), "-o", filepath.Join(dir, "x")); code != 2 {
		t.Errorf("no file: exit %d: %s", code, text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
