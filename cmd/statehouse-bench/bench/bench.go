// Package bench measures a running daemon over the wire and, in the same run, its
// ceilings: what gRPC alone allows (the Health call) and what the disk does (write and
// fdatasync). Figures of two machines cannot be compared; their ratios can.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Options says what to measure.
type Options struct {
	Conns    []grpc.ClientConnInterface // shared by the clients in turn
	Clients  []int                      // concurrencies of the table; 1, 8, 64, 256
	Duration time.Duration              // of one measurement
	Rounds   int                        // rounds of those that ratios are made of
	Dir      string                     // of the file that the disk is measured with
	Capture  bool                       // measure what a capture costs; it forgets the one before
	Progress io.Writer                  // one line a measurement; may be io.Discard
}

// Measurement is one line of the report.
type Measurement struct {
	Name      string  `json:"name"`
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"per_second"`
	P50Micros float64 `json:"p50_us"`
	P99Micros float64 `json:"p99_us"`
	MaxMicros float64 `json:"max_us"`
}

// Ratio compares two measurements of one run with an aim.
type Ratio struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Aim   float64 `json:"aim"`
	// AtMost: the aim is an upper bound, otherwise a lower one.
	AtMost bool `json:"at_most"`
	Met    bool `json:"met"`
}

// Report is the whole result.
type Report struct {
	Version      string        `json:"version"`
	Measurements []Measurement `json:"measurements"`
	Ratios       []Ratio       `json:"ratios"`
}

// runner carries one run.
type runner struct {
	o      Options
	stubs  []pb.StatehouseServiceClient
	run    string // names this run's agents and transactions apart from others'
	values [][]byte
	txns   atomic.Uint64 // so that ids never repeat
	report *Report

	commits float64 // per second, 64 clients: the median of the rounds
}

// Run measures everything that o asks for.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &runner{o: o, run: fmt.Sprintf("%08x", rand.Uint32()), report: &Report{}}
	for _, c := range o.Conns {
		r.stubs = append(r.stubs, pb.NewStatehouseServiceClient(c))
	}
	r.values = newValues()
	v, err := r.stub(0).Version(ctx, &pb.VersionRequest{})
	if err != nil {
		return nil, err
	}
	r.report.Version = v.GetVersion()
	// Batches come last: what they leave to be compacted is no part of the other figures.
	parts := []func(context.Context) error{r.seed, r.ratios, r.replay, r.batches, r.table}
	if o.Capture {
		parts = append(parts, r.capture)
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return r.report, nil
}

func (r *runner) stub(client int) pb.StatehouseServiceClient { return r.stubs[client%len(r.stubs)] }

func (r *runner) say(format string, args ...any) { fmt.Fprintf(r.o.Progress, format+"\n", args...) }

// op is one call of a measurement; i counts the calls of its client.
type op struct {
	name string
	do   func(ctx context.Context, client, i int) error
	unit int // things a call does; 1
}

// measure runs clients for the duration.
func (r *runner) measure(ctx context.Context, o op, clients int) (Measurement, error) {
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			took[c] = make([]time.Duration, 0, 1<<14)
			for i := 0; time.Since(start) < r.o.Duration && ctx.Err() == nil; i++ {
				t := time.Now()
				if errs[c] = o.do(ctx, c, i); errs[c] != nil {
					return
				}
				took[c] = append(took[c], time.Since(t))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			return Measurement{}, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	m := Measurement{Name: o.name, Clients: clients, PerSecond: float64(len(all)*max(o.unit, 1)) / elapsed.Seconds()}
	if len(all) > 0 {
		m.P50Micros, m.P99Micros, m.MaxMicros = micros(all[len(all)/2]), micros(all[len(all)*99/100]), micros(all[len(all)-1])
	}
	return m, nil
}

// share has clients do n calls between them. The first error ends it.
func share(clients, n int, do func(client, i int) error) error {
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; i < n && errs[c] == nil; i += clients {
				errs[c] = do(c, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// table measures every operation at every concurrency, once.
func (r *runner) table(ctx context.Context) error {
	r.say("%-22s %8s %12s %10s %10s", "operation", "clients", "per second", "p50 µs", "p99 µs")
	for _, o := range r.ops() {
		for _, clients := range r.o.Clients {
			m, err := r.measure(ctx, o, clients)
			if err != nil {
				return err
			}
			r.add(m)
		}
	}
	return nil
}

func (r *runner) add(m Measurement) {
	r.report.Measurements = append(r.report.Measurements, m)
	r.say("%-22s %8d %12.0f %10.0f %10.0f", m.Name, m.Clients, m.PerSecond, m.P50Micros, m.P99Micros)
}

func (r *runner) ratio(name string, value, aim float64, atMost bool) {
	q := Ratio{Name: name, Value: value, Aim: aim, AtMost: atMost, Met: value >= aim}
	bound, met := "at least", "met"
	if atMost {
		q.Met, bound = value <= aim, "at most"
	}
	if !q.Met {
		met = "MISSED"
	}
	r.report.Ratios = append(r.report.Ratios, q)
	r.say("%-64s %8.2f   %s %g: %s", name, value, bound, aim, met)
}

// median of the rounds' ratios.
func median(v []float64) float64 {
	slices.Sort(v)
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}
