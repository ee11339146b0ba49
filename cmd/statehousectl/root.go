package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/connect"
	"statehouse.dev/statehouse/cmd/show"
)

const rootHelp = `statehousectl talks to a Statehouse daemon: it reads and writes the state of
agents, and shows what happened.

Where a command takes --at it reads at an earlier point: a commit_ts (12), a time
(2026-02-07T10:00:00Z, or "2026-02-07 10:00:00" in local time), a time ago (5m, 2h30m,
7d; -5m is the same), or now.

Names that hold spaces or anything unprintable are shown quoted as in Go and JSON.
A name that starts with a dash goes after "--": statehousectl get agent -- -rf

--timeout bounds each call, not the whole of a long output.

A flag counts before a variable of the environment, that before the context (see
statehousectl context), that before what is built in; statehousectl config shows what
comes of it. A variable of the environment that is empty is taken for unset; a flag that
is given an empty value is a mistake, but for --prefix.

-o json and -o yaml print one document, a list where there may be several; where -o
names a file, there is --json. With --json and those an error is an object, one line on
standard error: error (a code), message, details, applied (no, or unknown: a commit may
have taken effect), exit_code.

Exit codes: 0 ok, 1 not found (also an agent without commits), a check that failed, or
a local failure, 2 wrong usage, 3 refused by the daemon (conflict, precondition, limit,
invalid request, token or key), 4 the daemon cannot be reached or has failed, 5 it is
unknown whether a commit took effect, or no member of a cluster leads, 6 data loss, 7
bundles, or members of a cluster, that cannot be compared, 130 interrupted. diff has 0 the same, 1 different, 2 trouble.`

// app is what the commands share: the outside world and the global flags.
type app struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string
	now    func() time.Time

	daemon    connect.Flags
	context   string
	namespace string
	output    string // as it was given
	asJSON    bool   // for programs: any format but the table
	format    string
	noHeaders bool
}

// newRoot is the whole tool on the given streams.
func newRoot(in io.Reader, out, err io.Writer) *cobra.Command {
	a := &app{in: in, out: out, err: err, getenv: os.Getenv, now: time.Now, daemon: connect.Flags{Getenv: os.Getenv, Err: err}}
	root := &cobra.Command{
		Use:               "statehousectl",
		Short:             "Read, write, replay and inspect the state of agents",
		Long:              rootHelp,
		Version:           version + " (" + gitSHA + ")",
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	root.SetIn(in)
	root.SetOut(out)
	stderr := show.NewWriter(err)
	stderr.Colour = show.Colours(isTerminal(err), a.getenv)
	root.SetErr(stderr)
	f := root.PersistentFlags()
	a.daemon.Register(f)
	f.StringVar(&a.context, "context", "", "the context that counts (STATEHOUSE_CONTEXT); see statehousectl context")
	f.StringVar(&a.namespace, "namespace", "default", "namespace to work in (STATEHOUSE_NAMESPACE)")
	f.BoolVar(&a.asJSON, "json", false, "print JSON, one object a line, values verbatim; an error is one on standard error")
	f.StringVarP(&a.output, "output", "o", "", "print a table (with the names of its columns), json or yaml (one document), or jsonl (as --json)")
	f.BoolVar(&a.noHeaders, "no-headers", false, "leave out the names of a table's columns")
	for flag, complete := range map[string]cobra.CompletionFunc{"context": a.completeContexts, "output": completeFormats} { // any order
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // they are a few lines above
		}
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return show.FlagError(err) })
	a.addCommands(root)
	return root
}

// addCommands gives the tool its commands, in the groups that its help shows.
func (a *app) addCommands(root *cobra.Command) {
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"data", "The state of agents:", []*cobra.Command{
			a.getCommand(), a.putCommand(), a.editCommand(), a.deleteCommand(), a.incrCommand(), a.mergeCommand(), a.appendCommand(), a.refreshCommand(), a.leaseCommand(), a.claimCommand(), a.completeCommand(), a.txnCommand(), a.watchCommand(),
			a.forkCommand(), a.lineageCommand(), a.deletePrefixCommand(), a.deleteAgentCommand(), a.restoreAgentCommand(),
			a.keysCommand(), a.lsCommand(), a.scanCommand(), a.findCommand(), a.agentsCommand(), a.namespacesCommand(), a.dumpCommand(), a.mcpCommand(),
		}},
		{"past", "What happened:", []*cobra.Command{
			a.historyCommand(), a.diffCommand(), a.replayCommand(), a.tailCommand(), a.inspectCommand(), a.bundleCommand(), a.captureCommand(),
		}},
		{"daemon", "Operating a daemon:", []*cobra.Command{
			a.healthCommand(), a.topCommand(), a.refusalsCommand(), a.streamsCommand(), a.logLevelCommand(), a.debugCommand(), a.keyCommand(), a.auditCommand(),
			a.backupCommand(), a.exportCommand(), a.importCommand(), a.retentionCommand(), a.eraseCommand(), a.compactCommand(), a.diskCommand(), a.clusterCommand(),
		}},
		{"tool", "This tool:", []*cobra.Command{a.contextCommand(), a.configCommand(), a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
		}
		root.AddCommand(g.commands...)
	}
	root.SetHelpCommandGroupID("tool")
	root.SetCompletionCommandGroupID("tool")
	root.AddCommand(a.benchCommand(), a.verifyCommand()) // moved, and out of sight
}

// prepare reads the flags that all commands share.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := a.chooseFormat(cmd); err != nil {
		return err
	}
	if err := a.useContext(cmd); err != nil {
		return err
	}
	return a.daemon.Complete(cmd.Flags())
}

// connected makes a command's work of f, which gets a client and the output.
func (a *app) connected(f func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return a.local(func(ctx context.Context, p *printer, args []string) error {
		c, err := a.dial()
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, &session{a, c, p}, args), c.Close())
	})
}

// dial makes the client.
func (a *app) dial() (*client.Client, error) {
	config, err := a.daemon.Config()
	var invalid *client.Error // which knows how to explain itself
	if err != nil && !errors.As(err, &invalid) {
		err = usageError{err}
	}
	if err != nil {
		return nil, err
	}
	config.Namespace = a.namespace
	return client.Dial(config)
}

// local is connected for work that needs no daemon. Every command goes through one
// of the two: an error that did not is taken for a mistake in the command line.
func (a *app) local(f func(ctx context.Context, p *printer, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p := a.newPrinter()
		err := f(cmd.Context(), p, args)
		if err == nil {
			err = p.finish()
		}
		if ferr := p.flush(); err == nil {
			err = ferr
		}
		if err != nil {
			return &failure{err, a.daemon.Address, a.daemon.Timeout, a.daemon.HasToken}
		}
		return nil
	}
}
