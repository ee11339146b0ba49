package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/bundle"
	"statehouse.dev/statehouse/history/redact"
)

type bundleFlags struct {
	output  string
	at      string
	from    uint64
	capture string
	redact  []string
	keyFile string
	force   bool
}

func (a *app) bundleCommand() *cobra.Command {
	var f bundleFlags
	cmd := &cobra.Command{
		Use:   "bundle AGENT... -o FILE",
		Short: "Pack agents' past into one file; open such files",
		Long: `bundle packs what is needed to look at agents' past without their daemon into one
file with hashes: every commit that touched them, with versions, metadata and
transaction ids, cut to their operations; their state at the end; what the daemon
tells of its build and store; with --capture a history that was captured, whole.

replay, diff, verify and history open such files, without a daemon. They compare every
hash first. A hash tells of damage; it does not tell who made a file.

With --redact values no reader sees values: digests stand in their places, from which
one can tell which are equal and how long they are. With --redact names agents, keys
and metadata keys get pseudonyms that keep equality, order and what begins with
what. Digests have a random key, which is not kept; to compare two bundles make
both with the same --redact-key-file, and keep it to yourself.

The name of an agent that is also one of the words above goes after "--":
statehousectl bundle -o FILE -- replay`,
		Example:           "  statehousectl bundle planner -o planner.bundle --redact values,names\n  statehousectl bundle planner critic -o two.bundle --from 1200 --at -1h\n  statehousectl bundle verify planner.bundle",
		Args:              show.Takes(1, maxBundleAgents),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "the file; - is standard output")
	flags.StringVar(&f.at, "at", "", "up to this commit_ts or time")
	flags.Uint64Var(&f.from, "from", 1, "first commit_ts; the state before it comes along")
	flags.StringVar(&f.capture, "capture", "", "a captured history (JSON lines) to come along, with all that is in it")
	flags.StringSliceVar(&f.redact, "redact", nil, "what is to be hidden: values, names")
	flags.StringVar(&f.keyFile, "redact-key-file", "", "a file of at least 16 bytes, the key of the digests")
	flags.BoolVar(&f.force, "force", false, "replace a file that exists")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is a few lines above
	}
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error { return s.bundle(ctx, &f, args) })
	cmd.AddCommand(a.bundleReplayCommand(), a.bundleDiffCommand(), a.bundleVerifyCommand(), a.bundleHistoryCommand())
	return cmd
}

// maxBundleAgents: each is a stream of its own.
const maxBundleAgents = 100

type bundledShape struct {
	File     string   `json:"file"`
	SHA256   string   `json:"sha256"`
	Agents   []string `json:"agents"`
	From     uint64   `json:"from"`
	To       uint64   `json:"to"`
	Events   int      `json:"events"`
	Records  int      `json:"records"`
	Captured int      `json:"captured"` // operations
}

func (s *session) bundle(ctx context.Context, f *bundleFlags, agents []string) error {
	b, err := s.newBundler(ctx, f, agents)
	if err != nil {
		return err
	}
	sum := sha256.New()
	write := func(w io.Writer) error { return b.write(ctx, io.MultiWriter(w, sum)) }
	if f.output == "-" {
		if s.p.terminal {
			return usagef("a bundle is nothing for a terminal: name a file")
		}
		return write(s.p.w)
	}
	if err := writeFile(f.output, f.force, write); err != nil {
		return err
	}
	shape := bundledShape{f.output, hex.EncodeToString(sum.Sum(nil)), b.agents, b.from, b.to, b.events, b.records, b.captured}
	if s.asJSON {
		return s.p.object(shape)
	}
	if err := s.p.line("commits %d to %d: %d of these agents, %s at the end, %s, in %s", b.from, b.to, b.events, show.Count(b.records, "record"), show.Count(b.captured, "captured operation"), quote(f.output)); err != nil {
		return err
	}
	return s.p.line("sha256 %s", shape.SHA256)
}

// bundler makes one bundle.
type bundler struct {
	*session
	flags    *bundleFlags
	agents   []string // in order
	from, to uint64
	redactor redact.Redactor

	events, records, captured int
}

// newBundler looks at all that can be wrong before anything is written.
func (s *session) newBundler(ctx context.Context, f *bundleFlags, agents []string) (*bundler, error) {
	b := &bundler{session: s, flags: f, from: f.from}
	slices.Sort(agents)
	b.agents = slices.Compact(agents)
	if err := b.setRedactor(); err != nil {
		return nil, err
	}
	ts, err := s.point(ctx, b.agents[0], f.at)
	if err != nil {
		return nil, err
	}
	b.to = uint64(ts)
	if b.from < 1 {
		return nil, usagef("commits are numbered from 1")
	}
	for _, agent := range b.agents {
		known, found, err := s.findAgent(ctx, agent)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, noSuchAgent(s, agent)
		case known.First > ts:
			return nil, notFoundf("agent %s has no commits up to commit %d; its first is %d", quote(agent), ts, known.First)
		}
	}
	if b.from > b.to {
		return nil, usagef("--from %d is after commit %d, the last one", b.from, b.to)
	}
	return b, nil
}

func (b *bundler) setRedactor() error {
	r := &b.redactor
	for _, what := range b.flags.redact {
		switch what {
		case "values":
			r.Values = true
		case "names":
			r.Names = redact.NewNames()
		default:
			return usagef("--redact takes values and names, not %s", quote(what))
		}
	}
	if b.flags.keyFile == "" {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		r.Digester = redact.New(key)
		return nil
	}
	if len(b.flags.redact) == 0 {
		return usagef("there is a --redact-key-file, and no --redact: nothing would be redacted")
	}
	key, err := os.ReadFile(b.flags.keyFile)
	if err != nil {
		return usagef("the key file cannot be read: %v", err)
	}
	if len(key) < 16 {
		return usagef("the key file %s has %d bytes, fewer than 16", quote(b.flags.keyFile), len(key))
	}
	r.Digester = redact.New(key)
	return nil
}

// write makes the bundle on out.
func (b *bundler) write(ctx context.Context, out io.Writer) (err error) {
	m, err := b.manifest(ctx)
	if err != nil {
		return err
	}
	dir := ""
	if b.flags.output != "-" {
		dir = filepath.Dir(b.flags.output) // where there is room for it, if anywhere
	}
	w := bundle.NewWriter(dir)
	defer func() {
		if cerr := w.Close(); err == nil {
			err = cerr
		}
	}()
	if err := b.writeMembers(ctx, w, m.Daemon); err != nil {
		return err
	}
	return w.Finish(out, *m)
}

// manifest is the part that is known before the members are. With names redacted it
// reads all that will be written once before: a pseudonym depends on all names.
func (b *bundler) manifest(ctx context.Context) (*bundle.Manifest, error) {
	build, err := b.Version(ctx)
	if err != nil {
		return nil, err
	}
	st, err := b.Status(ctx)
	if err != nil {
		return nil, err
	}
	m := &bundle.Manifest{
		Created: b.now().UTC(), Tool: bundle.Build{Version: version, GitSHA: gitSHA}, Daemon: bundle.Build(build),
		Store: bundle.Store{
			ID: st.StoreID, FormatVersion: st.Format, Durable: st.Durable, PublishedTS: uint64(st.Published),
			DiskUsed: st.DiskUsed, DiskFree: st.DiskFree, WritesRefused: st.WritesRefused,
		},
		Namespace: b.Namespace(), Agents: b.agents, From: b.from, To: b.to,
	}
	r := &b.redactor
	if r.Values || r.Names != nil {
		m.Redaction = &bundle.Redaction{Values: r.Values, Names: r.Names != nil, KeyID: r.Digester.KeyID()}
	}
	if r.Names == nil {
		return m, nil
	}
	if err := b.collectNames(ctx); err != nil {
		return nil, err
	}
	m.Redaction.NameSet = r.Names.Set(r.Digester)
	m.Namespace, _ = r.Names.Of(redact.Namespaces, m.Namespace)
	m.Agents = make([]string, len(b.agents))
	for i, agent := range b.agents {
		m.Agents[i], _ = r.Names.Of(redact.Agents, agent)
	}
	return m, nil
}
