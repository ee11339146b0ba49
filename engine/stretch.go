package engine

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Checker checks the rows of a stretch of the log, commit by commit, without a store: that the
// commits follow each other, that the hash chain goes on, that each has its events and records, in
// the order in which an Export gives them, and nothing else, and that values have the digests
// that their events name. What it cannot see without the rows of earlier commits, whether versions
// have gaps and who is new, Verify finds in the store that is made of them.
type Checker struct {
	of   Stretch
	head mark
	last time.Time
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
	switch {
	case c.head.ts != c.of.To || c.head.hash != c.of.ToHash:
		return failf(ErrDataLoss, "the commits up to %d are not those that %d is said to end", c.head.ts, c.of.To)
	case of.After > c.head.ts:
		return failf(ErrDataLoss, "commits %d to %d are missing", c.head.ts+1, of.After)
	case of.After < c.head.ts:
		return failf(ErrDataLoss, "commits %d to %d are there twice", of.After+1, c.head.ts)
	case of.AfterHash != c.head.hash:
		return failf(ErrDataLoss, "what follows commit %d was cut from another log: the hash chain there is another", c.head.ts)
	}
	c.of = of
	return nil
}

// Ended reports whether the whole stretch was checked, or what is missing.
func (c *Checker) Ended() error {
	if c.head.ts != c.of.To {
		return failf(ErrDataLoss, "commits %d to %d are missing", c.head.ts+1, c.of.To)
	}
	if c.head.hash != c.of.ToHash {
		return failf(ErrDataLoss, "the hash chain at commit %d is not the one that is said to stand there", c.head.ts)
	}
	return nil
}

// Commit checks the commit that rows begin with, and returns how many of them are of it.
func (c *Checker) Commit(rows []Row) (n int, err error) {
	row, err := c.logRow(rows)
	if err != nil {
		return 0, err
	}
	ts := c.head.ts + 1
	if row.commitTime.Before(c.last) {
		return 0, failf(ErrDataLoss, "the commit_time of commit %d is before that of the commit before it", ts)
	}
	r := rowsOf{rows: rows[1:]}
	for i := range row.parts {
		if err := c.part(&r, ts, row, &row.parts[i]); err != nil {
			return 0, err
		}
	}
	hash := row.chain(c.head.hash, ts)
	if hash != row.hash {
		return 0, failf(ErrDataLoss, "the hash chain breaks at commit %d: the log was changed", ts)
	}
	if err := c.rest(&r, ts, row); err != nil {
		return 0, err
	}
	c.head, c.last = mark{ts, hash}, row.commitTime
	return len(rows) - len(r.rows), nil
}

// Next is the commit that rows begin with, and its time.
func (c *Checker) Next(rows []Row) (CommitTS, time.Time, error) {
	row, err := c.logRow(rows)
	if err != nil {
		return 0, time.Time{}, err
	}
	return c.head.ts + 1, row.commitTime, nil
}

func (c *Checker) logRow(rows []Row) (*logRow, error) {
	ts := c.head.ts + 1
	if ts > c.of.To {
		return nil, failf(ErrDataLoss, "commits go on after %d, which is said to be the last", c.of.To)
	}
	r := rowsOf{rows: rows}
	body, err := r.take(logKey(ts))
	if err != nil {
		return nil, err
	}
	row, ok := parseLogRow(body)
	if !ok || len(row.parts) == 0 {
		return nil, corruptRow(logKey(ts), "malformed")
	}
	for i := 1; i < len(row.parts); i++ {
		if compareAgents(row.parts[i-1].agent, row.parts[i].agent) >= 0 {
			return nil, failf(ErrDataLoss, "commit %d names its agents out of order", ts)
		}
	}
	return &row, nil
}

// part takes an agent's part of a commit, and compares it with the digest that the commit has of it.
func (c *Checker) part(r *rowsOf, ts CommitTS, row *logRow, part *logPart) error {
	body, err := r.take(eventKey(part.agent, ts))
	if err != nil {
		return err
	}
	a := part.agent
	ev, ok := parseEventRow(body)
	if !ok || len(ev.ops) == 0 || ev.txnID != row.txnID || !ev.commitTime.Equal(row.commitTime) {
		return corruptRow(eventKey(a, ts), "malformed or not of its commit")
	}
	if ev.digest() != part.digest {
		return failf(ErrDataLoss, "commit %d has another digest of the event of agent %q: the log was changed", ts, a.Agent)
	}
	if ev.by.state == provenanceThere && digestOf(ev.by.append(nil)) != ev.by.digest {
		return failf(ErrDataLoss, "the metadata of commit %d differs from its digest in the event of agent %q", ts, a.Agent)
	}
	for i := range ev.ops {
		if op := &ev.ops[i]; op.salt.nameDigest(a, op.key) != op.name {
			return failf(ErrDataLoss, "operation %d of commit %d on agent %q has another name than its digest says", i+1, ts, a.Agent)
		}
		if err := r.record(part.agent, &ev.ops[i], ts, row); err != nil {
			return err
		}
	}
	c.Operations += uint64(len(ev.ops))
	return nil
}

// rest checks the outcome and what lists new agents and namespaces.
func (c *Checker) rest(r *rowsOf, ts CommitTS, row *logRow) error {
	made := func(key []byte) (bool, error) {
		if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
			return false, nil
		}
		body, err := r.take(key)
		if err != nil {
			return false, err
		}
		if at, n := binary.Uvarint(body); n <= 0 || CommitTS(at) != ts {
			return false, corruptRow(key, "not of its commit")
		}
		return true, nil
	}
	if kept, err := made(outcomeKey(row.txnID)); err != nil {
		return err
	} else if !kept && ts > c.of.OutcomesAfter {
		return failf(ErrDataLoss, "the outcome of transaction %s (commit %d) is missing", row.txnID, ts)
	}
	for i := range row.parts {
		a := row.parts[i].agent
		if _, err := made(agentPrefix(agentTag, a)); err != nil {
			return err
		}
	}
	for i := range row.parts {
		a := row.parts[i].agent
		if i > 0 && row.parts[i-1].agent.Namespace == a.Namespace {
			continue
		}
		if _, err := made(appendNames(nil, namespaceTag, a.Namespace)); err != nil {
			return err
		}
	}
	if len(r.rows) > 0 && r.rows[0].Key[0] != logTag {
		return corruptRow(r.rows[0].Key, "of no commit, or not where it belongs")
	}
	return nil
}

// rowsOf takes rows one after the other.
type rowsOf struct{ rows []Row }

// take returns the body of the next row, which must have this key.
func (r *rowsOf) take(key []byte) ([]byte, error) {
	if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
		return nil, corruptRow(key, "missing")
	}
	body, err := openRow(key, r.rows[0].Value)
	r.rows = r.rows[1:]
	return body, err
}

// record takes the record of an operation.
func (r *rowsOf) record(a AgentName, op *eventRowOp, ts CommitTS, row *logRow) error {
	key := appendVersion(recordPrefix(RecordName{a.Namespace, a.Agent, op.key}), op.version)
	body, err := r.take(key)
	if err != nil {
		return err
	}
	rec, ok := parseRecordRow(body)
	if !ok || rec.commitTS != ts || !rec.commitTime.Equal(row.commitTime) || rec.tombstone != op.tombstone ||
		rec.gone != op.gone || !op.tombstone && op.gone == 0 && (rec.digest() != op.digest || len(rec.value) != op.size) {
		return failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", op.version, op.key, a.Agent, ts)
	}
	return nil
}
