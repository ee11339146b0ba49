package engine

import (
	"cmp"
	"encoding/binary"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What a transaction read that its client holds comes with its Transact. It becomes what
// the transaction table has of one that Begin opened, so that the writer validates both in
// the same way.

// checkReads checks the names of a read set, and that it is one: within the limit, and of
// a snapshot that clients can have seen. It writes the default namespace where none is.
func (e *Engine) checkReads(r *ReadSet) error {
	if n, most := len(r.Keys)+len(r.Ranges), e.opts.Limits.TxnReads; n > most {
		return limitErr(&e.reached.TxnReads, "reads of a transaction", n, most)
	}
	if at := e.Published(); r.Snapshot > at {
		return words.Failf(ErrInvalid, "the snapshot %d is after the last commit, %d", r.Snapshot, at).With("field", "snapshot_ts")
	}
	for i := range r.Keys {
		if err := r.Keys[i].Name.Normalize(); err != nil {
			return err
		}
	}
	for i := range r.Ranges {
		l := &r.Ranges[i]
		if err := l.Agent.Normalize(); err != nil {
			return err
		}
		for _, bound := range []struct{ field, text string }{{"prefix", l.Prefix}, {"first", l.First}, {"last", l.Last}} {
			if strings.IndexByte(bound.text, 0) >= 0 || len(bound.text) > MaxKeyBytes { // as for Scan
				return words.Failf(ErrInvalid, "the %s can be of no key: it has U+0000 or is longer than %d bytes", bound.field, MaxKeyBytes).With("field", bound.field)
			}
		}
	}
	return nil
}

// read takes over a read set, in an order that does not depend on that of its list: which
// of several conflicts is reported does not, either.
func (p *proposal) read(r *ReadSet) {
	p.snapshot = r.Snapshot
	for _, k := range r.Keys {
		p.reads = append(p.reads, readMark{string(layout.RecordPrefix(k.Name)), k.Seen})
	}
	p.reads = inOrder(p.reads, func(a, b readMark) int {
		return cmp.Or(strings.Compare(a.prefix, b.prefix), cmp.Compare(a.seen, b.seen))
	})
	for _, l := range r.Ranges {
		p.ranges = append(p.ranges, readRange{l.Agent, l.Prefix, l.First, l.Last})
	}
	p.ranges = inOrder(p.ranges, func(a, b readRange) int {
		return cmp.Or(compareAgents(a.agent, b.agent), strings.Compare(a.prefix, b.prefix), strings.Compare(a.first, b.first), strings.Compare(a.last, b.last))
	})
	p.listed = listedOf(p.ranges, p.snapshot)
}

// appendReads adds what was read to what a fingerprint is made of, and nothing if nothing
// was: requests without reads have the fingerprints that they had before there were any.
func (p *proposal) appendReads(b []byte) []byte {
	if len(p.reads) == 0 && len(p.ranges) == 0 {
		return b
	}
	b = binary.AppendUvarint(append(b, 's'), uint64(p.snapshot))
	for _, r := range p.reads {
		b = binary.AppendUvarint(layout.AppendString(append(b, 'r'), r.prefix), uint64(r.seen))
	}
	for i := range p.ranges {
		r := &p.ranges[i]
		b = append(b, layout.AgentPrefix('l', r.agent)...)
		for _, bound := range []string{r.prefix, r.first, r.last} {
			b = layout.AppendString(b, bound)
		}
	}
	return b
}

// readBytes is about what the read set holds of memory. Its names are held twice: where
// they are listed, and merged by agent.
func (p *proposal) readBytes() int {
	n := 0
	for i := range p.reads {
		n += entryBytes + len(p.reads[i].prefix)
	}
	for i := range p.ranges {
		r := &p.ranges[i]
		n += entryBytes + 2*(len(r.agent.Namespace)+len(r.agent.Agent)+len(r.prefix)+len(r.first)+len(r.last))
	}
	return n
}
