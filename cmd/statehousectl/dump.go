package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

type dumpFlags struct {
	output  string
	at      string
	history bool
	force   bool
}

func (a *app) dumpCommand() *cobra.Command {
	var d dumpFlags
	cmd := &cobra.Command{
		Use:   "dump AGENT -o FILE",
		Short: "Write an agent's records to a file, as JSON",
		Long: `dump writes every record that an agent has, all as of one commit, into a file of
JSON; with --history all its commits up to there too. The file appears whole or not
at all, readable by its owner only, and never in place of another unless --force is
given. With -o - it goes to standard output.`,
		Example:           "  statehousectl dump planner -o planner.json --history",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVarP(&d.output, "output", "o", "", "the file; - is standard output")
	f.StringVar(&d.at, "at", "", "dump as of this commit_ts or time")
	f.BoolVar(&d.history, "history", false, "all commits too")
	f.BoolVar(&d.force, "force", false, "replace a file that exists")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is two lines above
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error { return s.dump(ctx, &d, args[0]) })
	return cmd
}

func (s *session) dump(ctx context.Context, d *dumpFlags, agent string) error {
	ts, err := s.point(ctx, agent, d.at)
	if err != nil {
		return err
	}
	known, found, err := s.findAgent(ctx, agent)
	switch {
	case err != nil:
		return err
	case !found:
		return noSuchAgent(s, agent)
	case known.First > ts:
		return notFoundf("agent %s has no commits up to commit %d; its first is %d", quote(agent), ts, known.First)
	}
	if d.output == "-" {
		_, err := s.writeDump(ctx, s.p.w, d, agent, ts)
		return err
	}
	var n int
	err = writeFile(d.output, d.force, func(w io.Writer) (err error) {
		n, err = s.writeDump(ctx, w, d, agent, ts)
		return err
	})
	if err != nil {
		return err
	}
	if s.asJSON {
		return s.p.object(dumpedShape{d.output, n, ts})
	}
	return s.p.line("%s as of commit %d in %s", show.Count(n, "record"), ts, quote(d.output))
}

type dumpedShape struct {
	File    string          `json:"file"`
	Records int             `json:"records"`
	ReadTS  client.CommitTS `json:"read_ts"`
}

// dumpFormat is raised when a reader of the one before could misread a dump.
const dumpFormat = 1

type dumpHeader struct {
	Format    int             `json:"statehouse_dump"`
	Namespace string          `json:"namespace"`
	Agent     string          `json:"agent"`
	CommitTS  client.CommitTS `json:"commit_ts"`
}

type dumpedRecord struct {
	Key        string          `json:"key"`
	Version    client.Version  `json:"version"`
	CommitTS   client.CommitTS `json:"commit_ts"`
	CommitTime time.Time       `json:"commit_time"`
	valueShape
}

// writeDump writes {header, "records": […], "events": […]}, an item a line, and
// returns the number of records.
func (s *session) writeDump(ctx context.Context, out io.Writer, d *dumpFlags, agent string, ts client.CommitTS) (n int, err error) {
	p := newPrinter(out)
	header, err := p.encode(dumpHeader{dumpFormat, s.Namespace(), agent, ts})
	if err != nil {
		return 0, err
	}
	if err := p.line("%s,", bytes.TrimSuffix(header, []byte("}"))); err != nil {
		return 0, err
	}
	progress := s.progress("reading "+quote(agent), d.output != "-")
	defer progress.end()
	n, err = dumpList(p, progress, "records", s.Scan(ctx, agent, client.ListQuery{At: client.AtCommit(ts)}), func(r client.Record) any {
		return dumpedRecord{r.Key, r.Version, r.CommitTS, r.CommitTime, shapeValue(r.Value, r.Bytes)}
	})
	if err == nil && d.history {
		if err = p.line(","); err == nil {
			_, err = dumpList(p, progress, "events", s.Replay(ctx, client.ReplayQuery{Agent: agent, To: ts}), func(ev client.Event) any { return shapeEvent(ev) })
		}
	}
	if err == nil {
		err = p.line("\n}")
	}
	return n, errors.Join(err, p.flush())
}

// dumpList writes a named list, an item a line.
func dumpList[T any](p *printer, progress *progress, name string, items iter.Seq2[T, error], shape func(T) any) (n int, err error) {
	if err := p.line("%q:[", name); err != nil {
		return 0, err
	}
	for item, err := range items {
		if err != nil {
			return n, err
		}
		progress.add()
		if n++; n > 1 {
			if err := p.line(","); err != nil {
				return n, err
			}
		}
		text, err := p.encode(shape(item))
		if err == nil {
			_, err = p.w.Write(text)
		}
		if err != nil {
			return n, err
		}
	}
	_, err = p.w.WriteString("\n]")
	return n, err
}

// writeFile makes a file of what write writes, whole or not at all.
func writeFile(name string, replace bool, write func(io.Writer) error) error {
	exists := failedf("%s exists; say --force to replace it", quote(name))
	if _, err := os.Lstat(name); err == nil && !replace {
		return exists // before anything is read
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when it was renamed
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !replace {
		// A link fails where a rename would replace. Not every file system has links.
		if err := os.Link(f.Name(), name); err == nil {
			return nil
		}
		if _, err := os.Lstat(name); err == nil {
			return exists
		}
	}
	return os.Rename(f.Name(), name)
}
