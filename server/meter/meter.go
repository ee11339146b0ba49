package meter

import (
	"time"

	"statehouse.dev/statehouse/engine"
)

// Config says what to measure.
type Config struct {
	// Clock counts from any moment.
	Clock func() time.Duration
	// Namespaces are those whose requests are counted by name.
	Namespaces []string
	// Slow is how long a request may take before Log is told of it; 0: however long.
	Slow time.Duration
	Log  func(event string, attrs ...any)
	// Refused is told of each request that is not answered with OK, in words that differ by the
	// code alone; nil: nobody asks.
	Refused func(event string, attrs ...any)
	// Trace begins a span of a request; nil: there are no traces.
	Trace Tracer
}

// Meter is what has been measured since the start.
type Meter struct {
	config     Config
	methods    map[string]*Method
	other      *Method // of a name that no method has
	namespaces map[string]*Namespace
	elsewhere  *Namespace

	Waited, Planned, Applied, Synced, Answered *Histogram // phases of commits
	GroupSize                                  *Histogram // commits in a step
	Fsync                                      *Histogram
}

// New makes a meter.
func New(c Config) *Meter {
	m := &Meter{
		config: c, namespaces: make(map[string]*Namespace),
		Waited: NewDurations(), Planned: NewDurations(), Applied: NewDurations(), Synced: NewDurations(), Answered: NewDurations(),
		GroupSize: NewHistogram(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), Fsync: NewDurations(),
	}
	m.methods, m.other = m.allMethods(), m.newMethod("unknown", false)
	if len(c.Namespaces) > 0 {
		m.elsewhere = &Namespace{Name: "(other)"}
		for _, name := range c.Namespaces {
			m.namespaces[name] = &Namespace{Name: name}
		}
	}
	return m
}

// Observer is what the engine tells how long its work takes; nil of a nil meter.
func (m *Meter) Observer() *engine.Observer {
	if m == nil {
		return nil
	}
	return &engine.Observer{
		Clock:  m.config.Clock,
		Waited: func(d time.Duration) { m.Waited.Observe(int64(d)) },
		Synced: func(d time.Duration) { m.Fsync.Observe(int64(d)) },
		Stepped: func(s engine.StepTimes) {
			m.Planned.Observe(int64(s.Plan))
			m.GroupSize.Observe(int64(s.Commits))
			if s.Commits > 0 {
				m.Applied.Observe(int64(s.Apply))
				m.Synced.Observe(int64(s.Sync))
			}
			m.Answered.Observe(int64(s.Answer))
		},
	}
}
