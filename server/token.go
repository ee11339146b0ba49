package server

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"statehouse.dev/statehouse/engine"
)

// A page token pins where a list goes on and at which commit_ts, so that all
// pages show one point of the order. It is opaque to clients and bound to the
// request that it came from.
type pageToken struct {
	ts   engine.CommitTS
	last string // last name of the page before
}

const tokenVersion = 1

func scopeSum(scope []string) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Join(scope, "\x00")))
}

func (t pageToken) encode(scope ...string) string {
	b := binary.LittleEndian.AppendUint32([]byte{tokenVersion}, scopeSum(append(scope, t.last)))
	b = binary.AppendUvarint(b, uint64(t.ts))
	return base64.RawURLEncoding.EncodeToString(append(b, t.last...))
}

// parseToken undoes encode; an empty token is the first page, at.
func parseToken(s string, at engine.At, scope ...string) (pageToken, engine.At, error) {
	if s == "" {
		return pageToken{}, at, nil
	}
	refused := invalid("page_token", "page_token is not one that this request answered")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 6 || b[0] != tokenVersion {
		return pageToken{}, at, refused
	}
	ts, n := binary.Uvarint(b[5:])
	if n <= 0 {
		return pageToken{}, at, refused
	}
	t := pageToken{ts: engine.CommitTS(ts), last: string(b[5+n:])}
	if binary.LittleEndian.Uint32(b[1:5]) != scopeSum(append(scope, t.last)) {
		return pageToken{}, at, refused
	}
	return t, engine.At{CommitTS: &t.ts}, nil
}
