package segment

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Reader reads a segment. What it returns is checked block by block, but the segment is whole
// only once Next has returned io.EOF.
type Reader struct {
	Header  Header
	Trailer Trailer // when Next has returned io.EOF

	in       *bufio.Reader
	sum      hash.Hash
	unpacker *zstd.Decoder
	block    []byte
	rows     []byte
	list     []Row
	counted  Trailer
	commits  bool // the block before was of commits
}

// NewReader begins to read a segment from in, and reads nothing past it. It returns io.EOF when
// in is at its end.
func NewReader(in *bufio.Reader) (*Reader, error) {
	r := &Reader{in: in, sum: sha256.New()}
	head := make([]byte, len(magic))
	switch n, err := io.ReadFull(in, head); {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil && err != io.ErrUnexpectedEOF:
		return nil, err
	case string(head[:n]) != magic:
		return nil, damaged("it does not begin as one")
	}
	r.sum.Write(head)
	kind, text, err := r.read()
	if err != nil {
		return nil, err
	}
	var version struct{ Version int }
	if kind != kindHeader || json.Unmarshal(text, &version) != nil || version.Version < 1 {
		return nil, damaged("it has no header")
	}
	if version.Version > Version {
		return nil, fmt.Errorf("%w: it is of version %d, this build knows up to %d: use a newer one", ErrVersion, version.Version, Version)
	}
	if err := parse(text, &r.Header); err != nil {
		return nil, damaged("its header: %v", err)
	}
	if r.Header.After > r.Header.To {
		return nil, damaged("it ends before it begins")
	}
	r.unpacker, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	return r, err
}

// Close frees what the reader holds.
func (r *Reader) Close() { r.unpacker.Close() }

// Next returns the next rows, of the system and then of whole commits, valid until the next call. It
// returns io.EOF when all was read and the seal is right.
func (r *Reader) Next() (rows []Row, system bool, err error) {
	kind, content, err := r.read()
	if err != nil {
		return nil, false, err
	}
	switch kind {
	case kindCommits, kindSystem:
		if r.commits && kind == kindSystem {
			return nil, false, damaged("its blocks are in another order")
		}
		r.commits = kind == kindCommits
		err := r.unpack(content)
		return r.list, !r.commits, err
	case kindTrailer:
		if err := parse(content, &r.Trailer); err != nil {
			return nil, false, damaged("its trailer: %v", err)
		}
		r.counted.Commits = r.Header.To - r.Header.After
		if r.Trailer != r.counted {
			return nil, false, damaged("it holds other rows than its trailer counts")
		}
		return nil, false, r.readSeal()
	}
	return nil, false, damaged("it has a block of unknown kind %q", kind)
}

func (r *Reader) readSeal() error {
	want := r.sum.Sum(nil)
	kind, seal, err := r.read()
	if err != nil {
		return err
	}
	if kind != kindSeal || !bytes.Equal(seal, want) {
		return damaged("its seal does not fit")
	}
	return io.EOF
}

// read reads a block.
func (r *Reader) read() (kind byte, content []byte, err error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return 0, nil, cut(err)
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n > maxBlock {
		return 0, nil, damaged("a block says it has %d bytes", n)
	}
	// Grown as it arrives: a damaged length costs what is there, not what it says.
	b := bytes.NewBuffer(r.block[:0])
	if _, err := io.CopyN(b, r.in, int64(n)+sumSize); err != nil {
		return 0, nil, cut(err)
	}
	r.block = b.Bytes()
	content = r.block[:n]
	sum := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, content)
	if binary.LittleEndian.Uint32(r.block[n:]) != sum {
		return 0, nil, damaged("a block fails its checksum")
	}
	r.sum.Write(head[:])
	r.sum.Write(r.block)
	return head[0], content, nil
}

func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return damaged("it ends without its seal: it was cut, or not written to its end")
	}
	return err
}

// unpack makes rows of a block.
func (r *Reader) unpack(content []byte) error {
	var err error
	if r.rows, err = r.unpacker.DecodeAll(content, r.rows[:0]); err != nil {
		return damaged("a block does not unpack: %v", err)
	}
	r.list = r.list[:0]
	for rest := r.rows; len(rest) > 0; {
		var row Row
		var ok, ok2 bool
		row.Key, rest, ok = next(rest)
		row.Value, rest, ok2 = next(rest)
		if !ok || !ok2 {
			return damaged("a block ends within a row")
		}
		r.list = append(r.list, row)
		r.counted.Bytes += uint64(len(row.Key) + len(row.Value))
	}
	if r.commits {
		r.counted.Rows += uint64(len(r.list))
	} else {
		r.counted.System += uint64(len(r.list))
	}
	return nil
}

func next(b []byte) (part, rest []byte, ok bool) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, false
	}
	b = b[used:]
	return b[:n:n], b[n:], true
}

// parse reads a header or trailer, and refuses what this version does not know.
func parse(text []byte, v any) error {
	if len(text) > maxText {
		return errors.New("it is too long")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows it")
	}
	return nil
}
