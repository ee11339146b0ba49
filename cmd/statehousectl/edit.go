package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) editCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "edit AGENT KEY",
		Short: "Edit a value with $EDITOR",
		Long: `edit opens the value of a record in $VISUAL or $EDITOR (vi), and writes what was made of
it, provided that the record is still at the version that was opened. When it is not, or
what was made is no JSON object, nothing is written, and the text stays in a file that
is named. A record that does not exist begins as {}.`,
		Example:           "  statehousectl edit planner plan\n  EDITOR='code --wait' statehousectl edit planner plan --meta actor=me",
		Args:              show.Takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.registerCommit(cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error { return s.edit(ctx, &w, args[0], args[1]) })
	return cmd
}

func (s *session) edit(ctx context.Context, w *writeFlags, agent, key string) error {
	conditions, err := w.conditions() // before any work is done
	if err != nil {
		return err
	}
	rec, err := s.read(ctx, agent, key, &pointFlags{at: "now"}, 0, false)
	if err != nil {
		return err
	}
	before, err := editable(rec)
	if err != nil {
		return err
	}
	path, after, err := s.edited(ctx, before)
	switch {
	case err != nil && path == "":
		return err
	case err != nil:
		return keepText(err, path)
	case bytes.Equal(before, after):
		_ = os.Remove(path)
		_, err := fmt.Fprintln(s.err, "statehousectl: nothing was changed, and nothing is written")
		return err
	}
	if err := checkValue(after); err != nil {
		return keepText(err, path)
	}
	write := client.Put(agent, key, after).IfVersion(rec.Version)
	commit, err := s.Transact(ctx, client.Batch{TxnID: w.txnID, Writes: []client.Write{write}, Conditions: conditions})
	if err == nil && len(commit.Versions) != 1 {
		err = errors.New("the commit names no version")
	}
	if err != nil {
		return keepText(err, path)
	}
	_ = os.Remove(path)
	if s.asJSON {
		return s.p.object(shapeCommit(commit))
	}
	return s.printWrite(commit)
}

// editable is a value as text for an editor.
func editable(rec client.Record) ([]byte, error) {
	if !rec.Exists {
		return []byte("{}\n"), nil
	}
	if rec.Bytes != nil {
		return nil, failedf("the value of key %s is bytes (%s), not JSON; see get --raw and put --content-type", quote(rec.Key), printable(rec.Bytes.ContentType))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, rec.Value, "", "  "); err != nil {
		return nil, fmt.Errorf("the value is not JSON: %w", err)
	}
	return append(show.AppendJSON(nil, b.Bytes()), '\n'), nil // an editor may print what it shows
}

// edited is what the user's editor makes of text, and the file that it is in.
func (s *session) edited(ctx context.Context, text []byte) (path string, after []byte, err error) {
	f, err := os.CreateTemp("", "statehouse-*.json") // 0600
	if err != nil {
		return "", nil, failedf("there is no place for the text: %v", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", nil, failedf("the text cannot be written: %v", err)
	}
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if value := s.getenv(name); value != "" {
			editor = value
		}
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", f.Name()) // it may have arguments, as others have it
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, editor, f.Name())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	if err := cmd.Run(); err != nil {
		return f.Name(), nil, failedf("the editor (%s) failed: %v", printable(editor), err)
	}
	after, err = os.ReadFile(f.Name())
	if err != nil {
		return "", nil, failedf("the text cannot be read: %v", err)
	}
	if len(after) > maxInput {
		return f.Name(), nil, usagef("the value is more than %s long", size(maxInput))
	}
	return f.Name(), after, nil
}

// keepText is an error that says where the text is that it was about.
func keepText(err error, path string) error {
	if errors.Is(err, client.ErrPreconditionFailed) {
		return noted{err, "The record was changed while it was edited. The text is in " + path}
	}
	return noted{err, "The text is in " + path}
}
