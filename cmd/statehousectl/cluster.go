package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Ask the members of a cluster how they stand, and change who they are (experimental)",
		Long:  "cluster asks a daemon that is a member of a cluster, any of them, about all of them.",
		Args:  show.Takes(0, 0),
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "status", Short: "Show the members, which leads, and how far each is",
			Long: `status asks every member how it stands. It exits with 0 when one of them leads, as far as those that answer know,
with 5 when none does: nothing is committed then.`,
			Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
			RunE: a.connected(clusterStatus),
		},
		a.clusterVerifyCommand(),
		&cobra.Command{
			Use: "transfer [MEMBER]", Short: "Have the member that leads hand over to another",
			Long: `transfer has the member that leads hand over to the one that is named by its id, or to any. It returns when
that leads; whoever commits meanwhile waits, or is told to come again.`,
			Args: show.Takes(0, 1), ValidArgsFunction: cobra.NoFileCompletions,
			RunE: a.connected(clusterTransfer),
		},
		a.clusterAddCommand(), a.clusterPromoteCommand(), a.clusterRemoveCommand(),
	)
	return cmd
}

type memberShape struct {
	ID        uint64 `json:"id"`
	Peer      string `json:"peer_address"`
	Learner   bool   `json:"learner,omitempty"`
	Problem   string `json:"problem,omitempty"`
	Address   string `json:"address,omitempty"`
	Role      string `json:"role,omitempty"`
	Leader    uint64 `json:"leader_id"`
	Term      uint64 `json:"term"`
	Applied   uint64 `json:"applied_index"`
	Committed uint64 `json:"committed_index"`
	Published uint64 `json:"published_ts"`
	Version   string `json:"version,omitempty"`
}

// answerError is an answer that has an exit code of its own.
type answerError struct {
	code    int
	message string
}

func (e answerError) Error() string { return e.message }

func clusterStatus(ctx context.Context, s *session, _ []string) error {
	c, err := admin.New(s.Client).Cluster(ctx, 0)
	if err != nil {
		return err
	}
	s.p.list("ID", "ROLE", "TERM", "APPLIED", "COMMITS", "CLIENTS", "PEERS")
	leads := false
	for _, m := range c.Members {
		leads = leads || m.Role == "leader"
		switch {
		case s.asJSON:
			err = s.p.object(memberShape{m.ID, m.PeerAddress, m.Learner, m.Problem, m.Address, m.Role, m.Leader, m.Term, m.Applied, m.Committed, m.Published, m.Version})
		case m.Problem != "":
			role := "not reached"
			if m.Learner {
				role = "learner, not reached"
			}
			err = s.p.row(nil, strconv.FormatUint(m.ID, 10), role, "", "", "", "", printable(m.PeerAddress)+": "+printable(m.Problem))
		default:
			err = s.p.row(nil, strconv.FormatUint(m.ID, 10), m.Role, fmt.Sprint(m.Term), fmt.Sprint(m.Applied), fmt.Sprint(m.Published), printable(m.Address), printable(m.PeerAddress))
		}
		if err != nil {
			return err
		}
	}
	if !leads {
		return answerError{exitUnknown, "no member leads, of those that answer: nothing is committed until a majority of them reach each other"}
	}
	return nil
}

func (a *app) clusterVerifyCommand() *cobra.Command {
	var at uint64
	cmd := &cobra.Command{
		Use: "verify", Short: "Compare what the members have",
		Long: `verify compares the hash chain of all members at one commit, the last that all of them have unless --commit-ts
says another. Members that have the same there have the same commits up to it. It exits with 0 when all
have the same, with 6 when they differ, with 7 when one of them cannot be asked.

It compares what the members say of their logs. What is in a member's files is checked by statehoused verify DIR,
while it is stopped.`,
		Args: show.Takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, _ []string) error { return clusterVerify(ctx, s, at) }),
	}
	cmd.Flags().Uint64Var(&at, "commit-ts", 0, "the commit at which they are compared")
	return cmd
}

type comparedShape struct {
	ID       uint64 `json:"id"`
	CommitTS uint64 `json:"commit_ts"`
	Chain    string `json:"chain_hash,omitempty"`
	Problem  string `json:"problem,omitempty"`
	Same     bool   `json:"same"`
}

func clusterVerify(ctx context.Context, s *session, at uint64) error {
	asked := admin.New(s.Client)
	if at == 0 {
		c, err := asked.Cluster(ctx, 0)
		if err != nil {
			return err
		}
		for i, m := range c.Members {
			if i == 0 || at > m.Published && m.Problem == "" {
				at = m.Published
			}
		}
		if at == 0 {
			return answerError{exitUnchecked, "there is a member without commits, or that cannot be asked: there is nothing to compare"}
		}
	}
	c, err := asked.Cluster(ctx, at)
	if err != nil {
		return err
	}
	s.p.list("ID", "COMMIT", "CHAIN")
	var first []byte
	missing, differ := 0, false
	for _, m := range c.Members {
		switch {
		case m.Problem == "" && m.Chain == nil:
			m.Problem = fmt.Sprintf("it has not come so far: its last commit is %d", m.Published)
			missing++
		case m.Problem != "":
			missing++
		case first == nil:
			first = m.Chain
		}
		same := m.Problem == "" && bytes.Equal(m.Chain, first)
		differ = differ || m.Problem == "" && !same
		if s.asJSON {
			err = s.p.object(comparedShape{m.ID, at, fmt.Sprintf("%x", m.Chain), m.Problem, same})
		} else {
			err = s.p.row(nil, strconv.FormatUint(m.ID, 10), strconv.FormatUint(at, 10), fmt.Sprintf("%x", m.Chain)+printable(m.Problem))
		}
		if err != nil {
			return err
		}
	}
	switch {
	case differ:
		return answerError{exitDataLoss, fmt.Sprintf("the members do not have the same at commit %d: stop them, and run statehoused verify on each directory", at)}
	case missing > 0:
		return answerError{exitUnchecked, fmt.Sprintf("%d of %d members were not compared", missing, len(c.Members))}
	}
	return nil
}

func clusterTransfer(ctx context.Context, s *session, args []string) error {
	var to uint64
	if len(args) > 0 {
		var err error
		if to, err = memberID(args[0]); err != nil {
			return err
		}
	}
	leader, err := admin.New(s.Client).TransferLeadership(ctx, to)
	if err != nil {
		return err
	}
	if s.asJSON {
		return s.p.object(struct {
			Leader uint64 `json:"leader_id"`
		}{leader})
	}
	return s.p.line("member %d leads", leader)
}
