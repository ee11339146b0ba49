package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
)

func (a *app) checkCommand() *cobra.Command {
	var report string
	var around int
	how := judging{parts: true}
	cmd := &cobra.Command{
		Use: "check history.jsonl...", Short: "Judge histories: was every guarantee kept in what clients were told?", Args: cobra.MinimumNArgs(1),
		Long: `check judges recorded histories: "live --history" or "run --history", a
client of yours, any program that writes the format of docs/HISTORY.md.

A history without the log is judged by the log that its acknowledgements and replays
make up. If commits are missing from that, check says so and exits with 7: what cannot
be checked is not called right.

A history of 100,000 operations or more that has its log is judged in sections, in bounded
memory (docs/HISTORY.md). A compressed file (.zst) is unpacked into a temporary one. A
file may come from a stranger: one that would unpack to too much, or take too much memory,
is refused (--max-bytes, --max-memory).`,
		Example: "  statehouse-sim live --history live.jsonl\n  statehouse-sim check live.jsonl --report live.html",
		RunE: func(_ *cobra.Command, files []string) error {
			var first error
			for _, file := range files {
				if err := a.check(file, report, around, how); err != nil && first == nil {
					first = err
				}
			}
			return first
		},
	}
	cmd.Flags().StringVar(&report, "report", "", "write an HTML report of the last history to this file")
	cmd.Flags().IntVar(&around, "around", 20, "how much to show around a violation")
	cmd.Flags().BoolVar(&how.cut, "cut", false, cutHelp)
	how.limits.flags(cmd.Flags())
	return cmd
}

const cutHelp = "accept a history without its end, as a killed program leaves it: it is judged for what it holds"

// checked is what came of a history, as JSON.
type checked struct {
	File       string          `json:"file"`
	Verdict    verdict.Verdict `json:"verdict"`
	Operations int             `json:"operations"`
	Commits    int             `json:"commits"`
	Others     int             `json:"others,omitempty"` // commits among them of clients that are not in the history
	Seconds    float64         `json:"seconds"`
	Missing    []uint64        `json:"missing,omitempty"`  // commits that are not in the history, the first hundred
	Sections   bool            `json:"sections,omitempty"` // it was judged in sections
	// Of a history that begins in the middle, or has gaps, the verdict is of what it holds;
	// in sections, of what is not too far apart.
	Partial     bool                `json:"partial,omitempty"`
	Gaps        int                 `json:"gaps,omitempty"`
	BeforeBase  int                 `json:"before_base,omitempty"`
	Dangling    int                 `json:"dangling,omitempty"`
	Outside     int                 `json:"outside,omitempty"`
	Covered     int                 `json:"covered_agents,omitempty"` // the log is of these alone; 0: of all
	Unexplained int                 `json:"unexplained,omitempty"`
	Violations  []verdict.Violation `json:"violations,omitempty"`
}

func (a *app) check(file, report string, around int, how judging) error {
	h, r, c, err := a.judge(file, how)
	if err != nil {
		return err
	}
	if report != "" {
		if err := reportTo(report, h, r); err != nil {
			return err
		}
	}
	if err := a.printChecked(h, r, c, around); err != nil {
		return err
	}
	return c.err()
}

// err is what the verdict means to who asked for it.
func (c *checked) err() error {
	switch c.Verdict {
	case verdict.Illegal:
		v := &c.Violations[0]
		return &failure{codeOf(v), fmt.Errorf("%s: %s is broken", c.File, v.Guarantee)}
	case verdict.Unknown:
		return failed(exitUnchecked, "%s could not be checked", c.File)
	}
	return nil
}

// partly says what a verdict is not about.
func (c *checked) partly() string {
	of, early := "it begins in the middle", "from before the file begins"
	if c.Sections {
		of, early = "it is long, and was judged in sections", "that look further back than a section"
	}
	if c.Covered > 0 {
		of = "its log is of " + show.Count(c.Covered, "agent") + " alone"
	}
	if c.Gaps > 0 {
		of = fmt.Sprintf("it has %s of which not everything was recorded", show.Count(c.Gaps, "time"))
	}
	var not []string
	add := func(n int, what, rest string) {
		if n > 0 {
			not = append(not, show.Count(n, what)+" "+rest)
		}
	}
	add(c.BeforeBase, "operation", early)
	add(c.Dangling, "operation", "resting on a request that is not in it")
	add(c.Outside, "operation", "about agents or times that its log does not tell of")
	add(c.Unexplained, "commit", "with no request in it")
	if len(not) == 0 {
		not = []string{"nothing that it holds"}
	}
	return "judged only for what it holds: " + of + "; not judged: " + strings.Join(not, ", ")
}

func (a *app) printChecked(h *history.History, r linearizability.Result, c *checked, around int) error {
	if a.asJSON {
		return json.NewEncoder(a.out).Encode(c)
	}
	others := ""
	if c.Others > 0 {
		others = fmt.Sprintf(" (%d of others)", c.Others)
	}
	fmt.Fprintf(a.out, "%s: %s, %s%s, judged in %.1fs: %s\n", c.File, show.Count(c.Operations, "operation"), show.Count(c.Commits, "commit"), others, c.Seconds, c.Verdict)
	if c.Partial {
		fmt.Fprintln(a.out, c.partly())
	}
	if len(c.Missing) > 0 {
		fmt.Fprintln(a.out, c.missing())
	}
	if c.Verdict != verdict.Illegal {
		return nil
	}
	return linearizability.Timeline(a.out, h, r, around)
}

// missing says why it could not be checked.
func (c *checked) missing() string {
	more := ""
	if len(c.Missing) > 5 {
		more = " and more"
	}
	return fmt.Sprintf("not checkable: commits %v%s are not in it, and what they did is not known; let \"statehousectl capture complete\" fetch what was done to the agents in it, or record a replay of every namespace at the end",
		c.Missing[:min(len(c.Missing), 5)], more)
}

func reportTo(path string, h *history.History, r linearizability.Result) error {
	return writeFile(path, func(f *os.File) error { return linearizability.Report(f, h, r) })
}

func historyTo(path string, h *history.History) error {
	return writeFile(path, func(f *os.File) error { return h.Write(f) })
}

func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return failed(exitInternal, "writing %s: %v", path, err)
	}
	return nil
}
