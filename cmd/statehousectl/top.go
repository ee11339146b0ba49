package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/promtext"
	"statehouse.dev/statehouse/cmd/show"
)

const topHelp = `top shows what a daemon does: requests a second by method with their errors and latencies,
commits and what they wait for, limits that are nearly used up, and bounds that were reached.

Everything is of the time between two looks at the daemon, --interval apart. It goes on until it is
interrupted; --once looks twice and ends. With --json there is an object a line.`

func (a *app) topCommand() *cobra.Command {
	var once bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use: "top", Short: "Show what the daemon does, live", Long: topHelp, Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
			if interval < 100*time.Millisecond {
				return usagef("--interval is at least 100ms, not %v", interval)
			}
			if !once {
				if err := s.p.endless(); err != nil {
					return err
				}
			}
			return s.top(ctx, interval, once)
		}),
	}
	cmd.Flags().BoolVar(&once, "once", false, "look twice, show that and end")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "time between two looks")
	return cmd
}

// look is what a daemon's metrics were at a moment.
type look struct {
	at      time.Time
	samples promtext.Samples
}

func (s *session) look(ctx context.Context, operators *admin.Client) (look, error) {
	parts, err := operators.Diagnostics(ctx, "metrics")
	if err != nil {
		return look{}, err
	}
	samples, err := promtext.Parse(string(parts["metrics"]))
	if err != nil {
		return look{}, failedf("the daemon's metrics cannot be read: %v", err)
	}
	return look{s.now(), samples}, nil
}

func (s *session) top(ctx context.Context, interval time.Duration, once bool) error {
	operators := admin.New(s.Client)
	before, err := s.look(ctx, operators)
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
		var now look
		if now, err = s.look(ctx, operators); err != nil {
			break
		}
		shape := topOf(before, now)
		if s.asJSON {
			err = s.p.object(shape)
		} else {
			err = s.showTop(&shape, !once)
		}
		if err = errors.Join(err, s.p.flush()); once {
			return err
		}
		before = now
	}
	return err
}

type topShape struct {
	Time     time.Time   `json:"time"`
	Requests float64     `json:"requests_per_second"`
	Errors   float64     `json:"errors_per_second"`
	Commits  float64     `json:"commits_per_second"`
	Group    float64     `json:"commits_per_sync"`
	QueueP99 float64     `json:"queue_p99_seconds"`
	SyncP99  float64     `json:"sync_p99_seconds"`
	Queued   float64     `json:"queued_commits"`
	QueueAge float64     `json:"queue_age_seconds"`
	Sessions float64     `json:"sessions"`
	Watches  float64     `json:"watches"`
	Lag      float64     `json:"watch_lag_commits"`
	Txns     float64     `json:"open_transactions"`
	DiskUsed float64     `json:"disk_used_bytes"`
	DiskFree float64     `json:"disk_free_bytes"`
	Memory   float64     `json:"resident_bytes"`
	CPU      float64     `json:"cpu_seconds_per_second"`
	Refused  bool        `json:"writes_refused"`
	Methods  []topMethod `json:"methods"`
	Codes    []topRate   `json:"codes"`
	Limits   []topLimit  `json:"limits"`
	Reached  []topRate   `json:"bounds_reached"`
}

type topMethod struct {
	Method string  `json:"method"`
	Rate   float64 `json:"per_second"`
	Errors float64 `json:"errors_per_second"`
	P50    float64 `json:"p50_seconds"`
	P99    float64 `json:"p99_seconds"`
}

type topRate struct {
	Name string  `json:"name"`
	Rate float64 `json:"per_second"`
}

type topLimit struct {
	Limit string  `json:"limit"`
	Used  float64 `json:"used"`
	Most  float64 `json:"max"`
}

// number is v, or 0 of what nothing is known of: JSON has no NaN.
func number(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// topOf compares two looks.
func topOf(before, now look) topShape {
	m, b := now.samples, before.samples
	seconds := max(now.at.Sub(before.at).Seconds(), 0.001)
	rate := func(name string, matches ...promtext.Match) float64 { return m.Rise(b, name, matches...) / seconds }
	value := func(name string) float64 { return m.Sum("statehouse_" + name) }
	const requests, duration = "statehouse_requests_total", "statehouse_request_duration_seconds"
	groups := m.Rise(b, "statehouse_commit_group_size_count")
	t := topShape{
		Time: now.at, Requests: rate(requests), Errors: rate(requests, promtext.Without("code", "OK")), Commits: rate("statehouse_commit_group_size_sum"),
		QueueP99: number(m.Quantile(b, 0.99, "statehouse_commit_phase_seconds", promtext.With("phase", "queue"))),
		SyncP99:  number(m.Quantile(b, 0.99, "statehouse_commit_phase_seconds", promtext.With("phase", "sync"))),
		Queued:   value("queue_commits"), QueueAge: value("queue_age_seconds"), Sessions: value("sessions"), Watches: value("watches"), Lag: value("watch_lag_commits"),
		Txns: value("transactions_open"), DiskUsed: value("disk_used_bytes"), DiskFree: value("disk_free_bytes"), Refused: value("writes_refused") > 0,
		Memory: m.Sum("process_resident_memory_bytes"), CPU: rate("process_cpu_seconds_total"),
	}
	if groups > 0 {
		t.Group = m.Rise(b, "statehouse_commit_group_size_sum") / groups
	}
	for _, name := range m.Values(requests, "method") {
		of := promtext.With("method", name)
		if r := rate(requests, of); r > 0 {
			t.Methods = append(t.Methods, topMethod{name, r, rate(requests, of, promtext.Without("code", "OK")), number(m.Quantile(b, 0.5, duration, of)), number(m.Quantile(b, 0.99, duration, of))})
		}
	}
	slices.SortStableFunc(t.Methods, func(a, b topMethod) int { return cmp.Compare(b.Rate, a.Rate) })
	for _, code := range m.Values(requests, "code") {
		if r := rate(requests, promtext.With("code", code)); r > 0 && code != "OK" {
			t.Codes = append(t.Codes, topRate{code, r})
		}
	}
	t.Limits = append(limitsOf(m, "statehouse_limit_used", "statehouse_limit_max", "limit"), limitsOf(m, "statehouse_memory_used_bytes", "statehouse_memory_budget_bytes", "budget")...)
	slices.SortStableFunc(t.Limits, func(a, b topLimit) int { return cmp.Compare(b.Used/b.Most, a.Used/a.Most) })
	for _, bound := range m.Values("statehouse_limit_reached_total", "bound") {
		if r := rate("statehouse_limit_reached_total", promtext.With("bound", bound)); r > 0 {
			t.Reached = append(t.Reached, topRate{bound, r})
		}
	}
	return t
}

func limitsOf(m promtext.Samples, used, most, label string) (list []topLimit) {
	for _, name := range m.Values(most, label) {
		of := promtext.With(label, name)
		if n := m.Sum(most, of); n > 0 {
			if label == "budget" {
				name = "memory of " + name
			}
			list = append(list, topLimit{name, m.Sum(used, of), n})
		}
	}
	return list
}

// nearLimits is how many limits a screen shows.
const nearLimits = 6

// showTop shows what is going on; live, in place of what was shown before.
func (s *session) showTop(t *topShape, live bool) error {
	if live && s.p.terminal {
		if _, err := s.p.w.WriteString("\x1b[H\x1b[2J"); err != nil {
			return err
		}
	}
	ms := func(seconds float64) string { return fmt.Sprintf("%.2f ms", seconds*1000) }
	writes := "accepted"
	if t.Refused {
		writes = "REFUSED"
	}
	lines := []string{
		fmt.Sprintf("%s   %s   writes %s", show.Clock(t.Time), quote(s.daemon.Address), writes),
		fmt.Sprintf("requests %.0f/s, errors %.0f/s   commits %.0f/s, %.1f a sync   cpu %.2f   memory %s", t.Requests, t.Errors, t.Commits, t.Group, t.CPU, size(uint64(t.Memory))),
		fmt.Sprintf("queue %.0f, first waits %s, p99 %s   sync p99 %s", t.Queued, ms(t.QueueAge), ms(t.QueueP99), ms(t.SyncP99)),
		fmt.Sprintf("sessions %.0f   watches %.0f, %.0f commits behind   open transactions %.0f   disk %s used, %s free", t.Sessions, t.Watches, t.Lag, t.Txns, size(uint64(t.DiskUsed)), size(uint64(t.DiskFree))),
		"", fmt.Sprintf("%-32s %10s %10s %12s %12s", "METHOD", "PER SECOND", "ERRORS", "P50", "P99"),
	}
	for _, m := range t.Methods {
		lines = append(lines, fmt.Sprintf("%-32s %10.1f %10.1f %12s %12s", printable(m.Method), m.Rate, m.Errors, ms(m.P50), ms(m.P99)))
	}
	lines = append(lines, "", fmt.Sprintf("%-32s %10s %10s %12s", "LIMIT", "USED", "OF", ""))
	for _, l := range t.Limits[:min(len(t.Limits), nearLimits)] {
		lines = append(lines, fmt.Sprintf("%-32s %10.0f %10.0f %11.0f%%", printable(l.Limit), l.Used, l.Most, 100*l.Used/l.Most))
	}
	if len(t.Codes) > 0 {
		lines = append(lines, "", "errors: "+ratesOf(t.Codes))
	}
	if len(t.Reached) > 0 {
		lines = append(lines, "", "bounds reached: "+ratesOf(t.Reached))
	}
	var err error
	for _, l := range lines {
		err = errors.Join(err, s.p.line("%s", strings.TrimRight(l, " ")))
	}
	return err
}

func ratesOf(rates []topRate) string {
	var parts []string
	for _, r := range rates {
		parts = append(parts, fmt.Sprintf("%s %.1f/s", printable(r.Name), r.Rate))
	}
	return strings.Join(parts, ", ")
}
