package wiretest

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// Header is the header block of a gRPC request, with more fields, name and value in turn,
// after those that it must have.
func Header(path string, more ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "x", "content-type", "application/grpc"}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	return b.Bytes()
}

// Prefix announces a message of n bytes.
func Prefix(n int) []byte { return binary.BigEndian.AppendUint32([]byte{0}, uint32(n)) }
