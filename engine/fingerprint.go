package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
)

// Two commits with the same fingerprint are the same request: they set the same keys
// to the same values, for as long, and delete the same keys, on the same preconditions, and have read
// the same at the same snapshot. The order of keys and preconditions does not matter, nor how values are spelled (see
// normalform.go), nor a write that a later write of the key in the same request replaced.
// Metadata and a timeout do not matter either: a retry may carry another trace id, and has
// less time left. The first request's metadata is kept.

// fingerprintDomain separates fingerprints from digests of anything else.
const fingerprintDomain = "statehouse: the same request, 2\x00"

func fingerprintOf(p *proposal) layout.Digest {
	b := append(make([]byte, 0, 512), fingerprintDomain...)
	var few [8]*partOp // most requests have no more
	for _, op := range appendOps(few[:0], p) {
		b = op.fingerprint(b)
	}
	b = p.appendAsked(b)
	for _, k := range inOrder(p.keys, compareKeyConditions) {
		b = binary.AppendUvarint(layout.AppendString(append(b, 'k'), k.prefix), uint64(k.Expected))
	}
	for _, h := range inOrder(p.heads, compareHeads) {
		b = binary.AppendUvarint(append(b, layout.AgentPrefix('h', h.Agent)...), uint64(h.Expected))
	}
	return layout.DigestOf(p.appendReads(b))
}

func (op *partOp) fingerprint(b []byte) []byte {
	if op.Tombstone {
		return layout.AppendString(append(b, 'd'), op.prefix)
	}
	return op.Held.Fingerprint(append(layout.AppendString(append(b, 'w'), op.prefix), op.normal[:]...))
}

// appendOps appends the operations ordered by key; no two have the same key. Of a request with
// operations that are evaluated it appends none, see appendAsked.
func appendOps(list []*partOp, p *proposal) []*partOp {
	if p.asked != nil {
		return list
	}
	for i := range p.agents {
		for j := range p.agents[i].ops {
			list = append(list, &p.agents[i].ops[j])
		}
	}
	slices.SortFunc(list, func(a, b *partOp) int { return strings.Compare(a.prefix, b.prefix) })
	return list
}

// inOrder returns list sorted and without duplicates.
func inOrder[T comparable](list []T, compare func(a, b T) int) []T {
	if len(list) > 1 {
		list = slices.Clone(list)
		slices.SortFunc(list, compare)
		list = slices.Compact(list)
	}
	return list
}

func compareKeyConditions(a, b keyCondition) int {
	return cmp.Or(strings.Compare(a.prefix, b.prefix), cmp.Compare(a.Expected, b.Expected))
}

func compareHeads(a, b HeadPrecondition) int {
	return cmp.Or(compareAgents(a.Agent, b.Agent), cmp.Compare(a.Expected, b.Expected))
}

// repeats reports whether p is the request with that fingerprint. A fingerprint in the
// store may come from a build that computed it over the bytes as sent; that form is
// computed only here, since few requests get this far with a different fingerprint.
func (p *proposal) repeats(fingerprint layout.Digest) bool {
	return fingerprint == (layout.Digest{}) || fingerprint == p.fingerprint || p.asked == nil && fingerprint == fingerprintOfBytes(p)
}

// fingerprintOfBytes is the fingerprint that builds before the normal form wrote: over
// operations and conditions in the order sent, with values as spelled.
func fingerprintOfBytes(p *proposal) layout.Digest {
	b := make([]byte, 0, 512)
	for _, part := range p.agents {
		for _, op := range part.ops {
			b = layout.AppendString(b, op.prefix)
			b = append(b, op.sum[:len(layout.Digest{})]...)
			if op.Tombstone {
				b = append(b, layout.FlagTombstone)
			}
		}
	}
	for _, k := range p.keys {
		b = binary.AppendUvarint(layout.AppendString(append(b, 'k'), k.prefix), uint64(k.Expected))
	}
	for _, h := range p.heads {
		b = binary.AppendUvarint(append(b, layout.AgentPrefix('h', h.Agent)...), uint64(h.Expected))
	}
	return layout.DigestOf(p.appendReads(b)) // those builds knew no reads, so none of theirs has any
}
