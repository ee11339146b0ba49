package engine

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// rowWriter turns commits into rows of a batch. Its buffers are reused.
type rowWriter struct {
	body   []byte
	bodies [][]byte
	events [][]byte
}

// appendCommit adds all rows of a commit to batch and returns the hash chain's new
// value.
func (w *rowWriter) appendCommit(batch *pebble.Batch, c *commit, previous chainHash) chainHash {
	w.bodies = w.bodies[:0]
	row := logRow{commitTime: c.time, txnID: c.p.id}
	for i := range c.p.agents {
		part := &c.p.agents[i]
		row.agents = append(row.agents, part.agent)
		w.appendRecords(batch, c, part)
		w.appendEvent(batch, c, part, i)
	}
	unhashed := row.appendUnhashed(w.body[:0])
	row.hash = chain(previous, c.ts, unhashed, w.bodies)
	w.body = unhashed
	w.set(batch, logKey(c.ts), row.append(w.body[:0]))
	outcome := outcomeRow{c.ts, c.p.fingerprint}
	w.set(batch, outcomeKey(c.p.id), outcome.append(w.body[:0]))
	for _, a := range c.newAgents {
		w.set(batch, agentPrefix(agentTag, a), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
	}
	for _, n := range c.newNamespaces {
		w.set(batch, appendNames(nil, namespaceTag, n), binary.AppendUvarint(w.body[:0], uint64(c.ts)))
	}
	return row.hash
}

func (w *rowWriter) appendRecords(batch *pebble.Batch, c *commit, part *agentPart) {
	for j := range part.ops {
		op := &part.ops[j]
		key := appendVersion(append(make([]byte, 0, len(op.prefix)+numberSize), op.prefix...), op.version)
		row := recordRow{tombstone: op.tombstone, commitTS: c.ts, commitTime: c.time, value: op.value}
		if op.tombstone {
			row.value = nil
		}
		w.set(batch, key, row.append(w.body[:0]))
	}
}

func (w *rowWriter) appendEvent(batch *pebble.Batch, c *commit, part *agentPart, i int) {
	row := eventRow{txnID: c.p.id, commitTime: c.time, metadata: c.p.metadata, ops: make([]eventRowOp, len(part.ops))}
	for j := range part.ops {
		row.ops[j] = part.ops[j].eventRowOp
	}
	if i == len(w.events) {
		w.events = append(w.events, nil)
	}
	body := row.append(w.events[i][:0])
	w.bodies = append(w.bodies, body)
	key := eventKey(part.agent, c.ts)
	w.events[i] = sealRow(key, body)
	_ = batch.Set(key, w.events[i], nil)
}

// set adds the checksum to body, which must be built in w.body, and the row to batch.
// Adding to a batch that is not indexed cannot fail.
func (w *rowWriter) set(batch *pebble.Batch, key, body []byte) {
	w.body = sealRow(key, body)
	_ = batch.Set(key, w.body, nil)
}
