package node

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
)

// What a store has of the log stands in system rows of one kind, in the batch of what it goes with.
const (
	rowKind      = "raft"
	appliedName  = "applied"  // up to which entry the store has what the log has: in the batch of each
	membersName  = "members"  // as of then; none: those with which the cluster began
	removedName  = "removed"  // who was a member and must never be one again
	versionName  = "version"  // of the cluster; none: 1
	settingsName = "settings" // that all share
	placesName   = "places"   // of the members that came after the cluster was founded
)

var errRow = errors.New("a row that says what the store has of the raft log is malformed")

func uvarints(vs ...uint64) (b []byte) {
	for _, v := range vs {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func parseUvarints(b []byte) (vs []uint64, err error) {
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errRow
		}
		vs, b = append(vs, v), b[n:]
	}
	return vs, nil
}

func row(name string, body []byte) engine.SystemChange {
	return engine.SystemChange{Kind: rowKind, Name: name, Body: body}
}

func appliedRow(index, term uint64) engine.SystemChange {
	return row(appliedName, uvarints(index, term))
}

// Mark is up to where a store has the log, and the members as of then.
type Mark struct {
	Index, Term uint64 // 0, 0: it has nothing of any log
	members     *raftpb.ConfState
	removed     []uint64
	places      []placed // by id
	version     uint64
	listing     string // of the checkpoint that has it
}

func readMark(rows engine.SystemReader) (*Mark, error) {
	m := &Mark{version: 1}
	var list [3][]uint64
	for i, name := range []string{appliedName, removedName, versionName} {
		body, err := rows.System(rowKind, name)
		if err != nil {
			return nil, err
		}
		if list[i], err = parseUvarints(body); err != nil {
			return nil, err
		}
	}
	m.removed = list[1]
	switch len(list[0]) {
	case 0:
	case 2:
		m.Index, m.Term = list[0][0], list[0][1]
	default:
		return nil, errRow
	}
	if len(list[2]) == 1 {
		m.version = list[2][0]
	}
	body, err := rows.System(rowKind, placesName)
	if err == nil {
		m.places, err = parsePlaces(body)
	}
	if err != nil {
		return nil, err
	}
	body, err = rows.System(rowKind, membersName)
	if body == nil || err != nil {
		return m, err
	}
	m.members = new(raftpb.ConfState)
	return m, proto.Unmarshal(body, m.members)
}
