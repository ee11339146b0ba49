// Package bounds is about the limits, pages, chunks and intervals of a daemon: a world sets them
// (Bounds), counts how often it came by each (Probes), and holds what clients were answered to
// them (Judge).
package bounds

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// Bounds are the limits, pages, chunks and intervals of the daemon that a world sets; 0 is
// production's default. What happens at a bound must be right wherever it is, and at the
// defaults no run comes by most of them.
//
// Every field is one of engine.Limits, engine.Tuning, server.Config or server.Tuning, of the
// same name: Set sets it, and its probe counts how often a run came by it.
type Bounds struct {
	OpenTxns       int `yaml:"open_txns,omitempty" json:"open_txns,omitempty"`
	ValueBytes     int `yaml:"value_bytes,omitempty" json:"value_bytes,omitempty"`
	TxnOps         int `yaml:"txn_ops,omitempty" json:"txn_ops,omitempty"`
	TxnBytes       int `yaml:"txn_bytes,omitempty" json:"txn_bytes,omitempty"`
	TxnReads       int `yaml:"txn_reads,omitempty" json:"txn_reads,omitempty"`
	StagedBytes    int `yaml:"staged_bytes,omitempty" json:"staged_bytes,omitempty"`
	QueuedCommits  int `yaml:"queued_commits,omitempty" json:"queued_commits,omitempty"`
	MetadataBytes  int `yaml:"metadata_bytes,omitempty" json:"metadata_bytes,omitempty"`
	CachedVersions int `yaml:"cached_keys,omitempty" json:"cached_keys,omitempty"`
	CachedAgents   int `yaml:"cached_agents,omitempty" json:"cached_agents,omitempty"`

	RecordBytes  int `yaml:"record_bytes,omitempty" json:"record_bytes,omitempty"`
	StepLookups  int `yaml:"step_lookups,omitempty" json:"step_lookups,omitempty"`
	StepBytes    int `yaml:"step_bytes,omitempty" json:"step_bytes,omitempty"`
	LeftToWriter int `yaml:"left_to_writer,omitempty" json:"left_to_writer,omitempty"`
	MarkEvery    int `yaml:"mark_every,omitempty" json:"mark_every,omitempty"`
	WitnessEvery int `yaml:"witness_every,omitempty" json:"witness_every,omitempty"`
	ChunkEvents  int `yaml:"chunk_events,omitempty" json:"chunk_events,omitempty"`
	ChunkBytes   int `yaml:"chunk_bytes,omitempty" json:"chunk_bytes,omitempty"`
	ChunkRows    int `yaml:"chunk_rows,omitempty" json:"chunk_rows,omitempty"`

	Requests    int `yaml:"requests,omitempty" json:"requests,omitempty"`
	Streams     int `yaml:"streams,omitempty" json:"streams,omitempty"`
	AnswerBytes int `yaml:"answer_bytes,omitempty" json:"answer_bytes,omitempty"`
	PageBytes   int `yaml:"page_bytes,omitempty" json:"page_bytes,omitempty"`
	BatchNames  int `yaml:"batch_names,omitempty" json:"batch_names,omitempty"`
	HistoryPage int `yaml:"history_page,omitempty" json:"history_page,omitempty"`
	NamesPage   int `yaml:"names_page,omitempty" json:"names_page,omitempty"`
	BatchBytes  int `yaml:"batch_bytes,omitempty" json:"batch_bytes,omitempty"`

	QueuedTime int `yaml:"queued_time,omitempty" json:"queued_time,omitempty"` // nanoseconds

	SessionRequests int `yaml:"session_requests,omitempty" json:"session_requests,omitempty"`
	SessionBytes    int `yaml:"session_bytes,omitempty" json:"session_bytes,omitempty"`
	SessionFrame    int `yaml:"session_frame,omitempty" json:"session_frame,omitempty"`
}

// Validate reports a bound that is none, or by which what can be committed could not be read.
func (b *Bounds) Validate() error {
	v := reflect.ValueOf(b).Elem()
	for i := range v.NumField() {
		if v.Field(i).Int() < 0 {
			return fmt.Errorf("config: a limit is negative")
		}
	}
	if least := b.LeastAnswer(); b.AnswerBytes > 0 && b.AnswerBytes < least {
		return fmt.Errorf("config: answer_bytes is %d, and an event or a page may take %d", b.AnswerBytes, least)
	}
	return nil
}

// LeastAnswer is how large an answer must be allowed to be: an event, or a page, must fit.
func (b *Bounds) LeastAnswer() int {
	var o engine.Options
	b.Set(&o.Limits)
	o.Limits = o.Limits.WithDefaults()
	page := server.Config{Tuning: server.Tuning{PageBytes: b.PageBytes}}.WithDefaults().Tuning.PageBytes
	// In a world no one has a long name, and nothing is traced.
	const whose = engine.MaxPrincipalBytes + engine.MaxTraceIDBytes - 16
	return max(server.LargestEvent(o.Limits)-whose, page+page/3+512)
}

// Set copies bounds into the fields of the same name in the struct that to points to.
func (b *Bounds) Set(to any) {
	from, v := reflect.ValueOf(b).Elem(), reflect.ValueOf(to).Elem()
	for i := range from.NumField() {
		if f := v.FieldByName(from.Type().Field(i).Name); f.IsValid() && !from.Field(i).IsZero() {
			f.SetInt(from.Field(i).Int())
		}
	}
}

// The fields that have probes, beside those of Bounds: a world has them as times and counts.
var others = map[string]string{"TxnTimeout": "txn_timeout", "OutcomeAge": "outcome_age", "OutcomeCount": "outcome_count"}

// probes maps the name of a bound's field to its probe, names lists the probes.
var probes, names = func() (map[string]string, []string) {
	probes, names := make(map[string]string), []string{}
	add := func(field, name string) {
		probes[field] = "limit " + name
		names = append(names, probes[field])
	}
	t := reflect.TypeFor[Bounds]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		add(t.Field(i).Name, name)
	}
	for _, field := range slices.Sorted(maps.Keys(others)) {
		add(field, others[field])
	}
	return probes, names
}()

// Probes lists the places that runs are meant to come by: every bound.
func Probes() []string { return slices.Clone(names) }

// Probe is the name of the probe of a bound, by its field; "" for none.
func Probe(field string) string { return probes[field] }

// AtEnd is what is left of the bounds when everything is read at the end. Bounds of what is
// answered would only keep some of it from being seen.
func (b Bounds) AtEnd() Bounds {
	return Bounds{
		CachedVersions: b.CachedVersions, CachedAgents: b.CachedAgents, RecordBytes: b.RecordBytes,
		MarkEvery: b.MarkEvery, WitnessEvery: b.WitnessEvery, ChunkEvents: b.ChunkEvents, ChunkBytes: b.ChunkBytes, ChunkRows: b.ChunkRows, BatchBytes: b.BatchBytes,
		SessionRequests: b.SessionRequests, SessionBytes: b.SessionBytes, SessionFrame: b.SessionFrame,
	}
}

// Refuse reports whether requests that are good may be refused, for more than a moment: all
// bounds but those that AtEnd leaves, and the open transactions, which end.
func (b Bounds) Refuse() bool {
	b.OpenTxns = 0
	return b != b.AtEnd()
}
