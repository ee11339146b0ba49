// Package connect is what the command line and the environment say of the daemon to talk
// to: where it is, and what it wants to see. Every tool that speaks the wire takes the same
// flags and variables.
package connect

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// Flags are the values of the flags. Getenv and Err are the tool's environment and standard
// error; Register binds the rest, Complete fills and checks it.
type Flags struct {
	Getenv func(string) string
	Err    io.Writer // what --debug tells goes there

	Address  string
	Timeout  time.Duration
	HasToken bool // once Config has looked
	Given    bool // once Complete has looked: a flag or the environment names the address

	tokenFile      string
	caFile         string
	useTLS         bool
	plain          bool // TLS is ruled out by a flag
	plaintextToken bool
	debug          bool
}

// Register adds the flags to set.
func (f *Flags) Register(set *pflag.FlagSet) {
	set.StringVar(&f.Address, "address", client.Address{Host: "localhost", Port: client.DefaultPort}.String(), "address of the daemon, HOST[:PORT]; https:// in front is --tls (STATEHOUSE_ADDRESS)")
	set.DurationVar(&f.Timeout, "timeout", 10*time.Second, "how long a call may take, repeated tries included")
	set.StringVar(&f.tokenFile, "token-file", "", "file with the daemon's token (STATEHOUSE_TOKEN_FILE, or the token itself in STATEHOUSE_TOKEN)")
	set.BoolVar(&f.useTLS, "tls", false, "use TLS, trusting the system's authorities (STATEHOUSE_TLS)")
	set.StringVar(&f.caFile, "ca-file", "", "use TLS, trusting the authorities in this PEM file (STATEHOUSE_CA_FILE)")
	set.BoolVar(&f.plaintextToken, "allow-plaintext-token", false, "send the token to another machine without TLS: anybody on the way can read it (STATEHOUSE_ALLOW_PLAINTEXT_TOKEN)")
	set.BoolVar(&f.debug, "debug", false, "tell on standard error of tries that fail and are made again")
}

// fromEnvironment names the variables that set a flag; the first that is set and not empty
// counts. After the name of today comes one that older tools had.
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

// Complete takes from the environment what no flag of set has set, and checks.
func (f *Flags) Complete(set *pflag.FlagSet) error {
	if err := checkGiven(set); err != nil {
		return err
	}
	f.Given = set.Changed("address")
	for _, e := range fromEnvironment {
		flag := set.Lookup(e.flag)
		if flag == nil || flag.Changed {
			continue
		}
		for _, name := range e.names {
			value := f.Getenv(name)
			if value == "" {
				continue
			}
			if err := flag.Value.Set(value); err != nil {
				return fmt.Errorf("%s: %q is not %s", name, value, show.FlagKind(flag))
			}
			f.Given = f.Given || e.flag == "address"
			break
		}
	}
	if set.Changed("tls") && !f.useTLS {
		if set.Changed("ca-file") {
			return fmt.Errorf("--tls=false and --ca-file contradict each other")
		}
		f.caFile, f.plain = "", true // whatever the environment says
	}
	if !set.Changed("token-file") && f.tokenFile != "" && f.Getenv("STATEHOUSE_TOKEN") != "" {
		return fmt.Errorf("STATEHOUSE_TOKEN and STATEHOUSE_TOKEN_FILE are both set: only one can count")
	}
	if f.Timeout <= 0 {
		return fmt.Errorf("--timeout must be more than 0, not %v", f.Timeout)
	}
	return nil
}

// checkGiven refuses flags that are given an empty value, most often by a shell's
// variable that is unset: --namespace "" must not mean default, nor --at "" now. Only a
// prefix may be empty: everything starts with that.
func checkGiven(set *pflag.FlagSet) (problem error) {
	set.Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" && flag.Name != "prefix" {
			problem = fmt.Errorf("--%s is empty: give it a value, or leave it out", flag.Name)
		}
	})
	return problem
}

// Config is the client's configuration.
func (f *Flags) Config() (client.Config, error) {
	c := client.Config{
		Address: f.Address, CAFile: f.caFile, PlaintextToken: f.plaintextToken,
		Timeout: f.Timeout, AttemptTimeout: f.Timeout / 2, FailFast: true, Token: f.Getenv("STATEHOUSE_TOKEN"),
	}
	address, err := client.ParseAddress(f.Address)
	if err != nil {
		return c, err
	}
	if f.plain && address.Scheme == "https" {
		return c, fmt.Errorf("--tls=false and the address %s contradict each other", f.Address)
	}
	if f.useTLS {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.debug {
		c.Log = slog.New(slog.NewTextHandler(f.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if f.tokenFile != "" {
		data, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return c, fmt.Errorf("the token file cannot be read: %v", err)
		}
		data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors put it in front
		if c.Token = strings.TrimSpace(string(data)); c.Token == "" {
			return c, fmt.Errorf("the token file %s is empty", f.tokenFile)
		}
	}
	f.HasToken = c.Token != ""
	return c, nil
}
