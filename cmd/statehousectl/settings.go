package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// fromEnvironment names the variables that set a global flag, the first that is set
// and not empty. Behind the name of today stands one that tools older than this had.
var fromEnvironment = []struct {
	flag  string
	names []string
}{
	{"address", []string{"STATEHOUSE_ADDRESS", "STATEHOUSE_ADDR"}},
	{"namespace", []string{"STATEHOUSE_NAMESPACE"}},
	{"token-file", []string{"STATEHOUSE_TOKEN_FILE"}},
	{"tls", []string{"STATEHOUSE_TLS"}},
	{"ca-file", []string{"STATEHOUSE_CA_FILE"}},
	{"allow-plaintext-token", []string{"STATEHOUSE_ALLOW_PLAINTEXT_TOKEN"}},
}

// complete takes from the environment what no flag set, and checks.
func (a *app) complete(cmd *cobra.Command) error {
	if err := checkGiven(cmd.Flags()); err != nil {
		return err
	}
	for _, e := range fromEnvironment {
		f := cmd.Flags().Lookup(e.flag)
		if f == nil || f.Changed {
			continue
		}
		for _, name := range e.names {
			value := a.getenv(name)
			if value == "" {
				continue
			}
			if err := f.Value.Set(value); err != nil {
				return fmt.Errorf("%s: %q is not %s", name, value, show.FlagKind(f))
			}
			break
		}
	}
	if f := cmd.Flags().Lookup("tls"); f != nil && f.Changed && !a.useTLS {
		if ca := cmd.Flags().Lookup("ca-file"); ca.Changed {
			return fmt.Errorf("--tls=false and --ca-file contradict each other")
		}
		a.caFile, a.plain = "", true // whatever the environment says
	}
	if f := cmd.Flags().Lookup("token-file"); f != nil && !f.Changed && a.tokenFile != "" && a.getenv("STATEHOUSE_TOKEN") != "" {
		return fmt.Errorf("STATEHOUSE_TOKEN and STATEHOUSE_TOKEN_FILE are both set: only one can count")
	}
	if a.timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, not %v", a.timeout)
	}
	return nil
}

// checkGiven refuses flags that are given an empty value, most often by a shell's
// variable that is unset: --namespace "" must not mean default, nor --at "" now. Only a
// prefix may be empty: everything starts with that.
func checkGiven(f *pflag.FlagSet) (problem error) {
	f.Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" && flag.Name != "prefix" {
			problem = fmt.Errorf("--%s is empty: give it a value, or leave it out", flag.Name)
		}
	})
	return problem
}

// config of the client.
func (a *app) config() (client.Config, error) {
	c := client.Config{
		Address: a.address, Namespace: a.namespace, CAFile: a.caFile, PlaintextToken: a.plaintextToken,
		Timeout: a.timeout, AttemptTimeout: a.timeout / 2, FailFast: true, Token: a.getenv("STATEHOUSE_TOKEN"),
	}
	address, err := client.ParseAddress(a.address)
	if err != nil {
		return c, err
	}
	if a.plain && address.Scheme == "https" {
		return c, usagef("--tls=false and the address %s contradict each other", a.address)
	}
	if a.useTLS {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if a.debug {
		c.Log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if a.tokenFile != "" {
		data, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return c, usagef("the token file cannot be read: %v", err)
		}
		data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors put it in front
		if c.Token = strings.TrimSpace(string(data)); c.Token == "" {
			return c, usagef("the token file %s is empty", a.tokenFile)
		}
	}
	a.hasToken = c.Token != ""
	return c, nil
}

// session is one run of a command that talks to the daemon.
type session struct {
	*app
	*client.Client
	p *printer
}

// findAgent looks an agent up by its name.
func (s *session) findAgent(ctx context.Context, name string) (client.Agent, bool, error) {
	for a, err := range s.ListAgents(ctx, name) { // in byte order: the first is it, or none is
		return a, err == nil && a.Agent == name, err
	}
	return client.Agent{}, false, nil
}

// mustExist is the answer of a command that has found nothing of an agent: nothing is
// a fine answer, unless the agent's name is one that was never written under.
func (s *session) mustExist(ctx context.Context, agent string) error {
	_, found, err := s.findAgent(ctx, agent)
	if err == nil && !found {
		err = noSuchAgent(s, agent)
	}
	return err
}

// noteNothing says why a list over a whole namespace is empty, where the reason is that
// the namespace, perhaps misspelt, has never been written to. An empty list is no
// failure.
func (s *session) noteNothing(ctx context.Context) error {
	for _, err := range s.ListAgents(ctx, "") {
		return err // there are some
	}
	if s.asJSON {
		return nil
	}
	_, err := fmt.Fprintf(s.err, "statehousectl: namespace %s has no commits\n", quote(s.Namespace()))
	return err
}

func noSuchAgent(s *session, name string) error {
	return notFoundf("agent %s has no commits in namespace %s", quote(name), quote(s.Namespace()))
}
