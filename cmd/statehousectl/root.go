package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

const rootHelp = `statehousectl talks to a Statehouse daemon: it reads and writes the state of
agents, and shows what happened.

Where a command takes --at it reads at an earlier point: a commit_ts (12), a time
(2026-02-07T10:00:00Z, or "2026-02-07 10:00:00" in local time), a time ago (5m, 2h30m,
7d; -5m is the same), or now.

Names that hold spaces or anything unprintable are shown quoted as in Go and JSON.
A name that starts with a dash goes behind "--": statehousectl get agent -- -rf

--timeout bounds each call, not the whole of a long output.

A variable of the environment that is empty is taken for unset; a flag that is given
an empty value is a mistake, but for --prefix.

With --json an error is an object, one line on standard error: error (a code), message,
details, applied (no, or unknown: a commit may have taken effect), exit_code.

Exit codes: 0 ok, 1 not found (also an agent without commits), a check that failed, or a local failure, 2 wrong
usage, 3 refused by the daemon (conflict, precondition, limit, invalid request,
token), 4 the daemon cannot be reached or has failed, 5 it is unknown whether a
commit took effect, 6 data loss, 130 interrupted.`

// app is what the commands share: the outside world and the global flags.
type app struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string
	now    func() time.Time

	address        string
	namespace      string
	tokenFile      string
	caFile         string
	useTLS         bool
	plain          bool // TLS is ruled out by a flag
	plaintextToken bool
	hasToken       bool
	asJSON         bool
	debug          bool
	timeout        time.Duration
}

// newRoot is the whole tool on the given streams.
func newRoot(in io.Reader, out, err io.Writer) *cobra.Command {
	a := &app{in: in, out: out, err: err, getenv: os.Getenv, now: time.Now}
	root := &cobra.Command{
		Use:               "statehousectl",
		Short:             "Read, write, replay and inspect the state of agents",
		Long:              rootHelp,
		Version:           version + " (" + gitSHA + ")",
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.complete(cmd) },
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(show.NewWriter(err))
	f := root.PersistentFlags()
	f.StringVar(&a.address, "address", client.Address{Host: "localhost", Port: client.DefaultPort}.String(), "address of the daemon, HOST[:PORT]; https:// in front is --tls (STATEHOUSE_ADDRESS)")
	f.StringVar(&a.namespace, "namespace", "default", "namespace to work in (STATEHOUSE_NAMESPACE)")
	f.BoolVar(&a.asJSON, "json", false, "print JSON, one object a line, values verbatim; an error is one on standard error")
	f.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long a call may take, repeated tries included")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the daemon's token (STATEHOUSE_TOKEN_FILE, or the token itself in STATEHOUSE_TOKEN)")
	f.BoolVar(&a.useTLS, "tls", false, "use TLS, trusting the system's authorities (STATEHOUSE_TLS)")
	f.StringVar(&a.caFile, "ca-file", "", "use TLS, trusting the authorities in this PEM file (STATEHOUSE_CA_FILE)")
	f.BoolVar(&a.plaintextToken, "allow-plaintext-token", false, "send the token to another machine without TLS: anybody on the way can read it (STATEHOUSE_ALLOW_PLAINTEXT_TOKEN)")
	f.BoolVar(&a.debug, "debug", false, "tell on standard error of tries that fail and are made again")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return show.FlagError(err) })
	root.AddCommand(
		a.agentsCommand(), a.benchCommand(), a.captureCommand(), a.bundleCommand(), a.deleteCommand(), a.dumpCommand(), a.getCommand(), a.healthCommand(), a.historyCommand(),
		a.inspectCommand(), a.keysCommand(), a.namespacesCommand(), a.putCommand(), a.replayCommand(), a.scanCommand(),
		a.tailCommand(), a.txnCommand(), a.verifyCommand(), a.versionCommand(),
	)
	return root
}

// connected makes a command's work of f, which gets a client and the output.
func (a *app) connected(f func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return a.local(func(ctx context.Context, p *printer, args []string) error {
		config, err := a.config()
		if err != nil {
			return err
		}
		c, err := client.Dial(config)
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, &session{a, c, p}, args), c.Close())
	})
}

// local is connected for work that needs no daemon. Every command goes through one
// of the two: an error that did not is taken for a mistake in the command line.
func (a *app) local(f func(ctx context.Context, p *printer, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p := a.newPrinter()
		err := f(cmd.Context(), p, args)
		if ferr := p.flush(); err == nil {
			err = ferr
		}
		if err != nil {
			return &failure{err, a.address, a.timeout, a.hasToken}
		}
		return nil
	}
}
