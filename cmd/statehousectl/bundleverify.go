package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/history/bundle"
)

func (a *app) bundleVerifyCommand() *cobra.Command {
	return a.opening(&cobra.Command{
		Use: "verify FILE", Short: "Check whether a bundle is whole, and its state follows from its log", Args: show.Takes(1, 1),
		Long: `verify holds every hash and size to the manifest, the log to what a log guarantees
(order, versions without gaps), and the state to what the log makes of it. It exits
with 1 if the log or the state is not right, 2 if the file cannot be read.`,
	}, func(p *printer, opened []*bundle.Bundle, names []string) error {
		b := opened[0]
		v, err := b.Verify()
		if err != nil {
			return unreadable(names[0], err)
		}
		if a.asJSON {
			err = p.object(verifyShape{len(v.Findings) == 0, b.Manifest, v})
		} else {
			err = printVerified(p, names[0], &b.Manifest, v)
		}
		if err == nil && len(v.Findings) > 0 {
			err = failedf("%s is whole, but not right", quote(names[0]))
		}
		return err
	})
}

type verifyShape struct {
	OK       bool            `json:"ok"`
	Manifest bundle.Manifest `json:"manifest"`
	*bundle.Verified
}

// printVerified prints what is in a bundle and what was found.
func printVerified(p *printer, path string, m *bundle.Manifest, v *bundle.Verified) error {
	var errs []error
	line := func(format string, args ...any) { errs = append(errs, p.line(format, args...)) }
	agents, bytes := make([]string, len(m.Agents)), int64(0)
	for i, name := range m.Agents {
		agents[i] = quote(name)
	}
	for _, x := range m.Members {
		bytes += x.Size
	}
	line("%s: %d bytes, hashes right", quote(path), bytes)
	line("made      %s by statehousectl %s (%s)", clock(m.Created), quote(m.Tool.Version), quote(m.Tool.GitSHA))
	line("daemon    %s (%s), store %s", quote(m.Daemon.Version), quote(m.Daemon.GitSHA), quote(m.Store.ID))
	line("agents    %s in %s", strings.Join(agents, " "), quote(m.Namespace))
	line("log       commits %d to %d: %s, %s", m.From, m.To, show.Count(v.Events, "event"), show.Count(v.Operations, "operation"))
	line("state     %s", show.Count(v.Records, "record"))
	if m.Has(bundle.History) {
		line("history   %s", show.Count(v.Captured, "operation"))
	}
	line("redacted  %s", hidden(m.Redaction))
	for _, f := range v.Findings {
		line("WRONG     %s", printable(f))
	}
	if v.More > 0 {
		line("WRONG     and %d more", v.More)
	}
	if len(v.Findings) == 0 {
		line("the state follows from the log")
	}
	return errors.Join(errs...)
}

func hidden(r *bundle.Redaction) string {
	switch {
	case r == nil:
		return "no"
	case r.Values && r.Names:
		return "values and names"
	case r.Values:
		return "values"
	}
	return "names"
}
