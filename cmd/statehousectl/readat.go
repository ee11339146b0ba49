package main

import (
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/moment"
)

// pointFlags are those of the commands that read: at which point.
type pointFlags struct {
	at    string
	least uint64
}

func (p *pointFlags) register(f *pflag.FlagSet) {
	f.StringVar(&p.at, "at", "", "read as of this commit_ts or time")
	f.Uint64Var(&p.least, "min-read-ts", 0, "read now, and not before this commit: refused if it has not happened there")
}

func (p *pointFlags) point(s *session) (client.At, error) {
	if p.least > 0 {
		if p.at != "" {
			return client.At{}, usagef("--at reads at one point, and --min-read-ts now: give one of them")
		}
		return client.NotBefore(client.CommitTS(p.least)), nil
	}
	at, err := moment.ParseAt(p.at, s.now())
	if err != nil {
		return at, usageError{err}
	}
	return at, nil
}
