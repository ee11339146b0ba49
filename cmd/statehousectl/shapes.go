package main

import (
	"slices"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
)

// The shapes of --json. Their fields are named as in the contract and only ever
// added to.

type recordShape struct {
	Namespace  string          `json:"namespace"`
	Agent      string          `json:"agent"`
	Key        string          `json:"key"`
	Exists     bool            `json:"exists"`
	Version    client.Version  `json:"version"`
	CommitTS   client.CommitTS `json:"commit_ts"`
	CommitTime time.Time       `json:"commit_time,omitzero"`
	valueShape
	ReadTS    client.CommitTS `json:"read_ts,omitempty"` // the commit_ts the read is as of
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
	DueAt     time.Time       `json:"due_at,omitzero"`
}

func shapeRecord(r client.Record) recordShape {
	return recordShape{r.Namespace, r.Agent, r.Key, r.Exists, r.Version, r.CommitTS, r.CommitTime, shapeValue(r.Value, r.Bytes), r.ReadTS, r.ExpiresAt, r.DueAt}
}

type keyVersionShape struct {
	Namespace string         `json:"namespace"`
	Agent     string         `json:"agent"`
	Key       string         `json:"key"`
	Version   client.Version `json:"version"`
	Existed   bool           `json:"existed,omitempty"` // at that version, and so nothing was written
	Keys      uint64         `json:"keys,omitempty"`    // that an operation on many changed
}

type commitShape struct {
	TxnID      string            `json:"txn_id"`
	State      client.TxnState   `json:"state,omitempty"` // of txn status
	CommitTS   client.CommitTS   `json:"commit_ts,omitempty"`
	CommitTime time.Time         `json:"commit_time,omitzero"`
	ReadTS     client.CommitTS   `json:"read_ts,omitempty"` // nothing was written; the commit_ts that it is as of
	Versions   []keyVersionShape `json:"versions,omitempty"`
}

func shapeCommit(c client.Commit) commitShape {
	s := commitShape{TxnID: c.TxnID, CommitTS: c.CommitTS, CommitTime: c.CommitTime}
	for _, v := range c.Versions {
		s.Versions = append(s.Versions, keyVersionShape{Namespace: v.Namespace, Agent: v.Agent, Key: v.Key, Version: v.Version})
	}
	for i := range min(len(c.Results), len(s.Versions)) {
		s.Versions[i].Existed, s.Versions[i].Keys = c.Results[i].Existed, c.Results[i].Keys
		if c.Results[i].Existed {
			s.Versions[i].Version = c.Results[i].Version // the commit gave it none
		}
	}
	if wroteNothing(&c) {
		s.ReadTS, s.CommitTS, s.CommitTime = s.CommitTS, 0, time.Time{}
	}
	return s
}

// wroteNothing reports whether all that a commit was to do was to write what exists.
func wroteNothing(c *client.Commit) bool {
	return len(c.Results) > 0 && !slices.ContainsFunc(c.Results, func(r client.Result) bool { return !r.Existed })
}

func shapeEvent(ev client.Event) show.Event {
	s := show.Event{CommitTS: uint64(ev.CommitTS), CommitTime: ev.CommitTime, TxnID: ev.TxnID, Epoch: ev.Epoch, Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Cause: ev.Cause, Operations: make([]show.Operation, len(ev.Operations))}
	for i, o := range ev.Operations {
		value := shapeValue(o.Value, o.Bytes)
		s.Operations[i] = show.Operation{Namespace: o.Namespace, Agent: o.Agent, Key: o.Key, Version: uint64(o.Version), Deleted: o.Deleted, Value: value.Value, ContentType: value.ContentType, Erased: o.Erased, Pruned: o.Pruned}
		s.Operations[i].Many, s.Operations[i].RestoredTo = o.Many, (*uint64)(o.RestoredTo)
		if o.Fork != nil {
			s.Operations[i].From, s.Operations[i].FromTS = o.Fork.Agent, uint64(o.Fork.CommitTS)
		}
	}
	return s
}

type historyShape struct {
	Version    client.Version    `json:"version"`
	CommitTS   client.CommitTS   `json:"commit_ts"`
	CommitTime time.Time         `json:"commit_time"`
	TxnID      string            `json:"txn_id"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Principal  string            `json:"principal,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Cause      string            `json:"cause,omitempty"`
	Deleted    bool              `json:"deleted,omitempty"`
	valueShape
	Erased bool `json:"erased,omitempty"`
	Pruned bool `json:"pruned,omitempty"`
}

func shapeHistory(e client.HistoryEntry) historyShape {
	return historyShape{
		e.Version, e.CommitTS, e.CommitTime, e.TxnID, e.Metadata, e.Principal, e.TraceID, e.Cause, e.Deleted, shapeValue(e.Value, e.Bytes), e.Erased, e.Pruned,
	}
}
