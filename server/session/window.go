package session

import "time"

// window is how many requests may be under way in a session. It is smaller while the daemon is
// crowded: waiting here gets nothing done sooner, and the client knows better which requests are
// still worth asking. Each frame of answers tells it how many it may have under way; one that does not
// listen is read no further.
//
// One request at a time is a sample: how long it takes says whether the daemon is crowded. The
// window grows and shrinks by a part of itself, and not before what it did last shows, so that
// the sessions of a daemon come to windows that are alike.
type window struct {
	size, most int
	sampled    bool // a sample is under way
	adjusted   time.Time
}

const (
	// leastWindow is how small it gets, if Limits.Requests is not less.
	leastWindow = 4
	// adjustEvery is about how long requests take when the daemon is crowded.
	adjustEvery = 10 * time.Millisecond
)

// sample makes a request that begins the sample, unless there is one.
func (w *window) sample(r *Request, now func() time.Time) {
	if !w.sampled {
		w.sampled, r.begun = true, now()
	}
}

// adjust is told when the sample is answered.
func (w *window) adjust(begun, now time.Time, crowded func(took time.Duration) bool) {
	w.sampled = false
	switch slow := crowded(now.Sub(begun)); {
	case now.Sub(w.adjusted) < adjustEvery:
		return
	case slow:
		w.size -= w.size / 4
	default:
		w.size += w.size/8 + 1
	}
	w.size, w.adjusted = max(min(w.size, w.most), min(leastWindow, w.most)), now
}
