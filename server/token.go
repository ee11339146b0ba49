package server

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/wire"
)

// A page token pins where a list goes on and at which commit_ts, so that all
// pages show one point of the order. It is opaque to clients and bound to the
// request that it came from.
type pageToken struct {
	ts    engine.CommitTS
	last  string // last name of the page before
	epoch string // in which ts was that commit; "": of a build that did not say
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

// nextPage is the token of the page after a last name.
func (s *Service) nextPage(ts engine.CommitTS, last string, scope ...string) string {
	epoch, _ := s.engine.Epoch()
	return pageToken{ts, last, epoch}.encode(scope...)
}

func (t pageToken) encode(scope ...string) string {
	b := []byte{tokenOfEpoch}
	b = binary.LittleEndian.AppendUint32(b, scopeSum(append(scope, t.epoch, t.last)))
	b = append(binary.AppendUvarint(b, uint64(len(t.epoch))), t.epoch...)
	b = binary.AppendUvarint(b, uint64(t.ts))
	return base64.RawURLEncoding.EncodeToString(append(b, t.last...))
}

// pageAfter reads the token of a request; an empty one is the first page, at. One of another epoch, in which
// its commit was another, is refused.
func (s *Service) pageAfter(token string, at engine.At, scope ...string) (pageToken, engine.At, error) {
	t, at, err := parseToken(token, at, scope...)
	if err == nil && token != "" {
		err = s.engine.CheckEpoch(t.epoch, t.ts)
	}
	return t, at, err
}

// parseToken undoes encode.
func parseToken(s string, at engine.At, scope ...string) (pageToken, engine.At, error) {
	if s == "" {
		return pageToken{}, at, nil
	}
	refused := wire.Invalid("page_token", "page_token is not one that this request answered")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) <= tokenFixed || b[0] != tokenVersion && b[0] != tokenOfEpoch {
		return pageToken{}, at, refused
	}
	var t pageToken
	rest := b[tokenFixed:]
	if b[0] == tokenOfEpoch {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > maxTokenEpoch || n > uint64(len(rest)-used) {
			return pageToken{}, at, refused
		}
		t.epoch, rest = string(rest[used:used+int(n)]), rest[used+int(n):]
		scope = append(scope, t.epoch)
	}
	ts, n := binary.Uvarint(rest)
	if n <= 0 {
		return pageToken{}, at, refused
	}
	t.ts, t.last = engine.CommitTS(ts), string(rest[n:])
	if binary.LittleEndian.Uint32(b[1:tokenFixed]) != scopeSum(append(scope, t.last)) {
		return pageToken{}, at, refused
	}
	return t, engine.At{CommitTS: &t.ts}, nil
}
