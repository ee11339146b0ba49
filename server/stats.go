package server

import (
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/meter"
)

// Stats is what an operator sees of a service at a moment.
type Stats struct {
	Status    engine.Status
	Store     engine.StoreStats
	Healthy   error
	Draining  bool
	Uses      []Use
	Bounds    map[string]uint64 // how often each was reached
	Held      Held
	Watches   int
	WatchLag  uint64 // of the last, in commits
	OldestTxn time.Duration
	Meter     *meter.Meter // nil: nothing is measured
}

// Use is how much of a limit is used.
type Use struct {
	Limit string
	Used  int64
	Most  int64
	Bytes bool // it is about memory
}

// Stats reports what is going on. The service must be open.
func (s *Service) Stats() Stats {
	e := s.engine
	st := Stats{
		Status: e.Status(), Store: e.StoreStats(), Healthy: e.Healthy(), Draining: s.Draining(), Bounds: s.Bounds(),
		Held: s.Held(), OldestTxn: e.OldestTxn(), Meter: s.meter,
	}
	st.Watches, st.WatchLag = s.Watching(st.Status.Published)
	st.Uses = s.uses(&st)
	return st
}

// Draining reports whether the service is stopping.
func (s *Service) Draining() bool { return s.draining.Err() != nil }

func (s *Service) uses(st *Stats) []Use {
	h, l := &st.Held, s.engine.Limits()
	uses := []Use{
		{Limit: "requests", Used: int64(h.Requests.UnderWay), Most: int64(s.requests.Limit())},
		{Limit: "streams", Used: int64(h.Streams.UnderWay), Most: int64(s.streams.Limit())},
		{Limit: "probes", Used: int64(h.Probes.UnderWay), Most: int64(s.probes.Limit())},
		{Limit: "health_watches", Used: int64(h.HealthWatches.UnderWay), Most: int64(s.healthWatches.Limit())},
		{Limit: "open_transactions", Used: int64(h.Txns.Open), Most: int64(l.OpenTxns)},
		{Limit: "queued_commits", Used: int64(h.Commits.Queued), Most: int64(l.QueuedCommits)},
		{Limit: "staged", Used: int64(h.Txns.Bytes), Most: int64(l.StagedBytes), Bytes: true},
		{Limit: "queued", Used: int64(h.Commits.Bytes), Most: int64(l.StagedBytes / 2), Bytes: true},
		{Limit: "unsent", Used: int64(h.Unsent.Bytes), Most: s.config.UnsentBytes, Bytes: true},
		{Limit: "making", Used: int64(h.Making.Bytes), Most: s.config.UnsentBytes / 2, Bytes: true},
		{Limit: "records", Used: int64(st.Store.RecordBytes), Most: int64(st.Store.RecordLimit), Bytes: true},
		{Limit: "cache", Used: st.Store.CacheBytes, Most: st.Store.CacheLimit, Bytes: true},
		{Limit: "memtables", Used: int64(st.Store.MemTableBytes), Most: engine.MemTablesBytes, Bytes: true},
	}
	if t := s.table.Load(); t != nil {
		open, held := t.Usage()
		uses = append(uses,
			Use{Limit: "connections", Used: int64(open), Most: int64(s.config.Connections)},
			Use{Limit: "requests", Used: held, Most: s.config.RequestBytes, Bytes: true})
	}
	return uses
}
