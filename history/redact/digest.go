package redact

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"sync"

	"statehouse.dev/statehouse/history"
)

// Digester makes digests with a key: without it no reader can tell what they are of by
// trying likely values. Safe for concurrent use.
type Digester struct{ macs sync.Pool }

// New makes a digester. The same key makes the same digests.
func New(key []byte) *Digester {
	key = bytes.Clone(key)
	return &Digester{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Value is the digest of a value, which keeps whether two are equal as JSON and how
// long the canonical text is: digest:<32 hex digits>:<bytes>. No value stays none, and
// what is a digest stays as it is: what was redacted before can be redacted again.
func (d *Digester) Value(text string) string {
	if text == "" || isDigest(text) {
		return text
	}
	return d.Text(history.Canonical(text))
}

// Text is the digest of text of which every byte counts.
func (d *Digester) Text(text string) string {
	return "digest:" + d.sum("value", text) + ":" + strconv.Itoa(len(text))
}

// ID is a pseudonym for an id, which keeps whether two are equal, and nothing else.
// No id stays none.
func (d *Digester) ID(kind, id string) string {
	if id == "" {
		return ""
	}
	return kind + "-" + d.sum(kind, id)
}

// KeyID tells keys apart without telling anything about them: what two made is
// comparable if this is equal.
func (d *Digester) KeyID() string { return d.sum("key", "") }

// sum keeps kinds apart: an id and a value that are written alike have nothing in
// common.
func (d *Digester) sum(kind, text string) string {
	mac := d.macs.Get().(hash.Hash)
	defer d.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(kind + "\x00" + text))
	var out [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(out[:0])[:16])
}

func isDigest(text string) bool {
	sum, length, ok := strings.Cut(strings.TrimPrefix(text, "digest:"), ":")
	if !ok || !strings.HasPrefix(text, "digest:") || len(sum) != 32 {
		return false
	}
	_, err := strconv.ParseUint(length, 10, 63)
	return err == nil && strings.Trim(sum, "0123456789abcdef") == ""
}
