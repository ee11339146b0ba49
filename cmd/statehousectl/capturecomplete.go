package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	lin "statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/record"
	"statehouse.dev/statehouse/linearizability/zst"
)

func (a *app) captureCompleteCommand() *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use: "complete HISTORY -o FILE", Short: "Add to what clients recorded what it takes to judge it", Args: takes(1, 1),
		Long: `complete reads a history that clients recorded of themselves (in Python:
Statehouse(url, capture="history.jsonl")), asks the daemon for the state of the agents in it, as
of the first point that the clients saw, and for what has been done to those agents
since, and writes the history with that. It reads nothing of other agents, so that it
is quick on a store of any size. What the clients asked about whole namespaces, or as
of a time, is not judged then, and said.`,
		Example: "  statehousectl capture complete history.jsonl -o whole.jsonl\n  statehouse-sim check whole.jsonl",
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "the file")
	f.BoolVar(&force, "force", false, "replace a file that exists")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is two lines above
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		h, err := readHistory(args[0])
		if err != nil {
			return usagef("%s is not a history: %v", quote(args[0]), err)
		}
		if err := record.Cover(ctx, s.Client, h); err != nil {
			return err
		}
		err = writeFile(output, force, func(w io.Writer) error {
			packed, err := zst.NewWriter(output, w)
			if err != nil {
				return err
			}
			return errors.Join(h.Write(packed), packed.Close())
		})
		if err != nil {
			return err
		}
		b := h.Header.Base
		return s.p.line("%d operations, %d agents from commit %d to %d in %s; judge it with: statehouse-sim check %s",
			len(h.Operations), len(b.Agents), b.CommitTS, b.Covers, quote(output), quote(output))
	})
	return cmd
}

// maxHistory is how large a history may be, unpacked, that complete reads into memory.
const maxHistory = 256 << 20

func readHistory(path string) (*lin.History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in, err := zst.NewReader(f)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return lin.ReadCut(bufio.NewReaderSize(&limited{in, maxHistory}, 1<<20))
}

// limited ends in an error where there is more.
type limited struct {
	in   io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, failedf("it is more than %d bytes unpacked", maxHistory)
	}
	n, err := l.in.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
