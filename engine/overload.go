package engine

import (
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// Work that comes too late is not done, so that what can be done in time is.
//
// A queue that is never empty makes everyone wait and gets nothing more done than a short one
// (Nichols and Jacobson, Controlling Delay, 2012). So the queue is judged by time, not by
// length, in the form that servers have given to CoDel (Maurer, Fail at Scale, 2015): while
// the writer catches up now and then, whoever waits may wait; when it has not for QueuedTime,
// what has waited for more than a quarter of that is refused, with a hint when to come back.
// New commits are planned in time then, and a burst that the writer can digest harms no one.
//
// Refusals are decided where commits are, after the outcomes were looked at: what is refused
// here has not been applied, and a retry of what has is answered with that (G6).

// queuedLeast is how long a commit may wait while the writer is behind.
func (l *Limits) queuedLeast() time.Duration { return l.QueuedTime / 4 }

// refuseLate refuses a commit that has waited for too long, or that no one waits for.
func (e *Engine) refuseLate(p *proposal) error {
	if p.late {
		e.reached.QueuedTime.Add(1)
		return words.Failf(ErrOverloaded, "the writer is behind, and the commit has waited for %v; nothing was applied: retry later", p.waited.Round(time.Millisecond)).
			RetryAfter(p.waited)
	}
	if p.client.Err() != nil {
		return errGivenUp
	}
	return nil
}

// shortCommit is how long a commit takes, beside two syncs, when not too many are made at a time.
const shortCommit = 10 * time.Millisecond

// Crowded reports whether a commit that took so long has waited for others. On a slow disk all
// wait for the sync before theirs, which more of them in a step makes up for.
func (e *Engine) Crowded(took time.Duration) bool {
	return took > shortCommit+2*time.Duration(e.lastSync.Load())
}

// delay estimates when there is room in the line: what is next has waited for about as long as
// the whole takes.
func (l *line) delay(now time.Time) time.Duration {
	if l.len() == 0 {
		return 0
	}
	return now.Sub(l.next().since)
}
