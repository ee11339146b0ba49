package engine

import (
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// rowWriter turns commits into rows of a batch. Its buffers are reused.
type rowWriter struct {
	rand      func([]byte) // Env.Rand
	salts     []byte       // drawn and not used yet
	body, key []byte
	log       logRow
	event     eventRow
	used      usedFeatures // by the store
	holds     bool         // rows of holds were written since it was last asked
}

// saltsAhead is how many salts are drawn at once: asking the system for few bytes costs about
// as much as for many.
const saltsAhead = 64

func (w *rowWriter) salt() (s salt) {
	if len(w.salts) == 0 {
		w.salts = make([]byte, saltsAhead*len(s))
		w.rand(w.salts)
	}
	w.salts = w.salts[copy(s[:], w.salts):]
	return s
}

// appendCommit adds all rows of a commit to batch and returns the hash chain's new
// value.
func (w *rowWriter) appendCommit(batch *pebble.Batch, c *commit, previous chainHash) chainHash {
	hash := w.appendLog(batch, c, previous)
	outcome := outcomeRow{c.ts, c.p.fingerprint}
	w.set(batch, outcomeKey(c.p.id), outcome.append(w.body[:0]))
	for _, a := range c.newAgents {
		w.set(batch, agentPrefix(agentTag, a), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
	}
	for i := range c.p.agents {
		if f := c.p.agents[i].made; f != nil {
			w.used.use(batch, featureActs)
			w.set(batch, f.key(), f.append(w.body[:0]))
		}
		if g := c.p.agents[i].acted; g != nil {
			w.used.use(batch, featureRanges)
			if g.restores {
				w.used.use(batch, featureRestores)
			}
			w.set(batch, g.key(), g.append(w.body[:0]))
		}
	}
	for _, n := range c.newNamespaces {
		w.set(batch, appendNames(nil, namespaceTag, n), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
	}
	return hash
}

// appendLog adds the log row of a commit, its events and its records.
func (w *rowWriter) appendLog(batch *pebble.Batch, c *commit, previous chainHash) chainHash {
	w.log = logRow{commitTime: c.time, txnID: c.p.id, parts: w.log.parts[:0]}
	w.event = eventRow{commitTime: c.time, txnID: c.p.id, by: w.provenance(c.p), ops: w.event.ops[:0]}
	for i := range c.p.agents {
		part := &c.p.agents[i]
		w.appendRecords(batch, c, part)
		if c.p.cause != 0 {
			w.event.fields = own{c.p.cause, c.userHeads[i]}.fields()
		} else if w.event.fields = nil; part.made != nil {
			w.event.fields = w.event.fields.with(fieldAct, part.made.field())
		} else if part.acted != nil {
			w.event.fields = w.event.fields.with(fieldAct, part.acted.field())
		}
		w.log.parts = append(w.log.parts, logPart{w.appendEvent(batch, c.ts, part), part.agent})
	}
	w.log.hash = w.log.chain(previous, c.ts)
	w.set(batch, logKey(c.ts), w.log.append(w.body[:0]))
	return w.log.hash
}

// provenance is what all parts of a commit say of it.
func (w *rowWriter) provenance(p *proposal) provenance {
	by := p.by
	if by.principal == "" && by.traceID == "" && len(by.metadata) == 0 {
		return by
	}
	by.state, by.salt = provenanceThere, w.salt()
	w.body = by.append(w.body[:0])
	by.digest = digestOf(w.body)
	return by
}

// appendRecords adds the part's records. It draws their salts, and gives the operations
// the digests that the event has.
func (w *rowWriter) appendRecords(batch *pebble.Batch, c *commit, part *agentPart) {
	for j := range part.ops {
		op := &part.ops[j]
		row := recordRow{tombstone: op.tombstone, gone: op.gone, commitTS: c.ts, commitTime: c.time, fields: op.held.fields()}
		if !op.tombstone {
			row.value, row.salt = op.value, w.salt()
			op.digest = row.salt.valueDigest(&op.sum)
			if isBytes(op.value) {
				w.used.use(batch, featureBytes)
			}
		}
		w.key = appendVersion(append(w.key[:0], op.prefix...), op.version)
		w.set(batch, w.key, row.append(w.body[:0]))
		if hidden(op.key) {
			w.used.use(batch, featureHidden)
			if isWake(op.key) {
				w.used.use(batch, featureWakes)
			}
		}
		w.appendHold(batch, op.prefix, op.ends, op.hold)
	}
}

// appendHold puts one hold of a record in the place of another; nil is none.
func (w *rowWriter) appendHold(batch *pebble.Batch, prefix string, ends, begins *hold) {
	if ends == nil && begins == nil {
		return
	}
	w.holds = true
	w.used.use(batch, featureTimers)
	if ends != nil {
		for _, key := range ends.places(prefix) {
			_ = batch.Delete(key, nil)
		}
	}
	w.key = appendHoldKey(w.key[:0], prefix)
	if begins == nil {
		_ = batch.Delete(w.key, nil)
		return
	}
	w.set(batch, w.key, begins.append(w.body[:0]))
	for _, key := range begins.places(prefix) {
		w.set(batch, key, timer{begins.kind, begins.version}.append(w.body[:0]))
	}
}

// appendEvent adds the part's event and returns its digest.
func (w *rowWriter) appendEvent(batch *pebble.Batch, ts CommitTS, part *agentPart) Digest {
	ops := w.event.ops[:0]
	for j := range part.ops {
		op := part.ops[j].eventRowOp
		op.salt = w.salt()
		op.name = op.salt.nameDigest(part.agent, op.key)
		ops = append(ops, op)
	}
	w.event.ops = ops
	w.event.sealHolds()
	body := w.event.appendSealed(w.body[:0], sealedFlags)
	digest := digestOf(w.event.fields.appendSealed(body)) // a row's own sealed fields come after what is clear
	if slices.ContainsFunc(ops, func(op eventRowOp) bool { return op.gone != 0 }) {
		body = w.event.appendSealed(body[:0], allFlags) // an erasure's tombstones, which the digest takes for any others
	}
	w.key = appendEventKey(w.key[:0], part.agent, ts)
	w.set(batch, w.key, w.event.appendClear(body))
	return digest
}

// set adds the checksum to body, which must be built in w.body, and the row to batch.
// Adding to a batch that is not indexed cannot fail.
func (w *rowWriter) set(batch *pebble.Batch, key, body []byte) {
	w.body = sealRow(key, body)
	_ = batch.Set(key, w.body, nil)
}
