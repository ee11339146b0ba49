package engine

import (
	"container/heap"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// The transaction table: open transactions in memory, and the ids of those that ended
// without leaving an event. It is pure: the engine passes the time as a value.
//
// A transaction moves open → committing → ended, or open → ended. Only the
// writer ends a committing one, so commit, abort, expiry and retries that race have one
// outcome, and every answer is read from here (G6).
type txnTable struct {
	mu       sync.Mutex
	limits   Limits
	reached  *reached
	open     map[TxnID]*txn
	byExpiry expiryHeap
	held     int                   // bytes of all open transactions: what they staged and read
	finished *cache[TxnID, ending] // by id, those that left no event
}

type txn struct {
	id       TxnID
	owner    string // the principal that began it
	snapshot CommitTS
	begun    time.Time
	deadline time.Time
	order    []string // record prefixes in the order first staged
	writes   map[string]*Write
	expected []KeyPrecondition
	bytes    int                // of names and values, which bound its event
	held     int                // bytes of memory, about: writes, conditions and reads
	reads    map[string]Version // record prefix -> version seen
	ranges   []readRange
	commit   *ticket // set while committing
	heapAt   int
}

// readRange is an interval of one agent's keys that a transaction scanned: those with
// the prefix that are within the bounds.
type readRange struct {
	agent       AgentName
	prefix      string
	first, last string // inclusive bounds where non-empty
}

func (r *readRange) contains(key string) bool {
	return len(key) >= len(r.prefix) && key[:len(r.prefix)] == r.prefix &&
		(r.first == "" || key >= r.first) && (r.last == "" || key <= r.last)
}

// ending is how a transaction ended that left no event.
type ending struct {
	state  TxnState
	err    error        // why its commit failed; nil: it was aborted or expired
	result CommitResult // of a commit without writes, which leaves no event
	begun  bool         // Begin made the id, so no Transact may use it
}

// answer is the answer to every later call for the transaction.
func (e ending) answer(id TxnID) error {
	switch {
	case e.err != nil:
		return e.err
	case e.state == TxnCommitted:
		return txnCommitted(id)
	case e.state == TxnExpired:
		return words.Failf(ErrTxnExpired, "transaction %s reached its timeout and was aborted: begin a new one", id)
	}
	return words.Failf(ErrTxnAborted, "transaction %s was aborted: begin a new one", id)
}

func txnCommitted(id TxnID) error {
	return words.Failf(ErrTxnCommitted, "transaction %s has committed already: begin a new one", id)
}

func newTxnTable(l Limits, r *reached) *txnTable {
	return &txnTable{limits: l, reached: r, open: make(map[TxnID]*txn), finished: newCache[TxnID, ending](l.FinishedTxns, &r.FinishedTxns)}
}

func (t *txnTable) begin(id TxnID, owner string, snapshot CommitTS, now time.Time, timeout time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	if len(t.open) >= t.limits.OpenTxns {
		return limitErr(&t.reached.OpenTxns, "open transactions", len(t.open), t.limits.OpenTxns)
	}
	x := &txn{id: id, owner: owner, snapshot: snapshot, begun: now, deadline: now.Add(timeout)}
	t.open[id] = x
	heap.Push(&t.byExpiry, x)
	return nil
}

// principal returns the owner of a transaction that is open or committing.
func (t *txnTable) principal(id TxnID) (owner string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.open[id]; x != nil {
		return x.owner, true
	}
	return "", false
}

// lookupLocked finds a transaction that is open or committing.
func (t *txnTable) lookupLocked(id TxnID, now time.Time) (*txn, error) {
	t.expireLocked(now)
	if x := t.open[id]; x != nil {
		return x, nil
	}
	if end, ok := t.finished.get(id); ok {
		return nil, end.answer(id)
	}
	return nil, txnNotFound(id)
}

// openLocked finds a transaction that can still be written to and read from.
func (t *txnTable) openLocked(id TxnID, now time.Time) (*txn, error) {
	x, err := t.lookupLocked(id, now)
	if err == nil && x.commit != nil {
		return nil, words.Failf(ErrTxnCommitted, "transaction %s is being committed", id)
	}
	return x, err
}

func txnNotFound(id TxnID) error {
	return words.Failf(ErrTxnNotFound, "transaction %s is not known: it never began here, or the daemon restarted since", id)
}

// stage adds w to an open transaction. It replaces an earlier write of the same key.
func (t *txnTable) stage(id TxnID, now time.Time, w Write) error {
	prefix := string(layout.RecordPrefix(w.Name))
	t.mu.Lock()
	defer t.mu.Unlock()
	x, err := t.openLocked(id, now)
	if err != nil {
		return err
	}
	size, old := writeBytes(&w), x.writes[prefix]
	if old != nil {
		size -= writeBytes(old)
	} else if len(x.order) >= t.limits.TxnOps {
		return limitErr(&t.reached.TxnOps, "operations of a transaction", len(x.order)+1, t.limits.TxnOps)
	}
	if len(x.expected) >= t.limits.TxnOps && w.Expected != nil {
		return limitErr(&t.reached.TxnOps, "preconditions of a transaction", len(x.expected)+1, t.limits.TxnOps)
	}
	if x.bytes+size > t.limits.TxnBytes {
		return limitErr(&t.reached.TxnBytes, "bytes of a transaction", x.bytes+size, t.limits.TxnBytes)
	}
	held := heldByWrite(&w, prefix)
	if old != nil {
		held -= heldByWrite(old, prefix)
	}
	if w.Expected != nil { // every precondition counts, also if the key is written again
		held += nameBytes(w.Name) + entryBytes
	}
	if err := t.holdLocked(x, held); err != nil {
		return err
	}
	if w.Expected != nil {
		x.expected = append(x.expected, KeyPrecondition{w.Name, *w.Expected})
		w.Expected = nil
	}
	if x.writes == nil {
		x.writes = make(map[string]*Write)
	}
	if old == nil {
		x.order = append(x.order, prefix)
	}
	x.writes[prefix] = &w
	x.bytes += size
	return nil
}

// holdLocked counts n more bytes that x holds, within the limit for all transactions
// together. finishLocked, through which every transaction ends, returns them.
func (t *txnTable) holdLocked(x *txn, n int) error {
	if n > 0 && t.held+n > t.limits.StagedBytes {
		return limitErr(&t.reached.StagedBytes, "bytes staged and read by all open transactions", t.held+n, t.limits.StagedBytes)
	}
	x.held += n
	t.held += n
	return nil
}

// entryBytes is about what an entry of a write or read set takes in memory besides its
// names and value: a small write takes many times its text.
const entryBytes = 192

func nameBytes(n RecordName) int { return len(n.Namespace) + len(n.Agent) + len(n.Key) }

func heldByWrite(w *Write, prefix string) int {
	return nameBytes(w.Name) + len(prefix) + len(w.Value) + entryBytes
}

// writeBytes is what a write counts towards the limits: its value in the larger of the
// encodings that it is known in, so that the client that sent it can replay it.
func writeBytes(w *Write) int {
	return nameBytes(w.Name) + max(len(w.Value), w.SentBytes)
}

// own returns the write that the transaction staged under prefix, and its snapshot.
func (t *txnTable) own(id TxnID, now time.Time, prefix string) (snapshot CommitTS, w *Write, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, err := t.openLocked(id, now)
	if err != nil {
		return 0, nil, err
	}
	return x.snapshot, x.writes[prefix], nil
}

// ownIn returns the staged writes inside r, unordered, and the snapshot.
func (t *txnTable) ownIn(id TxnID, now time.Time, r readRange) (snapshot CommitTS, ws []*Write, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, err := t.openLocked(id, now)
	if err != nil {
		return 0, nil, err
	}
	for _, prefix := range x.order {
		if w := x.writes[prefix]; w.Name.AgentName() == r.agent && r.contains(w.Name.Key) {
			ws = append(ws, w)
		}
	}
	return x.snapshot, ws, nil
}

// didRead adds a key, or a range if r is set, to the read set. It fails if the transaction
// has ended meanwhile.
func (t *txnTable) didRead(id TxnID, now time.Time, prefix string, v Version, r *readRange) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, err := t.openLocked(id, now)
	if err != nil {
		return err
	}
	if _, again := x.reads[prefix]; again && r == nil {
		return nil // read at the same snapshot, so the version is the same
	}
	if n := len(x.reads) + len(x.ranges); n >= t.limits.TxnReads {
		return limitErr(&t.reached.TxnReads, "reads of a transaction", n+1, t.limits.TxnReads)
	}
	held := entryBytes + len(prefix)
	if r != nil {
		held = entryBytes + len(r.agent.Namespace) + len(r.agent.Agent) + len(r.prefix) + len(r.first) + len(r.last)
	}
	if err := t.holdLocked(x, held); err != nil {
		return err
	}
	if r != nil {
		x.ranges = append(x.ranges, *r)
		return nil
	}
	if x.reads == nil {
		x.reads = make(map[string]Version)
	}
	x.reads[prefix] = v
	return nil
}

// startCommit hands an open transaction to the caller to commit. If it is committing
// already, x is nil and wait is the ticket that every retry waits for.
func (t *txnTable) startCommit(id TxnID, now time.Time, tk *ticket) (x *txn, wait *ticket, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, err = t.lookupLocked(id, now)
	if err != nil {
		return nil, nil, err
	}
	if x.commit != nil {
		return nil, x.commit, nil
	}
	x.commit = tk
	heap.Remove(&t.byExpiry, x.heapAt) // from here on only the writer ends it
	return x, tk, nil
}

// reopen undoes startCommit if nothing was decided.
func (t *txnTable) reopen(id TxnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.open[id]; x != nil && x.commit != nil {
		x.commit = nil
		heap.Push(&t.byExpiry, x)
	}
}

// committing returns the ticket of a committing transaction; nil for any other.
func (t *txnTable) committing(id TxnID) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.open[id]; x != nil {
		return x.commit
	}
	return nil
}

// finish ends a transaction. The table forgets one that left an event: its outcome is in
// the store.
func (t *txnTable) finish(id TxnID, end ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finishLocked(id, end)
}

func (t *txnTable) finishLocked(id TxnID, end ending) {
	if x := t.open[id]; x != nil {
		delete(t.open, id)
		t.held -= x.held
		end.begun = true
	}
	if end.state != TxnCommitted || len(end.result.Versions) == 0 {
		t.finished.put(id, end)
	}
}

// abort ends an open transaction and returns its new state, or TxnNeverSeen if the table
// does not know it. If it is committing, wait is the ticket that decides.
func (t *txnTable) abort(id TxnID, now time.Time) (known TxnState, wait *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	x := t.open[id]
	if x == nil {
		end, _ := t.finished.get(id)
		return end.state, nil
	}
	if x.commit != nil {
		return TxnOpen, x.commit
	}
	heap.Remove(&t.byExpiry, x.heapAt)
	t.finishLocked(id, ending{state: TxnAborted})
	return TxnAborted, nil
}

// abortOpen aborts all transactions that are open.
func (t *txnTable) abortOpen() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.byExpiry) > 0 {
		t.finishLocked(heap.Pop(&t.byExpiry).(*txn).id, ending{state: TxnAborted})
	}
}

// state returns what the table knows of an id; TxnNeverSeen if nothing.
func (t *txnTable) state(id TxnID, now time.Time) TxnOutcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	if t.open[id] != nil {
		return TxnOutcome{State: TxnOpen}
	}
	end, _ := t.finished.get(id)
	return TxnOutcome{State: end.state, Result: end.result}
}

// begun reports whether Begin made an id, as far as the table remembers. If the
// transaction is committing, wait is the ticket that decides.
func (t *txnTable) begun(id TxnID, now time.Time) (begun bool, wait *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
	if x := t.open[id]; x != nil {
		return true, x.commit
	}
	end, _ := t.finished.get(id)
	return end.begun, nil
}

func (t *txnTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// usage counts transactions, deadlines and what all of them hold.
func (t *txnTable) usage() (open, deadlines, held int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open), len(t.byExpiry), t.held
}

// ended describes the table of those that left no event.
func (t *txnTable) ended() Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tableOf("finished transactions", t.finished, t.limits.FinishedTxns)
}

// expire aborts transactions that have reached their deadline.
func (t *txnTable) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(now)
}

func (t *txnTable) expireLocked(now time.Time) {
	for len(t.byExpiry) > 0 && !now.Before(t.byExpiry[0].deadline) {
		x := heap.Pop(&t.byExpiry).(*txn)
		t.reached.TxnTimeout.Add(1)
		t.finishLocked(x.id, ending{state: TxnExpired})
	}
}

// expiryHeap orders open transactions by deadline, ids breaking ties.
type expiryHeap []*txn

func (h expiryHeap) Len() int { return len(h) }
func (h expiryHeap) Less(i, j int) bool {
	if !h[i].deadline.Equal(h[j].deadline) {
		return h[i].deadline.Before(h[j].deadline)
	}
	return h[i].id < h[j].id
}
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}
func (h *expiryHeap) Push(x any) {
	t := x.(*txn)
	t.heapAt = len(*h)
	*h = append(*h, t)
}
func (h *expiryHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil // the array stays, and must not keep the transaction alive
	*h = old[:len(old)-1]
	return t
}
