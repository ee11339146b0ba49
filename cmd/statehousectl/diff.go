package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/cmd/show"
)

const diffHelp = `diff shows the keys whose state differs between two points of an agent, or between two
agents, each at a point:

    statehousectl diff planner --from 1h            what the last hour changed
    statehousectl diff planner --from 12 --to 40
    statehousectl diff planner planner-2            both now
    statehousectl diff planner --from 0             all that there is, as added

A line a key: + added, - removed, ~ changed, with the operations of a JSON Patch
(RFC 6902) that makes the new value of the old one. Versions that have the same value do
not differ. --json prints both states and the patch.

It exits with 0 if nothing differs, 1 if something does, and 2 in trouble, of whatever
kind.`

// diffFlags are those of diff.
type diffFlags struct {
	from, to, toNamespace string
	quiet                 bool
}

func (a *app) diffCommand() *cobra.Command {
	var f diffFlags
	var q client.DiffQuery
	cmd := &cobra.Command{
		Use:               "diff AGENT [AGENT2]",
		Short:             "Show what differs between two points, or between two agents",
		Long:              diffHelp,
		Args:              show.Takes(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "from this commit_ts or time; of two agents: now")
	flags.StringVar(&f.to, "to", "", "to this commit_ts or time; otherwise now")
	flags.StringVar(&f.toNamespace, "to-namespace", "", "the namespace of AGENT2, or of AGENT if there is no other")
	flags.StringVar(&q.Prefix, "prefix", "", "only keys that start with this")
	flags.IntVar(&q.Limit, "limit", 0, "at most this many keys; 0: all")
	flags.BoolVar(&f.quiet, "quiet", false, "print nothing: the exit code tells")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		differs, err := false, f.complete(s, &q, args)
		if err == nil {
			differs, err = s.diff(ctx, args, q, f.quiet)
		}
		switch {
		case err != nil:
			return troubleError{err}
		case differs:
			return failedf("")
		}
		return nil
	})
	return cmd
}

// troubleError makes a command that is a test exit with 2, whatever went wrong: 1 is its answer.
type troubleError struct{ error }

func (t troubleError) Unwrap() error { return t.error }

func (f *diffFlags) complete(s *session, q *client.DiffQuery, args []string) (err error) {
	if len(args) == 1 && f.from == "" && f.toNamespace == "" {
		return usagef("an agent is compared with itself: say --from when, or name another")
	}
	if q.Limit < 0 {
		return usagef("--limit is negative")
	}
	if q.From, err = moment.ParseAt(f.from, s.now()); err != nil {
		return usageError{err}
	}
	if q.To, err = moment.ParseAt(f.to, s.now()); err != nil {
		return usageError{err}
	}
	if q.ToNamespace = f.toNamespace; len(args) == 2 {
		q.ToAgent = args[1]
	}
	q.NoValues = f.quiet
	return nil
}

func (s *session) diff(ctx context.Context, args []string, q client.DiffQuery, quiet bool) (differs bool, err error) {
	for i, agent := range args { // one that is misspelt would differ from all there is
		if i == 0 || q.ToNamespace == "" {
			if err := s.mustExist(ctx, agent); err != nil {
				return false, err
			}
		}
	}
	s.p.list("CHANGE", "KEY", "VERSION", "VALUE")
	for d, err := range s.Diff(ctx, args[0], q) {
		switch {
		case err != nil:
		case quiet:
			return true, nil
		case s.asJSON:
			err = s.p.object(shapeDiff(&d))
		default:
			err = s.printDifference(&d)
		}
		if err != nil {
			return true, err
		}
		differs = true
	}
	return differs, nil
}

type diffSideShape struct {
	Version  client.Version  `json:"version"`
	CommitTS client.CommitTS `json:"commit_ts"`
	valueShape
	Erased bool `json:"erased,omitempty"`
	Pruned bool `json:"pruned,omitempty"`
}

type keyDiffShape struct {
	Key    string          `json:"key"`
	Change string          `json:"change"` // added, removed or changed
	Before *diffSideShape  `json:"before,omitempty"`
	After  *diffSideShape  `json:"after,omitempty"`
	Patch  json.RawMessage `json:"patch,omitempty"`
}

func shapeSide(r *client.Record) *diffSideShape {
	if !r.Exists {
		return nil
	}
	return &diffSideShape{r.Version, r.CommitTS, shapeValue(r.Value, r.Bytes), r.Erased, r.Pruned}
}

// changeOf names a difference, with the sign that diff has for it.
func changeOf(d *client.KeyDiff) (name, sign string) {
	switch {
	case !d.Before.Exists:
		return "added", "+"
	case !d.After.Exists:
		return "removed", "-"
	}
	return "changed", "~"
}

func shapeDiff(d *client.KeyDiff) keyDiffShape {
	change, _ := changeOf(d)
	return keyDiffShape{d.Key, change, shapeSide(&d.Before), shapeSide(&d.After), d.Patch}
}

func (s *session) printDifference(d *client.KeyDiff) error {
	change, sign := changeOf(d)
	version := func(r *client.Record) string { return "v" + r.Version.String() + show.Gone(r.Erased, r.Pruned) }
	switch change {
	case "added":
		return s.p.row(shownAs(d.After.Value, d.After.Bytes), sign, quote(d.Key), version(&d.After))
	case "removed":
		return s.p.row(shownAs(d.Before.Value, d.Before.Bytes), sign, quote(d.Key), version(&d.Before))
	}
	if err := s.p.row(nil, sign, quote(d.Key), version(&d.Before)+" > "+version(&d.After)); err != nil || d.Patch == nil {
		return err
	}
	var operations []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(d.Patch, &operations); err != nil {
		return fmt.Errorf("the patch of key %s is not one: %w", quote(d.Key), err)
	}
	for _, o := range operations {
		text := "    " + o.Op + " " + quote(o.Path)
		if o.Value != nil {
			text += " " + string(show.AppendJSON(nil, o.Value))
		}
		if err := s.p.line("%s", text); err != nil {
			return err
		}
	}
	return nil
}
