package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

const debugHelp = `bundle writes what whoever looks into a problem asks for first into one file, a tar.gz: version
and status, metrics twice a second apart, settings, open transactions, the last lines of the log
and, if the daemon runs with --pprof, the stacks of its goroutines.

Values, keys, tokens and secrets are not in it. Names of hosts, directories and principals are.`

func (a *app) debugCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "debug", Short: "Collect what helps to look into a problem"}
	var force bool
	bundle := &cobra.Command{
		Use: "bundle FILE", Short: "Write status, metrics, settings and log to one file", Long: debugHelp,
		Example: "  statehousectl debug bundle statehouse-debug.tar.gz", Args: show.Takes(1, 1),
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error { return s.debugBundle(ctx, args[0], force) }),
	}
	bundle.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	cmd.AddCommand(bundle)
	return cmd
}

// debugBundle asks for all parts first: a daemon that answers half of them leaves a file that
// says which are missing.
func (s *session) debugBundle(ctx context.Context, file string, force bool) error {
	at := s.now().UTC()
	parts := map[string][]byte{}
	var missing []string
	add := func(name string, v any, err error) {
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", name, err))
			return
		}
		text, jerr := json.MarshalIndent(v, "", "  ")
		parts[name] = append(text, '\n')
		if jerr != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", name, jerr))
		}
	}
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	add("status.json", status, nil)
	daemon, err := s.Version(ctx)
	add("version.json", map[string]any{"daemon": daemon, "statehousectl": version + " (" + gitSHA + ")", "time": at}, err)
	operators := admin.New(s.Client)
	open, err := operators.Transactions(ctx)
	add("transactions.json", open, err)
	for i := range 2 {
		texts, err := operators.Diagnostics(ctx)
		if err != nil {
			missing = append(missing, fmt.Sprintf("diagnostics: %v", err))
			break
		}
		for name, text := range texts { // into a map: order cannot matter
			if i == 1 && name == "metrics" {
				name = "metrics-later"
			}
			parts[name+".txt"] = text
		}
		if i == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
	}
	if len(missing) > 0 {
		parts["missing.txt"] = []byte(fmt.Sprintln(missing))
	}
	if err := writeFile(file, force, func(w io.Writer) error { return writeTar(w, parts, at) }); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(parts))
	if s.asJSON {
		return s.p.object(map[string]any{"file": file, "parts": names})
	}
	err = s.p.line("%s:", quote(file))
	for _, name := range names {
		err = errors.Join(err, s.p.line("  %s, %s", printable(name), size(uint64(len(parts[name])))))
	}
	return err
}

func writeTar(w io.Writer, parts map[string][]byte, at time.Time) error {
	packed := gzip.NewWriter(w)
	t := tar.NewWriter(packed)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if err := t.WriteHeader(&tar.Header{Name: "statehouse-debug/" + name, Mode: 0o600, Size: int64(len(parts[name])), ModTime: at}); err != nil {
			return err
		}
		if _, err := io.Copy(t, bytes.NewReader(parts[name])); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), packed.Close())
}
