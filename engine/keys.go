package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// Keys of the store. Each starts with a tag. Names follow, each ended by 0x00, which no
// name contains: this preserves order (a name sorts before its extensions) and is
// self-delimiting (no name can forge a boundary, G10).
// Everything but metaTag and systemTag rows is written once and never changed, but that retention
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
	metaTag      = 'm'
	namespaceTag = 'n'
	agentTag     = 'a'
	recordTag    = 'r'
	eventTag     = 'e'
	logTag       = 'l'
	outcomeTag   = 't'
)

const (
	terminator  = 0x00
	leastInName = ' ' // the first byte of a name is not below it, see words.CheckText
	numberSize  = 8   // big-endian, so that byte order is numeric order
)

func appendNames(dst []byte, tag byte, names ...string) []byte {
	dst = append(dst, tag)
	for _, n := range names {
		dst = append(dst, n...)
		dst = append(dst, terminator)
	}
	return dst
}

// recordPrefix is the prefix that the keys of all versions of a record share.
func recordPrefix(n RecordName) []byte {
	size := 4 + len(n.Namespace) + len(n.Agent) + len(n.Key) + numberSize
	return appendNames(make([]byte, 0, size), recordTag, n.Namespace, n.Agent, n.Key)
}

// appendVersion completes a record key. Versions are complemented: newest first.
func appendVersion(prefix []byte, v Version) []byte {
	return binary.BigEndian.AppendUint64(prefix, ^uint64(v))
}

func agentPrefix(tag byte, a AgentName) []byte {
	return appendNames(make([]byte, 0, 3+len(a.Namespace)+len(a.Agent)+numberSize), tag, a.Namespace, a.Agent)
}

func eventKey(a AgentName, ts CommitTS) []byte {
	return binary.BigEndian.AppendUint64(agentPrefix(eventTag, a), uint64(ts))
}

// appendEventKey and appendRecordKey are for many keys in one buffer.
func appendEventKey(dst []byte, a AgentName, ts CommitTS) []byte {
	return binary.BigEndian.AppendUint64(appendNames(dst, eventTag, a.Namespace, a.Agent), uint64(ts))
}

func appendRecordKey(dst []byte, n RecordName, v Version) []byte {
	return appendVersion(appendNames(dst, recordTag, n.Namespace, n.Agent, n.Key), v)
}

func logKey(ts CommitTS) []byte {
	return binary.BigEndian.AppendUint64([]byte{logTag}, uint64(ts))
}

func outcomeKey(id TxnID) []byte { return appendTxnID([]byte{outcomeTag}, id) }

// splitNames reverses appendNames and returns the bytes after the names.
func splitNames(key []byte, tag byte, names ...*string) (rest []byte, ok bool) {
	if len(key) == 0 || key[0] != tag {
		return nil, false
	}
	rest = key[1:]
	for _, n := range names {
		i := bytes.IndexByte(rest, terminator)
		if i <= 0 {
			return nil, false
		}
		*n, rest = string(rest[:i]), rest[i+1:]
	}
	return rest, true
}

func splitRecordKey(key []byte) (n RecordName, v Version, ok bool) {
	rest, ok := splitNames(key, recordTag, &n.Namespace, &n.Agent, &n.Key)
	if !ok || len(rest) != numberSize {
		return RecordName{}, 0, false
	}
	return n, Version(^binary.BigEndian.Uint64(rest)), true
}

func splitEventKey(key []byte) (a AgentName, ts CommitTS, ok bool) {
	rest, ok := splitNames(key, eventTag, &a.Namespace, &a.Agent)
	if !ok || len(rest) != numberSize {
		return AgentName{}, 0, false
	}
	return a, CommitTS(binary.BigEndian.Uint64(rest)), true
}

func splitLogKey(key []byte) (CommitTS, bool) {
	if len(key) != 1+numberSize || key[0] != logTag {
		return 0, false
	}
	return CommitTS(binary.BigEndian.Uint64(key[1:])), true
}

// successor is the smallest key above every key that starts with prefix.
func successor(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil // no upper bound
}

// versionSplit is where a record key's version starts, so that Pebble's bloom
// filters and prefix seeks work on records. Any other key, and a bound that
// only looks like a record key's start, has no version.
func versionSplit(key []byte) int {
	if len(key) == 0 || key[0] != recordTag {
		return len(key)
	}
	at := 1
	for range 3 {
		i := bytes.IndexByte(key[at:], terminator)
		if i < 0 {
			return len(key)
		}
		at += i + 1
	}
	if len(key) != at+numberSize {
		return len(key)
	}
	return at
}

// comparer is byte order plus versionSplit. It shortens no separators: a shortened
// record key would have no version, and its prefix would sort wrongly.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "statehouse.v1"
	c.Split = versionSplit
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	return &c
}()
