package engine

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// A fingerprint says which commits are the same request: those that set the same
// keys to the same values or delete the same ones, on the same preconditions. In
// which order they name keys and preconditions is not asked for, nor how values are
// spelled (see normalform.go), nor what an earlier write of a key was that a later
// one in the same request replaced. Nor is the metadata: a retry may well carry
// another trace id, and what is kept is that of the first.

// fingerprintDomain keeps fingerprints apart from digests of anything else.
const fingerprintDomain = "statehouse: the same request, 2\x00"

func fingerprintOf(p *proposal) Digest {
	b := append(make([]byte, 0, 512), fingerprintDomain...)
	var few [8]*partOp // most have no more
	for _, op := range appendOps(few[:0], p) {
		if op.tombstone {
			b = appendString(append(b, 'd'), op.prefix)
			continue
		}
		b = append(appendString(append(b, 'w'), op.prefix), op.normal[:]...)
	}
	for _, k := range inOrder(p.keys, compareKeyConditions) {
		b = binary.AppendUvarint(appendString(append(b, 'k'), k.prefix), uint64(k.Expected))
	}
	for _, h := range inOrder(p.heads, compareHeads) {
		b = binary.AppendUvarint(append(b, agentPrefix('h', h.Agent)...), uint64(h.Expected))
	}
	return digestOf(b)
}

// appendOps lists the operations by key, of which each has one.
func appendOps(list []*partOp, p *proposal) []*partOp {
	for i := range p.agents {
		for j := range p.agents[i].ops {
			list = append(list, &p.agents[i].ops[j])
		}
	}
	slices.SortFunc(list, func(a, b *partOp) int { return strings.Compare(a.prefix, b.prefix) })
	return list
}

// inOrder is list sorted, each condition once.
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

// repeats reports whether p is the request that a fingerprint is of. One in the store
// may be of a build that took it of the bytes as they came; that one is worked out
// only here, since hardly any request gets this far with another fingerprint.
func (p *proposal) repeats(fingerprint Digest) bool {
	return fingerprint == p.fingerprint || fingerprint == fingerprintOfBytes(p)
}

// fingerprintOfBytes is what builds before the normal form wrote: of operations and
// conditions in the order they came in, with values as they were spelled.
func fingerprintOfBytes(p *proposal) Digest {
	b := make([]byte, 0, 512)
	for _, part := range p.agents {
		for _, op := range part.ops {
			b = appendString(b, op.prefix)
			b = append(b, op.digest[:]...)
			if op.tombstone {
				b = append(b, flagTombstone)
			}
		}
	}
	for _, k := range p.keys {
		b = binary.AppendUvarint(appendString(append(b, 'k'), k.prefix), uint64(k.Expected))
	}
	for _, h := range p.heads {
		b = binary.AppendUvarint(append(b, agentPrefix('h', h.Agent)...), uint64(h.Expected))
	}
	return digestOf(b)
}
