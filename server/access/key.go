package access

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key is a key as it is kept: without its secrets.
type Key struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"` // the principal
	Scopes []Scope `json:"scopes"`
	// Certificate says that it is shown by a client certificate whose subject is the name.
	Certificate bool      `json:"certificate,omitempty"`
	Created     time.Time `json:"created"`
	CreatedBy   string    `json:"created_by,omitempty"`
	Expires     time.Time `json:"expires,omitzero"` // zero: never
	Revoked     time.Time `json:"revoked,omitzero"` // zero: it was not
	// Secrets are the one in force and, after a rotation and for a while, the one before it.
	Secrets []Secret `json:"secrets,omitempty"`
	// Rate is how many requests a second it may make; 0: no limit of its own.
	Rate float64 `json:"requests_per_second,omitempty"`
}

// Secret is what is kept of a secret.
type Secret struct {
	Hash    Hash      `json:"sha256"`
	Expires time.Time `json:"expires,omitzero"`
}

// Hash is the SHA-256 of a secret.
type Hash [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(h[:], text); err != nil || n != len(h) || hex.EncodedLen(n) != len(text) {
		return fmt.Errorf("not a SHA-256")
	}
	return nil
}

// HashOf is what is kept of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Bounds of a key.
const (
	maxName   = 256
	maxScopes = 256
)

// SecretPrefix begins every secret, so that scanners find those that stand where they must not.
const SecretPrefix = "shk_"

const (
	idBytes     = 6
	secretBytes = 32
)

var secretEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID and newSecret draw from random.
func newID(random func([]byte)) string {
	b := make([]byte, idBytes)
	random(b)
	return hex.EncodeToString(b)
}

func newSecret(id string, random func([]byte)) string {
	b := make([]byte, secretBytes)
	random(b)
	return SecretPrefix + id + "_" + secretEncoding.EncodeToString(b)
}

// idOf is the id that a secret names.
func idOf(secret string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return "", false
	}
	id, _, ok = strings.Cut(rest, "_")
	return id, ok
}

// ended is why a key cannot be used at a time; empty: it can.
func (k *Key) ended(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "was revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "has expired"
	}
	return ""
}

// live reports whether a secret of this hash can be used. It takes the same time for any.
func (k *Key) live(h Hash, now time.Time) bool {
	found := 0
	for i := range k.Secrets {
		s := &k.Secrets[i]
		equal := subtle.ConstantTimeCompare(s.Hash[:], h[:])
		if s.Expires.IsZero() || now.Before(s.Expires) {
			found |= equal
		}
	}
	return found == 1
}

// LiveSecrets is how many secrets work, and when the older of two ends.
func (k *Key) LiveSecrets(now time.Time) (n int, olderEnds time.Time) {
	for _, s := range k.Secrets {
		if s.Expires.IsZero() || now.Before(s.Expires) {
			n++
			if !s.Expires.IsZero() {
				olderEnds = s.Expires
			}
		}
	}
	return n, olderEnds
}

// validate checks what an operator chose.
func (k *Key) validate() error {
	if k.Name == "" || len(k.Name) > maxName {
		return fmt.Errorf("a key has a name of 1 to %d bytes", maxName)
	}
	if k.Name == TokenPrincipal {
		return fmt.Errorf("%q is the name of the shared token", TokenPrincipal)
	}
	if err := checkText("name", k.Name); err != nil {
		return err
	}
	if len(k.Scopes) == 0 || len(k.Scopes) > maxScopes {
		return fmt.Errorf("a key has 1 to %d scopes: without one it may do nothing", maxScopes)
	}
	for _, s := range k.Scopes {
		if err := s.validate(); err != nil {
			return err
		}
	}
	if k.Rate < 0 || k.Rate != k.Rate || k.Rate > 1e9 {
		return fmt.Errorf("a limit of requests a second is a number above 0, or 0 for none")
	}
	return nil
}

// checkText refuses what a line of a log or a terminal cannot show.
func checkText(what, s string) error {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.TrimSpace(s) != s {
		return fmt.Errorf("a %s is UTF-8 without control characters and without space around it, not %q", what, s)
	}
	return nil
}

func (k *Key) encode() []byte {
	data, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings, times and numbers that were checked
	}
	return data
}

// decodeKey refuses fields that it does not know: a newer build may have written one that
// restricts the key.
func decodeKey(row string, data []byte) (*Key, error) {
	k := new(Key)
	if err := decode(data, k); err != nil {
		return nil, fmt.Errorf("the key %q cannot be read: %w", row, err)
	}
	if k.ID != row {
		return nil, fmt.Errorf("the key %q stands in the row of %q", k.ID, row)
	}
	return k, nil
}

func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more than one value")
	}
	return nil
}
