package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/zst"
)

const captureHelp = `capture records what clients ask of the daemon and are told, in a ring of files beside
its store, and makes a history of it that statehouse-sim can judge and reproduce:

  statehousectl capture start
  statehousectl capture dump -o incident.jsonl
  statehouse-sim check incident.jsonl

It stays on over restarts and crashes until it is stopped. It never blocks a request:
what the disk cannot keep up with is lost, counted, and said in the history. The
daemon also dumps it on SIGUSR1, and when its storage fails, into its directory.`

func (a *app) captureCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "capture", Short: "Record what clients ask and are told", Long: captureHelp}
	simple := func(use, short string, f func(context.Context, *session) (client.Capture, error)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
			RunE: a.connected(func(ctx context.Context, s *session, _ []string) error {
				c, err := f(ctx, s)
				if err != nil {
					return err
				}
				return s.printCapture(&c)
			}),
		}
	}
	cmd.AddCommand(
		simple("start", "Begin a capture; the one before is forgotten", func(ctx context.Context, s *session) (client.Capture, error) { return s.StartCapture(ctx) }),
		simple("stop", "End it; it can be dumped until another begins", func(ctx context.Context, s *session) (client.Capture, error) { return s.StopCapture(ctx) }),
		simple("status", "Tell whether one is on, and how it fares", func(ctx context.Context, s *session) (client.Capture, error) { return s.CaptureStatus(ctx) }),
		a.captureDumpCommand(), a.captureCompleteCommand(),
	)
	return cmd
}

type captureShape struct {
	On         bool   `json:"on"`
	Directory  string `json:"directory"`
	Bytes      uint64 `json:"bytes"`
	MaxBytes   uint64 `json:"max_bytes"`
	Operations uint64 `json:"operations"`
	Lost       uint64 `json:"lost"`
	Wrapped    bool   `json:"wrapped"`
	Error      string `json:"error,omitempty"`
}

func (s *session) printCapture(c *client.Capture) error {
	if s.asJSON {
		return s.p.object(captureShape(*c))
	}
	state := "off"
	if c.On {
		state = "on"
	}
	dropped := ""
	if c.Wrapped {
		dropped = ", the oldest part was dropped"
	}
	err := errors.Join(
		s.p.line("capture     %s", state),
		s.p.line("ring        %s of %s in %s%s", size(c.Bytes), size(c.MaxBytes), quote(c.Directory), dropped),
		s.p.line("operations  %d since the daemon started, %d of them lost", c.Operations, c.Lost),
	)
	if c.Error != "" {
		err = errors.Join(err, s.p.line("problem     %s", printable(c.Error)))
	}
	return err
}

var redactions = map[string]client.Redaction{"values": client.RedactValues, "none": client.RedactNothing, "names": client.RedactNames}

func (a *app) captureDumpCommand() *cobra.Command {
	var output, redact string
	var force bool
	cmd := &cobra.Command{
		Use: "dump -o FILE", Short: "Write what was captured as a history", Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `dump writes what was captured as a history (JSON lines, docs/HISTORY.md). Values are in it
as digests with a key that stays with the daemon: equal values have equal digests.
With --redact names, namespaces, agents, keys and ids are pseudonyms as well; with
--redact none everything is in it as it is. A FILE that ends in .zst is compressed;
statehouse-sim reads it as it is.`,
		Example: "  statehousectl capture dump -o incident.jsonl --redact names",
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "the file; - is standard output")
	f.StringVar(&redact, "redact", "values", "values, names (and values) or none")
	f.BoolVar(&force, "force", false, "replace a file that exists")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is three lines above
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, _ []string) error {
		r, known := redactions[redact]
		if !known {
			return usagef("--redact is values, names or none, not %q", redact)
		}
		if output == "-" {
			return s.DumpCapture(ctx, s.p.w, r)
		}
		counted := &counter{}
		err := writeFile(output, force, func(w io.Writer) error {
			counted.w = w
			packed, err := zst.NewWriter(output, counted)
			if err != nil {
				return err
			}
			return errors.Join(s.DumpCapture(ctx, packed, r), packed.Close())
		})
		if err != nil {
			return err
		}
		if s.asJSON {
			return s.p.object(map[string]any{"file": output, "bytes": counted.n})
		}
		return s.p.line("%s in %s; judge it with: statehouse-sim check %s", size(counted.n), quote(output), quote(output))
	})
	return cmd
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n uint64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += uint64(n)
	if err != nil {
		err = fmt.Errorf("the dump cannot be written: %w", err)
	}
	return n, err
}
