package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"statehouse.dev/statehouse/engine"
)

// An entry of the raft log says which version it is of, and of which kind. Every member reads it, and one that
// does not know it goes no further.
//
//	1 byte version · 1 byte kind · what the kind has
//
// A step is what the leader of its term planned:
//
//	1 byte flags · uvarint first · uvarint last · 32 bytes hash before · 32 bytes hash after ·
//	8 bytes Unix seconds, before the first commit those of the year 1 · 4 bytes nanoseconds · the batch
const (
	entryVersion = 1
	kindStep     = 1
	flagHeld     = 1
)

// ErrEntry says that an entry of the log is not known to this build, or is malformed. Other members have
// applied it or will, so this one cannot go on.
var ErrEntry = errors.New("an entry that this build does not know, or that is malformed")

func entryError(e *raftpb.Entry, err error) error {
	return fmt.Errorf("entry %d of term %d: %w", e.GetIndex(), e.GetTerm(), err)
}

func parseEntry(data []byte) (kind byte, rest []byte, err error) {
	if len(data) < 2 || data[0] != entryVersion {
		return 0, nil, ErrEntry
	}
	return data[1], data[2:], nil
}

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
	if len(data) == 0 || data[0] > flagHeld {
		return s, ErrEntry
	}
	s.Held, data = data[0] == flagHeld, data[1:]
	for _, to := range []*engine.CommitTS{&s.First, &s.Last} {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return s, ErrEntry
		}
		*to, data = engine.CommitTS(v), data[n:]
	}
	if len(data) < 2*len(s.Before)+12 {
		return s, ErrEntry
	}
	data = data[copy(s.Before[:], data):]
	data = data[copy(s.After[:], data):]
	seconds, nanos := int64(binary.BigEndian.Uint64(data)), binary.BigEndian.Uint32(data[8:])
	if nanos >= 1e9 {
		return s, ErrEntry
	}
	s.Time, s.Batch = time.Unix(seconds, int64(nanos)).UTC(), data[12:]
	return s, nil
}
