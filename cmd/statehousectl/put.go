package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// maxInput bounds a value that is read before it is sent. The daemon's own limit,
// which it names, is lower.
const maxInput = 4 << 20

func (a *app) putCommand() *cobra.Command {
	var (
		w        writeFlags
		file, as string
		ifAbsent bool
		ends     ttlFlag
		due      dueFlags
	)
	cmd := &cobra.Command{
		Use:   "put AGENT KEY [VALUE|-|-f FILE]",
		Short: "Write a value",
		Long: "put writes a record in a transaction of its own. The value is a JSON object, in a file\n" +
			"with -f; without one, or with -, it is read from standard input. With --if-absent it\n" +
			"writes nothing if the key exists, prints what is there, and exits with 1. With\n" +
			"--content-type the value is bytes, of any kind, as they are in the file. With --ttl the\n" +
			"record expires that long after its commit: the daemon then deletes it. With --due-in or\n" +
			"--due-at it is due then: claim hands it to one worker at a time, until one completes it.",
		Example: "  statehousectl put planner goal '{\"city\":\"Paris\"}'\n" +
			"  statehousectl put planner goal --expected-version 1 --meta actor=me < goal.json\n" +
			"  statehousectl put planner shots/1 -f shot.png --content-type image/png",
		Args:              show.Takes(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	w.register(cmd.Flags(), true)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file with the value; - is standard input")
	cmd.Flags().StringVar(&as, "content-type", "", contentTypeUsage)
	cmd.Flags().BoolVar(&ifAbsent, "if-absent", false, "only if the key does not exist")
	cmd.MarkFlagsMutuallyExclusive("if-absent", "expected-version")
	ends.register(cmd)
	due.register(cmd)
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		write := client.Put(args[0], args[1], nil)
		if ifAbsent {
			write = client.PutIfAbsent(args[0], args[1], nil)
		}
		write, err := due.of(cmd, write)
		if err != nil {
			return err
		}
		if write, err = ends.of(cmd, write); err != nil {
			return err
		}
		if err := s.input(&write, args[2:], file, as); err != nil {
			return err
		}
		if ifAbsent {
			return s.evaluate(ctx, &w, cmd.Flags(), write)
		}
		commit, err := s.commitWrite(ctx, &w, cmd.Flags(), write)
		switch {
		case err != nil:
			return err
		case s.asJSON:
			return s.p.object(shapeCommit(commit))
		}
		return s.printWrite(commit)
	})
	return cmd
}

// ttlFlag says how long a record stays.
type ttlFlag struct{ ttl time.Duration }

func (t *ttlFlag) register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&t.ttl, "ttl", 0, "when it expires, from its commit on, such as 90s or 24h")
}

// of is a write with what the flag says.
func (t *ttlFlag) of(cmd *cobra.Command, w client.Write) (client.Write, error) {
	if cmd.Flags().Changed("ttl") && t.ttl <= 0 {
		return w, usagef("--ttl %v: what expires does so after its commit; without --ttl it stays", t.ttl)
	}
	return w.For(t.ttl), nil
}

const contentTypeUsage = "the value is bytes of this media type, such as image/png"

// input reads the value of a write: bytes, if it is said what they are.
func (a *app) input(w *client.Write, args []string, file, contentType string) (err error) {
	if contentType == "" {
		w.Value, err = a.inputValue(args, file)
		return err
	}
	w.Bytes = &client.Bytes{ContentType: contentType}
	w.Bytes.Data, err = a.inputBytes(args, file)
	return err
}

// inputValue is the value given as argument, in a file, or on standard input.
func (a *app) inputValue(args []string, file string) (json.RawMessage, error) {
	if len(args) == 1 && file != "" {
		return nil, usagef("the value is given twice: as an argument, and by -f")
	}
	in, where := a.in, "on standard input"
	switch {
	case len(args) == 1 && args[0] != "-":
		return json.RawMessage(args[0]), checkValue([]byte(args[0]))
	case file != "" && file != "-":
		f, err := os.Open(file)
		if err != nil {
			return nil, failedf("the value cannot be read: %v", err)
		}
		defer f.Close()
		in, where = f, "in "+quote(file)
	}
	value, err := readInput(in, where)
	if err != nil {
		return nil, err
	}
	return value, checkValue(value)
}

// checkValue catches what a shell's quoting does to JSON; the daemon checks the rest.
func checkValue(value []byte) error {
	var v json.RawMessage
	if err := json.Unmarshal(value, &v); err != nil {
		return usagef("the value is not JSON (%v); write an object and quote it for the shell: '{\"text\":\"…\"}'", err)
	}
	if bytes.TrimLeft(value, " \t\r\n")[0] != '{' {
		return usagef("the value must be a JSON object, such as {\"text\":\"…\"}")
	}
	return nil
}

// writeFlags are those of the commands that commit.
type writeFlags struct {
	expected uint64
	head     uint64
	lease    string
	of       string // the agent that head and lease are of; "": that of the write
	metadata []string
	txnID    string
}

// register adds those of a command with one operation, which may be on one key.
func (w *writeFlags) register(f *pflag.FlagSet, oneKey bool) {
	if oneKey {
		f.Uint64Var(&w.expected, "expected-version", 0, "only when the key is at this version; 0: does not exist")
	}
	f.Uint64Var(&w.head, "expected-head", 0, "only when this is the last commit of AGENT; 0: it has none")
	f.StringVar(&w.lease, "lease", "", "only while this lease of AGENT is held under this token, as in main@3")
	w.registerCommit(f)
}

// registerCommit adds those of every command that commits.
func (w *writeFlags) registerCommit(f *pflag.FlagSet) {
	f.StringArrayVar(&w.metadata, "meta", nil, "metadata of the commit, key=value; once for each key")
	f.StringVar(&w.txnID, "txn-id", "", "id of the transaction: sent again under the same id it takes effect once")
}

// conditions are what the flags say of the commit.
func (w *writeFlags) conditions() (client.Conditions, error) {
	var c client.Conditions
	for _, kv := range w.metadata {
		k, v, found := strings.Cut(kv, "=")
		if !found || k == "" {
			return c, usagef("--meta %q is not key=value", kv)
		}
		if before, twice := c.Metadata[k]; twice {
			return c, usagef("--meta has the key %s twice, with %s and with %s: only one can be kept", quote(k), quote(before), quote(v))
		}
		if c.Metadata == nil {
			c.Metadata = make(map[string]string)
		}
		c.Metadata[k] = v
	}
	return c, nil
}

// on adds what the flags say of an agent.
func (w *writeFlags) on(agent string, f *pflag.FlagSet, c *client.Conditions) error {
	if f.Changed("expected-head") {
		c.Heads = append(c.Heads, client.HeadPrecondition{Agent: agent, Expected: client.CommitTS(w.head)})
	}
	if !f.Changed("lease") {
		return nil
	}
	at := strings.LastIndexByte(w.lease, '@')
	if at < 1 {
		return usagef("--lease %q is not LEASE@TOKEN, such as main@3", w.lease)
	}
	token, err := tokenOf(w.lease[at+1:])
	c.Leases = append(c.Leases, client.LeasePrecondition{Agent: agent, Lease: w.lease[:at], Token: token})
	return err
}

// commitWrite commits one write.
func (s *session) commitWrite(ctx context.Context, w *writeFlags, f *pflag.FlagSet, write client.Write) (client.Commit, error) {
	conditions, err := w.conditions()
	if err != nil {
		return client.Commit{}, err
	}
	if err := w.on(cmp.Or(w.of, write.Agent), f, &conditions); err != nil {
		return client.Commit{}, err
	}
	if f.Changed("expected-version") {
		write = write.IfVersion(client.Version(w.expected))
	}
	commit, err := s.Transact(ctx, client.Batch{TxnID: w.txnID, Writes: []client.Write{write}, Conditions: conditions})
	if err == nil && len(commit.Versions) != 1 {
		err = errors.New("the commit names no version")
	}
	return commit, err
}

func (s *session) printWrite(commit client.Commit) error {
	return s.p.line("commit %d · version %d", commit.CommitTS, commit.Versions[0].Version)
}
