package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
)

// failuresShown is how many failures the summary shows: no reader goes through more.
const failuresShown = 10

// print prints the summary: what a person reads in ten seconds, or a line of JSON.
func (c *ciRun) print() error {
	total, failures := c.total(), c.failures()
	if c.a.asJSON {
		code := 0
		if f := (*failure)(nil); errors.As(c.conclude(), &f) {
			code = f.code
		}
		return json.NewEncoder(c.a.out).Encode(struct {
			Passed   bool         `json:"passed"`
			Exit     int          `json:"exit"`
			Commit   string       `json:"commit"`
			Command  string       `json:"command"`
			Groups   []*ciGroup   `json:"groups"`
			Total    ciGroup      `json:"total"`
			Failures []*ciFailure `json:"failures"`
		}{code == 0, code, commit(), c.again, c.groups, total, append([]*ciFailure{}, failures...)})
	}
	w := tabwriter.NewWriter(c.a.out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\thow many\tpassed\tfailed\tvacuous\tseconds\t")
	for _, g := range append(c.groups, &total) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t\n", g.What, g.Total, max(g.Total-g.Failed-g.Vacuous, 0), g.Failed, g.Vacuous, g.Seconds)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, g := range c.groups {
		if g.Text != "" {
			fmt.Fprintf(c.a.out, "%s: %s\n", g.What, g.Text)
		}
	}
	for _, f := range failures[:min(len(failures), failuresShown)] {
		fmt.Fprintf(c.a.out, "\nFAIL      %s %s\n", f.What, f.Title)
		f.print(c.a.out)
	}
	if more := len(failures) - failuresShown; more > 0 {
		fmt.Fprintf(c.a.out, "\n%d more failed; --junit and --json name them all\n", more)
	}
	_, err := fmt.Fprintf(c.a.out, "\nthe same again, at commit %s: %s\n", commit(), c.again)
	return err
}
