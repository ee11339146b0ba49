package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/history/redact"
	"statehouse.dev/statehouse/history/zst"
)

func (a *app) captureCompleteCommand() *cobra.Command {
	var output, redactWhat string
	var force bool
	cmd := &cobra.Command{
		Use: "complete HISTORY -o FILE", Short: "Add to what clients recorded what it takes to judge it", Args: show.Takes(1, 1),
		Long: `complete reads a history that clients recorded of themselves (in Python:
Statehouse(url, capture="history.jsonl")), asks the daemon for the state of the agents in it, as
of the first point that the clients saw, and for what has been done to those agents
since, and writes the history with that. It reads nothing of other agents, so that it
is quick on a store of any size. What the clients asked about whole namespaces, or as
of a time, is not judged then, and said.

What is redacted already cannot be found in the store: record values as they are, and
let --redact take them out. The key of the digests is thrown away.`,
		Example: "  statehousectl capture complete history.jsonl -o whole.jsonl\n  statehouse-sim check whole.jsonl",
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "the file")
	f.StringVar(&redactWhat, "redact", "none", "what is not to be in FILE: values, names (and values) or none")
	f.BoolVar(&force, "force", false, "replace a file that exists")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is two lines above
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		r, err := redactorOf(redactWhat)
		if err != nil {
			return err
		}
		h, err := readHistory(args[0])
		if err != nil {
			return err
		}
		if err := record.Cover(ctx, s.Client, h); err != nil {
			return failedf("%s: %v", quote(args[0]), err)
		}
		if err := redacted(r, h); err != nil {
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

func readHistory(path string) (*history.History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("%v", err)
	}
	defer f.Close()
	in, err := zst.NewReader(f)
	if err != nil {
		return nil, usagef("%s: %v", quote(path), err)
	}
	defer in.Close()
	h, err := history.ReadCut(bufio.NewReaderSize(&limited{in, maxHistory}, 1<<20))
	if err != nil {
		return nil, usagef("%s is not a history: %v", quote(path), err)
	}
	return h, nil
}

// redactorOf is what takes values, or names and values, out; nil: nothing.
func redactorOf(what string) (*redact.Redactor, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	r := &redact.Redactor{Digester: redact.New(key), Values: true}
	switch what {
	case "none":
		return nil, nil
	case "values":
		return r, nil
	case "names":
		r.Names = redact.NewNames()
		return r, nil
	}
	return nil, usagef("--redact is values, names or none, not %s", quote(what))
}

func redacted(r *redact.Redactor, h *history.History) error {
	if r == nil {
		return nil
	}
	if r.Names != nil {
		r.Names.AddHistory(h)
	}
	return r.History(h)
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
