package sim

import (
	"fmt"
	"reflect"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// Bounds are the limits, pages, chunks and intervals of the daemon that a world sets; 0 is
// production's default. What happens at a bound must be right wherever it is, and at the
// defaults no run comes by most of them.
//
// Every field is one of engine.Limits, engine.Tuning, server.Config or server.Tuning, of the
// same name: bounded sets it, and reached counts how often a run came by it.
type Bounds struct {
	OpenTxns      int `yaml:"open_txns,omitempty" json:"open_txns,omitempty"`
	ValueBytes    int `yaml:"value_bytes,omitempty" json:"value_bytes,omitempty"`
	TxnOps        int `yaml:"txn_ops,omitempty" json:"txn_ops,omitempty"`
	TxnBytes      int `yaml:"txn_bytes,omitempty" json:"txn_bytes,omitempty"`
	TxnReads      int `yaml:"txn_reads,omitempty" json:"txn_reads,omitempty"`
	StagedBytes   int `yaml:"staged_bytes,omitempty" json:"staged_bytes,omitempty"`
	QueuedCommits int `yaml:"queued_commits,omitempty" json:"queued_commits,omitempty"`
	MetadataBytes int `yaml:"metadata_bytes,omitempty" json:"metadata_bytes,omitempty"`
	// FinishedTxns must outlast copies of requests: one of a commit that was refused, and
	// forgotten, is applied.
	FinishedTxns   int `yaml:"finished_txns,omitempty" json:"finished_txns,omitempty"`
	CachedVersions int `yaml:"cached_keys,omitempty" json:"cached_keys,omitempty"`
	CachedAgents   int `yaml:"cached_agents,omitempty" json:"cached_agents,omitempty"`

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
}

// validate reports a bound that is none, or by which what can be committed could not be read.
func (b *Bounds) validate() error {
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
	setBounds(b, &o.Limits)
	o.Limits = o.Limits.WithDefaults()
	page := server.Config{Tuning: server.Tuning{PageBytes: b.PageBytes}}.WithDefaults().Tuning.PageBytes
	return max(server.LargestEvent(o.Limits), page+page/3+512)
}

// setBounds copies bounds into the fields of the same name in the struct that to points to.
func setBounds(b *Bounds, to any) {
	from, v := reflect.ValueOf(b).Elem(), reflect.ValueOf(to).Elem()
	for i := range from.NumField() {
		if f := v.FieldByName(from.Type().Field(i).Name); f.IsValid() && !from.Field(i).IsZero() {
			f.SetInt(from.Field(i).Int())
		}
	}
}

// boundProbe is the name of the probe of a bound, by its name in a scenario.
func boundProbe(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return "limit " + name
}

// boundProbes maps the fields of Config that are bounds to their probes.
func boundProbes() (probes map[string]string, names []string) {
	probes = make(map[string]string)
	for _, t := range []reflect.Type{reflect.TypeFor[Bounds](), reflect.TypeFor[Config]()} {
		for i := range t.NumField() {
			if f := t.Field(i); !f.Anonymous && f.Type.Kind() != reflect.Bool && f.Name != "Capacity" {
				probes[f.Name] = boundProbe(f)
				names = append(names, boundProbe(f))
			}
		}
	}
	return probes, names
}

// probesOfBounds is made once: it does not change.
var probesOfBounds, boundNames = boundProbes()

// Probes lists the places that runs are meant to come by: every bound of Config.
func Probes() []string { return boundNames }

// countBounds counts, when a process ends, what it has reached.
func (w *World) countBounds(p *process) {
	if p.service == nil {
		return
	}
	for name, n := range p.service.Reached() { // each by itself: order cannot matter
		if probe := probesOfBounds[name]; probe != "" {
			w.rec.stats.Probes[probe] += int(n)
		}
	}
}

// atEnd is the configuration of the daemon by which everything is read at the end. Bounds of
// what is answered would only keep some of it from being seen; those that the store's own
// state rests on stay.
func (c Config) atEnd() Config {
	keep := c.Bounds
	c.Bounds = Bounds{
		CachedVersions: keep.CachedVersions, CachedAgents: keep.CachedAgents, FinishedTxns: keep.FinishedTxns,
		MarkEvery: keep.MarkEvery, WitnessEvery: keep.WitnessEvery, ChunkEvents: keep.ChunkEvents, ChunkBytes: keep.ChunkBytes, ChunkRows: keep.ChunkRows, BatchBytes: keep.BatchBytes,
	}
	return c
}
