package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// The commands whose operations the daemon evaluates: incr, merge and append. put --if-absent is one, too.

func (a *app) incrCommand() *cobra.Command {
	var (
		w            writeFlags
		by, min, max string
	)
	cmd := &cobra.Command{
		Use:   "incr AGENT KEY POINTER [BY]",
		Short: "Add to a number in a value",
		Long: "incr adds to the number at a JSON Pointer in a record's value, without reading it first:\n" +
			"increments by many at once all count. The sum is exact. A record or a member that is not\n" +
			"there counts as 0. It prints the value that came out. What is less than 0 goes after --by.",
		Example:           "  statehousectl incr planner usage /tokens 250\n  statehousectl incr planner budget /left --by -3 --min 0",
		Args:              show.Takes(3, 4),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), true)
	cmd.Flags().StringVar(&by, "by", "1", "how much to add; a number, which may be negative")
	cmd.Flags().StringVar(&min, "min", "", "refuse a sum below this number")
	cmd.Flags().StringVar(&max, "max", "", "refuse a sum above this number")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		if len(args) == 4 {
			if cmd.Flags().Changed("by") {
				return usagef("how much to add is given twice: %s, and by --by", printable(args[3]))
			}
			by = args[3]
		}
		var bounds []client.Bound
		if min != "" {
			bounds = append(bounds, client.AtLeast(json.Number(min)))
		}
		if max != "" {
			bounds = append(bounds, client.AtMost(json.Number(max)))
		}
		return s.evaluate(ctx, &w, cmd.Flags(), client.Increment(args[0], args[1], args[2], json.Number(by), bounds...))
	})
	return cmd
}

func (a *app) mergeCommand() *cobra.Command {
	var (
		w    writeFlags
		file string
	)
	cmd := &cobra.Command{
		Use:   "merge AGENT KEY [PATCH|-|-f FILE]",
		Short: "Change members of a value",
		Long: "merge applies a JSON Merge Patch (RFC 7396) to a record's value: the members of the patch\n" +
			"take the place of those of the value, and one that is null is removed. A record that is not\n" +
			"there counts as {}. It prints the value that came out.",
		Example:           "  statehousectl merge planner goal '{\"city\":\"Rome\",\"draft\":null}'",
		Args:              show.Takes(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), true)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file with the patch; - is standard input")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		patch, err := s.inputValue(args[2:], file)
		if err != nil {
			return err
		}
		return s.evaluate(ctx, &w, cmd.Flags(), client.Merge(args[0], args[1], patch))
	})
	return cmd
}

func (a *app) appendCommand() *cobra.Command {
	var (
		w        writeFlags
		file, as string
		ends     ttlFlag
	)
	cmd := &cobra.Command{
		Use:   "append AGENT PREFIX [VALUE|-|-f FILE]",
		Short: "Append a value to a sequence",
		Long: "append writes a value under the next key of a sequence: PREFIX and a number of 16 digits, which\n" +
			"is never given twice. It prints the key. keys and scan list a sequence in its order. With\n" +
			"--content-type the value is bytes, as they are in the file. With --ttl the record expires, as\n" +
			"with put; its number is not given again.",
		Example: "  statehousectl append planner messages/ '{\"role\":\"user\",\"text\":\"hello\"}'\n  statehousectl scan planner messages/\n" +
			"  statehousectl append planner seen/ '{\"page\":7}' --ttl 24h",
		Args:              show.Takes(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), false)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file with the value; - is standard input")
	cmd.Flags().StringVar(&as, "content-type", "", contentTypeUsage)
	ends.register(cmd)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		write, err := ends.of(cmd, client.Append(args[0], args[1], nil))
		if err != nil {
			return err
		}
		if err := s.input(&write, args[2:], file, as); err != nil {
			return err
		}
		return s.evaluate(ctx, &w, cmd.Flags(), write)
	})
	return cmd
}

// evaluate commits an operation that the daemon evaluates, and prints what came of it.
func (s *session) evaluate(ctx context.Context, w *writeFlags, f *pflag.FlagSet, write client.Write) error {
	commit, err := s.commitWrite(ctx, w, f, write)
	if err != nil {
		return err
	}
	if len(commit.Results) != 1 {
		return errors.New("the daemon does not say what came of the operation")
	}
	r := commit.Results[0]
	made := fmt.Sprintf("commit %d", commit.CommitTS)
	if r.Existed {
		made = "nothing was written"
	}
	if s.asJSON {
		err = s.p.object(shapeResult(commit))
	} else if err = s.p.line("%s · version %d · %s", made, r.Version, quote(r.Key)); err == nil && (r.Value != nil || r.Bytes != nil) {
		err = s.p.value(shownAs(r.Value, r.Bytes))
	}
	if r.Existed {
		return errors.Join(err, failedf("key %s of agent %s exists already, at version %d: nothing was written", quote(r.Key), quote(r.Agent), r.Version))
	}
	return err
}

// resultShape is a commit of one operation that the daemon evaluated.
type resultShape struct {
	commitShape
	valueShape      // what came out, or was there
	Existed    bool `json:"existed,omitempty"` // nothing was written, since the key exists
}

func shapeResult(c client.Commit) resultShape {
	r := &c.Results[0]
	return resultShape{shapeCommit(c), shapeValue(r.Value, r.Bytes), r.Existed}
}
