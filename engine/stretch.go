package engine

import (
	"bytes"
	"encoding/binary"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Checker checks the rows of a stretch of the log, commit by commit, without a store: that the
// commits follow each other, that the hash chain goes on, that each has its events and records, in
// the order in which an Export gives them, and nothing else, and that values have the digests
// that their events name. Rows may be missing, and values, where the rows of the system, which come
// first, say that they went. What it cannot see without the rows of other commits, whether versions
// have gaps, who is new, and whether just those rows went that could, Verify finds in the store that
// is made of them.
type Checker struct {
	of   Stretch
	head mark
	last time.Time
	went went
	base []byte // the last key of the base
	// erasure is the last commit of an erasure of which what was before it may still be there.
	erasure CommitTS
	// acts are the forks of the commit that is being checked, forks the whole ones that the last one made.
	acts, forks map[AgentName]*fork
	forksAt     CommitTS
	// many are the acts on many keys of a commit, whose rows follow unless they are under way.
	many   map[AgentName]*rangeAct
	manyAt CommitTS
	// Operations counts those that were checked.
	Operations uint64
}

// NewChecker checks a stretch from its beginning.
func NewChecker(of Stretch) *Checker {
	return &Checker{of: of, head: mark{of.After, of.AfterHash}}
}

// Head is the last commit that was checked, with the hash chain there.
func (c *Checker) Head() (ts CommitTS, hash [32]byte) { return c.head.ts, c.head.hash }

// Continue goes on with the stretch after the one that was checked. Errors: ErrDataLoss when it begins
// elsewhere, or was cut from another log.
func (c *Checker) Continue(of Stretch) error {
	if err := knowFeatures(of.Features); err != nil {
		return err
	}
	switch {
	case c.head.ts != c.of.To || c.head.hash != c.of.ToHash:
		return words.Failf(ErrDataLoss, "the commits up to %d are not those that %d is said to end", c.head.ts, c.of.To)
	case of.After > c.head.ts:
		return words.Failf(ErrDataLoss, "commits %d to %d are missing", c.head.ts+1, of.After)
	case of.After < c.head.ts:
		return words.Failf(ErrDataLoss, "commits %d to %d are there twice", of.After+1, c.head.ts)
	case of.AfterHash != c.head.hash:
		return words.Failf(ErrDataLoss, "what follows commit %d was cut from another log: the hash chain there is another", c.head.ts)
	}
	c.of = of
	c.went = went{}
	return nil
}

// System takes over what rows of the system say of what went. All of a stretch come before its commits.
func (c *Checker) System(changes ...SystemChange) error {
	for _, s := range changes {
		if err := c.went.add(s.Kind, s.Name, s.Body); err != nil {
			return err
		}
	}
	switch {
	case !c.went.within(c.of.To):
		return words.Failf(ErrDataLoss, "something went by commits after %d, which is said to be the last", c.of.To)
	case c.of.After > 0 && c.went.dropped() > c.of.After:
		return words.Failf(ErrDataLoss, "what follows commit %d was dropped, up to commit %d", c.of.After, c.went.dropped())
	}
	return nil
}

// EndsAt reports whether a store can be made that ends at a commit of the stretch. Errors: ErrInvalid when
// what went since is missing there.
func (c *Checker) EndsAt(ts CommitTS) error { return c.went.endsAt(ts) }

// ErasedAfter reports whether something was erased after a commit, by the rows of the system. Errors:
// ErrInvalid.
func (c *Checker) ErasedAfter(ts CommitTS) error {
	if ts < c.went.erased {
		return erasedAfter(ts, c.went.erased)
	}
	return nil
}

// Ended reports whether the whole stretch was checked, or what is missing.
func (c *Checker) Ended() error {
	if c.head.ts != c.of.To {
		return words.Failf(ErrDataLoss, "commits %d to %d are missing", c.head.ts+1, c.of.To)
	}
	if c.head.hash != c.of.ToHash {
		return words.Failf(ErrDataLoss, "the hash chain at commit %d is not the one that is said to stand there", c.head.ts)
	}
	return nil
}

// Commit checks the commit, or the row of the base, that rows begin with, and returns how many of them
// are of it.
func (c *Checker) Commit(rows []Row) (n int, err error) {
	if c.ofBase(rows) {
		if f := c.copyOf(&rows[0]); f != nil {
			return 1, c.checkCopy(rows[0], f)
		}
		if g := c.manyOf(&rows[0]); g != nil {
			return 1, c.checkMany(rows[0], g)
		}
		return 1, c.checkBase(rows[0])
	}
	row, err := c.logRow(rows)
	if err != nil {
		return 0, err
	}
	ts := c.head.ts + 1
	if row.CommitTime.Before(c.last) {
		return 0, words.Failf(ErrDataLoss, "the commit_time of commit %d is before that of the commit before it", ts)
	}
	r := rowsOf{rows: rows[1:]}
	for i := range row.Parts {
		if err := c.part(&r, ts, row, &row.Parts[i]); err != nil {
			return 0, err
		}
	}
	hash := row.Chain(c.head.hash, ts)
	if hash != row.Hash {
		return 0, words.Failf(ErrDataLoss, "the hash chain breaks at commit %d: the log was changed", ts)
	}
	if err := c.rest(&r, ts, row); err != nil {
		return 0, err
	}
	c.head, c.last = mark{ts, hash}, row.CommitTime
	return len(rows) - len(r.rows), nil
}

// ofBase reports whether rows begin with one of the base, or with one that was copied to a fork.
func (c *Checker) ofBase(rows []Row) bool {
	return len(rows) > 0 && len(rows[0].Key) > 0 && rows[0].Key[0] == layout.RecordTag && (c.head.ts == 0 || c.copyOf(&rows[0]) != nil || c.manyOf(&rows[0]) != nil)
}

func (c *Checker) checkBase(r Row) error {
	body, err := layout.OpenRow(r.Key, r.Value)
	if err != nil {
		return err
	}
	n, _, ok := layout.SplitRecordKey(r.Key)
	row, ok2 := layout.ParseRecordRow(body)
	if !ok || !ok2 || row.CommitTS == 0 || row.CommitTS > c.went.pasts[n.Namespace].dropped {
		return layout.CorruptRow(r.Key, "malformed, or of no commit whose event was dropped")
	}
	prefix := layout.RecordPrefix(n)
	if bytes.Compare(prefix, c.base) <= 0 {
		return layout.CorruptRow(r.Key, "not where it belongs")
	}
	c.base = prefix
	return nil
}

// Next is the commit that rows begin with, and its time. The base is of no commit.
func (c *Checker) Next(rows []Row) (CommitTS, time.Time, error) {
	if c.ofBase(rows) {
		return 0, time.Time{}, nil
	}
	row, err := c.logRow(rows)
	if err != nil {
		return 0, time.Time{}, err
	}
	return c.head.ts + 1, row.CommitTime, nil
}

func (c *Checker) logRow(rows []Row) (*layout.LogRow, error) {
	ts := c.head.ts + 1
	if ts > c.of.To {
		return nil, words.Failf(ErrDataLoss, "commits go on after %d, which is said to be the last", c.of.To)
	}
	r := rowsOf{rows: rows}
	body, err := r.take(layout.LogKey(ts))
	if err != nil {
		return nil, err
	}
	row, ok := layout.ParseLogRow(body)
	if !ok || len(row.Parts) == 0 {
		return nil, layout.CorruptRow(layout.LogKey(ts), "malformed")
	}
	for i := 1; i < len(row.Parts); i++ {
		if compareAgents(row.Parts[i-1].Agent, row.Parts[i].Agent) >= 0 {
			return nil, words.Failf(ErrDataLoss, "commit %d names its agents out of order", ts)
		}
	}
	return &row, nil
}

// part takes an agent's part of a commit, and compares it with the digest that the commit has of it.
func (c *Checker) part(r *rowsOf, ts CommitTS, row *layout.LogRow, part *layout.LogPart) error {
	a := part.Agent
	dropped := c.went.pasts[a.Namespace].dropped
	body, err := r.takeUnless(ts < dropped, layout.EventKey(a, ts))
	if body == nil || err != nil {
		return err
	}
	ev, ok := layout.ParseEventRow(body)
	act, ok2 := actOf(&ev, a, ts)
	if !ok || !ok2 || len(ev.Ops) == 0 && act == nil || ev.TxnID != row.TxnID || !ev.CommitTime.Equal(row.CommitTime) {
		return layout.CorruptRow(layout.EventKey(a, ts), "malformed or not of its commit")
	}
	if ev.Digest() != part.Digest {
		return words.Failf(ErrDataLoss, "commit %d has another digest of the event of agent %q: the log was changed", ts, a.Agent)
	}
	if ev.By.State == layout.ProvenanceThere && layout.DigestOf(ev.By.Append(nil)) != ev.By.Digest {
		return words.Failf(ErrDataLoss, "the metadata of commit %d differs from its digest in the event of agent %q", ts, a.Agent)
	}
	c.took(act)
	for i := range ev.Ops {
		if op := &ev.Ops[i]; op.Salt.NameDigest(a, op.Key) != op.Name {
			return words.Failf(ErrDataLoss, "operation %d of commit %d on agent %q has another name than its digest says", i+1, ts, a.Agent)
		}
		if err := c.record(r, a, &ev.Ops[i], ts, row); err != nil {
			return err
		}
		if op := &ev.Ops[i]; op.Tombstone && op.Gone == layout.GoneErased && ts > dropped {
			c.erasure = ts
		}
	}
	c.Operations += uint64(len(ev.Ops))
	return nil
}

// rest checks the outcome and what lists new agents and namespaces.
func (c *Checker) rest(r *rowsOf, ts CommitTS, row *layout.LogRow) error {
	made := func(key []byte) (bool, error) {
		if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
			return false, nil
		}
		body, err := r.take(key)
		if err != nil {
			return false, err
		}
		if at, n := binary.Uvarint(body); n <= 0 || CommitTS(at) != ts {
			return false, layout.CorruptRow(key, "not of its commit")
		}
		return true, nil
	}
	if kept, err := made(layout.OutcomeKey(row.TxnID)); err != nil {
		return err
	} else if !kept && ts > c.of.OutcomesAfter {
		return words.Failf(ErrDataLoss, "the outcome of transaction %s (commit %d) is missing", row.TxnID, ts)
	}
	for i := range row.Parts {
		a := row.Parts[i].Agent
		if _, err := made(layout.AgentPrefix(layout.AgentTag, a)); err != nil {
			return err
		}
	}
	for i := range row.Parts {
		if err := c.forkOf(r, ts, row.Parts[i].Agent); err != nil {
			return err
		}
	}
	for i := range row.Parts {
		if err := c.rangeOf(r, ts, row.Parts[i].Agent); err != nil {
			return err
		}
	}
	for i := range row.Parts {
		a := row.Parts[i].Agent
		if i > 0 && row.Parts[i-1].Agent.Namespace == a.Namespace {
			continue
		}
		if _, err := made(layout.AppendNames(nil, layout.NamespaceTag, a.Namespace)); err != nil {
			return err
		}
	}
	if len(r.rows) > 0 && r.rows[0].Key[0] != layout.LogTag && (c.forksAt != ts && c.manyAt != ts || r.rows[0].Key[0] != layout.RecordTag) {
		return layout.CorruptRow(r.rows[0].Key, "of no commit, or not where it belongs")
	}
	return nil
}

// rowsOf takes rows one after the other.
type rowsOf struct{ rows []Row }

// take returns the body of the next row, which must have this key.
func (r *rowsOf) take(key []byte) ([]byte, error) {
	if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
		return nil, layout.CorruptRow(key, "missing")
	}
	body, err := layout.OpenRow(key, r.rows[0].Value)
	r.rows = r.rows[1:]
	return body, err
}

// takeUnless is take of a row that may have been dropped: nil, if it was.
func (r *rowsOf) takeUnless(dropped bool, key []byte) ([]byte, error) {
	if dropped && (len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key)) {
		return nil, nil
	}
	return r.take(key)
}

// record takes the record of an operation.
func (c *Checker) record(r *rowsOf, a AgentName, op *layout.EventRowOp, ts CommitTS, row *layout.LogRow) error {
	past := c.went.pasts[a.Namespace]
	key := layout.AppendVersion(layout.RecordPrefix(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: op.Key}), op.Version)
	body, err := r.takeUnless(ts <= past.dropped, key) // of the last one, too, if an act is being dropped
	if body == nil || err != nil {
		return err
	}
	rec, ok := layout.ParseRecordRow(body)
	pruned := rec.Gone == layout.GonePruned && op.Gone == 0 && past.keeping > 0
	if !ok || rec.CommitTS != ts || !rec.CommitTime.Equal(row.CommitTime) || rec.Tombstone != op.Tombstone ||
		rec.Gone != op.Gone && !pruned || !op.Tombstone && rec.Gone == 0 && (rec.Digest() != op.Digest || len(rec.Value) != op.Size) {
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", op.Version, op.Key, a.Agent, ts)
	}
	return nil
}
