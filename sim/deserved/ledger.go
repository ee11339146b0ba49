package deserved

import (
	"time"

	"statehouse.dev/statehouse/history"
)

// Limits are those of the daemon. Zero: there is none, or none is known.
type Limits struct {
	ValueBytes, MetadataBytes   int
	TxnOps, TxnBytes, TxnReads  int
	OpenTxns, StagedBytes       int
	QueuedCommits, FinishedTxns int
	Requests, Streams           int
	BatchNames                  int
	QueuedTime                  time.Duration
	Rate                        int
	PageBytes, AnswerBytes      int
	OutcomeCount                int
	OutcomeAge                  time.Duration
}

// Judge holds the answers of a daemon, over all of its processes, to what they rest on.
type Judge struct {
	limits  Limits
	process int // the one that runs, from 1
	txns    map[string]*txn
	open    []*txn    // of this process, in the order they began; some have ended
	ended   int       // transactions, in this process
	settled int       // steps of the writer after which nothing waited for it
	waiting int       // commits that have reached the daemon and are not answered
	commits int       // that have ever reached a daemon
	asks    int       // requests that reached it
	asked   time.Time // when the last one of them began
	sent    int       // bytes of everything that clients have ever sent
	largest int       // bytes of one request
	early   []*until  // whose turns have not come
	unseen  int       // transactions of this process that may have begun without an answer that was seen

	definite []definite
}

// definite is a refusal of a commit that says: neither this request was applied, nor one before
// it for the same transaction.
type definite struct {
	op       int
	txn      string
	attempts int // to commit it, by then
}

// ofOneTry are the refusals that speak of one try to commit. The oracle holds the others, which
// decide the transaction, to the log.
var ofOneTry = map[string]bool{"DISK_FULL": true, "LIMIT_EXCEEDED": true, "OVERLOADED": true, "UNAVAILABLE": true, "STORAGE_ERROR": true, "DATA_LOSS": true}

// Applied is called with the log: the commits of transactions. It calls broken for what was
// refused for good, was not tried again and is in the log. Where outcomes are dropped, a repeat
// may be refused for good of what was applied.
func (j *Judge) Applied(log map[string]uint64, broken func(op int, ts uint64)) {
	for _, d := range j.definite {
		dropped := d.attempts > 1 && j.limits.OutcomeCount > 0
		if ts := log[d.txn]; ts > 0 && j.txn(d.txn).commits == d.attempts && !dropped {
			broken(d.op, ts)
		}
	}
}

// NewJudge makes a judge of a daemon that has not started.
func NewJudge() *Judge { return &Judge{txns: make(map[string]*txn)} }

// txn is what is known of a transaction, by its id on the wire.
type txn struct {
	process  int // that began it; 0: it was not begun
	deadline time.Time
	ended    bool // in that process, as an answer said

	commits    int // attempts to commit it that have reached the daemon
	conditions int // of those attempts
	said       int // reads in those attempts
	untils     []*until
	aborts     int
	underWay   int       // attempts to commit that are not answered, in this process
	since      time.Time // the first of those, and of those given up, arrived
	ahead      int       // of those under way: that sessions have not taken
	givenUp    int       // attempts to commit it whose requests ended first
	limbo      int       // those are decided when settled is so many

	keys       map[history.Name]staged
	bytes      int // of them together, at most
	expected   int
	reads      map[history.Name]bool
	ranges     int
	held       int // bytes of memory, at most: what was staged and read
	heldLeast  int // and of what was staged, at least
	readsUnder int // its reads, at least
}

// staged is how many bytes a key takes that is staged.
type staged struct{ least, most int }

// about is a generous guess at what an entry of a transaction takes in memory, beside its text.
const about = 1024

// Started says that a process of the daemon has started.
func (j *Judge) Started(l Limits) {
	j.limits = l
	j.process++
	j.open, j.ended, j.waiting, j.unseen = j.open[:0], 0, 0, 0
	for _, t := range j.txns { // each alike
		t.underWay, t.ahead, t.limbo, t.since = 0, 0, 0, time.Time{}
	}
}

// Unseen says that a request has reached the daemon whose answer is not seen: its session broke.
func (j *Judge) Unseen(r *Request) {
	if r.Kind == history.Begin {
		j.unseen++
	}
}

// Settled says that a step of the writer has ended, and how many commits wait for the next: a
// step may take few of them.
func (j *Judge) Settled(queued int) {
	if queued == 0 {
		j.settled++
	}
}

func (j *Judge) txn(id string) *txn {
	t := j.txns[id]
	if t == nil {
		t = &txn{}
		j.txns[id] = t
	}
	return t
}

// here reports whether the transaction was begun in the process that runs.
func (j *Judge) here(t *txn) bool { return t.process == j.process && j.process > 0 }

// mayBeOpen reports whether a transaction may be one of the open ones.
func (j *Judge) mayBeOpen(t *txn, now time.Time) bool {
	return j.here(t) && !t.ended && (now.Before(t.deadline) || t.underWay > 0 || t.limbo > j.settled)
}

// isOpen reports whether it is one for certain. latest is the latest time that the clock has
// shown: at which it may have expired, though the clock was set back since.
func (j *Judge) isOpen(t *txn, latest time.Time) bool {
	return j.here(t) && !t.ended && t.commits == 0 && t.aborts == 0 && latest.Before(t.deadline)
}

// Counts says that a request which no history has has reached the daemon: it counts against the rate.
func (j *Judge) Counts(now time.Time) {
	j.asks++
	j.asked = now
}

// Arrived says that a request has reached the daemon.
func (j *Judge) Arrived(r *Request) {
	t := j.of(r)
	r.queued, r.after = j.waiting+j.limbo(), j.commits
	if !r.Probe {
		r.idle = r.Arrival.Sub(j.asked)
		j.Counts(r.Arrival)
		r.ask = j.asks
	}
	switch r.Kind {
	case history.Commit, history.Transact:
		j.commits++
		t.commits++
		if t.underWay == 0 && t.limbo <= j.settled { // else one may wait of which no client is left
			t.since = r.Arrival
		}
		t.underWay++
		if r.waits = r.InSession; r.waits {
			t.ahead++
		}
		j.timed(t, r)
		t.conditions += len(r.In.Keys) + len(r.In.Heads)
		for i := range r.In.Writes {
			if r.In.Writes[i].Expected != nil {
				t.conditions++
			}
		}
		j.waiting++
	case history.Abort:
		t.aborts++
	}
	size := sizeOf(&r.In)
	j.sent, j.largest = j.sent+size, max(j.largest, size)
}

// Asked notes that a session begins, which takes of its client's rate as a request does.
func (j *Judge) Asked(now time.Time) { j.asked = now }

// Began notes that the session which a request came in has taken it: now it counts.
func (j *Judge) Began(r *Request, now time.Time) {
	j.taken(r)
	if !r.Probe {
		j.Asked(now)
	}
}

func (j *Judge) taken(r *Request) {
	if r.waits {
		r.waits = false
		j.of(r).ahead--
	}
}

// of is the transaction that a request names; one of no account if it names none.
func (j *Judge) of(r *Request) *txn {
	if r.In.TxnID == "" {
		return &txn{}
	}
	return j.txn(r.In.TxnID)
}

// answered keeps what an answer says of the transaction that the request names.
func (j *Judge) answered(r *Request, refusal *history.Refusal, w *World) {
	t := j.of(r)
	switch r.Kind {
	case history.Begin:
		if refusal == nil {
			t := j.txn(r.Begun)
			t.process, t.deadline = j.process, w.Now.Add(r.Timeout)
			j.open = append(j.open, t)
		}
		return
	case history.Commit, history.Transact:
		t.underWay--
		j.taken(r)
		j.waiting--
	}
	switch {
	case refusal == nil && (r.Kind == history.Commit || r.Kind == history.Abort), refusal != nil && ends[refusal.Code]:
		j.end(t)
	case refusal != nil && refusal.Code == "OUTCOME_UNKNOWN":
		if t.limbo <= j.settled {
			t.givenUp = 0
		}
		t.givenUp++
		t.limbo = j.settled + 2 // the step that is in flight may have been planned before
	}
	switch r.Kind {
	case history.StageWrite, history.StageDelete:
		if refusal == nil {
			j.staged(t, &r.In)
		}
	case history.Get, history.BatchGet, history.ListKeys, history.Scan:
		j.read(t, r, refusal == nil)
	}
}

// ends are the refusals that say that a transaction has ended.
var ends = map[string]bool{
	"CONFLICT": true, "PRECONDITION_FAILED": true, "TXN_EXPIRED": true, "TXN_ABORTED": true,
	"LEASE_HELD": true, "LEASE_LOST": true, "EVALUATION_FAILED": true,
}

func (j *Judge) end(t *txn) {
	if j.here(t) && !t.ended {
		t.ended = true
		j.ended++
	}
}

func (j *Judge) staged(t *txn, in *history.Input) {
	if t.keys == nil {
		t.keys = make(map[history.Name]staged)
	}
	least, size := valueSize(in.Value, in.Doubles)
	if !in.Doubles {
		least = len(compact(in.Value)) // it is kept without space
	}
	least, size = least+nameSize(in.Name()), size+nameSize(in.Name())
	was := t.keys[in.Name()]
	t.bytes += size - was.most
	t.heldLeast += least - was.least
	t.keys[in.Name()] = staged{least, size}
	t.held += 2*size + about
	if in.Expected != nil {
		t.expected++
		t.held += about
	}
}

func (j *Judge) read(t *txn, r *Request, ok bool) {
	names := r.In.Names
	switch {
	case r.In.TxnID == "":
		return
	case r.Kind == history.Get:
		names = []history.Name{r.In.Name()}
	case r.Kind != history.BatchGet:
		t.ranges++
		t.held += sizeOf(&r.In) + about
		if ok {
			t.readsUnder++
		}
	}
	if t.reads == nil {
		t.reads = make(map[history.Name]bool)
	}
	for _, n := range names {
		_, own := t.keys[n]
		if ok && !own && !t.reads[n] {
			t.readsUnder++
		}
		t.reads[n] = true
		t.held += 2*nameSize(n) + about
	}
}

// held is what the open transactions hold together, at most and at least.
func (j *Judge) held(w *World) (most, least int) {
	for _, t := range j.open {
		if j.mayBeOpen(t, w.Now) {
			most += t.held
		}
		if j.isOpen(t, w.Latest) {
			least += t.heldLeast
		}
	}
	return most, least
}

// Open counts the open transactions, at most and at least.
func (j *Judge) Open(w *World) (most, least int) {
	most = j.unseen
	kept := j.open[:0]
	for _, t := range j.open {
		if !t.ended {
			kept = append(kept, t)
		}
		if j.mayBeOpen(t, w.Now) {
			most++
		}
		if j.isOpen(t, w.Latest) {
			least++
		}
	}
	j.open = kept
	return most, least
}

func nameSize(n history.Name) int { return len(n.Namespace) + len(n.Agent) + len(n.Key) }

// sizeOf is about how many bytes of names and values a request has.
func sizeOf(in *history.Input) int {
	_, n := valueSize(in.Value, in.Doubles)
	n += nameSize(in.Name()) + len(in.Prefix) + sizeOfReads(in.Reads)
	for i := range in.Writes {
		_, value := valueSize(in.Writes[i].Value, in.Doubles)
		n += nameSize(in.Writes[i].Name) + value
	}
	for k, v := range in.Metadata { // a sum
		n += len(k) + len(v)
	}
	return n
}
