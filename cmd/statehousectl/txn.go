package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

const txnHelp = `txn commits many operations at once: all of them or none. It reads them from FILE,
or from standard input, one a line:

  put AGENT KEY JSON
  delete AGENT KEY
  put-if-absent AGENT KEY JSON    nothing, if the key exists
  incr AGENT KEY POINTER BY       add to the number at a JSON Pointer
  merge AGENT KEY PATCH           a JSON Merge Patch
  append AGENT PREFIX JSON        under the next key of a sequence
  expect AGENT KEY VERSION        only if the key is at this version; 0: does not exist
  delete-prefix AGENT PREFIX      every key that starts with it
  delete-agent AGENT              every key of the agent
  expect-head AGENT COMMIT_TS     only if the agent's last commit is this; 0: has none
  expect-lease AGENT LEASE TOKEN  only while the agent's lease is held under this token

Lines that are empty or start with # are passed over. A name with spaces is written
as a quoted string: put planner "a name" {"a":1}`

func (a *app) txnCommand() *cobra.Command {
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "txn [FILE|-]",
		Short: "Commit many operations at once, or tell what became of a transaction",
		Long:  txnHelp,
		Example: "  printf '%s\\n' 'put planner goal {\"city\":\"Rome\"}' 'delete planner draft' | statehousectl txn\n" +
			"  statehousectl txn status 0190b3c2-5a6e-7cc1-8c2b-1d2e3f405162",
		Args: show.Takes(0, 1),
	}
	w.registerCommit(cmd.Flags())
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		return s.runTxn(ctx, &w, args)
	})
	cmd.AddCommand(&cobra.Command{
		Use:   "status TXN_ID",
		Short: "Tell what became of a transaction",
		Long: "status says whether a transaction is open, committed, aborted or expired. It exits\n" +
			"with 1 when the daemon has never seen the id, or no longer keeps outcomes of its age.",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.connected(txnStatus),
	})
	cmd.AddCommand(a.openTxnCommands()...)
	return cmd
}

func (s *session) runTxn(ctx context.Context, w *writeFlags, args []string) error {
	in := s.in
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return usageError{err}
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	conditions, err := w.conditions()
	if err != nil {
		return err
	}
	b := client.Batch{TxnID: w.txnID, Conditions: conditions}
	if err := parseTxn(in, &b); err != nil {
		return err
	}
	commit, err := s.Transact(ctx, b)
	if err != nil {
		return err
	}
	if s.asJSON {
		return s.p.object(shapeCommit(commit))
	}
	return printCommit(s.p, commit)
}

func printCommit(p *printer, c client.Commit) error {
	err := p.line("commit %d · %s", c.CommitTS, show.Count(len(c.Versions), "operation"))
	for _, v := range c.Versions {
		err = errors.Join(err, p.line("  %s %s version %d", quote(v.Agent), quote(v.Key), v.Version))
	}
	return err
}

// parseTxn reads operations and preconditions into b.
func parseTxn(in io.Reader, b *client.Batch) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxInput)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := parseTxnLine(line, b); err != nil {
			return usagef("line %d: %v", n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return usagef("a line is more than %s long", size(maxInput))
	} else if err != nil {
		return failedf("the operations cannot be read: %v", err)
	}
	if len(b.Writes) == 0 && len(b.Keys) == 0 && len(b.Heads) == 0 && len(b.Leases) == 0 {
		return usagef("there are no operations; see statehousectl txn --help for their form")
	}
	return nil
}

func parseTxnLine(line string, b *client.Batch) error {
	verb, rest, _ := strings.Cut(line, " ")
	agent, rest, err := word(rest, "AGENT")
	if err != nil {
		return err
	}
	switch verb {
	case "expect-head":
		head, err := lastNumber(rest, "COMMIT_TS")
		b.Heads = append(b.Heads, client.HeadPrecondition{Agent: agent, Expected: client.CommitTS(head)})
		return err
	case "delete-agent":
		b.Writes = append(b.Writes, client.DeleteAgent(agent))
		return nothingAfter(rest, "the agent of a delete-agent")
	}
	key, rest, err := word(rest, "KEY")
	if err != nil {
		return err
	}
	if write := valueVerbs[verb]; write != nil {
		b.Writes = append(b.Writes, write(agent, key, []byte(rest)))
		return checkValue([]byte(rest))
	}
	switch verb {
	case "incr":
		pointer, by, err := word(rest, "POINTER")
		b.Writes = append(b.Writes, client.Increment(agent, key, pointer, json.Number(by)))
		return err
	case "delete":
		b.Writes = append(b.Writes, client.Delete(agent, key))
		return nothingAfter(rest, "the key of a delete")
	case "delete-prefix":
		b.Writes = append(b.Writes, client.DeletePrefix(agent, key))
		return nothingAfter(rest, "the prefix of a delete-prefix")
	case "expect-lease":
		token, err := lastNumber(rest, "TOKEN")
		b.Leases = append(b.Leases, client.LeasePrecondition{Agent: agent, Lease: key, Token: client.Version(token)})
		return err
	case "expect":
		v, err := lastNumber(rest, "VERSION")
		b.Keys = append(b.Keys, client.KeyPrecondition{RecordName: client.RecordName{Agent: agent, Key: key}, Expected: client.Version(v)})
		return err
	}
	return fmt.Errorf("%q is none of put, delete, put-if-absent, incr, merge, append, delete-prefix, delete-agent, expect, expect-head and expect-lease", verb)
}

func nothingAfter(rest, what string) error {
	if rest != "" {
		return fmt.Errorf("%q after %s", rest, what)
	}
	return nil
}

// valueVerbs are the operations whose line ends in a value.
var valueVerbs = map[string]func(agent, key string, value json.RawMessage) client.Write{
	"put": client.Put, "put-if-absent": client.PutIfAbsent, "merge": client.Merge, "append": client.Append,
}

// word takes a plain or quoted word off the front of s.
func word(s, what string) (w, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err == nil {
			w, err = strconv.Unquote(quoted)
		}
		if err != nil {
			return "", "", fmt.Errorf("%s is not a quoted string", what)
		}
		rest = s[len(quoted):]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return "", "", fmt.Errorf("there is no space after the quoted %s", what)
		}
		return w, strings.TrimSpace(rest), nil
	}
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		i = len(s)
	}
	if i == 0 {
		return "", "", fmt.Errorf("%s is missing", what)
	}
	return s[:i], strings.TrimSpace(s[i:]), nil
}

func lastNumber(s, what string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is a number, not %q", what, s)
	}
	return n, nil
}

func txnStatus(ctx context.Context, s *session, args []string) error {
	out, err := s.GetTransaction(ctx, args[0])
	if err != nil {
		return err
	}
	var unknown error
	if out.State == client.TxnNeverSeen || out.State == client.TxnTooOld {
		unknown = errFailed{}
	}
	if s.asJSON {
		shape := shapeCommit(out.Commit)
		shape.State = out.State
		return errors.Join(s.p.object(shape), unknown)
	}
	switch out.State {
	case client.TxnCommitted:
		err = s.p.line("committed as commit %d at %s", out.Commit.CommitTS, clock(out.Commit.CommitTime))
		for _, v := range out.Commit.Versions {
			err = errors.Join(err, s.p.line("  %s %s version %d", quote(v.Agent), quote(v.Key), v.Version))
		}
	case client.TxnNeverSeen:
		err = s.p.line("never seen: it has not committed, and will not unless it is sent again")
	case client.TxnTooOld:
		err = s.p.line("too old: outcomes of that age are no longer kept")
	default:
		err = s.p.line("%s", out.State)
	}
	return errors.Join(err, unknown)
}
