package node

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"statehouse.dev/statehouse/engine"
)

// An entry of the raft log is a step that the leader of its term planned. Every member reads it, so it says
// which version it is of, and a member that does not know it goes no further.
//
//	1 byte version · 1 byte kind · 1 byte flags · uvarint first · uvarint last · 32 bytes hash before · 32 bytes hash after ·
//	8 bytes Unix seconds · 4 bytes nanoseconds · the batch
const (
	entryVersion = 1
	kindStep     = 1
	flagHeld     = 1
)

var errEntry = errors.New("an entry that this build does not know, or that is malformed")

func appendStep(dst []byte, s *engine.Step) []byte {
	flags := byte(0)
	if s.Held {
		flags = flagHeld
	}
	dst = append(dst, entryVersion, kindStep, flags)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.First)), uint64(s.Last))
	dst = append(append(dst, s.Before[:]...), s.After[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Time.Unix()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.Time.Nanosecond()))
	return append(dst, s.Batch...)
}

func parseStep(data []byte) (s engine.Step, err error) {
	if len(data) < 3 || data[0] != entryVersion || data[1] != kindStep || data[2] > flagHeld {
		return s, errEntry
	}
	s.Held = data[2] == flagHeld
	data = data[3:]
	for _, to := range []*engine.CommitTS{&s.First, &s.Last} {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return s, errEntry
		}
		*to, data = engine.CommitTS(v), data[n:]
	}
	if len(data) < 2*len(s.Before)+12 {
		return s, errEntry
	}
	data = data[copy(s.Before[:], data):]
	data = data[copy(s.After[:], data):]
	seconds, nanos := binary.BigEndian.Uint64(data), binary.BigEndian.Uint32(data[8:])
	if seconds > math.MaxInt64 || nanos >= 1e9 {
		return s, errEntry
	}
	s.Time, s.Batch = time.Unix(int64(seconds), int64(nanos)).UTC(), data[12:]
	return s, nil
}

// The row that says up to which entry a store has what the log has. It is in the batch of every step.
const (
	appliedKind = "raft"
	appliedName = "applied"
)

func appliedRow(index, term uint64) engine.SystemChange {
	return engine.SystemChange{Kind: appliedKind, Name: appliedName, Body: binary.AppendUvarint(binary.AppendUvarint(nil, index), term)}
}

// applied is what the store says; 0, 0: it has nothing of any log.
func applied(rows engine.SystemReader) (index, term uint64, err error) {
	body, err := rows.System(appliedKind, appliedName)
	if body == nil || err != nil {
		return 0, 0, err
	}
	index, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, 0, errEntry
	}
	term, m := binary.Uvarint(body[n:])
	if m <= 0 || n+m != len(body) {
		return 0, 0, errEntry
	}
	return index, term, nil
}
