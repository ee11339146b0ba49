package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
)

const migrateHelp = `migrate rewrites a data directory of an older format in the format of this build. It
writes the new store beside the old one, verifies it, and puts it in the old one's
place with the last write: interrupted at any moment it can be run again. Every
commit keeps its number, time, versions, transaction id, metadata and outcome; the
hash chain begins anew with the old one's head. It needs about as much space again
as twice the store takes, and a directory that no daemon has open.

An older statehoused does not open the directory afterwards. Keep a copy if you may
want to go back.

It exits with 0 when the directory has this format now, or had it already, 6 when
something is wrong with the old store, 1 when it cannot be migrated: missing, not a
store, in use, too little space; 2 after wrong usage, and 130 when interrupted.`

func migrateCommand(s *signals) *cobra.Command {
	var asJSON, acceptMissing bool
	cmd := &cobra.Command{
		Use:   "migrate DIR",
		Short: "Rewrite a data directory of an older format in this build's",
		Long:  migrateHelp,
		Args:  usage(show.Takes(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.release()
			shape, err := migrate(cmd.Context(), args[0], acceptMissing, cmd.ErrOrStderr())
			text := shape.text()
			if asJSON {
				text = shape.json()
			}
			if _, werr := io.WriteString(cmd.OutOrStdout(), text); !errors.Is(werr, syscall.EPIPE) {
				err = errors.Join(err, werr)
			}
			if err != nil {
				return &offlineError{err, asJSON, verifyCode(err)}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object; an error is one on standard error")
	cmd.Flags().BoolVar(&acceptMissing, "accept-missing-witness", false, "migrate a store whose witness is gone: commits at the log's end may be lost")
	return cmd
}

// migrateShape is what migrate did, as JSON.
type migrateShape struct {
	Directory string `json:"directory"`
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	engine.Migration
}

// migrate migrates dir and writes its progress to progress.
func migrate(ctx context.Context, dir string, acceptMissing bool, progress io.Writer) (*migrateShape, error) {
	m := &migrateShape{Directory: dir}
	done := make(chan error, 1)
	go func() {
		halt := func(err error) {
			done <- err
			select {} // main ends the process
		}
		env, closeEnv := engine.OSEnv(halt, func(string, ...any) {})
		defer closeEnv()
		var err error
		m.Migration, err = engine.Migrate(env, dir, engine.MigrateOptions{
			AcceptMissingWitness: acceptMissing,
			Progress: func(step string, done, total engine.CommitTS) {
				fmt.Fprintf(progress, "%s: %d of %d commits\n", step, done, total)
			},
		})
		done <- err
	}()
	select {
	case err := <-done:
		if m.OK = err == nil; !m.OK {
			return &migrateShape{Directory: dir, Error: err.Error()}, err
		}
		return m, nil
	case <-ctx.Done(): // it can be stopped anywhere
		return &migrateShape{Directory: dir, Error: "interrupted"}, ctx.Err()
	}
}

func (m *migrateShape) json() string {
	var e show.Encoder
	text, err := e.Encode(m)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text) + "\n"
}

// text is for a person; what is wrong goes to standard error instead.
func (m *migrateShape) text() string {
	if !m.OK {
		return ""
	}
	var b strings.Builder
	dir := show.Quote(m.Directory)
	switch r := m.Store; {
	case m.Finished:
		fmt.Fprintf(&b, "%s is of format %d: an interrupted migration was finished\n", dir, m.To)
	case r == nil:
		fmt.Fprintf(&b, "%s is of format %d already\n", dir, m.To)
	default:
		fmt.Fprintf(&b, "%s is of format %d, and was of format %d\n", dir, m.To, m.From)
		if r.Lost > 0 {
			fmt.Fprintf(&b, "lost        %d acknowledged commits that the witness knew of: the machine went down while the store ran without syncs\n", r.Lost)
		}
		fmt.Fprintf(&b, "commits     %d\nversions    %d\n", r.Commits, r.Records)
		fmt.Fprintf(&b, "chain       %s\nbegins with %s\n", r.ChainHash, r.BaseHash)
	}
	return b.String()
}

// migrateFirst migrates the store before the daemon opens it, where there is one that needs it.
func migrateFirst(env engine.Env, s *settings, log *slog.Logger) error {
	if _, err := os.Stat(s.dataDir); !s.migrate || s.useMemory || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	m, err := engine.Migrate(env, s.dataDir, engine.MigrateOptions{
		AcceptMissingWitness: s.acceptMissing,
		Progress: func(step string, done, total engine.CommitTS) {
			log.Info("migrating", "step", step, "commit", uint64(done), "of", uint64(total))
		},
	})
	switch {
	case errors.Is(err, engine.ErrNoStore): // Open says what that means
		return nil
	case err != nil:
		return err
	case m.Finished || m.From != m.To:
		log.Info("the store was migrated", "from_format", m.From, "to_format", m.To, "finished", m.Finished)
	}
	return nil
}
