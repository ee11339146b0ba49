package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cluster/member"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/engine"
)

const showHelp = `show says which member of which cluster a directory is, how its log ends, and what its store has. No daemon has it open;
nothing is changed.

Of the members of a cluster, the most recent is the one whose log ends in the highest term and, where terms are the same,
at the highest entry. Everything that was acknowledged is in the log of the most recent of any majority of them.

It exits with 0, 3 when the directory is no member's, or in use, 65 when it is damaged.`

const leaveHelp = `leave makes the directory of a member that of one machine: the same store, with the same history, hash chain and ids,
for a daemon without --peer-listen-addr. No daemon has it open. Interrupted at any moment it can be run again, and until it is
done no daemon starts on the directory.

All that the member's log has is in the store then, whether or not it is known to be committed. Nothing that was
acknowledged is lost if the member is the most recent of the cluster, or of a majority of its members: compare
what statehoused cluster show says of each. Where others vote, leave wants to be told so with --newest; what they have
and this one does not is lost. The other members must not be started any more: a majority of them would go on
as the cluster, with a history of their own. To shrink a cluster that is well, remove its members one after the other
(statehousectl cluster remove) and stop the last: then nothing has to be compared.

It exits with 0, 1 when it failed, 2 after wrong usage or without --newest where it is needed, 3 when the directory is no
member's, or in use, 65 when it is damaged.`

// clusterCommand is for directories of members that no daemon has open.
func clusterCommand(s *signals) *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Look at a stopped member of a cluster, or make its directory one machine's (experimental)", Args: usage(show.Takes(0, 0))}
	shows := &cobra.Command{Use: "show DIR", Short: "Say how a stopped member stands", Long: showHelp, Args: usage(show.Takes(1, 1))}
	shows.RunE = func(cmd *cobra.Command, args []string) error {
		s.release()
		return offline(cmd.ErrOrStderr(), func(env engine.Env) error {
			m, err := member.Examine(env, offlineOptions(args[0]))
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), stoppedText(m))
			return err
		})
	}
	var newest bool
	leaves := &cobra.Command{Use: "leave DIR", Short: "Make a stopped member's directory that of one machine", Long: leaveHelp, Args: usage(show.Takes(1, 1))}
	leaves.Flags().BoolVar(&newest, "newest", false, "this is the most recent of the members, as far as a majority of them was compared")
	leaves.RunE = func(cmd *cobra.Command, args []string) error {
		s.release()
		return offline(cmd.ErrOrStderr(), func(env engine.Env) error {
			m, err := member.Leave(env, offlineOptions(args[0]), newest)
			if errors.Is(err, member.ErrNotNewest) {
				return usageError{notNewest(m, args[0])}
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is the directory of one machine: its last commit is %d, chain %x\n", show.Quote(args[0]), m.Commits, m.Chain)
			return err
		})
	}
	cmd.AddCommand(shows, leaves)
	return cmd
}

func offlineOptions(dir string) engine.Options { return engine.Options{Dir: dir} }

// offline is an environment for as long as do takes. What halts in it is how it fails.
func offline(told io.Writer, do func(engine.Env) error) error {
	halted := make(chan error, 1)
	env, closeEnv := engine.OSEnv(func(err error) {
		halted <- err
		select {} // main ends the process
	}, func(event string, attrs ...any) {
		fmt.Fprintln(told, append([]any{"statehoused:", event}, attrs...)...)
	})
	defer closeEnv()
	done := make(chan error, 1)
	go func() { done <- do(env) }()
	select {
	case err := <-done:
		return err
	case err := <-halted:
		return err
	}
}

// notNewest says what has to be known before a member leaves with its store.
func notNewest(m *member.Stopped, dir string) error {
	return fmt.Errorf("%d other members vote, and whether one of them has more than this one is not known: its log ends in term %d at entry %d. "+
		"Compare what statehoused cluster show says of a majority of them. If none ends in a higher term or, in the same, at a higher entry, nothing that was acknowledged is lost: run statehoused cluster leave --newest %s, and do not start the others any more",
		m.Others(), m.Status.LastTerm, m.Status.Last, show.Quote(dir))
}

func stoppedText(m *member.Stopped) string {
	var b strings.Builder
	s := &m.Status
	fmt.Fprintf(&b, "member   %d of cluster %s, at %s\n", s.ID, m.Identity.Cluster, m.Identity.Addr())
	if m.Identity.Leaving {
		b.WriteString("leaving  its cluster: run statehoused cluster leave again\n")
	}
	fmt.Fprintf(&b, "log      ends in term %d at entry %d; known to be committed up to %d\n", s.LastTerm, s.Last, s.Committed)
	fmt.Fprintf(&b, "store    has the log up to entry %d: commit %d, chain %x\n", s.Applied, m.Commits, m.Chain)
	for _, o := range s.Members {
		fmt.Fprintf(&b, "with     member %d at %s%s\n", o.ID, m.Addr(o), learns(o))
	}
	return b.String()
}

func learns(o node.Member) string {
	if o.Learner {
		return ", a learner"
	}
	return ""
}
