package layout

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/words"
)

// Keys of the store. Each starts with a tag. Names follow, each ended by 0x00, which no
// name contains: this preserves order (a name sorts before its extensions) and is
// self-delimiting (no name can forge a boundary, G10).
// Everything but MetaTag and systemTag rows is written once and never changed, but that retention
// and erasures take something out (chores.go). More tags are reserved in docs/FORMAT.md.
//
//	n namespace 00                       -> first commit_ts
//	a namespace 00 agent 00              -> first commit_ts
//	r namespace 00 agent 00 key 00 ^ver  -> record (newest version first)
//	e namespace 00 agent 00 commit_ts    -> event: one agent's part of a commit
//	f namespace 00 agent 00              -> fork (acts.go)
//	g namespace 00 agent 00              -> act on many keys that is under way (rangeacts.go)
//	l commit_ts                          -> log: chain hash, time, id, digests of the parts, agents
//	t transaction id                     -> outcome
//	m name                               -> meta
//	s kind 00 name 00                    -> system row (system.go)
//	i import 00 …                        -> what an import has staged (importrows.go)
const (
	MetaTag      = 'm'
	NamespaceTag = 'n'
	AgentTag     = 'a'
	RecordTag    = 'r'
	EventTag     = 'e'
	LogTag       = 'l'
	OutcomeTag   = 't'
)

const (
	Terminator  = 0x00
	LeastInName = ' ' // the first byte of a name is not below it, see words.CheckText
	NumberSize  = 8   // big-endian, so that byte order is numeric order
)

func AppendNames(dst []byte, tag byte, names ...string) []byte {
	dst = append(dst, tag)
	for _, n := range names {
		dst = append(dst, n...)
		dst = append(dst, Terminator)
	}
	return dst
}

// RecordPrefix is the prefix that the keys of all versions of a record share.
func RecordPrefix(n words.RecordName) []byte {
	size := 4 + len(n.Namespace) + len(n.Agent) + len(n.Key) + NumberSize
	return AppendNames(make([]byte, 0, size), RecordTag, n.Namespace, n.Agent, n.Key)
}

// AppendVersion completes a record key. Versions are complemented: newest first.
func AppendVersion(prefix []byte, v words.Version) []byte {
	return binary.BigEndian.AppendUint64(prefix, ^uint64(v))
}

func AgentPrefix(tag byte, a words.AgentName) []byte {
	return AppendNames(make([]byte, 0, 3+len(a.Namespace)+len(a.Agent)+NumberSize), tag, a.Namespace, a.Agent)
}

func EventKey(a words.AgentName, ts words.CommitTS) []byte {
	return binary.BigEndian.AppendUint64(AgentPrefix(EventTag, a), uint64(ts))
}

// AppendEventKey and AppendRecordKey are for many keys in one buffer.
func AppendEventKey(dst []byte, a words.AgentName, ts words.CommitTS) []byte {
	return binary.BigEndian.AppendUint64(AppendNames(dst, EventTag, a.Namespace, a.Agent), uint64(ts))
}

func AppendRecordKey(dst []byte, n words.RecordName, v words.Version) []byte {
	return AppendVersion(AppendNames(dst, RecordTag, n.Namespace, n.Agent, n.Key), v)
}

func LogKey(ts words.CommitTS) []byte {
	return binary.BigEndian.AppendUint64([]byte{LogTag}, uint64(ts))
}

func OutcomeKey(id words.TxnID) []byte { return AppendTxnID([]byte{OutcomeTag}, id) }

// SplitNames reverses AppendNames and returns the bytes after the names.
func SplitNames(key []byte, tag byte, names ...*string) (rest []byte, ok bool) {
	if len(key) == 0 || key[0] != tag {
		return nil, false
	}
	rest = key[1:]
	for _, n := range names {
		i := bytes.IndexByte(rest, Terminator)
		if i <= 0 {
			return nil, false
		}
		*n, rest = string(rest[:i]), rest[i+1:]
	}
	return rest, true
}

func SplitRecordKey(key []byte) (n words.RecordName, v words.Version, ok bool) {
	rest, ok := SplitNames(key, RecordTag, &n.Namespace, &n.Agent, &n.Key)
	if !ok || len(rest) != NumberSize {
		return words.RecordName{}, 0, false
	}
	return n, words.Version(^binary.BigEndian.Uint64(rest)), true
}

func SplitEventKey(key []byte) (a words.AgentName, ts words.CommitTS, ok bool) {
	rest, ok := SplitNames(key, EventTag, &a.Namespace, &a.Agent)
	if !ok || len(rest) != NumberSize {
		return words.AgentName{}, 0, false
	}
	return a, words.CommitTS(binary.BigEndian.Uint64(rest)), true
}

func SplitLogKey(key []byte) (words.CommitTS, bool) {
	if len(key) != 1+NumberSize || key[0] != LogTag {
		return 0, false
	}
	return words.CommitTS(binary.BigEndian.Uint64(key[1:])), true
}

// Successor is the smallest key above every key that starts with prefix.
func Successor(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil // no upper bound
}

// VersionSplit is where a record key's version starts, so that Pebble's bloom
// filters and prefix seeks work on records. Any other key, and a bound that
// only looks like a record key's start, has no version.
func VersionSplit(key []byte) int {
	if len(key) == 0 || key[0] != RecordTag {
		return len(key)
	}
	at := 1
	for range 3 {
		i := bytes.IndexByte(key[at:], Terminator)
		if i < 0 {
			return len(key)
		}
		at += i + 1
	}
	if len(key) != at+NumberSize {
		return len(key)
	}
	return at
}

// Comparer is byte order plus VersionSplit. It shortens no separators: a shortened
// record key would have no version, and its prefix would sort wrongly.
var Comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "statehouse.v1"
	c.Split = VersionSplit
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	return &c
}()
