package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehousectl/contexts"
)

// useContext gives the flags what the context in use says: the one that --context names, or
// STATEHOUSE_CONTEXT, or the file.
func (a *app) useContext(cmd *cobra.Command) error {
	name, from := a.context, "--context"
	if !cmd.Flags().Changed("context") {
		name, from = a.getenv("STATEHOUSE_CONTEXT"), "STATEHOUSE_CONTEXT"
	}
	set, path, err := a.contexts()
	switch {
	case err != nil && name == "" && path == "":
		return nil // there is no place for any
	case err != nil:
		return &failure{error: failedf("%v", err)}
	case name == "":
		name, from = set.Current, path
	}
	if name == "" {
		return nil
	}
	c, found := set.Contexts[name]
	if !found {
		return fmt.Errorf("there is no context %s, which %s names; statehousectl context ls shows those there are", quote(name), from)
	}
	a.daemon.ContextName, a.daemon.Context = name, c.Settings()
	return nil
}

// contexts are those of the user, and the file that they are in.
func (a *app) contexts() (*contexts.Set, string, error) {
	path, err := contexts.Path(a.getenv)
	if err != nil {
		return nil, "", err
	}
	set, err := contexts.Load(path)
	return set, path, err
}

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Name the daemons that are worked with, and choose one",
		Long: `A context has a name, and says which daemon to talk to, in which namespace, and with
which token and certificates. All are in $XDG_CONFIG_HOME/statehouse/contexts.yaml
(~/.config without the variable), which only its owner may read.

A flag counts before a variable of the environment, that before the context, and the
context before what is built in. The context is the one that --context names, or
STATEHOUSE_CONTEXT, or that was chosen with "context use". Its token, certificate and
authorities go to its own daemon only: with another --address they do not count.`,
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		// What is wrong with contexts must not be in the way of mending them.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.chooseFormat(cmd); err != nil {
				return err
			}
			return a.daemon.Complete(cmd.Flags())
		},
		RunE: a.local(a.listContexts),
	}
	cmd.AddCommand(a.contextAddCommand(), a.contextUseCommand(), a.contextListCommand(), a.contextRemoveCommand(), a.contextShowCommand())
	return cmd
}

func (a *app) contextAddCommand() *cobra.Command {
	var replace, tokenOnStdin bool
	cmd := &cobra.Command{
		Use:   "add NAME [--address …] [--namespace …] [--token-stdin]",
		Short: "Keep what the flags say of a daemon under a name",
		Long: `add keeps the flags --address, --namespace, --tls, --ca-file, --tls-cert, --tls-key,
--token-file and --allow-plaintext-token as they are given; variables of the
environment do not count. Names of files are kept, not what is in them. With
--token-stdin the token, or a key, is read from standard input and kept itself. The
first context is also the one in use.`,
		Example:           "  statehousectl context add prod --address https://db.example.com --namespace agents --token-stdin < token",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a context of this name")
	cmd.Flags().BoolVar(&tokenOnStdin, "token-stdin", false, "read the token or key from standard input and keep it")
	cmd.RunE = a.local(func(_ context.Context, p *printer, args []string) error {
		if err := contexts.CheckName(args[0]); err != nil {
			return usageError{err}
		}
		c, err := contextOf(cmd)
		if err != nil {
			return err
		}
		if tokenOnStdin {
			if c.TokenFile != "" {
				return usagef("give --token-stdin or --token-file, not both")
			}
			if c.Token, err = a.readSecret(); err != nil {
				return err
			}
		}
		return a.changeContexts(func(set *contexts.Set) error {
			if _, exists := set.Contexts[args[0]]; exists && !replace {
				return failedf("there is a context %s; say --replace to replace it", args[0])
			}
			set.Contexts[args[0]] = c
			if set.Current == "" && len(set.Contexts) == 1 {
				set.Current = args[0]
			}
			return a.printContext(p, set, args[0])
		})
	})
	return cmd
}

// contextOf is a context of the flags that were given.
func contextOf(cmd *cobra.Command) (c contexts.Context, err error) {
	given := func(name string) string {
		if f := cmd.Flags().Lookup(name); f.Changed {
			return f.Value.String()
		}
		return ""
	}
	file := func(name string) string { // the same wherever the tool is run
		path := given(name)
		if path != "" && err == nil {
			path, err = filepath.Abs(path)
		}
		return path
	}
	c = contexts.Context{
		Address: given("address"), Namespace: given("namespace"), TLS: given("tls") == "true", PlaintextToken: given("allow-plaintext-token") == "true",
		TokenFile: file("token-file"), CAFile: file("ca-file"), TLSCert: file("tls-cert"), TLSKey: file("tls-key"),
	}
	if c.Address == "" {
		c.Address = cmd.Flags().Lookup("address").DefValue
	}
	if _, perr := client.ParseAddress(c.Address); perr != nil {
		err = usageError{perr}
	}
	return c, err
}

// readSecret reads a line that a terminal does not show.
func (a *app) readSecret() (string, error) {
	var text []byte
	var err error
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.err, "token: ")
		text, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
	} else {
		text, err = io.ReadAll(io.LimitReader(a.in, maxSecret+1))
	}
	secret := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	switch {
	case err != nil:
		return "", failedf("the token cannot be read: %v", err)
	case secret == "":
		return "", usagef("there is no token on standard input")
	case len(text) > maxSecret, strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", usagef("what is on standard input is no token: that is one line of printable ASCII without spaces")
	}
	return secret, nil
}

const maxSecret = 8 << 10

func (a *app) changeContexts(change func(*contexts.Set) error) error {
	set, path, err := a.contexts()
	if err != nil {
		return failedf("%v", err)
	}
	if err := change(set); err != nil {
		return err
	}
	if err := set.Save(path); err != nil {
		return failedf("%v", err)
	}
	return nil
}

func (a *app) contextUseCommand() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use: "use NAME", Short: "Choose the context that counts when none is named", Args: show.Takes(0, 1),
		ValidArgsFunction: a.completeContexts,
	}
	cmd.Flags().BoolVar(&none, "none", false, "use none")
	cmd.RunE = a.local(func(_ context.Context, p *printer, args []string) error {
		if none == (len(args) == 1) {
			return usagef("name a context, or say --none")
		}
		return a.changeContexts(func(set *contexts.Set) error {
			if none {
				set.Current = ""
				return nil
			}
			if _, found := set.Contexts[args[0]]; !found {
				return noSuchContext(args[0])
			}
			set.Current = args[0]
			return a.printContext(p, set, args[0])
		})
	})
	return cmd
}

func noSuchContext(name string) error { return notFoundf("there is no context %s", quote(name)) }

func (a *app) contextRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Forget a context", Args: show.Takes(1, 1), ValidArgsFunction: a.completeContexts,
		RunE: a.local(func(_ context.Context, _ *printer, args []string) error {
			return a.changeContexts(func(set *contexts.Set) error {
				if _, found := set.Contexts[args[0]]; !found {
					return noSuchContext(args[0])
				}
				delete(set.Contexts, args[0])
				if set.Current == args[0] {
					set.Current = ""
				}
				return nil
			})
		}),
	}
}

func (a *app) contextListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the contexts; * is the one in use", Args: show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions, RunE: a.local(a.listContexts),
	}
}

func (a *app) listContexts(_ context.Context, p *printer, _ []string) error {
	set, _, err := a.contexts()
	if err != nil {
		return failedf("%v", err)
	}
	p.headers = !a.noHeaders
	p.list("", "NAME", "ADDRESS", "NAMESPACE", "TLS", "SHOWS")
	for _, name := range set.Names() {
		shape := shapeContext(set, name)
		if a.asJSON {
			err = p.object(shape)
		} else {
			mark, tls := " ", "-"
			if shape.Current {
				mark = "*"
			}
			if shape.TLS {
				tls = "yes"
			}
			err = p.row(nil, mark, name, quote(shape.Address), dash(shape.Namespace), tls, dash(strings.Join(shape.Shows, ", ")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

func (a *app) contextShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show a context, or the one in use, without its token", Args: show.Takes(0, 1),
		ValidArgsFunction: a.completeContexts,
		RunE: a.local(func(_ context.Context, p *printer, args []string) error {
			set, _, err := a.contexts()
			if err != nil {
				return failedf("%v", err)
			}
			name := set.Current
			if len(args) == 1 {
				name = args[0]
			}
			if name == "" {
				return notFoundf("no context is in use")
			}
			if _, found := set.Contexts[name]; !found {
				return noSuchContext(name)
			}
			return a.printContext(p, set, name)
		}),
	}
}

// contextShape never has the token.
type contextShape struct {
	Name      string   `json:"name"`
	Current   bool     `json:"current"`
	Address   string   `json:"address"`
	Namespace string   `json:"namespace,omitempty"`
	TLS       bool     `json:"tls"`
	CAFile    string   `json:"ca_file,omitempty"`
	TLSCert   string   `json:"tls_cert,omitempty"`
	TLSKey    string   `json:"tls_key,omitempty"`
	TokenFile string   `json:"token_file,omitempty"`
	Shows     []string `json:"shows,omitempty"` // who its user is, by: token, token file, certificate
}

func shapeContext(set *contexts.Set, name string) contextShape {
	c := set.Contexts[name]
	s := contextShape{
		Name: name, Current: set.Current == name, Address: c.Address, Namespace: c.Namespace, CAFile: c.CAFile, TLSCert: c.TLSCert, TLSKey: c.TLSKey, TokenFile: c.TokenFile,
		TLS: c.TLS || c.CAFile != "" || c.TLSCert != "" || strings.HasPrefix(strings.ToLower(c.Address), "https://"),
	}
	for _, has := range []struct{ what, value string }{{"token", c.Token}, {"token file", c.TokenFile}, {"certificate", c.TLSCert}} {
		if has.value != "" {
			s.Shows = append(s.Shows, has.what)
		}
	}
	return s
}

func (a *app) printContext(p *printer, set *contexts.Set, name string) error {
	shape := shapeContext(set, name)
	if a.asJSON {
		return p.object(shape)
	}
	use := ""
	if shape.Current {
		use = ", in use"
	}
	if err := p.line("context %s%s", name, use); err != nil {
		return err
	}
	for _, has := range []struct{ what, value string }{
		{"address", shape.Address}, {"namespace", shape.Namespace}, {"ca-file", shape.CAFile}, {"tls-cert", shape.TLSCert}, {"tls-key", shape.TLSKey},
		{"token-file", shape.TokenFile}, {"shows", strings.Join(shape.Shows, ", ")},
	} {
		if has.value == "" {
			continue
		}
		if err := p.line("  %-10s  %s", has.what, printable(has.value)); err != nil {
			return err
		}
	}
	return nil
}

// completeContexts completes the name of a context.
func (a *app) completeContexts(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	set, _, err := a.contexts()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return set.Names(), cobra.ShellCompDirectiveNoFileComp
}
