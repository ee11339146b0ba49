// Package contexts keeps what somebody has named of the daemons they work with: a context is an
// address, a namespace, and how to show who one is. They are in one file of the user's
// configuration, which only its owner may read, for a token may be in it:
//
//	current: prod
//	contexts:
//	  prod:
//	    address: https://db.example.com:50051
//	    namespace: agents
//	    token: …
//
// A file that others can read is refused rather than repaired: whoever could read it has the
// token, and that has to be noticed.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Context is how to reach one daemon. The keys in the file are the tool's flags, but for the
// token itself.
type Context struct {
	Address        string `yaml:"address"`
	Namespace      string `yaml:"namespace,omitempty"`
	Token          string `yaml:"token,omitempty"` // or a key; never printed
	TokenFile      string `yaml:"token-file,omitempty"`
	TLS            bool   `yaml:"tls,omitempty"`
	CAFile         string `yaml:"ca-file,omitempty"`
	TLSCert        string `yaml:"tls-cert,omitempty"`
	TLSKey         string `yaml:"tls-key,omitempty"`
	PlaintextToken bool   `yaml:"allow-plaintext-token,omitempty"`
}

// Settings are the context by flag, without what it does not say.
func (c Context) Settings() map[string]string {
	all := map[string]string{
		"address": c.Address, "namespace": c.Namespace, "token": c.Token, "token-file": c.TokenFile,
		"ca-file": c.CAFile, "tls-cert": c.TLSCert, "tls-key": c.TLSKey,
	}
	if c.TLS {
		all["tls"] = "true"
	}
	if c.PlaintextToken {
		all["allow-plaintext-token"] = "true"
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// Set is all contexts, and which one is in use, if any.
type Set struct {
	Current  string             `yaml:"current,omitempty"`
	Contexts map[string]Context `yaml:"contexts,omitempty"`
}

// Names are those of the contexts, in order.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.Contexts)) }

// CheckName refuses names that a command line or a file would not give back.
func CheckName(name string) error {
	plain := name != "" && name[0] != '-' && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
	if !plain {
		return errors.New("the name of a context is up to 64 letters, digits, -, _ and . and begins with no -")
	}
	return nil
}

// Path is where the file is, by the XDG specification: $XDG_CONFIG_HOME/statehouse/contexts.yaml,
// or ~/.config in place of the variable.
func Path(getenv func(string) string) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the specification has a relative one ignored
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if home == "" {
			return "", errors.New("neither XDG_CONFIG_HOME nor HOME is set: there is no place for contexts")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "statehouse", "contexts.yaml"), nil
}

// Load reads the file. One that is not there holds no contexts.
func Load(path string) (*Set, error) {
	s := &Set{Contexts: make(map[string]Context)}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the contexts cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("the contexts cannot be read: %w", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others on this machine can get at %s (mode %04o), which may hold tokens: run chmod 600 on it, and think of its tokens as known", path, info.Mode().Perm())
	}
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && info.Size() > 0 {
		return nil, fmt.Errorf("%s holds no contexts: %w", path, hideValues(err))
	}
	for name, c := range s.Contexts { // any that is wrong
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, name, err)
		}
		if c.Address == "" {
			return nil, fmt.Errorf("%s: context %s has no address", path, name)
		}
	}
	if s.Contexts == nil {
		s.Contexts = make(map[string]Context)
	}
	return s, nil
}

// hideValues is an error of the parser without what it read: that may be a token. It quotes
// values between backticks.
func hideValues(err error) error {
	var b strings.Builder
	for i, part := range strings.Split(err.Error(), "`") {
		if i%2 == 0 {
			b.WriteString(part)
		} else {
			b.WriteString("(hidden)")
		}
	}
	return errors.New(b.String())
}

// Save writes the file, for its owner only, whole or not at all.
func (s *Set) Save(path string) error {
	var text bytes.Buffer
	to := yaml.NewEncoder(&text)
	to.SetIndent(2)
	if err := errors.Join(to.Encode(s), to.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("the contexts cannot be kept: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".contexts.*") // 0600
	if err != nil {
		return fmt.Errorf("the contexts cannot be kept: %w", err)
	}
	_, err = f.Write(text.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("the contexts cannot be kept: %w", err)
	}
	return nil
}
