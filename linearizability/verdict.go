package linearizability

import "time"

// Verdict on a history.
type Verdict string

// The verdicts. Unknown is never taken for OK.
const (
	VerdictOK      Verdict = "ok"
	VerdictIllegal Verdict = "illegal"
	VerdictUnknown Verdict = "unknown"
)

// Violation is a promise that the history shows broken.
type Violation struct {
	Promise  string `json:"promise"` // G1 to G10, see docs/GUARANTEES.md
	Check    string `json:"check"`   // a stable name
	Op       int    `json:"op,omitempty"`
	CommitTS uint64 `json:"commit_ts,omitempty"`
	Time     int64  `json:"time,omitempty"`
	Sentence string `json:"sentence"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
}

// Options of Check. The zero value checks everything with defaults.
type Options struct {
	// PorcupineTimeout bounds each search, of which there is one a key and stretch of
	// time; 10 s. A search that takes longer makes the verdict unknown.
	PorcupineTimeout time.Duration
	Samples          int    // searches of a few keys without the log's help; 2
	SampleSize       int    // operations in each at most; 60
	Seed             uint64 // says which
	SkipPorcupine    bool
}

func (o Options) withDefaults() Options {
	if o.PorcupineTimeout == 0 {
		o.PorcupineTimeout = 10 * time.Second
	}
	if o.Samples == 0 {
		o.Samples = 2
	}
	if o.SampleSize == 0 {
		o.SampleSize = 60
	}
	return o
}

// Result of Check.
type Result struct {
	Verdict    Verdict
	Violations []Violation
	Stats      Stats
}

// Stats say how much was checked.
type Stats struct {
	Operations, Commits, Reads int
	Searched                   int // operations that Porcupine has found an order for, or not
	Unjudged                   int // searches that took too long
}
