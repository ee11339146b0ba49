package capture

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A ring is made of segments, a segment of chunks, a chunk of frames. A chunk is
// what was written at once:
//
//	length  uint32, of the frames
//	sum     uint32, CRC-32C of the frames
//	frames
//
// and a frame is
//
//	length  uint32, of kind and body
//	kind    byte
//	body
//
// all little endian. A chunk that is cut off ends what its process wrote.

// kind of a frame.
type kind byte

const (
	kindProcess kind = 1 + iota // JSON: a segment begins
	kindCall                    // a request and its answer
	kindOpen                    // a stream and its request
	kindBatch                   // a message of a stream
	kindEnd                     // the end of a stream
	kindNote                    // JSON: something happened
	kindLost                    // operations were lost
	kindMark                    // all that ended before this time is written
	kindStop                    // the capture, or its process, ended in order
)

const chunkHeader = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameHeader is the bytes of a frame before its body.
const frameHeader = 5

func appendFrame(b []byte, k kind, body []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(1+len(body)))
	return append(append(b, byte(k)), body...)
}

// sum fills in the head of a chunk.
func sum(chunk []byte) {
	frames := chunk[chunkHeader:]
	binary.LittleEndian.PutUint32(chunk, uint32(len(frames)))
	binary.LittleEndian.PutUint32(chunk[4:], crc32.Checksum(frames, castagnoli))
}

var errTorn = errors.New("a chunk is cut off or corrupt")

// nextChunk cuts a chunk's frames off b; nil at the end.
func nextChunk(b []byte) (frames, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	if len(b) < chunkHeader {
		return nil, nil, errTorn
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-chunkHeader) {
		return nil, nil, errTorn
	}
	frames, rest = b[chunkHeader:chunkHeader+n], b[chunkHeader+n:]
	if crc32.Checksum(frames, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, nil, errTorn
	}
	return frames, rest, nil
}

// nextFrame cuts a frame off b.
func nextFrame(b []byte) (k kind, body, rest []byte, err error) {
	if len(b) < frameHeader {
		return 0, nil, nil, errTorn
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n < 1 || n > uint64(len(b)-4) {
		return 0, nil, nil, errTorn
	}
	return kind(b[4]), b[frameHeader : 4+n], b[4+n:], nil
}

// Fields that frames of operations begin with. Times are nanoseconds since the
// process began.
const (
	idAt     = 0  // uint64
	calledAt = 8  // int64
	endedAt  = 16 // int64
	methodAt = 24 // byte: its place in methods
	laneAt   = 25 // uint16: no two requests under way have the same; a stream's messages count here
	fixed    = 27
)

// isOperation reports whether a frame is of an operation and begins with fixed bytes.
func (k kind) isOperation() bool {
	return k == kindCall || k == kindOpen || k == kindBatch || k == kindEnd
}

// markBody is the body of a mark, a stop or a loss. Of a mark: when, the last commit
// published, the requests under way; of a loss: how many operations, from when to when.
type markBody [3]uint64

const markBytes = 24

func (m markBody) bytes() []byte {
	b := make([]byte, 0, markBytes)
	for _, v := range m {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func parseMark(body []byte) (m markBody) {
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(body[8*i:])
	}
	return m
}

// fields reads length-prefixed strings.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) next() []byte {
	n, size := binary.Uvarint(f.b)
	if size <= 0 || n > uint64(len(f.b)-size) {
		f.b, f.bad = nil, true
		return nil
	}
	field := f.b[size : size+int(n)]
	f.b = f.b[size+int(n):]
	return field
}

func appendField(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
