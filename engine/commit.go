package engine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Begin opens a transaction that reads at the last published commit. A nil timeout
// means the default; any other is clamped to [1 ms, Limits.MaxTxnTimeout].
func (e *Engine) Begin(timeout *time.Duration) (id TxnID, snapshot CommitTS, granted time.Duration, err error) {
	return e.BeginFor("", timeout)
}

// BeginFor is Begin of a transaction that belongs to a principal. The engine remembers whose it
// is (TxnPrincipal); whoever lets requests in keeps others from it.
func (e *Engine) BeginFor(principal string, timeout *time.Duration) (id TxnID, snapshot CommitTS, granted time.Duration, err error) {
	if err := e.Healthy(); err != nil {
		return "", 0, 0, err
	}
	if e.following.Load() {
		return "", 0, 0, words.Failf(ErrNotLeader, "%s: begin the transaction there", deposed)
	}
	granted = e.opts.Limits.TxnTimeout
	if timeout != nil {
		granted = min(max(*timeout, time.Millisecond), e.opts.Limits.MaxTxnTimeout)
		if granted < *timeout {
			e.reached.MaxTxnTimeout.Add(1)
		}
	}
	now := e.now()
	id, snapshot = layout.NewTxnID(now, e.env.Rand), e.Published()
	return id, snapshot, granted, e.txns.begin(id, principal, snapshot, now, granted)
}

// TxnPrincipal returns whose an open transaction is, and whether there is one of that id.
func (e *Engine) TxnPrincipal(id TxnID) (principal string, open bool) { return e.txns.principal(id) }

// Stage adds a write or tombstone to an open transaction.
func (e *Engine) Stage(id TxnID, w Write) error {
	if err := words.CheckTxnID(id); err != nil {
		return err
	}
	if w.Eval != nil {
		return words.Failf(ErrInvalid, "the operation is of Transact only: a transaction that BeginTransaction opened takes writes and deletes").With("field", "operations")
	}
	if err := e.checkWrite(&w); err != nil {
		return err
	}
	return e.orCommitted(id, e.txns.stage(id, e.now(), w))
}

func (e *Engine) checkWrite(w *Write) error {
	if err := w.Name.Normalize(); err != nil {
		return err
	}
	if err := w.checkTTL(); err != nil {
		return err
	}
	if w.Tombstone {
		w.Value = nil
		return nil
	}
	return e.checkValueOf(w)
}

func (w *Write) checkTTL() error {
	sets := w.Eval == nil
	switch w.Eval.(type) {
	case Append, IfAbsent:
		sets = true
	}
	switch {
	case w.TTL == 0:
		return nil
	case w.Tombstone || !sets:
		return words.Failf(ErrInvalid, "a time to live is of a value that is set").With("field", "ttl_ms")
	case w.TTL < 0 || w.TTL > MaxTTL:
		return words.Failf(ErrInvalid, "the time to live of key %q is %v: at most %v, and positive", w.Name.Key, w.TTL, MaxTTL).With("field", "ttl_ms")
	}
	return nil
}

func (e *Engine) checkValueOf(w *Write) error {
	if w.Bytes {
		return e.checkBytes(w)
	}
	limit := e.opts.Limits.ValueBytes
	if w.SentBytes > limit {
		e.reached.ValueBytes.Add(1)
		return words.Failf(ErrInvalid, "value of key %q is %d bytes, more than the limit of %d", w.Name.Key, w.SentBytes, limit).
			With("field", "value").With(limitDetail, strconv.Itoa(limit))
	}
	if w.SentBytes > 0 {
		limit = e.opts.Limits.TxnBytes // JSON may be longer than the encoding it was sent in
	}
	text, normal, err := jsonform.CheckForm(w.Value, limit)
	if err != nil {
		f := words.Failf(ErrInvalid, "value of key %q: %v", w.Name.Key, err).With("field", "value")
		if len(w.Value) > limit {
			e.reached.ValueBytes.Add(1)
			f = f.With(limitDetail, strconv.Itoa(limit))
		}
		return f
	}
	w.Value, w.normal = text, normal
	return nil
}

// orCommitted replaces ErrTxnNotFound by ErrTxnCommitted if the transaction has
// committed: the table forgets those.
func (e *Engine) orCommitted(id TxnID, err error) error {
	if !errors.Is(err, ErrTxnNotFound) || !mayHaveBegun(id) {
		return err
	}
	switch _, found, lookErr := e.committed(id); {
	case lookErr != nil:
		return lookErr
	case found:
		return txnCommitted(id)
	}
	return err
}

// mayHaveBegun reports whether Begin could have made id. Any other id can only have
// been committed by Transact, which is not what a call on an open transaction is about.
func mayHaveBegun(id TxnID) bool {
	_, timed := layout.TxnIDTime(id)
	return timed
}

// Commit makes a transaction durable, or answers again what it answered before
// (G6). The conditions of the first Commit that reaches the writer count. When ctx ends
// first the outcome is unknown.
func (e *Engine) Commit(ctx context.Context, id TxnID, c Conditions) (CommitResult, error) {
	if err := words.CheckTxnID(id); err != nil {
		return CommitResult{}, err
	}
	if err := e.checkConditions(&c); err != nil {
		return CommitResult{}, e.Refused(id, err)
	}
	tk := newTicket()
	for {
		x, wait, err := e.txns.startCommit(id, e.now(), tk)
		switch {
		case err != nil:
			other := e.waiting(id) // asked first: if it is decided meanwhile, the look below sees it
			r, ended := e.commitEnded(id, err)
			if other == nil || !errors.Is(ended, ErrTxnNotFound) {
				return r, ended
			}
			if _, err := e.await(ctx, id, other); errors.Is(err, ErrOutcomeUnknown) {
				return CommitResult{}, err
			}
		case x != nil:
			r, err := e.commitOpen(ctx, x, c, tk)
			tk.tell(c.Phases)
			return r, err
		default:
			if r, err := e.await(ctx, id, wait); err != errGivenUp {
				wait.tell(c.Phases)
				return r, err
			}
		}
	}
}

// errGivenUp answers a ticket whose request ended before the writer had the commit. The
// transaction is open again, and whoever waited for it, in a request that goes on, is to
// look once more.
var errGivenUp = errors.New("the request that was to commit the transaction ended")

// commitOpen commits a transaction that startCommit handed over under tk.
func (e *Engine) commitOpen(ctx context.Context, x *txn, c Conditions, tk *ticket) (CommitResult, error) {
	if err := e.submitTxn(ctx, x, c, tk); err != nil {
		e.txns.reopen(x.id)
		tk.answer(CommitResult{}, err)
		if err == errGivenUp {
			// Another request may have taken it over by now.
			return CommitResult{}, requestEnded(x.id, ctx.Err())
		}
	}
	return e.awaitOwn(ctx, x.id, tk)
}

// commitEnded answers a Commit of a transaction that has ended or is not in the table.
func (e *Engine) commitEnded(id TxnID, ended error) (CommitResult, error) {
	if o := e.txns.state(id, e.now()); o.State == TxnCommitted {
		return o.Result, nil
	}
	if !errors.Is(ended, ErrTxnNotFound) || !mayHaveBegun(id) {
		return CommitResult{}, ended
	}
	r, found, err := e.committed(id)
	if err != nil {
		return r, inDoubt(err)
	}
	if found {
		return r, nil
	}
	if e.tooOld(id) {
		return CommitResult{}, words.Failf(ErrTxnTooOld, "the outcome of transaction %s is no longer kept", id)
	}
	return CommitResult{}, ended
}

func (e *Engine) submitTxn(ctx context.Context, x *txn, c Conditions, tk *ticket) error {
	// After startCommit only this goroutine uses x: nothing changes a committing transaction.
	writes := make([]*Write, 0, len(x.order))
	for _, prefix := range x.order {
		writes = append(writes, x.writes[prefix])
	}
	c.Keys = append(x.expected[:len(x.expected):len(x.expected)], c.Keys...)
	p := newProposal(x.id, writes, c)
	p.ticket, p.interactive, p.client = tk, true, ctx
	p.snapshot, p.deadline, p.ranges = x.snapshot, x.deadline, x.ranges
	if len(writes) == 0 && len(p.keys) == 0 && len(p.heads) == 0 {
		// It only read, at one point of the order, and takes effect at that point.
		at, err := e.timeOf(x.snapshot)
		if err != nil {
			return err
		}
		a := answer{p: p, result: CommitResult{CommitTS: x.snapshot, CommitTime: at}}
		e.endTxn(&a)
		tk.answer(a.result, nil)
		return nil
	}
	p.reads = make([]readMark, 0, len(x.reads))
	for prefix, v := range x.reads { // sorted below: the order decides which conflict is reported
		p.reads = append(p.reads, readMark{prefix, v})
	}
	slices.SortFunc(p.reads, func(a, b readMark) int { return strings.Compare(a.prefix, b.prefix) })
	p.listed = listedOf(x.ranges, x.snapshot)
	if err := e.checkAhead(ctx, p); err != nil {
		return err
	}
	return e.submit(p)
}

// checkAhead looks at what p listed up to about the last published commit. The writer
// holds everybody up, and is left only what was committed meanwhile. It answers
// errGivenUp when ctx ends before that.
func (e *Engine) checkAhead(ctx context.Context, p *proposal) error {
	for upTo := e.Published(); len(p.listed) > 0 && p.checkedUpTo()+CommitTS(e.opts.Tuning.LeftToWriter) < upTo; {
		if ctx.Err() != nil {
			return errGivenUp
		}
		e.reached.LeftToWriter.Add(1)
		err := p.checkListed(e.state, upTo, e.opts.Tuning.StepLookups)
		switch {
		case err == nil:
			upTo = e.Published()
		case errors.Is(err, ErrConflict), errors.Is(err, ErrOutOfRange):
			p.conflict = err // the writer answers: only it ends a transaction
			return nil
		case err != errUnchecked:
			return e.noted(err)
		}
	}
	return nil
}

// Transact commits writes and conditions in one step under an id that the client
// chose. Sent again under the same id it takes effect once and answers the same
// (G6). Keys must differ from each other; several writes of one key keep the last. If it
// carries what it read, its client holds the transaction, and it is validated as Commit
// validates: without writes, too, and then of the newest state.
func (e *Engine) Transact(ctx context.Context, id TxnID, writes []Write, c Conditions) (CommitResult, error) {
	if err := words.CheckTxnID(id); err != nil {
		return CommitResult{}, err
	}
	p, err := e.proposalOf(id, writes, c)
	if err != nil {
		return CommitResult{}, e.Refused(id, err)
	}
	p.client = ctx
	begun, wait := e.txns.begun(id, e.now())
	for ; wait != nil; begun, wait = e.txns.begun(id, e.now()) {
		// If it commits, the writer compares p with what it committed.
		if _, err := e.await(ctx, id, wait); errors.Is(err, ErrOutcomeUnknown) {
			return CommitResult{}, err
		}
	}
	if begun {
		return CommitResult{}, words.Failf(ErrTxnIDReused, "transaction id %s is of a transaction that BeginTransaction opened: choose a fresh id", id)
	}
	err = e.checkAhead(ctx, p)
	if err == nil {
		err = e.lookAhead(ctx, p)
	}
	if err == errGivenUp {
		return CommitResult{}, requestEnded(id, ctx.Err())
	} else if err != nil {
		return CommitResult{}, e.Refused(id, err)
	}
	if err := e.submit(p); err != nil {
		r, err := e.unlessCommitted(p, err)
		if err != nil {
			return r, err
		}
		return e.withResults(p, r)
	}
	r, err := e.awaitOwn(ctx, id, p.ticket)
	p.ticket.tell(c.Phases)
	if err != nil {
		return r, err
	}
	return e.withResults(p, r)
}

// proposalOf checks the arguments of Transact and makes a proposal of them.
func (e *Engine) proposalOf(id TxnID, writes []Write, c Conditions) (*proposal, error) {
	if err := e.checkConditions(&c); err != nil {
		return nil, err
	}
	if c.Reads != nil {
		if err := e.checkReads(c.Reads); err != nil {
			return nil, err
		}
	}
	last, expected, err := e.checkWrites(writes)
	if err != nil {
		return nil, err
	}
	c.Keys = append(expected, c.Keys...)
	p := newProposal(id, last, c)
	if len(last) == 0 && len(p.keys) == 0 && len(p.heads) == 0 && c.Reads == nil {
		return nil, words.Failf(ErrInvalid, "the transaction has neither operations nor preconditions").With("field", "operations")
	}
	if c.Timeout != nil {
		p.deadline = e.now().Add(*c.Timeout)
	}
	return p, nil
}

// checkWrites checks each write and their total size. Of several writes of a key it
// keeps the last, unless the writer evaluates some: those take effect in their order.
func (e *Engine) checkWrites(writes []Write) (last []*Write, expected []KeyPrecondition, err error) {
	l := &e.opts.Limits
	writes = slices.Clone(writes) // the caller may use them again
	if len(writes) > l.TxnOps {
		return nil, nil, limitErr(&e.reached.TxnOps, "operations of a transaction", len(writes), l.TxnOps)
	}
	total := 0
	evaluated := slices.ContainsFunc(writes, func(w Write) bool { return w.Eval != nil })
	at := make(map[RecordName]int, len(writes))
	last = make([]*Write, 0, len(writes))
	for i := range writes {
		w := &writes[i]
		if err := e.checkOp(w); err != nil {
			return nil, nil, err
		}
		if w.Expected != nil {
			expected = append(expected, KeyPrecondition{w.Name, *w.Expected})
			w.Expected = nil
		}
		if j, again := at[w.Name]; again && !evaluated {
			total -= writeBytes(last[j])
			last[j] = w
		} else {
			at[w.Name] = len(last)
			last = append(last, w)
		}
		total += writeBytes(w)
	}
	if total > l.TxnBytes {
		return nil, nil, limitErr(&e.reached.TxnBytes, "bytes of a transaction", total, l.TxnBytes)
	}
	if evaluated {
		return last, expected, checkTogether(last)
	}
	return last, expected, nil
}

func (e *Engine) checkConditions(c *Conditions) error {
	if n := len(c.Keys) + len(c.Heads) + len(c.Leases); n > e.opts.Limits.TxnOps {
		return limitErr(&e.reached.TxnOps, "preconditions of a transaction", n, e.opts.Limits.TxnOps)
	}
	for i := range c.Keys {
		if err := c.Keys[i].Name.Normalize(); err != nil {
			return err
		}
	}
	if len(c.Leases) > 0 {
		c.Keys = slices.Clone(c.Keys) // the caller may use them again
	}
	for i := range c.Leases {
		key, err := c.Leases[i].record()
		if err != nil {
			return err
		}
		c.Keys = append(c.Keys, key)
	}
	for i := range c.Heads {
		if err := c.Heads[i].Agent.Normalize(); err != nil {
			return err
		}
	}
	if err := words.CheckSource("principal", c.Principal, MaxPrincipalBytes); err != nil {
		return err
	}
	if err := words.CheckSource("trace id", c.TraceID, MaxTraceIDBytes); err != nil {
		return err
	}
	if err := checkNoOrigin(c.Metadata); err != nil {
		return err
	}
	return e.opts.Limits.checkMetadata(c.Metadata, &e.reached)
}

// await waits for the writer's answer.
func (e *Engine) await(ctx context.Context, id TxnID, tk *ticket) (CommitResult, error) {
	if err := e.env.Await(ctx, tk.done); err != nil {
		return CommitResult{}, requestEnded(id, err)
	}
	return tk.result, tk.err
}

// awaitOwn is await for the request that brought the commit.
func (e *Engine) awaitOwn(ctx context.Context, id TxnID, tk *ticket) (CommitResult, error) {
	r, err := e.await(ctx, id, tk)
	if err == errGivenUp {
		err = requestEnded(id, ctx.Err())
	}
	return r, err
}

func requestEnded(id TxnID, err error) error {
	return words.Failf(ErrOutcomeUnknown, "the request ended (%v) while transaction %s was being committed: send it again under the same id, or ask for its outcome", err, id)
}

// Abort drops an open transaction; of one that has ended, or was never known
// (whatever its id looks like), it changes nothing. It fails with
// ErrTxnCommitted, or with what kept it from telling.
func (e *Engine) Abort(ctx context.Context, id TxnID) error {
	if words.CheckTxnID(id) != nil {
		return nil
	}
	for {
		state, wait := e.txns.abort(id, e.now())
		if state == TxnNeverSeen {
			wait = e.waiting(id) // of a Transact
		}
		if wait == nil {
			return e.aborted(id, state)
		}
		// Success or doubt answers this call. Any other refusal may have left the
		// transaction open (a full disk does), so the loop tries again.
		switch _, err := e.await(ctx, id, wait); {
		case err == nil:
			return txnCommitted(id)
		case errors.Is(err, ErrOutcomeUnknown):
			return err
		}
	}
}

// aborted answers the Abort of a transaction that has been decided.
func (e *Engine) aborted(id TxnID, state TxnState) error {
	switch state {
	case TxnCommitted:
		return txnCommitted(id)
	case TxnNeverSeen:
		_, found, err := e.outcomeOf(id)
		if found {
			return txnCommitted(id)
		}
		return err
	}
	return nil
}
