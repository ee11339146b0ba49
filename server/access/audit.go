package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"statehouse.dev/statehouse/engine"
)

// The audit log is a chain of entries: each has the SHA-256 of itself and of the hash before it, so
// that none can be changed or taken out without changing all after it. It is bounded: the oldest
// entries go, and the hash of the last that went is kept as the chain's base. Whoever can write
// the store's files can make another chain; who wants to hold it against that keeps a hash
// elsewhere now and then.

// maxEntries is how many entries are kept.
const maxEntries = 10_000

// Entry is an entry of the audit log.
type Entry struct {
	Number    uint64            `json:"number"`
	Time      time.Time         `json:"time"`
	Principal string            `json:"principal,omitempty"`
	Action    string            `json:"action"`
	Details   map[string]string `json:"details,omitempty"`
	Refused   string            `json:"refused,omitempty"` // why; empty: it was done
	Count     uint64            `json:"count,omitempty"`   // of the same refusals in the same minute; 0 is 1
	Hash      Hash              `json:"-"`                 // before the entry in its row
}

// Kinds of the rows. Entries are named by their number, in digits that keep the order.
const (
	auditKind = "audit"
	endKind   = "audit-end" // rows "base" and "head"
)

// end is one end of the log: an entry's number and hash. The base is the last entry that went.
type end struct {
	Number uint64 `json:"number"`
	Hash   Hash   `json:"sha256"`
}

func entryName(number uint64) string { return fmt.Sprintf("%020d", number) }

func readEnd(rows engine.SystemReader, which string) (e end, err error) {
	body, err := rows.System(endKind, which)
	if body == nil || err != nil {
		return e, err
	}
	if err := decode(body, &e); err != nil {
		return e, damaged(fmt.Errorf("the %s of the audit log cannot be read: %w", which, err))
	}
	return e, nil
}

func (e end) change(which string) engine.SystemChange {
	body, _ := json.Marshal(e) // numbers
	return engine.SystemChange{Kind: endKind, Name: which, Body: body}
}

// chained is the hash of an entry after another.
func chained(before Hash, text []byte) Hash {
	h := sha256.New()
	h.Write(before[:])
	h.Write(text)
	return Hash(h.Sum(nil))
}

// appendEntries is what adds entries to the log.
func appendEntries(now time.Time, rows engine.SystemReader, entries ...Entry) ([]engine.SystemChange, error) {
	head, err := readEnd(rows, "head")
	if err != nil {
		return nil, err
	}
	var changes []engine.SystemChange
	for _, e := range entries {
		e.Number, e.Time = head.Number+1, now
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		head = end{e.Number, chained(head.Hash, text)}
		changes = append(changes, engine.SystemChange{Kind: auditKind, Name: entryName(e.Number), Body: append(head.Hash[:], text...)})
		if e.Number > maxEntries {
			old := e.Number - maxEntries
			gone, err := readEntry(rows, old)
			if err != nil {
				return nil, err
			}
			changes = append(changes, engine.SystemChange{Kind: auditKind, Name: entryName(old)}, end{old, gone.Hash}.change("base"))
		}
	}
	return append(changes, head.change("head")), nil
}

func readEntry(rows engine.SystemReader, number uint64) (Entry, error) {
	body, err := rows.System(auditKind, entryName(number))
	if err != nil {
		return Entry{}, err
	}
	return parseEntry(entryName(number), body)
}

func parseEntry(name string, body []byte) (e Entry, err error) {
	if len(body) < len(e.Hash) {
		return e, damaged(fmt.Errorf("the entry %s of the audit log is missing or cut off", name))
	}
	if err := decode(body[len(e.Hash):], &e); err != nil {
		return e, damaged(fmt.Errorf("the entry %s of the audit log cannot be read: %w", name, err))
	}
	e.Hash = Hash(body[:len(e.Hash)])
	return e, nil
}

// Audit returns entries after a number, at most limit, and whether there are more.
func Audit(rows engine.SystemReader, after uint64, limit int) (entries []Entry, more bool, err error) {
	list, err := rows.SystemRows(auditKind, entryName(after), limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(list) > limit; more {
		list = list[:limit]
	}
	for _, row := range list {
		e, err := parseEntry(row.Name, row.Body)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
	}
	return entries, more, nil
}

// Verify checks the rows of this package: that every key can be read and that the audit log is a
// chain from its base to its head.
func Verify(rows engine.SystemReader) error {
	if _, err := readKeys(rows); err != nil {
		return err
	}
	at, err := readEnd(rows, "base")
	if err != nil {
		return err
	}
	head, err := readEnd(rows, "head")
	if err != nil {
		return err
	}
	list, err := rows.SystemRows(auditKind, "", 0)
	if err != nil {
		return err
	}
	for _, row := range list {
		e, err := parseEntry(row.Name, row.Body)
		if err != nil {
			return err
		}
		if e.Number != at.Number+1 || row.Name != entryName(e.Number) {
			return damaged(fmt.Errorf("the audit log has a gap: entry %s follows %d", row.Name, at.Number))
		}
		hash := chained(at.Hash, row.Body[len(e.Hash):])
		if !bytes.Equal(hash[:], e.Hash[:]) {
			return damaged(fmt.Errorf("the chain of the audit log breaks at entry %d: it was changed", e.Number))
		}
		at = end{e.Number, e.Hash}
	}
	if at != head {
		return damaged(fmt.Errorf("the audit log ends at entry %d (%s), and should at %d", at.Number, hex.EncodeToString(at.Hash[:8]), head.Number))
	}
	return nil
}
