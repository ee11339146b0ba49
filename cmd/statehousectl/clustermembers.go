package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/cmd/show"
)

func memberID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, usagef("%s is no id of a member: see statehousectl cluster status", quote(text))
	}
	return id, nil
}

// membershipShape is a member that was added, promoted or removed.
type membershipShape struct {
	ID   uint64 `json:"id"`
	Peer string `json:"peer_address,omitempty"`
}

func (a *app) clusterAddCommand() *cobra.Command {
	return &cobra.Command{
		Use: "add PEER-ADDRESS", Short: "Add a member, which has no vote yet",
		Long: `add adds a member that the others will reach at an address, HOST:PORT, and prints its id, which is a new one. Start a
daemon there with that --peer-listen-addr, an empty directory and --join with the peer address of any member: it
fetches a copy of the store and follows, as a learner. promote gives it a vote.

A member whose disk is lost is replaced so: remove it, and add another, at the same address if you like.`,
		Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			id, err := admin.New(s.Client).AddMember(ctx, args[0])
			if err != nil {
				return err
			}
			if s.asJSON {
				return s.p.object(membershipShape{id, args[0]})
			}
			return s.p.line("member %d was added: start a daemon at %s with an empty directory and --join", id, printable(args[0]))
		}),
	}
}

func (a *app) clusterPromoteCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "promote MEMBER", Short: "Give a member that has caught up a vote",
		Long: `promote gives a learner a vote: from then on it counts among those of which a majority has each commit on disk. It must
have caught up with the others; --wait waits until it has. An even number of votes outlasts no more failures than one
fewer: promote the new one, and then remove the old.`,
		Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			id, err := memberID(args[0])
			if err != nil {
				return err
			}
			if err := promote(ctx, admin.New(s.Client), id, time.Now().Add(wait)); err != nil {
				return err
			}
			if s.asJSON {
				return s.p.object(membershipShape{ID: id})
			}
			return s.p.line("member %d has a vote", id)
		}),
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait until it has caught up")
	return cmd
}

// promoteEvery is how often it is looked whether a learner has caught up.
const promoteEvery = 500 * time.Millisecond

// promote promotes a member and, until a time, asks again while it is a learner that has not caught up.
func promote(ctx context.Context, members *admin.Client, id uint64, until time.Time) error {
	for {
		err := members.PromoteMember(ctx, id)
		if !errors.Is(err, client.ErrPreconditionFailed) || time.Now().After(until) {
			return err
		}
		c, asked := members.Cluster(ctx, 0)
		if asked == nil && !slices.ContainsFunc(c.Members, func(m admin.Member) bool { return m.ID == id && m.Learner }) {
			return err
		}
		select {
		case <-time.After(promoteEvery):
		case <-ctx.Done():
			return err
		}
	}
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove MEMBER", Short: "End a membership, for good",
		Long: `remove ends a membership: the member's daemon ends, if it runs, and does not start again on that directory. Those that
stay must be a majority of which each answers: bring back one that is down before another is removed. The member that
leads is removed when another leads: see transfer.`,
		Args: show.Takes(1, 1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.connected(func(ctx context.Context, s *session, args []string) error {
			id, err := memberID(args[0])
			if err != nil {
				return err
			}
			if err := admin.New(s.Client).RemoveMember(ctx, id); err != nil {
				return err
			}
			if s.asJSON {
				return s.p.object(membershipShape{ID: id})
			}
			return s.p.line("member %d was removed", id)
		}),
	}
}
