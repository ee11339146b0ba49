package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleVerify(limit *int64) *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Look whether a bundle is whole, and its state follows from its log", Args: cobra.ExactArgs(1),
		Long: `verify holds every hash and size to the manifest, the log to what a log promises
(order, versions without gaps), and the state to what the log makes of it. It exits
with 1 if the log or the state is not right, 2 if the file cannot be read.`,
		RunE: func(_ *cobra.Command, args []string) error {
			b, file, err := openBundle(args[0], *limit)
			if err != nil {
				return err
			}
			defer file.Close()
			v, err := b.Verify()
			if err != nil {
				return unreadable(args[0], err)
			}
			if a.asJSON {
				err = a.printJSON(verifyShape{len(v.Findings) == 0, b.Manifest, v})
			} else {
				_, err = io.WriteString(a.out, verified(args[0], &b.Manifest, v))
			}
			if err == nil && len(v.Findings) > 0 {
				err = failed(exitViolation, "%s is whole, but not right", show.Quote(args[0]))
			}
			return err
		},
	}
}

// verifyShape is what verify prints as JSON.
type verifyShape struct {
	OK       bool            `json:"ok"`
	Manifest bundle.Manifest `json:"manifest"`
	*bundle.Verified
}

// verified tells what is in a bundle and what was found.
func verified(path string, m *bundle.Manifest, v *bundle.Verified) string {
	var b strings.Builder
	redacted := "no"
	if r := m.Redaction; r != nil {
		redacted = "names"
		if r.Values {
			redacted = "values"
		}
		if r.Values && r.Names {
			redacted = "values and names"
		}
	}
	agents := make([]string, len(m.Agents))
	for i, name := range m.Agents {
		agents[i] = show.Quote(name)
	}
	fmt.Fprintf(&b, "%s: %d bytes, hashes right\n", show.Quote(path), sizeOf(m))
	fmt.Fprintf(&b, "made      %s by statehousectl %s (%s)\n", show.Clock(m.Created), show.Quote(m.Tool.Version), show.Quote(m.Tool.GitSHA))
	fmt.Fprintf(&b, "daemon    %s (%s), store %s\n", show.Quote(m.Daemon.Version), show.Quote(m.Daemon.GitSHA), show.Quote(m.Store.ID))
	fmt.Fprintf(&b, "agents    %s in %s\n", strings.Join(agents, " "), show.Quote(m.Namespace))
	fmt.Fprintf(&b, "log       commits %d to %d: %s, %s\n", m.From, m.To, show.Count(v.Events, "event"), show.Count(v.Operations, "operation"))
	fmt.Fprintf(&b, "state     %s\n", show.Count(v.Records, "record"))
	if m.Has(bundle.History) {
		fmt.Fprintf(&b, "history   %s\n", show.Count(v.Captured, "operation"))
	}
	fmt.Fprintf(&b, "redacted  %s\n", redacted)
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "WRONG     %s\n", show.Printable(f))
	}
	if v.More > 0 {
		fmt.Fprintf(&b, "WRONG     and %d more\n", v.More)
	}
	if len(v.Findings) == 0 {
		b.WriteString("the state follows from the log\n")
	}
	return b.String()
}

func sizeOf(m *bundle.Manifest) (n int64) {
	for _, x := range m.Members {
		n += x.Size
	}
	return n
}

func (a *app) bundleHistory(limit *int64) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "history FILE -o history.jsonl", Short: "Take the captured history out, for check", Args: cobra.ExactArgs(1),
		Example: "  statehouse-sim bundle history planner.bundle -o history.jsonl\n  statehouse-sim check history.jsonl",
		RunE: func(_ *cobra.Command, args []string) error {
			b, file, err := openBundle(args[0], *limit)
			if err != nil {
				return err
			}
			defer file.Close()
			if !b.Manifest.Has(bundle.History) {
				return failed(exitUsage, "%s has no history: it was made without --capture", show.Quote(args[0]))
			}
			in, err := b.Member(bundle.History)
			if err != nil {
				return unreadable(args[0], err)
			}
			if output == "-" {
				if f, ok := a.raw.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
					return failed(exitUsage, "nobody has looked at what is in it: not to a terminal, name a file")
				}
				_, err := io.Copy(a.raw.out, in)
				return err
			}
			return writeFile(output, func(f *os.File) error {
				w := bufio.NewWriter(f)
				if _, err := io.Copy(w, in); err != nil {
					return err
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file; - is standard output")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is two lines above
	}
	return cmd
}
