package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) inspectCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "inspect AGENT",
		Short: "Summarise an agent: keys, versions, commits, sizes",
		Long: "inspect reads an agent's records and its whole log, all as of one commit, and\n" +
			"summarises them. It exits with 1 when the agent has no commits.",
		Args:              show.Takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&at, "at", "", "as of this commit_ts or time")
	cmd.RunE = a.connected(func(ctx context.Context, s *session, args []string) error { return s.inspect(ctx, args[0], at) })
	return cmd
}

type pointShape struct {
	CommitTS   client.CommitTS `json:"commit_ts"`
	CommitTime time.Time       `json:"commit_time"`
}

type inspectShape struct {
	Namespace    string          `json:"namespace"`
	Agent        string          `json:"agent"`
	ReadTS       client.CommitTS `json:"read_ts"`
	Keys         int             `json:"keys"`
	KeysEver     int             `json:"keys_ever"`
	Versions     int             `json:"versions"`
	Deletes      int             `json:"deletes"`
	Commits      int             `json:"commits"`
	First        pointShape      `json:"first"`
	Head         pointShape      `json:"head"`
	KeyBytes     uint64          `json:"key_bytes"`
	ValueBytes   uint64          `json:"value_bytes"`
	LargestKey   string          `json:"largest_key,omitempty"`
	LargestBytes uint64          `json:"largest_bytes"`
}

func (s *session) inspect(ctx context.Context, agent, at string) error {
	ts, err := s.point(ctx, agent, at)
	if err != nil {
		return err
	}
	sum := inspectShape{Namespace: s.Namespace(), Agent: agent, ReadTS: ts}
	if ts > 0 {
		if err := sum.read(ctx, s); err != nil {
			return err
		}
	}
	if sum.Commits == 0 {
		return noSuchAgent(s, agent)
	}
	if s.asJSON {
		return s.p.object(sum)
	}
	return sum.print(s.p)
}

func (i *inspectShape) read(ctx context.Context, s *session) error {
	for ev, err := range s.Replay(ctx, client.ReplayQuery{Agent: i.Agent, To: i.ReadTS, NoValues: true}) {
		if err != nil {
			return err
		}
		i.Head = pointShape{ev.CommitTS, ev.CommitTime}
		if i.Commits++; i.Commits == 1 {
			i.First = i.Head
		}
		for _, o := range ev.Operations {
			i.Versions++
			if o.Version == 1 {
				i.KeysEver++
			}
			if o.Deleted {
				i.Deletes++
			}
		}
	}
	for rec, err := range s.Scan(ctx, i.Agent, client.ListQuery{At: client.AtCommit(i.ReadTS)}) {
		if err != nil {
			return err
		}
		i.Keys++
		i.KeyBytes += uint64(len(rec.Key))
		n := uint64(len(rec.Value))
		if rec.Bytes != nil {
			n = uint64(len(rec.Bytes.Data))
		}
		i.ValueBytes += n
		if n > i.LargestBytes {
			i.LargestKey, i.LargestBytes = rec.Key, n
		}
	}
	return nil
}

func (i *inspectShape) print(p *printer) error {
	err := errors.Join(
		p.line("agent     %s in namespace %s, as of commit %d", quote(i.Agent), quote(i.Namespace), i.ReadTS),
		p.line("keys      %d, of %d ever written", i.Keys, i.KeysEver),
		p.line("versions  %d, of which %d are deletes", i.Versions, i.Deletes),
		p.line("commits   %d", i.Commits),
		p.line("first     commit %d at %s", i.First.CommitTS, clock(i.First.CommitTime)),
		p.line("head      commit %d at %s", i.Head.CommitTS, clock(i.Head.CommitTime)),
		p.line("size      %s of values, %s of keys", size(i.ValueBytes), size(i.KeyBytes)),
	)
	if i.Keys > 0 {
		err = errors.Join(err, p.line("largest   %s of %s", quote(i.LargestKey), size(i.LargestBytes)))
	}
	return err
}
