package linearizability

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

//go:embed report.html
var reportHTML string

var reportPage = template.Must(template.New("report").Parse(reportHTML))

// reportMargin is how many moments of a history a report holds on each side of the first
// violation.
const reportMargin = 300

// Report writes a page of HTML that needs nothing else: the verdict, what was expected beside
// what was answered, and around the first violation each request as a bar from its call to its
// return, in a lane for each client, with the writer and the disk in lanes beside them.
func Report(w io.Writer, h *history.History, r Result) error {
	var first verdict.Violation
	var facts []Fact
	if len(r.Violations) > 0 {
		first = visibleViolation(r.Violations[0])
		facts = Culprit(h, &r.Violations[0], nil)
	}
	c := drawChart(h, &first)
	details, err := json.Marshal(c.details()) // escapes <, > and &
	if err != nil {
		return err
	}
	return reportPage.Execute(w, map[string]any{
		"Source": visible(h.Header.Source), "Build": visible(h.Header.Build), "Command": visible(h.Header.Command),
		"Verdict": string(r.Verdict), "First": first, "Facts": facts, "Violations": visibleOnes(r.Violations),
		"Chart": c, "Details": template.JS(details), "Operations": len(h.Operations), "Commits": len(h.Log),
	})
}

// chart is the drawing: a row for each moment, a column for each lane. Rows and columns are
// those of a CSS grid: the lanes' names are in row 1, the times in column 1.
type chart struct {
	Lanes []lane
	Rows  []row
	Bars  []*bar
	Total int // moments in the history
	from  int64
	to    int64
	row   map[int64]int
}

type lane struct {
	Name  string
	At    int // its first column
	Width int // columns: as many as it has requests at once
	ends  []int64
	bars  []*bar
}

type row struct {
	Time int64
	At   int
	Band bool // something befell the daemon or its disk: it goes across all lanes
}

// bar is a request, a step of the writer, or something that happened at a moment.
type bar struct {
	Kind         string // class in the style sheet
	Op           int
	From, To     int // rows, To excluded
	Column       int // in its lane at first, in the grid in the end
	Text, Answer string
	Span         string // for who cannot see how long it is
	Bad          bool
	Band         bool   // across all lanes, at its end
	Expected     string // beside the answer, of one that is wrong
	detail       string
	lane         string
	calls, ends  int64
}

func drawChart(h *history.History, first *verdict.Violation) *chart {
	c := &chart{row: make(map[int64]int)}
	bars := append(requestBars(h, first), noteBars(h)...)
	slices.SortStableFunc(bars, func(x, y *bar) int { return int(x.calls - y.calls) })
	c.window(bars, first)
	lanes := make(map[string]*lane)
	var order []*lane
	for _, b := range bars {
		if b.calls > c.to || b.ends < c.from {
			continue
		}
		l := lanes[b.lane]
		if l == nil {
			l = &lane{Name: b.lane}
			lanes[b.lane], order = l, append(order, l)
		}
		l.add(b)
	}
	slices.SortStableFunc(order, func(x, y *lane) int { return compareLanes(x.Name, y.Name) })
	column := 2
	for _, l := range order {
		l.At, l.Width = column, len(l.ends)
		column += l.Width
		c.Lanes = append(c.Lanes, *l)
		for _, b := range l.bars {
			b.Column += l.At
			b.From, b.To = c.rowOf(b.calls), c.rowOf(b.ends)+1
			c.Bars = append(c.Bars, b)
		}
	}
	slices.SortStableFunc(c.Bars, func(x, y *bar) int { return x.From - y.From })
	return c
}

// window chooses the moments around the violation, and gives each a row.
func (c *chart) window(bars []*bar, first *verdict.Violation) {
	var times []int64
	for _, b := range bars {
		times = append(times, b.calls, b.ends)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	c.Total = len(times)
	at, _ := slices.BinarySearch(times, first.Time)
	if first.Time == 0 {
		at = len(times)
	}
	times = times[max(0, at-reportMargin):min(len(times), at+reportMargin+1)]
	if len(times) == 0 {
		return
	}
	c.from, c.to = times[0], times[len(times)-1]
	for i, t := range times {
		c.row[t] = i + 2
		c.Rows = append(c.Rows, row{Time: t, At: i + 2})
	}
	for _, b := range bars {
		if i := c.row[b.ends]; i > 0 && (b.Band || b.Kind == "band") {
			c.Rows[i-2].Band = true
		}
	}
}

// rowOf is the row of a moment; of one outside of the window the nearest.
func (c *chart) rowOf(time int64) int {
	if time < c.from {
		return 2
	}
	if time > c.to {
		return len(c.Rows) + 1
	}
	return c.row[time]
}

// add puts a bar into the first column of the lane that is free.
func (l *lane) add(b *bar) {
	b.Column = slices.IndexFunc(l.ends, func(end int64) bool { return end < b.calls })
	if b.Column < 0 {
		b.Column, l.ends = len(l.ends), append(l.ends, 0)
	}
	l.ends[b.Column], l.bars = b.ends, append(l.bars, b)
}

// Long reports whether a bar has room for more than a line for what is asked.
func (b *bar) Long() bool { return b.To-b.From > 2 }

// Columns is how many the lanes have together.
func (c *chart) Columns() (n int) {
	for i := range c.Lanes {
		n += c.Lanes[i].Width
	}
	return n
}

func (c *chart) details() []string {
	list := make([]string, len(c.Bars))
	for i := range c.Bars {
		list[i] = c.Bars[i].Text + "\n" + c.Bars[i].Answer + "\n" + c.Bars[i].detail
	}
	return list
}
