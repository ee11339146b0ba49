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
	PorcupineTimeout time.Duration
	Samples          int
	SampleSize       int
	Seed             uint64
	SkipPorcupine    bool
}

// Result of Check.
type Result struct {
	Verdict    Verdict
	Violations []Violation
	Stats      Stats
}

// Stats say how much was checked.
type Stats struct {
	Operations, Commits, Reads, Resolved int
}
