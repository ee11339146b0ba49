// Package zst reads and writes histories that are compressed with Zstandard
// (RFC 8878), which makes them about ten times smaller.
package zst

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Suffix of the names of compressed files.
const Suffix = ".zst"

var magic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// maxWindow bounds the memory that a compressed file can ask for.
const maxWindow = 64 << 20

// Compressed reports whether that is what a file begins with.
func Compressed(in io.ReaderAt) bool {
	head := make([]byte, len(magic))
	n, _ := in.ReadAt(head, 0) // what is wrong with it is its reader's to say
	return bytes.Equal(head[:n], magic)
}

// NewReader reads what is compressed or not: its first bytes tell.
func NewReader(in io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(in, 1<<20)
	if head, err := b.Peek(len(magic)); err != nil || !bytes.Equal(head, magic) {
		return io.NopCloser(b), nil // what is wrong with it is its reader's to say
	}
	d, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// NewWriter compresses what goes to a file of that name, if it ends in Suffix. It
// must be closed; out is not.
func NewWriter(name string, out io.Writer) (io.WriteCloser, error) {
	if !strings.HasSuffix(name, Suffix) {
		return plain{out}, nil
	}
	return zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }
