package engine

import "strings"

// Hidden records are the engine's own of an agent: leases, and what has become due. Their keys
// begin with U+0001, which no name that a user gives can contain (words.CheckText). They are records
// like any other: they have versions, events and digests, and verify, backup, retention and
// erasure need no case for them. Only reads of users leave them out: a list of an agent begins
// after them, and replay and watch show their operations only to whoever asks for them.

// HiddenKind is what a hidden record is; "" for a user's record.
type HiddenKind string

// The kinds of hidden records.
const (
	HiddenLease HiddenKind = "lease"
	HiddenDue   HiddenKind = "due"
)

const (
	hiddenMark = "\x01"
	// firstKey is where the keys of users begin.
	firstKey = "\x02"
)

func leaseKey(name string) string { return hiddenMark + string(HiddenLease) + hiddenMark + name }
func dueKey(key string) string    { return hiddenMark + string(HiddenDue) + hiddenMark + key }

// hidden reports whether a key is of a hidden record.
func hidden(key string) bool { return strings.HasPrefix(key, hiddenMark) }

// SplitHidden returns what kind of hidden record a key is of, and the name that a user gave it.
// The key of a user's record is returned as it is.
func SplitHidden(key string) (kind HiddenKind, name string) {
	if !hidden(key) {
		return "", key
	}
	k, name, _ := strings.Cut(key[len(hiddenMark):], hiddenMark)
	return HiddenKind(k), name
}
