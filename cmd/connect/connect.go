// Package connect is what the command line and the environment say of the daemon to talk
// to: where it is, and what it wants to see. Every tool that speaks the wire takes the same
// flags and variables.
package connect

import (
	"bytes"
	"crypto/tls"
	"errors"
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
	// Context is what counts where neither a flag nor the environment says otherwise: values
	// by flag, and the token itself under "token". Of what says who the caller is nothing
	// goes to another daemon than the one that the context names.
	Context     map[string]string
	ContextName string

	Address  string
	Timeout  time.Duration
	HasToken bool // once Config has looked
	Given    bool // once Complete has looked: a flag, the environment or a context names the address

	origins        map[string]string // of settings: the flag, the variable or the context; none is the default
	token          string            // the environment's or the context's
	tokenFile      string
	tlsCert        string
	tlsKey         string
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
	set.StringVar(&f.tokenFile, "token-file", "", "file with the secret of a key, or the daemon's token (STATEHOUSE_TOKEN_FILE, or itself in STATEHOUSE_TOKEN)")
	set.BoolVar(&f.useTLS, "tls", false, "use TLS, trusting the system's authorities (STATEHOUSE_TLS)")
	set.StringVar(&f.caFile, "ca-file", "", "use TLS, trusting the authorities in this PEM file (STATEHOUSE_CA_FILE)")
	set.StringVar(&f.tlsCert, "tls-cert", "", "use TLS and show the daemon the certificate in this PEM file (STATEHOUSE_CLIENT_CERT)")
	set.StringVar(&f.tlsKey, "tls-key", "", "PEM file with the key of --tls-cert (STATEHOUSE_CLIENT_KEY)")
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
	{"tls-cert", []string{"STATEHOUSE_CLIENT_CERT"}}, // STATEHOUSE_TLS_CERT is the daemon's
	{"tls-key", []string{"STATEHOUSE_CLIENT_KEY"}},
	{"allow-plaintext-token", []string{"STATEHOUSE_ALLOW_PLAINTEXT_TOKEN"}},
}

// Complete takes from the environment, and then from the context, what no flag of set has
// set, and checks.
func (f *Flags) Complete(set *pflag.FlagSet) error {
	if err := checkGiven(set); err != nil {
		return err
	}
	f.origins = make(map[string]string)
	set.Visit(func(flag *pflag.Flag) { f.origins[flag.Name] = "--" + flag.Name })
	if err := f.fromVariables(set); err != nil {
		return err
	}
	if err := f.fromContext(set); err != nil {
		return err
	}
	f.Given = f.origins["address"] != ""
	if set.Changed("tls") && !f.useTLS {
		for _, name := range []string{"ca-file", "tls-cert"} {
			if set.Changed(name) {
				return fmt.Errorf("--tls=false and --%s contradict each other", name)
			}
		}
		f.caFile, f.tlsCert, f.tlsKey, f.plain = "", "", "", true // whatever the environment says
	}
	switch {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case f.Timeout <= 0:
		return fmt.Errorf("--timeout must be more than 0, not %v", f.Timeout)
	}
	return nil
}

// fromVariables takes what the environment says.
func (f *Flags) fromVariables(set *pflag.FlagSet) error {
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
			f.origins[e.flag] = name
			break
		}
	}
	f.token = f.Getenv("STATEHOUSE_TOKEN")
	switch {
	case f.token == "":
	case set.Changed("token-file"):
		f.token = ""
	case f.tokenFile != "":
		return errors.New("STATEHOUSE_TOKEN and STATEHOUSE_TOKEN_FILE are both set: only one can count")
	default:
		f.origins["token"] = "STATEHOUSE_TOKEN"
	}
	return nil
}

// fromContext takes what the context says. Its token, certificate and authorities are for its
// own daemon: with another address given they stay where they are.
func (f *Flags) fromContext(set *pflag.FlagSet) error {
	elsewhere := f.origins["address"] != "" && !sameDaemon(f.Address, f.Context["address"])
	hasToken := f.token != "" || f.tokenFile != ""
	for name, value := range f.Context { // each sets another: any order
		flag := set.Lookup(name)
		switch {
		case f.origins[name] != "", elsewhere && name != "namespace", hasToken && (name == "token" || name == "token-file"):
			continue
		case name == "token":
			f.token = value
		case flag == nil:
			continue
		default:
			if err := flag.Value.Set(value); err != nil {
				return fmt.Errorf("context %s: %s: %q is not %s", show.Quote(f.ContextName), name, value, show.FlagKind(flag))
			}
		}
		f.origins[name] = "context " + show.Quote(f.ContextName)
	}
	return nil
}

// sameDaemon reports whether two addresses name one daemon.
func sameDaemon(a, b string) bool {
	one, err := client.ParseAddress(a)
	if err != nil {
		return false
	}
	other, err := client.ParseAddress(b)
	return err == nil && one.Host == other.Host && one.Port == other.Port
}

// Setting is one of what a tool reaches a daemon with, and where it is from.
type Setting struct{ Name, Value, From string }

// Settings are those of set that say which daemon, as whom, and how, once Complete has
// looked. Of a token it is told only that there is one.
func (f *Flags) Settings(set *pflag.FlagSet) (list []Setting) {
	for _, name := range []string{"address", "namespace", "token", "token-file", "tls", "ca-file", "tls-cert", "tls-key", "allow-plaintext-token", "timeout"} {
		s := Setting{Name: name, From: f.origins[name]}
		switch flag := set.Lookup(name); {
		case name == "token" && f.token != "":
			s.Value = "(set)"
		case flag != nil:
			s.Value = flag.Value.String()
		}
		if s.From == "" {
			s.From = "default"
		}
		list = append(list, s)
	}
	return list
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
		Timeout: f.Timeout, AttemptTimeout: f.Timeout / 2, FailFast: true, Token: f.token,
	}
	address, err := client.ParseAddress(f.Address)
	if err != nil {
		return c, err
	}
	if f.plain && address.Scheme == "https" {
		return c, fmt.Errorf("--tls=false and the address %s contradict each other", f.Address)
	}
	if f.useTLS || f.tlsCert != "" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.tlsCert != "" {
		pair, err := tls.LoadX509KeyPair(f.tlsCert, f.tlsKey)
		if err != nil {
			return c, fmt.Errorf("the certificate %s with the key %s cannot be loaded: %v", f.tlsCert, f.tlsKey, err)
		}
		c.TLS.Certificates = []tls.Certificate{pair}
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
