package engine

import (
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// rowWriter turns commits into rows of a batch. Its buffers are reused.
type rowWriter struct {
	rand      func([]byte) // Env.Rand
	salts     []byte       // drawn and not used yet
	body, key []byte
	log       layout.LogRow
	event     layout.EventRow
	used      usedFeatures // by the store
	holds     bool         // rows of holds were written since it was last asked
}

// saltsAhead is how many salts are drawn at once: asking the system for few bytes costs about
// as much as for many.
const saltsAhead = 64

func (w *rowWriter) salt() (s layout.Salt) {
	if len(w.salts) == 0 {
		w.salts = make([]byte, saltsAhead*len(s))
		w.rand(w.salts)
	}
	w.salts = w.salts[copy(s[:], w.salts):]
	return s
}

// appendCommit adds all rows of a commit to batch and returns the hash chain's new
// value.
func (w *rowWriter) appendCommit(batch *pebble.Batch, c *commit, previous layout.ChainHash) layout.ChainHash {
	hash := w.appendLog(batch, c, previous)
	outcome := layout.OutcomeRow{CommitTS: c.ts, Fingerprint: c.p.fingerprint}
	w.set(batch, layout.OutcomeKey(c.p.id), outcome.Append(w.body[:0]))
	for _, a := range c.newAgents {
		w.set(batch, layout.AgentPrefix(layout.AgentTag, a), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
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
		w.set(batch, layout.AppendNames(nil, layout.NamespaceTag, n), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
	}
	return hash
}

// appendLog adds the log row of a commit, its events and its records.
func (w *rowWriter) appendLog(batch *pebble.Batch, c *commit, previous layout.ChainHash) layout.ChainHash {
	w.log = layout.LogRow{CommitTime: c.time, TxnID: c.p.id, Parts: w.log.Parts[:0]}
	w.event = layout.EventRow{CommitTime: c.time, TxnID: c.p.id, By: w.provenance(c.p), Ops: w.event.Ops[:0]}
	for i := range c.p.agents {
		part := &c.p.agents[i]
		w.appendRecords(batch, c, part)
		if c.p.cause != 0 {
			w.event.Fields = layout.Own{Cause: c.p.cause, UserHead: c.userHeads[i]}.Fields()
		} else if w.event.Fields = nil; part.made != nil {
			w.event.Fields = w.event.Fields.With(layout.FieldAct, part.made.field())
		} else if part.acted != nil {
			w.event.Fields = w.event.Fields.With(layout.FieldAct, part.acted.field())
		}
		w.log.Parts = append(w.log.Parts, layout.LogPart{Digest: w.appendEvent(batch, c.ts, part), Agent: part.agent})
	}
	w.log.Hash = w.log.Chain(previous, c.ts)
	w.set(batch, layout.LogKey(c.ts), w.log.Append(w.body[:0]))
	return w.log.Hash
}

// provenance is what all parts of a commit say of it.
func (w *rowWriter) provenance(p *proposal) layout.Provenance {
	by := p.by
	if by.Principal == "" && by.TraceID == "" && len(by.Metadata) == 0 {
		return by
	}
	by.State, by.Salt = layout.ProvenanceThere, w.salt()
	w.body = by.Append(w.body[:0])
	by.Digest = layout.DigestOf(w.body)
	return by
}

// appendRecords adds the part's records. It draws their salts, and gives the operations
// the digests that the event has.
func (w *rowWriter) appendRecords(batch *pebble.Batch, c *commit, part *agentPart) {
	for j := range part.ops {
		op := &part.ops[j]
		row := layout.RecordRow{Tombstone: op.Tombstone, Gone: op.Gone, CommitTS: c.ts, CommitTime: c.time, Fields: op.Held.Fields()}
		if !op.Tombstone {
			row.Value, row.Salt = op.value, w.salt()
			op.Digest = row.Salt.ValueDigest(&op.sum)
			if isBytes(op.value) {
				w.used.use(batch, featureBytes)
			}
		}
		w.key = layout.AppendVersion(append(w.key[:0], op.prefix...), op.Version)
		w.set(batch, w.key, row.Append(w.body[:0]))
		if hidden(op.Key) {
			w.used.use(batch, featureHidden)
			if isWake(op.Key) {
				w.used.use(batch, featureWakes)
			}
		}
		w.appendHold(batch, op.prefix, op.ends, op.hold)
	}
}

// appendHold puts one hold of a record in the place of another; nil is none.
func (w *rowWriter) appendHold(batch *pebble.Batch, prefix string, ends, begins *layout.Hold) {
	if ends == nil && begins == nil {
		return
	}
	w.holds = true
	w.used.use(batch, featureTimers)
	if ends != nil {
		for _, key := range placesOf(ends, prefix) {
			_ = batch.Delete(key, nil)
		}
	}
	w.key = layout.AppendHoldKey(w.key[:0], prefix)
	if begins == nil {
		_ = batch.Delete(w.key, nil)
		return
	}
	w.set(batch, w.key, begins.Append(w.body[:0]))
	for _, key := range placesOf(begins, prefix) {
		w.set(batch, key, layout.Timer{Kind: begins.Kind, Version: begins.Version}.Append(w.body[:0]))
	}
}

// appendEvent adds the part's event and returns its digest.
func (w *rowWriter) appendEvent(batch *pebble.Batch, ts CommitTS, part *agentPart) layout.Digest {
	ops := w.event.Ops[:0]
	for j := range part.ops {
		op := part.ops[j].EventRowOp
		op.Salt = w.salt()
		op.Name = op.Salt.NameDigest(part.agent, op.Key)
		ops = append(ops, op)
	}
	w.event.Ops = ops
	w.event.SealHolds()
	body := w.event.AppendSealed(w.body[:0], layout.SealedFlags)
	digest := layout.DigestOf(w.event.Fields.AppendSealed(body)) // a row's own sealed fields come after what is clear
	if slices.ContainsFunc(ops, func(op layout.EventRowOp) bool { return op.Gone != 0 }) {
		body = w.event.AppendSealed(body[:0], layout.AllFlags) // an erasure's tombstones, which the digest takes for any others
	}
	w.key = layout.AppendEventKey(w.key[:0], part.agent, ts)
	w.set(batch, w.key, w.event.AppendClear(body))
	return digest
}

// set adds the checksum to body, which must be built in w.body, and the row to batch.
// Adding to a batch that is not indexed cannot fail.
func (w *rowWriter) set(batch *pebble.Batch, key, body []byte) {
	w.body = layout.SealRow(key, body)
	_ = batch.Set(key, w.body, nil)
}
