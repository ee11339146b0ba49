package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

const findHelp = `find lists the records that all conditions select, of an agent or, with --all-agents,
of the namespace. There is no index: the daemon looks at every record in scope, as
scan does, and sends those that it found. --verbose says at how many it looked.

--where is a condition on a value: a JSON Pointer, a comparison, and JSON text.

    --where '/status = "open"'       also !=
    --where '/n >= 3'                also <, <=, >; numbers are exact
    --where '/kind in ["a","b"]'
    --where '/error exists'
    --where 'not /owner = "me"'      also where there is no owner

What is not there meets no condition, also not !=. Values of different types are never
equal, and neither less nor greater.

--meta is one on the metadata of the record's last commit: KEY=TEXT, KEY!=TEXT, KEY (it is
there), or one of them with "not " in front.

It exits with 0 also when nothing was found, and with 1 when the agent has no commits.`

// findFlags are those of find.
type findFlags struct {
	where, meta []string
	order       string
	point       pointFlags
	verbose     bool
}

func (a *app) findCommand() *cobra.Command {
	var f findFlags
	var q client.FindQuery
	cmd := &cobra.Command{
		Use:               "find [AGENT]",
		Short:             "List the records that conditions select",
		Long:              findHelp,
		Args:              show.Takes(0, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.where, "where", nil, "a condition on the value, such as '/n >= 3'; may be repeated")
	flags.StringArrayVar(&f.meta, "meta", nil, "a condition on the metadata, such as actor=planner; may be repeated")
	flags.BoolVar(&q.AllAgents, "all-agents", false, "of all agents of the namespace")
	flags.StringVar(&q.Prefix, "prefix", "", "only keys that start with this")
	flags.StringVar(&f.order, "order", "key", "by key, or changed: the record that was changed last first, of one agent")
	flags.IntVar(&q.Limit, "limit", 0, "at most this many; 0: all")
	f.point.register(flags)
	flags.BoolVar(&f.verbose, "verbose", false, "show what the last commits say of themselves, and at how many records was looked")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if err := f.complete(s, &q, args); err != nil {
			return err
		}
		return s.find(ctx, q, f.verbose)
	})
	return cmd
}

// complete makes the query of the flags and arguments.
func (f *findFlags) complete(s *session, q *client.FindQuery, args []string) (err error) {
	switch {
	case len(args) == 0 && !q.AllAgents:
		return usagef("name an agent, or say --all-agents")
	case len(args) == 1 && q.AllAgents:
		return usagef("an agent is named, and --all-agents")
	case q.Limit < 0:
		return usagef("--limit is negative")
	case f.order != "key" && f.order != "changed":
		return usagef("--order is key or changed, not %s", quote(f.order))
	case f.order == "changed" && q.AllAgents:
		return usagef("--order changed is of one agent, not of --all-agents")
	case len(args) == 1:
		q.Agent = args[0]
	}
	if q.At, err = f.point.point(s); err != nil {
		return err
	}
	q.Changed, q.WithMetadata = f.order == "changed", f.verbose
	q.Where = nil
	for _, texts := range []struct {
		all   []string
		parse func(string) (client.Condition, error)
	}{{f.where, parseWhere}, {f.meta, parseMeta}} {
		for _, text := range texts.all {
			c, err := texts.parse(text)
			if err != nil {
				return err
			}
			q.Where = append(q.Where, c)
		}
	}
	return nil
}

// foundShape is a recordShape with the metadata that --verbose asks for.
type foundShape struct {
	recordShape
	Metadata map[string]string `json:"metadata,omitempty"`
}

func (s *session) find(ctx context.Context, q client.FindQuery, verbose bool) error {
	scanned := uint64(0)
	q.Looked = func(n uint64) { scanned += n }
	columns := []string{"KEY", "VERSION", "VALUE"}
	if q.AllAgents {
		columns = append([]string{"AGENT"}, columns...)
	}
	s.p.list(columns...)
	found := 0
	for rec, err := range s.Find(ctx, q) {
		if err == nil {
			err = s.printFound(rec, &q, verbose)
		}
		if err != nil {
			return err
		}
		found++
	}
	if verbose && !s.asJSON {
		if err := s.p.flush(); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "%s found, %d looked at\n", show.Count(found, "record"), scanned)
	}
	switch {
	case found > 0:
		return nil
	case q.AllAgents:
		return s.noteNothing(ctx)
	}
	return s.mustExist(ctx, q.Agent)
}

func (s *session) printFound(rec client.Found, q *client.FindQuery, verbose bool) error {
	if s.asJSON {
		return s.p.object(foundShape{shapeRecord(rec.Record), rec.Metadata})
	}
	cells := []string{quote(rec.Key), "v" + rec.Version.String() + show.Gone(rec.Erased, rec.Pruned)}
	if q.AllAgents {
		cells = append([]string{quote(rec.Agent)}, cells...)
	}
	err := s.p.row(shownAs(rec.Value, rec.Bytes), cells...)
	if err == nil && verbose && len(rec.Metadata) > 0 {
		err = s.p.line("    %s", show.Metadata(rec.Metadata))
	}
	return err
}
