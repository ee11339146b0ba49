package engine

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// rewrite writes the new store.
func (g *migration) rewrite() (err error) {
	if err := g.checkOld(); err != nil {
		return err
	}
	fs, dir := g.env.FS, g.env.FS.PathJoin(g.dir, newStoreName)
	g.owner.set(g.id.storeID)
	// Pebble tries a table again that could not be written, for ever.
	events := &pebble.EventListener{BackgroundError: g.env.Halt}
	o := storeOptions(guardFS{FS: fs, halt: g.env.Halt}, g.o.Tuning, pebbleLog{g.env.Log, g.env.Halt}, events)
	o.BlockPropertyCollectors = []func() pebble.BlockPropertyCollector{g.owner.collector}
	o.ErrorIfExists = true
	if g.to, err = openPebble(dir, o); err != nil {
		return openError(dir, "", err)
	}
	g.rows.rand = g.env.Rand
	if err = g.base(); err == nil {
		g.batch = g.to.NewBatch()
		err = errors.Join(g.rewriteLog(), g.copyRows(), g.flush(0), storageOrNil(g.to.Flush()))
	}
	err = errors.Join(err, g.to.Close())
	if err == nil {
		err = syncDir(fs, g.dir)
	}
	return err
}

// base writes the meta rows of the new store.
func (g *migration) base() error {
	row, err := g.oldLogRow(g.head)
	g.hash = row.hash
	if err != nil {
		return err
	}
	return writeMeta(g.to.DB, layout.Lineage{layout.NewEpoch(g.env.Rand, 0)}, g.hash, nil)
}

// oldLogRow reads a row of the old log; that of commit 0 is zero.
func (g *migration) oldLogRow(ts CommitTS) (row logRow1, err error) {
	if ts == 0 {
		return row, nil
	}
	key := layout.LogKey(ts)
	body, err := getRow(g.old, key)
	if err != nil {
		return row, err
	}
	row, ok := parseLogRow1(body)
	if body == nil || !ok {
		return row, layout.CorruptRow(key, "missing or malformed")
	}
	return row, nil
}

// checkOld finds the head of the old log and holds it against the evidence beside it, as
// evidence.check does.
func (g *migration) checkOld() error {
	body, err := getRow(g.old, formatKey)
	if err != nil {
		return err
	}
	if len(body) != 1 || body[0] != format1 {
		return words.Failf(ErrDataLoss, "the store says format %v, its identity file %d", body, format1)
	}
	it, err := newRowIter(g.old, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return err
	}
	if it.last() {
		ts, ok := layout.SplitLogKey(it.key())
		if g.head = ts; !ok {
			it.corrupt()
		}
	}
	if err := it.close(); err != nil {
		return err
	}
	ev := &g.evidence
	if ev.witnessMissing(mark{ts: g.head}) && !g.o.AcceptMissingWitness {
		return missingWitness(g.env.FS.PathJoin(g.dir, witnessName))
	}
	g.marks = ev.witness.marks
	if ev.unsynced != nil {
		g.marks = append(g.marks, *ev.unsynced)
	}
	for _, m := range g.marks {
		if m.ts > g.head && (ev.unsynced == nil || m == *ev.unsynced) {
			return words.Failf(ErrDataLoss, "the log ends at commit %d, and commit %d was acknowledged: acknowledged commits are lost", g.head, m.ts)
		}
		if m.ts > g.head {
			g.lost = max(g.lost, m.ts-g.head)
		}
	}
	return nil
}

// rewriteLog rewrites the commits in order.
func (g *migration) rewriteLog() error {
	it, err := newRowIter(g.old, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return err
	}
	for ok := it.first(); ok; ok = it.next() {
		ts, good := layout.SplitLogKey(it.key())
		row, good2 := parseLogRow1(it.body)
		switch {
		case !good || !good2:
			it.corrupt()
		case ts != g.at.ts+1:
			it.err = words.Failf(ErrDataLoss, "commit %d is missing from the log: %d follows %d", g.at.ts+1, ts, g.at.ts)
		default:
			it.err = g.rewriteCommit(ts, &row, it.body)
		}
		if it.err == nil {
			it.err = g.flush(g.o.Tuning.StepBytes)
		}
		if it.err != nil {
			break
		}
		if ts%10_000 == 0 {
			g.o.Progress("writing", ts, g.head)
		}
	}
	return it.close()
}

// rewriteCommit holds a commit against the old chain and the witness, and writes it.
func (g *migration) rewriteCommit(ts CommitTS, row *logRow1, body []byte) error {
	p := &proposal{id: row.txnID}
	var events [][]byte
	for _, a := range row.agents {
		event, err := g.readPart(ts, row, a, p)
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	g.at = mark{ts, chain1(g.at.hash, ts, body, events)}
	if g.at.hash != row.hash {
		return words.Failf(ErrDataLoss, "the hash chain breaks at commit %d: the log was changed", ts)
	}
	for _, m := range g.marks {
		if m.ts == ts && m.hash != row.hash {
			return words.Failf(ErrDataLoss, "commit %d is not the one the witness saw: the log was changed", ts)
		}
	}
	g.hash = g.rows.appendLog(g.batch, &commit{mark: mark{ts: ts}, time: row.commitTime, p: p}, g.hash)
	return nil
}

// readPart reads an agent's part of a commit, with its values, into p, and returns its event row.
func (g *migration) readPart(ts CommitTS, row *logRow1, a AgentName, p *proposal) (event []byte, err error) {
	key := layout.EventKey(a, ts)
	if event, err = getRow(g.old, key); err != nil {
		return nil, err
	}
	ev, ok := parseEventRow1(event)
	if !ok || ev.txnID != row.txnID || !ev.commitTime.Equal(row.commitTime) {
		return nil, layout.CorruptRow(key, "missing, malformed or not of its commit")
	}
	p.by.Metadata = ev.metadata
	part := agentPart{agent: a}
	for i := range ev.ops {
		was := &ev.ops[i]
		prefix := layout.RecordPrefix(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: was.key})
		op := partOp{prefix: string(prefix)}
		op.Key, op.Version, op.Tombstone, op.Size = was.key, was.version, was.tombstone, was.size
		body, err := getRow(g.old, layout.AppendVersion(prefix, was.version))
		if err != nil {
			return nil, err
		}
		rec, ok := parseRecordRow1(body)
		op.value, op.sum = rec.value, layout.SumOf(rec.value)
		if !ok || rec.commitTS != ts || !rec.commitTime.Equal(row.commitTime) || rec.tombstone != was.tombstone ||
			!rec.tombstone && (layout.Digest(op.sum[:len(layout.Digest{})]) != was.digest || len(rec.value) != was.size) {
			return nil, words.Failf(ErrDataLoss, "version %d of key %q of agent %q is missing or differs from the log (commit %d)", was.version, was.key, a.Agent, ts)
		}
		part.ops = append(part.ops, op)
	}
	p.agents = append(p.agents, part)
	g.events++
	g.records += uint64(len(ev.ops))
	return event, nil
}

// copyRows copies the rows that format 2 has, too, and looks that there is no record and no
// event besides those that the log has.
func (g *migration) copyRows() error {
	for _, tag := range []byte{layout.AgentTag, layout.NamespaceTag, layout.OutcomeTag} {
		if err := g.eachOld([]byte{tag}, func(key, body []byte) error {
			_ = g.batch.Set(key, layout.SealRow(key, append([]byte(nil), body...)), nil)
			return g.flush(g.o.Tuning.StepBytes)
		}); err != nil {
			return err
		}
	}
	if floor, err := readFloor(g.old); err != nil {
		return err
	} else if floor > 0 {
		body := binary.AppendUvarint(nil, uint64(floor))
		_ = g.batch.Set(floorKey, layout.SealRow(floorKey, body), nil)
	}
	for _, c := range []struct {
		tag  byte
		left uint64
	}{{layout.RecordTag, g.records}, {layout.EventTag, g.events}} {
		if err := g.eachOld([]byte{c.tag}, func(_, _ []byte) error { c.left--; return nil }); err != nil {
			return err
		}
		if c.left != 0 {
			return words.Failf(ErrDataLoss, "the store holds %d rows of kind %q that no commit made", -c.left, c.tag)
		}
	}
	return nil
}

func (g *migration) eachOld(prefix []byte, do func(key, body []byte) error) error {
	it, err := newRowIter(g.old, prefix, layout.Successor(prefix))
	if err != nil {
		return err
	}
	for ok := it.first(); ok && it.err == nil; ok = it.next() {
		it.err = do(it.key(), it.body)
	}
	return it.close()
}

// flush applies the batch if it has more than so many bytes.
func (g *migration) flush(most int) error {
	if g.batch.Len() <= most {
		return nil
	}
	if err := g.to.Apply(g.batch, pebble.NoSync); err != nil {
		return storageError(err)
	}
	g.batch.Reset()
	return nil
}
