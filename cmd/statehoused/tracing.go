package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/meter"
)

// lastSpans is how long the end of the daemon waits for its last spans to be taken.
const lastSpans = 2 * time.Second

// newTracer makes what begins spans, as OpenTelemetry's environment variables say: nil when they
// ask for none. The rest of them (endpoint, headers, sampler, batches, resource) its own
// packages read.
func newTracer(ctx context.Context, log *slog.Logger) (meter.Tracer, func(), error) {
	exporter, err := newExporter(ctx)
	if exporter == nil || err != nil {
		return nil, func() {}, err
	}
	return traceTo(exporter, log)
}

// traceTo begins spans that go to an exporter.
func traceTo(exporter trace.SpanExporter, log *slog.Logger) (meter.Tracer, func(), error) {
	if os.Getenv("OTEL_SERVICE_NAME") == "" && !strings.Contains(os.Getenv("OTEL_RESOURCE_ATTRIBUTES"), "service.name=") {
		_ = os.Setenv("OTEL_SERVICE_NAME", "statehouse")
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("a trace was not sent", "error", err) }))
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(resource.Default()))
	tracer := provider.Tracer("statehouse.dev/statehouse", oteltrace.WithInstrumentationVersion(version))
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		_ = provider.Shutdown(ctx)
	}
	return spans{tracer}.begin, stop, nil
}

// newExporter is what OTEL_TRACES_EXPORTER names; otlp if only an endpoint is given.
func newExporter(ctx context.Context) (trace.SpanExporter, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	name := os.Getenv("OTEL_TRACES_EXPORTER")
	if name == "" && cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != "" {
		name = "otlp"
	}
	switch name {
	case "", "none":
		return nil, nil
	case "console":
		return stdouttrace.New()
	case "otlp":
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; this daemon knows otlp, console and none", name)
	}
	return newOTLP(ctx)
}

// spans begins one for each request.
type spans struct{ tracer oteltrace.Tracer }

func (s spans) begin(ctx context.Context, method string) (context.Context, string, func(string, engine.Phases)) {
	name := strings.TrimPrefix(method, "/")
	service, rpc, _ := strings.Cut(name, "/")
	ctx = propagation.TraceContext{}.Extract(ctx, incoming{ctx})
	sent := oteltrace.SpanContextFromContext(ctx).IsValid()
	ctx, span := s.tracer.Start(ctx, name, oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithAttributes(
		attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service), attribute.String("rpc.method", rpc)))
	id := ""
	if of := span.SpanContext(); of.IsValid() && (sent || of.IsSampled()) {
		id = of.TraceID().String()
	}
	return ctx, id, func(code string, p engine.Phases) {
		span.SetAttributes(attribute.String("statehouse.code", code))
		if p != (engine.Phases{}) {
			span.SetAttributes(
				attribute.Float64("statehouse.queue_seconds", p.Queue.Seconds()), attribute.Float64("statehouse.plan_seconds", p.Plan.Seconds()),
				attribute.Float64("statehouse.apply_seconds", p.Apply.Seconds()), attribute.Float64("statehouse.sync_seconds", p.Sync.Seconds()))
		}
		if code != "OK" {
			span.SetStatus(codes.Error, code)
		}
		span.End()
	}
}

// incoming is a request's metadata, as the propagator reads it.
type incoming struct{ ctx context.Context }

func (i incoming) Get(key string) string {
	if v := metadata.ValueFromIncomingContext(i.ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}
func (i incoming) Set(string, string) {}
func (i incoming) Keys() []string     { return []string{"traceparent", "tracestate"} }
