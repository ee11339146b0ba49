package main

import (
	"fmt"
	"io"
	"strings"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
)

// jsonFigure is a number, or null where it is not known.
type jsonFigure float64

func (f jsonFigure) MarshalJSON() ([]byte, error) {
	if !known(float64(f)) {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%.4g", float64(f)), nil
}

// Report is the whole result, as --json prints it. Its fields are only ever added to.
type Report struct {
	Daemons      []Measured    `json:"daemons"`
	Records      int           `json:"records"`
	Events       int           `json:"events"`
	Watchers     int           `json:"watchers"`
	Rounds       int           `json:"rounds"`
	Measurements []Measurement `json:"measurements"`
	Ratios       []Ratio       `json:"ratios"`
	Against      []Against     `json:"against,omitempty"`
	Missing      []Missing     `json:"missing,omitempty"`
}

// Measured is a daemon.
type Measured struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Measurement is a target in a case, medians over the rounds.
type Measurement struct {
	Case      string     `json:"case"`
	Clients   int        `json:"clients"`
	Target    string     `json:"target"`
	PerSecond jsonFigure `json:"per_second"`
	P50       jsonFigure `json:"p50_us"`
	P99       jsonFigure `json:"p99_us"`
	Max       jsonFigure `json:"max_us"`
	ServerCPU jsonFigure `json:"server_cpu_us"`
	ClientCPU jsonFigure `json:"client_cpu_us"`
}

// Spread is a median and the middle half of the rounds.
type Spread struct {
	Value jsonFigure `json:"value"`
	Low   jsonFigure `json:"low"`
	High  jsonFigure `json:"high"`
}

// Ratio compares two measurements of one run with an aim.
type Ratio struct {
	Daemon string `json:"daemon"`
	Name   string `json:"name"`
	Spread
	Aim    float64 `json:"aim"`
	AtMost bool    `json:"at_most"`
	Met    bool    `json:"met"`
}

// Against is A divided by B in a case.
type Against struct {
	Case      string `json:"case"`
	Clients   int    `json:"clients"`
	Variant   string `json:"variant"`
	PerSecond Spread `json:"per_second"`
	P50       Spread `json:"p50"`
	CPU       Spread `json:"cpu"`
}

// Missing is what could not be measured, and why.
type Missing struct {
	Target string `json:"target"`
	Why    string `json:"why"`
}

func spreadOf(s bench.Spread) Spread {
	return Spread{jsonFigure(s.Median), jsonFigure(s.Low), jsonFigure(s.High)}
}

// report gathers what was measured.
func (a *app) report(s *stand, r *bench.Results) *Report {
	out := &Report{Records: a.records, Events: a.events(), Watchers: a.watchers, Rounds: a.rounds, Measurements: []Measurement{}, Ratios: []Ratio{}}
	for _, c := range r.Cases() {
		for _, t := range s.targets {
			if rounds := r.Of(c.Op, c.Clients, t.Name); len(rounds) > 0 || t.Missing != "" && t.Takes(c) {
				out.Measurements = append(out.Measurements, measurement(c, t.Name, rounds))
			}
		}
	}
	for _, t := range s.targets {
		if t.Missing != "" {
			out.Missing = append(out.Missing, Missing{t.Name, t.Missing})
		}
	}
	for _, d := range s.daemons {
		out.Daemons = append(out.Daemons, Measured{d.name, d.version})
		if strings.HasSuffix(d.name, largeSuffix) {
			continue
		}
		for _, q := range ratiosOf(r, d.name, a.many(), a.watchers) {
			if sp := bench.SpreadOf(q.values); known(sp.Median) {
				out.Ratios = append(out.Ratios, Ratio{d.name, q.name, spreadOf(sp), q.aim, q.atMost, q.met()})
			}
		}
	}
	for _, c := range compare(r, s.targets, r.Cases()) {
		out.Against = append(out.Against, Against{c.Case.Op, c.Case.Clients, strings.TrimPrefix(c.Target, ", "),
			spreadOf(c.over(bench.PerSecond)), spreadOf(c.over(bench.P50)), spreadOf(c.over(bench.CPU))})
	}
	return out
}

func measurement(c bench.Case, target string, rounds bench.Rounds) Measurement {
	of := func(f bench.Figure) jsonFigure { return jsonFigure(rounds.Median(f)) }
	return Measurement{c.Op, c.Clients, target, of(bench.PerSecond), of(bench.P50), of(bench.P99), of(bench.Max), of(bench.ServerCPU), of(bench.ClientCPU)}
}

// print prints the report.
func (a *app) print(r *Report) error {
	var b strings.Builder
	if a.asJSON {
		var encoder show.Encoder
		text, err := encoder.Encode(r)
		if err != nil {
			return err
		}
		b.Write(append(text, '\n'))
	} else {
		r.text(&b)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

// text prints tables no wider than 100 columns.
func (r *Report) text(w io.Writer) {
	last := ""
	for _, m := range r.Measurements {
		if c := (bench.Case{Op: m.Case, Clients: m.Clients}).String(); c != last {
			if last != "" {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%-34s %10s %8s %8s %8s  %8s %8s %8s\n", c, "per second", "p50 µs", "p99 µs", "max µs", "server", "client", "both")
			last = c
		}
		fmt.Fprintf(w, "  %-32s %10s %8s %8s %8s  %8s %8s %8s\n", m.Target, short(m.PerSecond), short(m.P50), short(m.P99), short(m.Max),
			short(m.ServerCPU), short(m.ClientCPU), short(m.ServerCPU+m.ClientCPU))
	}
	fmt.Fprintf(w, "\nMedians of %d rounds. On the right processor time in µs: of an operation, a write of a\ntransaction, an event of a history.\n", r.Rounds)
	r.ratios(w)
	r.against(w)
	for _, m := range r.Missing {
		fmt.Fprintf(w, "\n%s: %s\n", m.Target, m.Why)
	}
}

// ratios prints each with its aim.
func (r *Report) ratios(w io.Writer) {
	last := ""
	for _, q := range r.Ratios {
		if q.Daemon != last {
			fmt.Fprintf(w, "\n%-66s %7s %13s %8s\n", q.Daemon, "ratio", "middle half", "aim")
			last = q.Daemon
		}
		bound, met := ">=", ""
		if q.AtMost {
			bound = "<="
		}
		if !q.Met {
			met = " !"
		}
		fmt.Fprintf(w, "  %-64s %7s %13s %8s%s\n", q.Name, short(q.Value), short(q.Low)+"-"+short(q.High), fmt.Sprintf("%s %g", bound, q.Aim), met)
	}
}

// against prints A over B.
func (r *Report) against(w io.Writer) {
	if len(r.Against) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-34s %20s %20s %20s\n", nameA+" / "+nameB+" (middle half)", "per second", "p50", "CPU")
	for _, x := range r.Against {
		name := bench.Case{Op: x.Case, Clients: x.Clients}.String()
		if x.Variant != "" {
			name += ", " + x.Variant
		}
		fmt.Fprintf(w, "%s\n%-34s %20s %20s %20s\n", name, "", x.PerSecond, x.P50, x.CPU)
	}
}

func (s Spread) String() string {
	return fmt.Sprintf("%s (%s-%s)", short(s.Value), short(s.Low), short(s.High))
}

// short writes a figure with about three digits.
func short(f jsonFigure) string {
	switch x := float64(f); {
	case !known(x):
		return "-"
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}
