package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Tell whether the daemon serves, and how its store is",
		Long: "health asks the daemon whether it serves and shows the state of its store.\n" +
			"It exits with 0 when it serves, 1 when it does not, 4 when it cannot be reached.",
		Args:              show.Takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.connected(health),
	}
}

type healthShape struct {
	Status         string          `json:"status"`
	Error          string          `json:"error,omitempty"`
	Published      client.CommitTS `json:"published_ts"`
	LastCommitTime time.Time       `json:"last_commit_time,omitzero"`
	OpenTxns       uint64          `json:"open_transactions"`
	DiskUsed       uint64          `json:"disk_used_bytes"`
	DiskFree       uint64          `json:"disk_free_bytes"`
	WritesRefused  string          `json:"writes_refused,omitempty"`
	Durable        bool            `json:"durable"`
	StoreID        string          `json:"store_id"`
	Format         uint32          `json:"format_version"`
	Sessions       uint64          `json:"sessions"`
	InSessions     uint64          `json:"session_requests"`
	Epoch          string          `json:"epoch"`
	EpochBegan     client.CommitTS `json:"epoch_began_ts"`
	Archive        *archiveShape   `json:"archive,omitempty"`
}

type archiveShape struct {
	Archived client.CommitTS `json:"archived_ts"`
	Behind   uint64          `json:"lag_commits"`
	Lag      float64         `json:"lag_seconds"`
	Error    string          `json:"error,omitempty"`
}

func health(ctx context.Context, s *session, _ []string) error {
	shape := healthShape{Status: "ok"}
	sick := s.Health(ctx)
	if sick != nil {
		var e *client.Error
		if !errors.As(sick, &e) || !e.Answered || errors.Is(sick, client.ErrUnauthenticated) || errors.Is(sick, client.ErrLimit) {
			return sick // it is not the daemon's health that this tells of
		}
		shape.Status, shape.Error = "not serving", e.Message
		sick = failedf("not serving: %s", e.Message)
	}
	st, err := s.Status(ctx)
	if err != nil && sick == nil {
		return err
	}
	shape.Published, shape.LastCommitTime, shape.OpenTxns = st.Published, st.LastCommitTime, st.OpenTxns
	shape.DiskUsed, shape.DiskFree, shape.WritesRefused = st.DiskUsed, st.DiskFree, st.WritesRefused
	shape.Durable, shape.StoreID, shape.Format = st.Durable, st.StoreID, st.Format
	shape.Sessions, shape.InSessions = st.Sessions, st.InSessions
	shape.Epoch, shape.EpochBegan = st.Epoch, st.EpochBegan
	if a := st.Archive; a != nil {
		shape.Archive = &archiveShape{a.Archived, a.Behind, a.Lag.Seconds(), a.Problem}
	}
	if s.asJSON {
		return errors.Join(s.p.object(shape), sick)
	}
	if err != nil {
		return sick
	}
	return errors.Join(printHealth(s.p, &shape), sick)
}

func printHealth(p *printer, h *healthShape) error {
	writes, durable := "accepted", "every commit is synced to disk before it is acknowledged"
	if h.WritesRefused != "" {
		writes = "refused: " + printable(h.WritesRefused)
	}
	if !h.Durable {
		durable = "no: commits are acknowledged before they are on disk, or kept in memory"
	}
	archive := "none"
	if a := h.Archive; a != nil {
		archive = fmt.Sprintf("up to commit %d, %d behind for %.0f s", a.Archived, a.Behind, a.Lag)
		if a.Error != "" {
			archive += ": " + printable(a.Error)
		}
	}
	return errors.Join(
		p.line("status             %s", h.Status),
		p.line("last commit        %d (%s)", h.Published, clock(h.LastCommitTime)),
		p.line("writes             %s", writes),
		p.line("durable            %s", durable),
		p.line("disk               %s used, %s free", size(h.DiskUsed), size(h.DiskFree)),
		p.line("open transactions  %d", h.OpenTxns),
		p.line("sessions           %d, with %d requests under way", h.Sessions, h.InSessions),
		p.line("archive            %s", archive),
		p.line("store              %s, format %d, epoch %s", quote(h.StoreID), h.Format, printable(h.Epoch)),
	)
}
