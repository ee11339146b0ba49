package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/backup"
)

const restoreHelp = `restore makes a store of a backup (a directory of segments, an archive, or a file): of all of
it, or with --to-commit or --to-time up to a moment before. No daemon is needed.

The directory must not exist yet, or be empty. The backup is checked before anything is
written, each commit again as it is written, and the whole store at the end. What was interrupted
leaves a directory that no daemon takes; remove it and begin again.

The restored store begins a new epoch: cursors, page tokens and transactions from after its last
commit are refused from now on, with the error EPOCH_CHANGED. Access keys are revoked unless
--keep-keys says otherwise, and listed.

What the store dropped, pruned or erased before the backup ended does not come back: a moment before
an erasure, or of which retention has taken something, is refused with the first one that is not.
A restore to the middle of a segment leaves out what is to be kept of namespaces, and names them.

It exits with 0 when the store is whole, 65 when the backup is damaged, 3 when the directory cannot
be used, 74 when storage failed, 2 after wrong usage, and 130 when interrupted.`

func restoreCommand(s *signals, exit func(int)) *cobra.Command {
	var o backup.RestoreOptions
	var toTime string
	var keepKeys, asJSON bool
	cmd := &cobra.Command{
		Use:     "restore --from PATH --data-dir DIR",
		Short:   "Make a store of a backup",
		Long:    restoreHelp,
		Example: "  statehoused restore --from /backups/monday --data-dir /var/lib/statehouse-new --to-time 2026-02-07T10:00:00Z",
		Args:    usage(show.Takes(0, 0)),
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "the backup")
	f.StringVar(&o.Dir, "data-dir", "", "the directory of the new store")
	f.Uint64Var(&o.ToCommit, "to-commit", 0, "end with this commit")
	f.StringVar(&toTime, "to-time", "", "end with the last commit of this time or before (2026-02-07T10:00:00Z)")
	f.BoolVar(&keepKeys, "keep-keys", false, "leave access keys valid")
	f.BoolVar(&o.Unverified, "no-verify", false, "do not check the whole store at the end")
	f.BoolVar(&asJSON, "json", false, "print one JSON object; an error is one on standard error")
	for _, name := range []string{"from", "data-dir"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are a few lines above
		}
	}
	cmd.PreRunE = usage(func(cmd *cobra.Command, _ []string) (err error) {
		if f.Changed("to-commit") && o.ToCommit == 0 {
			return errors.New("--to-commit is a commit_ts, from 1")
		}
		if toTime != "" {
			if o.ToTime, err = time.Parse(time.RFC3339, toTime); err != nil {
				return fmt.Errorf("--to-time %q is not a time like 2026-02-07T10:00:00Z", toTime)
			}
		}
		return nil
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s.release() // there is nothing to reload or dump
		done, err := restore(cmd.Context(), o, keepKeys, cmd.ErrOrStderr(), exit)
		if err != nil {
			return &offlineError{err, asJSON, restoreCode(err)}
		}
		return printed(cmd.OutOrStdout(), asJSON, done, func(b *strings.Builder) {
			fmt.Fprintf(b, "%s holds the store up to commit %d (%s), in the new epoch %s\n", show.Quote(o.Dir), done.CommitTS, done.CommitTime.Format(time.RFC3339Nano), done.Epoch)
			if len(done.RevokedKeys) > 0 {
				b.WriteString("access keys that are not valid any more:")
				for _, k := range done.RevokedKeys {
					fmt.Fprintf(b, " %s (%s)", k.ID, show.Quote(k.Name))
				}
				b.WriteByte('\n')
			}
			if len(done.WithoutRetention) > 0 {
				fmt.Fprintf(b, "namespaces of which everything is kept until retention is set again: %s\n", strings.Join(done.WithoutRetention, ", "))
			}
		})
	}
	return cmd
}

// restored is what a restore did, as JSON.
type restored struct {
	backup.Restored
	RevokedKeys []revokedKey `json:"revoked_keys"`
}

type revokedKey struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func restore(ctx context.Context, o backup.RestoreOptions, keepKeys bool, progress io.Writer, exit func(int)) (restored, error) {
	env, closeEnv := offlineEnv(progress, exit)
	defer closeEnv()
	steps := &stepwise{out: progress}
	o.Progress = steps.tell
	keys := []revokedKey{}
	if !keepKeys {
		// Not deleted: without keys, access would be open.
		o.System = func(rows engine.SystemReader) ([]engine.SystemChange, error) {
			changes, ended, err := access.RevokeAll(env.Now(), rows)
			for _, k := range ended {
				keys = append(keys, revokedKey{k.ID, k.Name})
			}
			return changes, err
		}
	}
	done, err := backup.Restore(ctx, env, o)
	return restored{done, keys}, err
}

func restoreCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitCode(err)
}

// offlineEnv is the outside world of work without a daemon. When storage fails the process ends:
// nothing of it counts.
func offlineEnv(said io.Writer, exit func(int)) (engine.Env, func()) {
	return engine.OSEnv(func(err error) {
		fmt.Fprintf(said, "statehoused: storage failed, and nothing was completed: %v\n", err)
		exit(exitStorage)
	}, func(string, ...any) {})
}

// stepwise tells how far work is, not too often.
type stepwise struct {
	out  io.Writer
	what string
	next uint64
}

const tellEvery = 100_000 // commits

func (s *stepwise) tell(what string, done, last uint64) {
	if what != s.what {
		s.what, s.next = what, tellEvery
	}
	if done >= s.next {
		fmt.Fprintf(s.out, "%s: %d of %d commits\n", what, done, last)
		s.next = done - done%tellEvery + tellEvery
	}
}

const backupVerifyHelp = `verify checks a backup, which is a directory of segments, an archive, or a file: every seal and
checksum, the hash chain from the first commit to the last, each value against the digest in
its event, and that nothing is missing or too much. It changes nothing.

It exits with 0 when everything holds, 6 when something is wrong, 1 when there is no backup, 2 after
wrong usage, and 130 when interrupted.`

func backupCommand(s *signals) *cobra.Command {
	cmd := &cobra.Command{Use: "backup", Short: "Check a backup, without a daemon", Args: usage(cobra.NoArgs)}
	var asJSON bool
	verify := &cobra.Command{
		Use: "verify PATH", Short: "Check a backup: is it whole, and as it was written?", Long: backupVerifyHelp, Args: usage(show.Takes(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.release()
			env, closeEnv := offlineEnv(cmd.ErrOrStderr(), func(int) {}) // it only reads
			defer closeEnv()
			steps := &stepwise{out: cmd.ErrOrStderr()}
			r, err := backup.Verify(cmd.Context(), env, args[0], func(done, last uint64) { steps.tell("checking", done, last) })
			if err != nil {
				return &offlineError{err, asJSON, verifyCode(err)}
			}
			return printed(cmd.OutOrStdout(), asJSON, r, func(b *strings.Builder) {
				fmt.Fprintf(b, "%s is right\n", show.Quote(args[0]))
				fmt.Fprintf(b, "commits     %d to %d, the last of %s\n", r.From, r.To, r.ToTime.Format(time.RFC3339Nano))
				fmt.Fprintf(b, "segments    %d, %d rows, %d bytes of them\n", r.Segments, r.Rows, r.Bytes)
				fmt.Fprintf(b, "operations  %d\n", r.Operations)
				fmt.Fprintf(b, "store       %s, format %d, epoch %s\n", r.Store, r.Format, r.Epoch)
				fmt.Fprintf(b, "chain hash  %s\n", r.ChainHash)
			})
		},
	}
	verify.Flags().BoolVar(&asJSON, "json", false, "print one JSON object; an error is one on standard error")
	cmd.AddCommand(verify)
	return cmd
}

// printed prints what was done, for a program or a person.
func printed(out io.Writer, asJSON bool, v any, text func(*strings.Builder)) error {
	var b strings.Builder
	if asJSON {
		var e show.Encoder
		line, err := e.Encode(v)
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	} else {
		text(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
