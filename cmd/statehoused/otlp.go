package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp sends spans over HTTP to what OpenTelemetry's environment variables name. It is not
// OpenTelemetry's own client: that one, over HTTP and over gRPC, has gRPC's gzip registered for the
// whole process, and the daemon refuses compressed requests by having no decompressor.
type otlp struct {
	endpoint string
	headers  http.Header
	client   *http.Client
	pause    time.Duration // before the first of the tries again
}

// otlpTries is how often a batch is sent to a receiver that is busy.
const otlpTries = 4

// newOTLP reads the variables.
func newOTLP(ctx context.Context) (trace.SpanExporter, error) {
	if protocol := cmp.Or(otlpVariable("PROTOCOL"), "http/protobuf"); protocol != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; this daemon knows http/protobuf", protocol)
	}
	o := &otlp{headers: http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"statehoused/" + version}}, pause: time.Second}
	o.endpoint = os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if o.endpoint == "" {
		o.endpoint = strings.TrimSuffix(cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://localhost:4318"), "/") + "/v1/traces"
	}
	if u, err := url.Parse(o.endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint of OpenTelemetry's traces is %q, which is no http:// or https:// URL", o.endpoint)
	}
	for pair := range strings.SplitSeq(otlpVariable("HEADERS"), ",") {
		if name, value, found := strings.Cut(pair, "="); found {
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if err != nil {
				return nil, fmt.Errorf("the header %s in OTEL_EXPORTER_OTLP_HEADERS is not percent-encoded: %w", strings.TrimSpace(name), err)
			}
			o.headers.Set(strings.TrimSpace(name), value)
		}
	}
	ms, err := strconv.Atoi(cmp.Or(otlpVariable("TIMEOUT"), "10000"))
	if err != nil || ms <= 0 {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is %q; it is a number of milliseconds", otlpVariable("TIMEOUT"))
	}
	secured, err := otlpTLS()
	if err != nil {
		return nil, err
	}
	o.client = &http.Client{Timeout: time.Duration(ms) * time.Millisecond, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secured, IdleConnTimeout: time.Minute}}
	return otlptrace.New(ctx, o)
}

// otlpVariable is one of OpenTelemetry's, of traces or else of everything.
func otlpVariable(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

func otlpTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := otlpVariable("CERTIFICATE"); file != "" {
		pem, err := os.ReadFile(file)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE names %s, which holds no certificate that can be read (%v)", file, err)
		}
	}
	if file := otlpVariable("CLIENT_CERTIFICATE"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, otlpVariable("CLIENT_KEY"))
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE cannot be loaded: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Start implements otlptrace.Client.
func (o *otlp) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (o *otlp) Stop(context.Context) error {
	o.client.CloseIdleConnections()
	return nil
}

// UploadTraces sends spans, again if the receiver is busy. What it does not take is dropped.
func (o *otlp) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // on the wire as ExportTraceServiceRequest
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := o.post(ctx, body)
		if err == nil || !again || try == otlpTries {
			return err
		}
		select {
		case <-time.After(o.pause << (try - 1)):
		case <-ctx.Done():
			return err
		}
	}
}

// post reports whether a failure is one of the moment.
func (o *otlp) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.endpoint, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header = o.headers.Clone()
	resp, err := o.client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	switch {
	case resp.StatusCode/100 == 2:
		return false, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("%s answers %s", o.endpoint, resp.Status)
}
