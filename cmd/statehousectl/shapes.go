package main

import (
	"encoding/json"
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
	Value      json.RawMessage `json:"value,omitempty"`
	ReadTS     client.CommitTS `json:"read_ts,omitempty"` // the commit_ts the read is as of
	ExpiresAt  time.Time       `json:"expires_at,omitzero"`
	DueAt      time.Time       `json:"due_at,omitzero"`
}

func shapeRecord(r client.Record) recordShape {
	return recordShape{r.Namespace, r.Agent, r.Key, r.Exists, r.Version, r.CommitTS, r.CommitTime, shownAs(r.Value, r.Bytes), r.ReadTS, r.ExpiresAt, r.DueAt}
}

type keyVersionShape struct {
	Namespace string         `json:"namespace"`
	Agent     string         `json:"agent"`
	Key       string         `json:"key"`
	Version   client.Version `json:"version"`
}

type commitShape struct {
	TxnID      string            `json:"txn_id"`
	State      client.TxnState   `json:"state,omitempty"` // of txn status
	CommitTS   client.CommitTS   `json:"commit_ts,omitempty"`
	CommitTime time.Time         `json:"commit_time,omitzero"`
	Versions   []keyVersionShape `json:"versions,omitempty"`
}

func shapeCommit(c client.Commit) commitShape {
	s := commitShape{TxnID: c.TxnID, CommitTS: c.CommitTS, CommitTime: c.CommitTime}
	for _, v := range c.Versions {
		s.Versions = append(s.Versions, keyVersionShape{v.Namespace, v.Agent, v.Key, v.Version})
	}
	return s
}

func shapeEvent(ev client.Event) show.Event {
	s := show.Event{CommitTS: uint64(ev.CommitTS), CommitTime: ev.CommitTime, TxnID: ev.TxnID, Epoch: ev.Epoch, Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Cause: ev.Cause, Operations: make([]show.Operation, len(ev.Operations))}
	for i, o := range ev.Operations {
		s.Operations[i] = show.Operation{Namespace: o.Namespace, Agent: o.Agent, Key: o.Key, Version: uint64(o.Version), Deleted: o.Deleted, Value: shownAs(o.Value, o.Bytes), Erased: o.Erased, Pruned: o.Pruned}
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
	Value      json.RawMessage   `json:"value,omitempty"`
	Erased     bool              `json:"erased,omitempty"`
	Pruned     bool              `json:"pruned,omitempty"`
}

func shapeHistory(e client.HistoryEntry) historyShape {
	return historyShape{
		e.Version, e.CommitTS, e.CommitTime, e.TxnID, e.Metadata, e.Principal, e.TraceID, e.Cause, e.Deleted, shownAs(e.Value, e.Bytes), e.Erased, e.Pruned,
	}
}
