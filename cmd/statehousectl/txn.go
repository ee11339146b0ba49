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
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
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
  fork AGENT NEW [AT]             a new agent with the state of AGENT, now or AT a commit_ts or time
  restore-agent AGENT TO [PREFIX] the keys of the agent as they were at a commit_ts or time
  expect-head AGENT COMMIT_TS     only if the agent's last commit is this; 0: has none
  expect-lease AGENT LEASE TOKEN  only while the agent's lease is held under this token

Lines that are empty or start with # are passed over. A name with spaces is written
as a quoted string: put planner "a name" {"a":1}

Leases are taken and released, and due records claimed and completed, by commands of
their own, which wait and answer: lease, claim, complete. So are values written that are
bytes, expire or are due: put.`

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
	b := txnBatch{Batch: client.Batch{TxnID: w.txnID, Conditions: conditions}}
	if err := parseTxn(in, s.now(), &b); err != nil {
		return err
	}
	commit, err := s.Transact(ctx, b.Batch)
	if err != nil {
		return err
	}
	if s.asJSON {
		return s.p.object(shapeCommit(commit))
	}
	return printCommit(s.p, commit, b.verbs)
}

// txnBatch is what txn reads.
type txnBatch struct {
	client.Batch
	verbs []string // of the writes
}

func printCommit(p *printer, c client.Commit, verbs []string) error {
	made := fmt.Sprintf("commit %d · %s", c.CommitTS, show.Count(len(c.Versions), "operation"))
	if len(c.Versions) == 0 || wroteNothing(&c) {
		made = fmt.Sprintf("nothing was written, as of commit %d", c.CommitTS)
	}
	err := p.line("%s", made)
	for i, v := range c.Versions {
		what := fmt.Sprintf("%s version %d", quote(v.Key), v.Version)
		if i < len(c.Results) {
			what = resultText(verbs[i], &c.Results[i])
		}
		err = errors.Join(err, p.line("  %s %s", quote(v.Agent), what))
	}
	return err
}

// resultText says what came of an operation.
func resultText(verb string, r *client.Result) string {
	switch verb {
	case "fork":
		return "fork"
	case "delete-agent", "delete-prefix", "restore-agent":
		return fmt.Sprintf("%s* %s", printable(r.Key), show.Count(int(r.Keys), "key"))
	}
	if r.Existed {
		return fmt.Sprintf("%s exists, at version %d", quote(r.Key), r.Version)
	}
	return fmt.Sprintf("%s version %d", quote(r.Key), r.Version)
}

// parseTxn reads operations and preconditions into b. Times may be meant from now.
func parseTxn(in io.Reader, now time.Time, b *txnBatch) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxInput)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := parseTxnLine(line, now, &b.Batch); err != nil {
			return usagef("line %d: %v", n, err)
		}
		if verb, _, _ := strings.Cut(line, " "); len(b.verbs) < len(b.Writes) {
			b.verbs = append(b.verbs, verb)
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

func parseTxnLine(line string, now time.Time, b *client.Batch) error {
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
	case "fork":
		w, err := parseFork(agent, rest, now)
		b.Writes = append(b.Writes, w)
		return err
	case "restore-agent":
		w, err := parseRestore(agent, rest, now)
		b.Writes = append(b.Writes, w)
		return err
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
	return fmt.Errorf("%q is none of put, delete, put-if-absent, incr, merge, append, delete-prefix, delete-agent, fork, restore-agent, expect, expect-head and expect-lease", verb)
}

func parseFork(agent, rest string, now time.Time) (w client.Write, err error) {
	made, rest, err := word(rest, "NEW")
	if err != nil {
		return w, err
	}
	at, err := lastPoint(rest, now)
	return client.ForkAgent(made, agent, at), err
}

func parseRestore(agent, rest string, now time.Time) (w client.Write, err error) {
	to, rest, err := word(rest, "TO")
	if err != nil {
		return w, err
	}
	prefix := ""
	if rest != "" {
		if prefix, rest, err = word(rest, "PREFIX"); err != nil {
			return w, err
		}
	}
	if err := nothingAfter(rest, "the prefix of a restore-agent"); err != nil {
		return w, err
	}
	at, err := moment.ParseAt(to, now)
	return client.Restore(agent, prefix, at), err
}

// lastPoint is the commit_ts or time that a line may end in; without one it is now.
func lastPoint(rest string, now time.Time) (at client.At, err error) {
	if rest == "" {
		return at, nil
	}
	text, rest, err := word(rest, "AT")
	if err == nil {
		err = nothingAfter(rest, "the point of a fork")
	}
	if err != nil {
		return at, err
	}
	return moment.ParseAt(text, now)
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
