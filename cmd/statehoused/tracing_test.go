package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	agents "statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/traced"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// collector takes spans as an OpenTelemetry collector does.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	busy    int // answers that are still to be 503
	spans   []*tracepb.Span
	service string
	header  http.Header
}

func newCollector(t *testing.T) *collector {
	c := &collector{busy: 1}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.busy > 0 {
			c.busy--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.header = r.Header
		for _, of := range data.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					c.service = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// span is the one of a method; nil: there is none yet.
func (c *collector) span(method string) *tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if strings.HasSuffix(s.GetName(), "/"+method) {
			return s
		}
	}
	return nil
}

func spanAttribute(s *tracepb.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().String()
		}
	}
	return ""
}

// TestTraces: with the standard variables each request is a span, child of what its client sent, and
// a commit's says where its time went. A collector that is busy is asked again.
func TestTraces(t *testing.T) {
	c := newCollector(t)
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b", "OTEL_SERVICE_NAME=memory"}
	d := launch(t, env, "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off")
	d.connect()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	var told []traced.Call
	agent, err := agents.New(d.conn, agents.Config{Trace: func(ctx context.Context, call traced.Call) (context.Context, func(error)) {
		told = append(told, call)
		return metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-"+parent+"-01"), func(error) {}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Transact(call(t), agents.Batch{Writes: []agents.Write{agents.Put("a", "private", []byte(`{}`))}}); err != nil {
		t.Fatal(err)
	}
	if err := agent.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Abort(call(t), &pb.AbortRequest{TxnId: "none"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "", Key: "k"}); err == nil {
		t.Fatal("an empty name")
	}
	eventually(t, "spans arrive", func() error {
		if c.span("Transact") == nil || c.span("Abort") == nil || c.span("GetState") == nil {
			return errNotYet
		}
		return nil
	})
	commit := c.span("Transact")
	if hex(commit.GetTraceId()) != trace || hex(commit.GetParentSpanId()) != parent || commit.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
		t.Errorf("%v", commit)
	}
	if spanAttribute(commit, "statehouse.sync_seconds") == "" || !strings.Contains(spanAttribute(commit, "statehouse.code"), "OK") {
		t.Errorf("%v", commit)
	}
	if s := c.span("Abort"); len(s.GetParentSpanId()) != 0 || len(s.GetTraceId()) == 0 {
		t.Errorf("of a client without a trace: %v", s)
	}
	if s := c.span("GetState"); s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || !strings.Contains(spanAttribute(s, "statehouse.code"), "INVALID_REQUEST") {
		t.Errorf("of a refusal: %v", s)
	}
	if c.service != "memory" || c.header.Get("api-key") != "a b" {
		t.Errorf("service %q, headers %v", c.service, c.header)
	}
	if len(told) == 0 || told[len(told)-1].Operation != "upsert_memory" {
		t.Errorf("the client told of %v", told)
	}
	if strings.Contains(commit.String(), "private") {
		t.Errorf("a key is in a span: %v", commit)
	}
	d.terminate()
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// TestTracesAreOff unless they are asked for, and nonsense is refused.
func TestTracesAreOff(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--data-dir", filepath.Join(dir, "a"), "--listen-addr", "127.0.0.1:0", "--metrics-listen-addr", "off"}
	for _, env := range [][]string{
		{"OTEL_TRACES_EXPORTER=jaeger"}, {"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317"}, {"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TIMEOUT=soon"}, {"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere"},
	} {
		fails(t, exitUsage, nil, env, args...)
	}
	c := newCollector(t)
	for _, env := range [][]string{{"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL}, {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL}} {
		d := launch(t, env, args...)
		d.connect()
		if _, err := d.Health(call(t), &pb.HealthRequest{}); err != nil {
			t.Error(err)
		}
		d.terminate()
	}
	if c.busy != 1 {
		t.Error("spans were sent that nobody asked for")
	}
}
