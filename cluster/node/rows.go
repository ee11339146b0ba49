package node

import (
	"encoding/binary"
	"errors"

	"statehouse.dev/statehouse/engine"
)

// What a store has of the log stands in system rows of one kind, in the batch of what it goes with. No step
// that a leader plans may touch them.
const (
	rowKind     = "raft"
	appliedName = "applied" // up to which entry the store has what the log has: in the batch of each
)

var errRow = errors.New("a row that says what the store has of the raft log is malformed")

func appliedRow(index, term uint64) engine.SystemChange {
	return engine.SystemChange{Kind: rowKind, Name: appliedName, Body: binary.AppendUvarint(binary.AppendUvarint(nil, index), term)}
}

// applied is what the store says; 0, 0: it has nothing of any log.
func applied(rows engine.SystemReader) (index, term uint64, err error) {
	body, err := rows.System(rowKind, appliedName)
	if body == nil || err != nil {
		return 0, 0, err
	}
	index, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, 0, errRow
	}
	term, m := binary.Uvarint(body[n:])
	if m <= 0 || n+m != len(body) {
		return 0, 0, errRow
	}
	return index, term, nil
}
