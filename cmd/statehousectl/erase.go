package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

const eraseHelp = `erase removes values, and the metadata of the commits that wrote them, for good: from a key, an
agent or, with --all, the whole namespace, and from all of its history.

  statehousectl erase alice notes --reason "asked for on 2026-03-01"
  statehousectl erase alice
  statehousectl --namespace trial erase --all

It says first what would go and asks; --yes answers. Each key gets one more version, which
says that it was erased; names, versions and times stay, and the log still verifies. If the
command is interrupted the daemon goes on: the same command shows how far it is.

What a fork inherited of it is reached, too, or nothing is: --forks=erase erases those forks as
well; without it the erasure is refused, and they are listed.

Until statehousectl compact has run, bytes of the values may stand in files that the daemon
no longer reads. Captures, backups and archives are not reached: see docs/OPERATIONS.md.`

func (a *app) eraseCommand() *cobra.Command {
	var e admin.Erasure
	var yes bool
	var forks string
	cmd := &cobra.Command{
		Use: "erase [AGENT [KEY]]", Short: "Remove values for good, from all of the past", Long: eraseHelp,
		Args: show.Takes(0, 2), ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&e.All, "all", false, "the whole namespace")
	f.StringVar(&e.Reason, "reason", "", "why; kept with the erasure's commits")
	f.BoolVar(&e.DryRun, "dry-run", false, "only say what would go")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.StringVar(&forks, "forks", "refuse", "what becomes of forks that inherited it: erase, or refuse")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error {
		e.Namespace = s.Namespace()
		if len(args) > 0 {
			e.Agent = args[0]
		}
		if len(args) > 1 {
			e.Key = args[1]
		}
		if (e.Agent == "") != e.All {
			return usageError{errors.New("name an agent, or give --all for the whole namespace")}
		}
		switch forks {
		case "erase":
			e.Forks = true
		case "refuse":
		default:
			return usagef("--forks is erase or refuse, not %q", forks)
		}
		dry := e
		dry.DryRun = true
		would, err := s.erase(ctx, dry, nil)
		if err != nil {
			return err
		}
		if err := s.noteForks(would.Forks, e.Forks); err != nil {
			return err
		}
		if e.DryRun {
			return s.printErasure(would)
		}
		if err := s.confirmErasure(&e, would, yes); err != nil {
			return err
		}
		progress := s.progress("erasing, keys", true)
		did, err := s.erase(ctx, e, func(p admin.ErasureProgress) { progress.to(p.Keys, would.Keys) })
		progress.end()
		if err != nil {
			return err
		}
		return s.printErasure(did)
	})
	return cmd
}

// noteForks lists the forks that an erasure reaches, or that it is refused for.
func (s *session) noteForks(forks []string, erased bool) error {
	if len(forks) == 0 || s.asJSON {
		return nil
	}
	what := "forks that inherited it, for which it is refused without --forks=erase"
	if erased {
		what = "forks that inherited it, and are erased as well"
	}
	if _, err := fmt.Fprintf(s.err, "%s:\n", what); err != nil {
		return err
	}
	for _, f := range forks {
		if _, err := fmt.Fprintf(s.err, "  %s\n", quote(f)); err != nil {
			return err
		}
	}
	return nil
}

// erase returns the last of an erasure's progress.
func (s *session) erase(ctx context.Context, e admin.Erasure, progress func(admin.ErasureProgress)) (last admin.ErasureProgress, err error) {
	for p, err := range admin.New(s.Client).Erase(ctx, e) {
		if err != nil {
			return last, err
		}
		if last = p; progress != nil {
			progress(p)
		}
	}
	return last, nil
}

// confirmErasure asks, unless the answer was given. What cannot be asked is not done.
func (s *session) confirmErasure(e *admin.Erasure, would admin.ErasureProgress, yes bool) error {
	if yes {
		return nil
	}
	what := "namespace " + quote(e.Namespace)
	if e.Agent != "" {
		what = "agent " + quote(e.Agent) + " of " + what
	}
	if e.Key != "" {
		what = "key " + quote(e.Key) + " of " + what
	}
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageError{fmt.Errorf("erasing %s removes %s for good: say --yes", what, show.Count(would.Values, "value"))}
	}
	fmt.Fprintf(s.err, "Erase %s: %s, %s, %s. They cannot be had back. Type yes: ", what, show.Count(would.Keys, "key"), show.Count(would.Values, "value"), size(would.Bytes))
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was erased")
	}
	return nil
}

type erasureShape struct {
	Keys     uint64          `json:"keys"`
	Values   uint64          `json:"values"`
	Bytes    uint64          `json:"bytes"`
	CommitTS client.CommitTS `json:"commit_ts,omitempty"`
	Done     bool            `json:"done"`
	Forks    []string        `json:"forks,omitempty"`
}

func (s *session) printErasure(p admin.ErasureProgress) error {
	if s.asJSON {
		return s.p.object(erasureShape(p))
	}
	at := ""
	if p.CommitTS > 0 {
		at = ", up to commit " + p.CommitTS.String()
	}
	return s.p.line("%s, %s, %s%s", show.Count(p.Keys, "key"), show.Count(p.Values, "value"), size(p.Bytes), at)
}
