package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/metrics"
)

// defaultMetricsAddr is beside the port of agents.
const (
	defaultMetricsAddr = "localhost:50052"
	metricsOff         = "off"
)

// metricsConns bounds the connections of those who watch: a few scrapers and probes.
const metricsConns = 32

// checkMetrics checks what the metrics are served with. They tell strangers how busy a daemon is
// and no more; profiles tell of its memory.
func (s *settings) checkMetrics() error {
	if s.metricsAddr == metricsOff {
		if s.pprof {
			return errors.New("--pprof needs --metrics-listen-addr, which is off")
		}
		return nil
	}
	host, err := listenHost(s.metricsAddr)
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "--listen-addr", "--metrics-listen-addr"))
	}
	if ip := net.ParseIP(host); s.pprof && !s.allowInsecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--pprof shows what is in the daemon's memory, and %s can be reached from other machines: listen on loopback, or say --allow-insecure", s.metricsAddr)
	}
	return nil
}

// watched is what a daemon shows to those who watch over it.
type watched struct {
	metrics *metrics.Metrics
	meter   *meter.Meter
	profile bool
	server  *http.Server
	endSpan func()
}

// watchOver begins to serve the metrics, before the store is opened: that may take its time, and
// /readyz says so.
func watchOver(ctx context.Context, s *settings, log *slog.Logger) (*watched, error) {
	w := &watched{metrics: metrics.New(version, gitSHA), profile: s.pprof}
	tracer, stop, err := newTracer(ctx, log)
	if err != nil {
		return nil, usageError{err}
	}
	w.endSpan = stop
	began := time.Now()
	refusals := conns.Sparing(log.Debug)
	w.meter = meter.New(meter.Config{
		Clock: func() time.Duration { return time.Since(began) }, Namespaces: s.countedNamespaces(),
		Slow: time.Duration(s.slowMS) * time.Millisecond, Log: conns.Sparing(func(event string, attrs ...any) { log.Warn(event, attrs...) }), Trace: tracer,
		Refused: func(event string, attrs ...any) {
			if log.Enabled(ctx, slog.LevelDebug) {
				refusals(event, attrs...)
			}
		},
	})
	if s.metricsAddr == metricsOff {
		return w, nil
	}
	to := *s
	to.listenAddr = s.metricsAddr
	listeners, err := listen(ctx, &to, log)
	switch {
	case err != nil && s.metricsGiven:
		w.close()
		return nil, errors.New(strings.ReplaceAll(err.Error(), "--listen-addr", "--metrics-listen-addr"))
	case err != nil:
		log.Warn("metrics are not served: give this daemon a --metrics-listen-addr of its own, or say off", "reason", err)
		return w, nil
	}
	w.server = &http.Server{
		Handler: w.metrics.Handler(s.pprof), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		log.Info("metrics", "url", "http://"+l.Addr().String()+"/metrics", "pprof", s.pprof)
		go func() { _ = w.server.Serve(netutil.LimitListener(l, metricsConns)) }()
	}
	return w, nil
}

// close ends what was begun.
func (w *watched) close() {
	if w.server != nil {
		_ = w.server.Close()
	}
	w.endSpan()
}

func (s *settings) countedNamespaces() (names []string) {
	for name := range strings.SplitSeq(s.namespaces, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
