package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/segment"
)

const backupHelp = `backup writes the whole store as of now, while it is in use: to a directory, to a file, whose
name ends in .segment, or with - to standard output.

With --incremental it adds to a directory what was committed since the backup in it ended, and begins
one when there is none. A backup of another store, or of this one from before it was restored, is
refused.

What is written is checked on the way and takes its name only when it is whole and on disk.
"statehoused backup verify PATH" checks it again, and "statehoused restore" makes a store of it,
up to its end or to any commit or time before.`

// errNothingNew ends a backup that would hold no commit.
var errNothingNew = errors.New("nothing new")

func (a *app) backupCommand() *cobra.Command {
	var b backupRun
	cmd := &cobra.Command{
		Use: "backup DIR|FILE.segment|-", Short: "Back up the whole store while it is in use", Long: backupHelp,
		Example: "  statehousectl backup /backups/monday\n  statehousectl backup --incremental /backups/monday\n  statehousectl backup - | ssh elsewhere 'cat > monday.segment'",
		Args:    show.Takes(1, 1),
	}
	cmd.Flags().BoolVar(&b.incremental, "incremental", false, "go on with the backup that the directory holds")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		b.session, b.path = s, args[0]
		return b.run(ctx)
	})
	return cmd
}

// backupRun is one backup.
type backupRun struct {
	*session
	path        string
	incremental bool

	before  *segment.Header // that it goes on with; nil: none
	got     segment.Header
	trailer segment.Trailer
	bytes   uint64
}

// backupShape is a backup that was made, as JSON.
type backupShape struct {
	File     string    `json:"file,omitempty"`
	Store    string    `json:"store_id"`
	Epoch    string    `json:"epoch"`
	From     uint64    `json:"from_ts"`
	To       uint64    `json:"to_ts"`
	ToTime   time.Time `json:"to_time"`
	Commits  uint64    `json:"commits"`
	Bytes    uint64    `json:"bytes"`
	Unpacked uint64    `json:"unpacked_bytes"`
}

func (b *backupRun) run(ctx context.Context) error {
	file := b.path
	switch inFile := strings.HasSuffix(b.path, segment.Suffix); {
	case b.incremental && (inFile || b.path == "-"):
		return usagef("--incremental goes on with a directory")
	case b.path == "-":
		if err := b.write(ctx, b.p.w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(b.err, "commits %d to %d, %s\n", b.got.After+1, b.got.To, size(b.bytes))
		return err
	case !inFile:
		if err := b.openDir(); err != nil {
			return err
		}
		first := uint64(1)
		if b.before != nil {
			first = b.before.To + 1
		}
		file = filepath.Join(b.path, segment.Name(first))
	}
	err := writeFile(file, false, func(w io.Writer) error { return b.write(ctx, w) })
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if errors.Is(err, errNothingNew) {
		if b.asJSON {
			return b.p.object(b.shape(""))
		}
		return b.p.line("nothing was committed after commit %d, at which the backup ends", b.before.To)
	}
	if err != nil {
		return err
	}
	if b.asJSON {
		return b.p.object(b.shape(file))
	}
	return b.p.line("commits %d to %d in %s, %s", b.got.After+1, b.got.To, quote(file), size(b.bytes))
}

func (b *backupRun) shape(file string) backupShape {
	return backupShape{
		File: file, Store: b.got.Store, Epoch: b.got.Epoch(), From: b.got.After + 1, To: b.got.To, ToTime: time.Unix(0, b.got.ToTime).UTC(),
		Commits: b.trailer.Commits, Bytes: b.bytes, Unpacked: b.trailer.Bytes,
	}
}

// openDir makes the directory, and finds what it holds.
func (b *backupRun) openDir() error {
	if err := os.MkdirAll(b.path, 0o700); err != nil {
		return usagef("%v", err)
	}
	entries, err := os.ReadDir(b.path) // sorted
	if err != nil {
		return err
	}
	last := ""
	for _, e := range entries {
		if segment.IsName(e.Name()) {
			last = e.Name()
		}
	}
	switch {
	case last == "":
		return nil
	case !b.incremental:
		return failedf("%s holds a backup: go on with it with --incremental, or choose another directory", quote(b.path))
	}
	f, err := os.Open(filepath.Join(b.path, last))
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := segment.NewReader(bufio.NewReader(f))
	if err != nil {
		return failedf("%s: %v", quote(f.Name()), err)
	}
	defer r.Close()
	b.before = &r.Header
	return nil
}

// write writes the segment to out, and checks what comes.
func (b *backupRun) write(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	counted := &counter{w: out}
	checked, feed := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := b.check(checked)
		_ = checked.CloseWithError(err) // the backup ends at its next write
		done <- err
	}()
	var after client.CommitTS
	epoch := ""
	if b.before != nil {
		after, epoch = client.CommitTS(b.before.To), b.before.Epoch()
	}
	progress := b.progress("reading, commits", true)
	err := admin.New(b.Client).Backup(ctx, after, epoch, io.MultiWriter(counted, feed), func(at, last client.CommitTS) { progress.to(uint64(at-after), uint64(last-after)) })
	progress.end()
	_ = feed.CloseWithError(err)
	b.bytes = counted.n
	if wrong := <-done; err == nil || errors.Is(wrong, errNothingNew) {
		err = wrong
	}
	return err
}

// check reads the segment on its way.
func (b *backupRun) check(in io.Reader) error {
	r, err := segment.NewReader(bufio.NewReader(in))
	if err != nil {
		return err
	}
	defer r.Close()
	b.got = r.Header
	if err := b.fits(&r.Header); err != nil {
		return err
	}
	for err == nil {
		_, _, err = r.Next()
	}
	b.trailer = r.Trailer
	if err == io.EOF {
		err = nil
		if b.before != nil && b.got.To == b.got.After {
			err = errNothingNew
		}
	}
	return err
}

// fits reports whether the segment goes on with what is there.
func (b *backupRun) fits(h *segment.Header) error {
	switch {
	case b.before == nil && h.After == 0:
		return nil
	case b.before == nil || h.After != b.before.To:
		return failedf("the daemon sent what follows commit %d", h.After)
	case h.Store != b.before.Store:
		return failedf("%s holds a backup of the store %s, this one is %s: choose another directory", quote(b.path), b.before.Store, h.Store)
	case h.Epoch() != b.before.Epoch():
		return failedf("the store was restored since the backup in %s: choose another directory", quote(b.path))
	case h.AfterHash != b.before.ToHash:
		return failedf("commit %d is not the one at which the backup in %s ends: choose another directory", h.After, quote(b.path))
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
