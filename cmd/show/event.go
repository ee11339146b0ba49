package show

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a commit, in the form of --json. Its fields are named as in the contract
// and only ever added to.
type Event struct {
	CommitTS   uint64            `json:"commit_ts"`
	CommitTime time.Time         `json:"commit_time"`
	TxnID      string            `json:"txn_id"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Principal  string            `json:"principal,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Cause      string            `json:"cause,omitempty"` // why the daemon made it by itself
	Operations []Operation       `json:"operations"`
	Epoch      string            `json:"epoch,omitempty"` // in which the commit_ts is this commit
}

// Operation is what a commit did to one key.
type Operation struct {
	Namespace string          `json:"namespace"`
	Agent     string          `json:"agent"`
	Key       string          `json:"key"`
	Version   uint64          `json:"version"`
	Deleted   bool            `json:"deleted,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	// ContentType is that of a value that is bytes; "": it is JSON.
	ContentType string `json:"content_type,omitempty"`
	Erased      bool   `json:"erased,omitempty"`
	Pruned      bool   `json:"pruned,omitempty"`
	// Of the act that made the agent a fork, which has no key: of which agent, after which commit.
	From   string `json:"forked_from,omitempty"`
	FromTS uint64 `json:"forked_from_ts,omitempty"`
	// Each key that begins with Key was deleted.
	Many bool `json:"deleted_prefix,omitempty"`
	// Each key that begins with Key got the state that it had after this commit.
	RestoredTo *uint64 `json:"restored_to,omitempty"`
}

// Event writes a commit without its first skip operations: a line an operation.
func (t *Table) Event(ev *Event, skip int, verbose bool) error {
	for i := range ev.Operations[skip:] {
		o := &ev.Operations[skip+i]
		done := Pad(o.verb(), len("DELETE")) + Gone(o.Erased, o.Pruned)
		if ev.Cause != "" {
			done += " " + Printable(ev.Cause)
		}
		key, version := Quote(o.Key), "v"+strconv.FormatUint(o.Version, 10)
		if o.Many {
			key, version = Quote(o.Key)+"*", "-"
		}
		if o.RestoredTo != nil {
			key, version = Quote(o.Key)+"*", "@"+strconv.FormatUint(*o.RestoredTo, 10)
		}
		if o.From != "" {
			key, version = Quote(o.From), "@"+strconv.FormatUint(o.FromTS, 10)
		}
		err := t.row(o.Deleted, o.Value, []string{Clock(ev.CommitTime), strconv.FormatUint(ev.CommitTS, 10), Quote(o.Agent), done, key, version})
		if err != nil {
			return err
		}
	}
	if verbose {
		return t.Line(Provenance(ev.TxnID, ev.Principal, ev.TraceID, ev.Metadata))
	}
	return nil
}

// verb names what an operation did, by the conventions of agents' keys.
func (o *Operation) verb() string {
	switch {
	case o.From != "":
		return "FORK"
	case o.Deleted, o.Many:
		return "DELETE"
	case o.RestoredTo != nil:
		return "RESTORE"
	}
	for prefix, name := range map[string]string{"tool/": "TOOL", "note/": "NOTE", "final/": "FINAL"} { // at most one fits, in any order
		if strings.HasPrefix(o.Key, prefix) {
			return name
		}
	}
	return "WRITE"
}

// Gone says, after what was done, what has taken the value since: empty when it is there.
func Gone(erased, pruned bool) string {
	switch {
	case erased:
		return " erased"
	case pruned:
		return " pruned"
	}
	return ""
}

// Provenance shows a commit's transaction, who committed it, its trace, and its metadata,
// ordered by key.
func Provenance(txnID, principal, traceID string, metadata map[string]string) string {
	line := "    txn " + Quote(txnID)
	if principal != "" {
		line += " by " + Quote(principal)
	}
	if traceID != "" {
		line += " trace " + Quote(traceID)
	}
	return strings.TrimRight(line+" "+Metadata(metadata), " ")
}

// Metadata shows a commit's metadata, ordered by key.
func Metadata(metadata map[string]string) string {
	pairs := make([]string, 0, len(metadata))
	for k, v := range metadata { // sorted below
		pairs = append(pairs, Quote(k)+"="+Quote(v))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

// Clock shows a time in the local zone.
func Clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

// Encoder makes JSON that shows nothing but printable characters.
type Encoder struct {
	text bytes.Buffer // what json encodes into
	out  []byte
}

// Encode is v as JSON on one line, without its end. It is valid until the next call.
func (e *Encoder) Encode(v any) ([]byte, error) {
	e.text.Reset()
	to := json.NewEncoder(&e.text)
	to.SetEscapeHTML(false)
	if err := to.Encode(v); err != nil {
		return nil, err
	}
	e.out = AppendJSON(e.out[:0], bytes.TrimSuffix(e.text.Bytes(), []byte("\n")))
	return e.out, nil
}
