package metrics

import (
	"io"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/meter"
)

// Metrics is what can be seen of a daemon.
type Metrics struct {
	registry *prometheus.Registry
	mu       sync.RWMutex
	service  *server.Service // nil: it is not open yet, or not any more
}

// New begins to show a daemon, of which a version says what it is. It has no service yet.
func New(version, commit string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: namespace + "build_info", Help: "1; says what was built.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go_version": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(build, newCollector(m), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Attach shows a service that is open.
func (m *Metrics) Attach(s *server.Service) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.service = s
}

// Detach shows it no longer. When it returns no one looks at the service any more, which can be
// closed.
func (m *Metrics) Detach() { m.Attach(nil) }

// Gauge adds a number that something beside the service has: how far an archive is behind, say.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: namespace + name, Help: help}, value))
}

// Counter is Gauge for a number that only rises.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: namespace + name, Help: help}, value))
}

// WriteText writes all numbers as Prometheus reads them.
func (m *Metrics) WriteText(w io.Writer) error {
	all, err := m.registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}

// stats are those of the service, which stays open meanwhile.
func (m *Metrics) stats(use func(*server.Stats)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.service != nil {
		st := m.service.Stats()
		use(&st)
	}
}

// collector reads the families when Prometheus asks.
type collector struct {
	m     *Metrics
	descs []*prometheus.Desc
}

func newCollector(m *Metrics) *collector {
	c := &collector{m: m}
	for _, f := range families {
		c.descs = append(c.descs, prometheus.NewDesc(namespace+f.name, f.help, f.labels, nil))
	}
	return c
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.m.stats(func(st *server.Stats) {
		for i, f := range families {
			d := c.descs[i]
			switch {
			case f.kind == histogram:
				if st.Meter != nil {
					f.spread(st, func(found meter.Distribution, labels ...string) { out <- constHistogram(d, f.name, found, labels) })
				}
			case st.Meter == nil && measured[f.name]:
			default:
				kind := prometheus.GaugeValue
				if f.kind == counter {
					kind = prometheus.CounterValue
				}
				f.read(st, func(v float64, labels ...string) { out <- prometheus.MustNewConstMetric(d, kind, v, labels...) })
			}
		}
	})
}

// measured are the families beside histograms that need a meter.
var measured = map[string]bool{"requests_total": true, "namespace_requests_total": true}

// constHistogram is a distribution as Prometheus has it: cumulative, and of durations in seconds.
func constHistogram(d *prometheus.Desc, name string, found meter.Distribution, labels []string) prometheus.Metric {
	unit := 1.0
	if name != "commit_group_size" {
		unit = 1e9
	}
	buckets := make(map[float64]uint64, len(found.Bounds))
	var sum uint64
	for i, bound := range found.Bounds {
		sum += found.Counts[i]
		buckets[float64(bound)/unit] = sum
	}
	return prometheus.MustNewConstHistogram(d, found.Count(), float64(found.Sum)/unit, buckets, labels...)
}
