package node

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// Place is where a member is that came after the cluster was founded. Those that founded it know where they are.
type Place struct {
	Address   string // where the others reach it
	Directory string // by which the directory is known that it was given to, for good; empty: none yet
}

// maxPlace bounds what is kept of a member, so that all of them have room in a row.
const maxPlace = 512

// placed is a member with its place.
type placed struct {
	id uint64
	Place
}

// SetPlace says where a member is, or will be when it is added.
func (n *Node) SetPlace(id uint64, p Place, done func(error)) {
	if id == 0 || p.Address == "" || len(p.Address)+len(p.Directory) > maxPlace {
		done(fmt.Errorf("%w: member %d at %q", ErrRefused, id, p.Address))
		return
	}
	n.propose(kindPlace, placed{id, p}.append(nil), done)
}

func (p placed) append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.id)
	for _, s := range []string{p.Address, p.Directory} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func parsePlaces(b []byte) (all []placed, err error) {
	for len(b) > 0 {
		var p placed
		var n int
		if p.id, n = binary.Uvarint(b); n <= 0 {
			return nil, errRow
		}
		b = b[n:]
		for _, to := range []*string{&p.Address, &p.Directory} {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, errRow
			}
			*to, b = string(b[n:n+int(size)]), b[n+int(size):]
		}
		all = append(all, p)
	}
	return all, nil
}

// applyPlace applies where a member is. Of those that are members no more, or never became one, nothing is kept.
func (n *Node) applyPlace(e *raftpb.Entry, body []byte, at engine.SystemChange) error {
	set, err := parsePlaces(body)
	if err != nil || len(set) != 1 {
		return entryError(e, ErrEntry)
	}
	is, in := set[0], n.mark.members
	left := slices.DeleteFunc(slices.Clone(n.mark.places), func(p placed) bool {
		return p.id == is.id || !slices.Contains(in.GetVoters(), p.id) && !slices.Contains(in.GetLearners(), p.id)
	})
	n.mark.places = append(left, is)
	slices.SortFunc(n.mark.places, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	var text []byte
	for _, p := range n.mark.places {
		text = p.append(text)
	}
	return n.config.Engine.Keep(at, row(placesName, text))
}

// place is where a member is; none: it founded the cluster.
func (m *Mark) place(id uint64) Place {
	for _, p := range m.places {
		if p.id == id {
			return p.Place
		}
	}
	return Place{}
}
