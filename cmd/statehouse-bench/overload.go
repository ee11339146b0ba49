package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/openload"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

const overloadHelp = `Overload a daemon that is started here on one core, and print what becomes of it.

Requests are commits of one record. They arrive at a rate, at random, whether those before
were answered or not, and each is tried once. The rated load is the highest rate at which
99 of 100 are answered within 50 ms. Then comes the normal load, ten times the rated one,
and the normal one again: how much is still answered in time, how long that takes, and how
soon all is as before.

Last one address floods the daemon, and another asks for little: its latencies beside the
flood and alone.`

// overload is the command.
type overload struct {
	*app
	duration time.Duration
	burst    time.Duration
	deadline time.Duration
	most     time.Duration
	rated    float64
	times    float64
	light    float64
	conns    int
}

func (a *app) overloadCommand() *cobra.Command {
	o := &overload{app: a}
	cmd := &cobra.Command{
		Use: "overload", Short: "Overload a daemon on one core with an open loop", Long: overloadHelp, Args: show.Takes(0, 0),
		PreRunE: func(*cobra.Command, []string) error {
			if o.duration <= 0 || o.burst <= 0 || o.deadline <= 0 || o.most <= 0 || o.times <= 0 || o.light <= 0 || o.conns < 1 || o.rated < 0 {
				return errors.New("durations, rates and --connections must be more than 0")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.run(cmd.Context()); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.command, "daemon", "", "statehoused to start, and its flags; the one beside this program, or in PATH, if empty")
	f.DurationVar(&o.duration, "duration", time.Minute, "of the overload; the normal load has a quarter of it before and after")
	f.DurationVar(&o.burst, "burst", 3*time.Second, "of one try of a rate")
	f.DurationVar(&o.deadline, "deadline", 250*time.Millisecond, "of one request")
	f.DurationVar(&o.most, "p99", 50*time.Millisecond, "that the rated load keeps")
	f.Float64Var(&o.rated, "rated", 0, "rated load a second, if it is known; 0: find it")
	f.Float64Var(&o.times, "times", 10, "how many times the rated load")
	f.Float64Var(&o.light, "light", 50, "requests a second of the light one beside a flood")
	f.IntVar(&o.conns, "connections", 16, "connections that requests take in turn")
	f.StringVar(&a.dir, "dir", ".", "where the store is made")
	f.BoolVar(&a.asJSON, "json", false, "print one JSON object")
	return cmd
}

// overloadReport is what is printed. Latencies are in milliseconds.
type overloadReport struct {
	Rated   float64 `json:"rated_per_second"`
	Offered float64 `json:"offered_per_second"` // while it is overloaded
	Goodput float64 `json:"goodput_per_second"`
	Refused float64 `json:"refused_per_second"`
	Late    float64 `json:"late_per_second"`

	GoodputOverRated  float64 `json:"goodput_over_rated"`
	NormalP99         float64 `json:"normal_p99_ms"`
	OverloadP50       float64 `json:"overload_p50_ms"`
	OverloadP99       float64 `json:"overload_p99_ms"`
	OverloadOverP99   float64 `json:"overload_over_normal_p99"`
	BackToNormal      float64 `json:"back_to_normal_s"`
	LightAloneP99     float64 `json:"light_alone_p99_ms"`
	LightFloodedP99   float64 `json:"light_flooded_p99_ms"`
	LightOverAloneP99 float64 `json:"light_flooded_over_alone_p99"`
	LightAnswered     float64 `json:"light_answered"` // of all
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (o *overload) run(ctx context.Context) error {
	s, err := newStand(o.dir)
	if err != nil {
		return err
	}
	defer s.takeDown()
	if o.command == "" {
		if o.command, err = findDaemon(); err != nil {
			return usageError{err}
		}
	}
	pin, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		return errors.New("to keep the daemon on one core needs taskset, and a second core for the load")
	}
	d, err := s.startDaemon(ctx, nameOne, o.command, 0, 0, pin, "-c", "0")
	if err != nil {
		return err
	}
	if err := stayOff(ctx, pin); err != nil {
		return err
	}
	crowd, err := s.loaders(ctx, d.address, "127.0.0.1", o.conns)
	if err != nil {
		return err
	}
	light, err := s.loaders(ctx, d.address, "127.0.0.2", 1)
	if err != nil {
		return err
	}
	r := &overloadReport{Rated: o.rated}
	if o.rated == 0 {
		r.Rated, err = openload.Rated(ctx, func(rate float64) *openload.Load { return o.load(crowd, rate) }, o.burst, o.most, func(rate float64, t *openload.Tally, holds bool) {
			o.say("%8.0f a second: %8.0f answered, p99 %v, holds %v", rate, t.Goodput(), t.Quantile(0.99).Round(100*time.Microsecond), holds)
		})
		if err != nil {
			return err
		}
	}
	if err := o.overloaded(ctx, crowd, r); err != nil {
		return err
	}
	if err := o.flooded(ctx, crowd, light, r); err != nil {
		return err
	}
	return o.print(r)
}

// stayOff keeps this process, which makes the load, off the core of the daemon.
func stayOff(ctx context.Context, pin string) error {
	n := runtime.NumCPU()
	runtime.GOMAXPROCS(n - 1)
	debug.SetGCPercent(400) // the load is to cost little
	out, err := exec.CommandContext(ctx, pin, "--all-tasks", "--pid", "--cpu-list", fmt.Sprintf("1-%d", n-1), strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w\n%s", err, out)
	}
	return nil
}

// window is the width of the stretches in which the end of an overload is looked for.
const window = 250 * time.Millisecond

// overloaded measures the daemon before, in and after an overload.
func (o *overload) overloaded(ctx context.Context, crowd *wire.Client, r *overloadReport) error {
	normal, _ := o.load(crowd, 0.8*r.Rated).Run(ctx, o.duration/4, window)
	r.NormalP99 = ms(normal.Quantile(0.99))
	o.say("normal load: %s", said(&normal))
	over, _ := o.load(crowd, o.times*r.Rated).Run(ctx, o.duration, window)
	o.say("overload: %s", said(&over))
	if over.Failed > 0 {
		return fmt.Errorf("%d requests failed: %w", over.Failed, over.First)
	}
	after, windows := o.load(crowd, 0.8*r.Rated).Run(ctx, o.duration/4, window)
	o.say("normal load again: %s", said(&after))
	seconds := over.Elapsed.Seconds()
	r.Offered, r.Goodput = float64(over.Offered)/seconds, over.Goodput()
	r.Refused, r.Late = float64(over.Refused)/seconds, float64(over.Late)/seconds
	r.GoodputOverRated = r.Goodput / r.Rated
	r.OverloadP50, r.OverloadP99 = ms(over.Quantile(0.5)), ms(over.Quantile(0.99))
	r.OverloadOverP99 = r.OverloadP99 / r.NormalP99
	// It is back when a second of windows in turn is as the rated load is.
	back, good := o.duration/4, 0
	for i := range windows {
		w := &windows[i]
		if good++; w.Answered < w.Offered*99/100 || w.Quantile(0.99) > max(o.most, 2*normal.Quantile(0.99)) {
			good = 0
		}
		if good == int(time.Second/window) {
			back = w.From - time.Second + window
			break
		}
	}
	r.BackToNormal = back.Seconds()
	return ctx.Err()
}

// flooded measures a light client alone and beside a flood.
func (o *overload) flooded(ctx context.Context, crowd, light *wire.Client, r *overloadReport) error {
	alone, _ := o.load(light, o.light).Run(ctx, o.duration/4, window)
	o.say("light, alone: %s", said(&alone))
	flood, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.load(crowd, o.times*r.Rated).Run(flood, o.duration, window)
	}()
	time.Sleep(min(o.duration/8, 2*time.Second))
	beside, _ := o.load(light, o.light).Run(ctx, o.duration/4, window)
	stop()
	<-done
	o.say("light, beside a flood: %s", said(&beside))
	r.LightAloneP99, r.LightFloodedP99 = ms(alone.Quantile(0.99)), ms(beside.Quantile(0.99))
	r.LightOverAloneP99 = r.LightFloodedP99 / r.LightAloneP99
	r.LightAnswered = float64(beside.Answered) / float64(max(beside.Offered, 1))
	return ctx.Err()
}

func said(t *openload.Tally) string {
	return fmt.Sprintf("%.0f a second offered, %.0f answered, %.0f refused, %.0f late; p50 %v, p99 %v; sent %v late",
		float64(t.Offered)/t.Elapsed.Seconds(), t.Goodput(), float64(t.Refused)/t.Elapsed.Seconds(), float64(t.Late)/t.Elapsed.Seconds(),
		t.Quantile(0.5).Round(100*time.Microsecond), t.Quantile(0.99).Round(100*time.Microsecond), t.Behind().Round(100*time.Microsecond))
}

// load is one of commits.
func (o *overload) load(c *wire.Client, rate float64) *openload.Load {
	return &openload.Load{Rate: rate, Deadline: o.deadline, Issue: func(ctx context.Context, _ int) error {
		err := c.CommitOne(ctx, rand.IntN(wire.MostClients))
		if status.Code(err) == codes.ResourceExhausted {
			return fmt.Errorf("%w: %w", openload.ErrRefused, err)
		}
		return err
	}}
}

// loaders are sessions on connections of their own, from an address of this machine.
func (s *stand) loaders(ctx context.Context, address, from string, n int) (*wire.Client, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	var conns []grpc.ClientConnInterface
	for range n {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			}))
		if err != nil {
			return nil, err
		}
		over := session.New(conn, session.Options{})
		s.atEnd(func() { over.Close(); _ = conn.Close() }) // nothing is under way
		conns = append(conns, over)
	}
	c := wire.New(100_000, 1, conns...)
	for i := range n {
		if err := c.Ping(ctx, i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (o *overload) print(r *overloadReport) error {
	if o.asJSON {
		return json.NewEncoder(o.out).Encode(r)
	}
	_, err := fmt.Fprintf(o.out, `rated load, a second                  %8.0f
offered, a second                     %8.0f
goodput, a second                     %8.0f
goodput / rated                       %8.2f
p99 normal, ms                        %8.1f
p99 of what was admitted, ms          %8.1f
p99 of what was admitted / normal     %8.1f
back to normal, s                     %8.2f
p99 of a light client alone, ms       %8.1f
p99 of it beside a flood, ms          %8.1f
p99 of it beside a flood / alone      %8.1f
`, r.Rated, r.Offered, r.Goodput, r.GoodputOverRated, r.NormalP99, r.OverloadP99, r.OverloadOverP99, r.BackToNormal,
		r.LightAloneP99, r.LightFloodedP99, r.LightOverAloneP99)
	return err
}
