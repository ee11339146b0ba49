package page

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/wire"
)

// A Token pins where a list goes on and at which commit_ts, so that all
// pages show one point of the order. It is opaque to clients and bound to the
// request that it came from.
type Token struct {
	TS    engine.CommitTS
	Last  string // last name of the page before
	Epoch string // in which TS was that commit; "": of a build that did not say
}

// Versions of tokens: the first has no epoch.
const (
	tokenVersion  = 1
	tokenOfEpoch  = 2
	tokenFixed    = 1 + 4 // version and checksum
	maxTokenEpoch = 64
)

func scopeSum(scope []string) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Join(scope, "\x00")))
}

// Encode writes the token, for requests of a scope: all that they have in common.
func (t Token) Encode(scope ...string) string {
	b := []byte{tokenOfEpoch}
	b = binary.LittleEndian.AppendUint32(b, scopeSum(append(scope, t.Epoch, t.Last)))
	b = append(binary.AppendUvarint(b, uint64(len(t.Epoch))), t.Epoch...)
	b = binary.AppendUvarint(b, uint64(t.TS))
	return base64.RawURLEncoding.EncodeToString(append(b, t.Last...))
}

// Point is the commit at which a token goes on, whatever request it is of.
func Point(s string) (ts engine.CommitTS, known bool) {
	t, _, _, known := decode(s)
	return t.TS, known
}

// Parse undoes Encode, and checks the scope. An empty one is the first page, at.
func Parse(s string, at engine.At, scope ...string) (Token, engine.At, error) {
	if s == "" {
		return Token{}, at, nil
	}
	t, own, sum, ok := decode(s)
	if !ok || sum != scopeSum(append(scope, own...)) {
		return Token{}, at, wire.Invalid("page_token", "page_token is not one that this request answered")
	}
	return t, engine.At{CommitTS: &t.TS}, nil
}

// decode reads a token, with its checksum and what of itself that is of.
func decode(s string) (t Token, own []string, sum uint32, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) <= tokenFixed || b[0] != tokenVersion && b[0] != tokenOfEpoch {
		return t, nil, 0, false
	}
	rest := b[tokenFixed:]
	if b[0] == tokenOfEpoch {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > maxTokenEpoch || n > uint64(len(rest)-used) {
			return t, nil, 0, false
		}
		t.Epoch, rest = string(rest[used:used+int(n)]), rest[used+int(n):]
		own = append(own, t.Epoch)
	}
	ts, n := binary.Uvarint(rest)
	if n <= 0 {
		return t, nil, 0, false
	}
	t.TS, t.Last = engine.CommitTS(ts), string(rest[n:])
	return t, append(own, t.Last), binary.LittleEndian.Uint32(b[1:tokenFixed]), true
}
