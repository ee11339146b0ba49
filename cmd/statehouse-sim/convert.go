package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/edn"
	"statehouse.dev/statehouse/history/zst"
)

// The forms that a history can be converted into.
const (
	asHistory   = "history"
	asRegisters = "rw-register"
)

func (a *app) convertCommand() *cobra.Command {
	var workload string
	var how judging
	cmd := &cobra.Command{
		Use: "convert IN OUT", Short: "Turn a history into another format: JSON lines, EDN as Jepsen has it", Args: cobra.ExactArgs(2),
		Long: `convert reads a history and writes it in the format that the name OUT says: .jsonl
(JSON lines) or .edn (Jepsen's: a map for each invocation and completion), followed by .zst
to compress it.

With --workload rw-register it writes what other checkers of transactions, such as Elle,
take: reads and writes of registers, which are the keys, whose values are the versions.
That is not a whole history, and cannot be converted back.`,
		Example: "  statehouse-sim convert incident.jsonl incident.edn\n  statehouse-sim convert store/latest/history.edn mine.jsonl\n" +
			"  statehouse-sim convert incident.jsonl elle.edn --workload rw-register",
		RunE: func(_ *cobra.Command, files []string) error { return a.convert(files[0], files[1], workload, how) },
	}
	cmd.Flags().StringVar(&workload, "workload", asHistory, "what to write: the whole "+asHistory+", or an "+asRegisters+" workload (.edn)")
	cmd.Flags().BoolVar(&how.cut, "cut", false, cutHelp)
	how.limits.flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions([]string{asHistory, asRegisters}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// formatOf is what the name of a file says of its format.
func formatOf(path string) string { return filepath.Ext(strings.TrimSuffix(path, zst.Suffix)) }

func (a *app) convert(from, to, workload string, how judging) error {
	var write func(io.Writer, *history.History) error
	switch format := formatOf(to); {
	case workload == asRegisters && format == edn.Suffix:
		write = edn.WriteRegisters
	case workload == asRegisters:
		return failed(exitUsage, "an %s workload is EDN: call %s something.edn", workload, to)
	case workload != asHistory:
		return failed(exitUsage, "there is no workload %q, but %s and %s", workload, asHistory, asRegisters)
	case format == edn.Suffix:
		write = edn.Write
	case format == ".jsonl":
		write = func(out io.Writer, h *history.History) error { return h.Write(out) }
	default:
		return failed(exitUsage, "the name %s does not say which format to write: .jsonl or .edn, and .zst after it to compress", to)
	}
	in, done, err := openHistory(from, how.limits)
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	defer done()
	h, err := in.history(from, how.cut)
	if err != nil {
		return notHistory(from, err)
	}
	err = writeFile(to, func(f *os.File) error {
		out, err := zst.NewWriter(to, f)
		if err != nil {
			return err
		}
		if err := write(out, h); err != nil {
			return err
		}
		return out.Close()
	})
	if err != nil {
		return err
	}
	if !a.asJSON {
		fmt.Fprintf(a.out, "%s: %s, %s\n", to, show.Count(len(h.Operations), "operation"), show.Count(len(h.Log), "commit"))
	}
	return nil
}
