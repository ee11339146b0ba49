// Package verdict holds the words in which a judge answers: verdicts, violations, and how much
// was checked.
package verdict

// Verdict on a history.
type Verdict string

// The verdicts. Unknown is never taken for OK.
const (
	OK      Verdict = "ok"
	Illegal Verdict = "illegal"
	Unknown Verdict = "unknown"
)

// Violation is a guarantee that the history shows broken.
type Violation struct {
	Guarantee string `json:"promise"` // G1 to G10, see docs/GUARANTEES.md
	Check     string `json:"check"`   // a stable name
	Op        int    `json:"op,omitempty"`
	CommitTS  uint64 `json:"commit_ts,omitempty"`
	Time      int64  `json:"time,omitempty"`
	Sentence  string `json:"sentence"`
	Expected  string `json:"expected,omitempty"`
	Got       string `json:"got,omitempty"`
}

// Stats say how much was checked.
type Stats struct {
	Operations, Commits, Reads int
	Resolved                   int // unknown outcomes that the log has decided
	DeepestSearch              int // steps of Porcupine's longest search

	// Of a history that begins in the middle, or has gaps, not everything can be judged.
	// A verdict is of the rest.
	Gaps        int
	BeforeBase  int // operations that took effect before the history begins, or may have
	Dangling    int // operations that rest on a request that is not in it: the begin, the page before
	Outside     int // operations about agents that its log does not tell of
	Unexplained int // commits of which no request in it can be the one that made them
}
