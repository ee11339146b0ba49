package conns

import "encoding/binary"

// HTTP/2's frames, as far as they are looked at (RFC 9113, sections 4.1 and 6).
const (
	frameHeaderLen = 9

	frameData         = 0x0
	frameHeaders      = 0x1
	frameRST          = 0x3
	frameSettings     = 0x4
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8
	frameContinuation = 0x9

	flagAck        = 0x1 // of SETTINGS
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8

	errNone   = 0x0
	errCancel = 0x8
	errCalm   = 0xb // ENHANCE_YOUR_CALM
)

// prefaceLen is the length of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", with which a client begins.
const prefaceLen = 24

// frame is the header of a frame.
type frame struct {
	length uint32
	kind   byte
	flags  byte
	stream uint32
}

func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

// scanner follows the frames in a sequence of bytes, wherever it is cut.
type scanner struct {
	skip int // bytes before the first frame
	raw  [frameHeaderLen]byte
	have int    // bytes of raw that are there
	left uint32 // of the payload, once the header is whole
	frame
}

// next consumes bytes of p: up to the end of a frame's header, or of its payload.
// The last body of the n bytes are payload of s.frame; done says that it has ended.
func (s *scanner) next(p []byte) (n, body int, done bool) {
	if s.skip > 0 {
		n = min(s.skip, len(p))
		s.skip -= n
		return n, 0, false
	}
	if s.have < frameHeaderLen {
		n = copy(s.raw[s.have:], p)
		if s.have += n; s.have < frameHeaderLen {
			return n, 0, false
		}
		s.frame = frame{
			length: uint32(s.raw[0])<<16 | uint32(s.raw[1])<<8 | uint32(s.raw[2]),
			kind:   s.raw[3], flags: s.raw[4], stream: binary.BigEndian.Uint32(s.raw[5:]) & (1<<31 - 1),
		}
		s.left = s.length
	} else {
		n = min(int(s.left), len(p))
		body = n
		s.left -= uint32(n)
	}
	if s.left > 0 {
		return n, body, false
	}
	s.have = 0
	return n, body, true
}

// begun reports whether what next returned was the end of the header of a frame that
// has a payload.
func (s *scanner) begun() bool { return s.have == frameHeaderLen && s.left == s.length }

// between reports whether no frame has begun that has not ended.
func (s *scanner) between() bool { return s.have == 0 && s.skip == 0 }

// messages follows the gRPC messages in the payloads of a stream's DATA frames.
type messages struct {
	raw    [5]byte // a flag, and the length
	have   int
	left   uint32
	length uint32 // of the one that has begun
	count  int    // of those that have begun
	most   uint32 // length of the longest so far
}

func (m *messages) take(p []byte) {
	for len(p) > 0 {
		if m.have < len(m.raw) {
			n := copy(m.raw[m.have:], p)
			p = p[n:]
			if m.have += n; m.have < len(m.raw) {
				return
			}
			m.left = binary.BigEndian.Uint32(m.raw[1:])
			m.count++
			m.length, m.most = m.left, max(m.most, m.left)
		}
		n := min(int(m.left), len(p))
		p = p[n:]
		if m.left -= uint32(n); m.left == 0 {
			m.have = 0
		}
	}
}

// inside reports whether the length of a message is known, and not all of it has arrived.
func (m *messages) inside() bool { return m.have == len(m.raw) && m.left > 0 }

// between reports whether no message has begun that has not ended.
func (m *messages) between() bool { return m.have == 0 }

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// goAway says that no request past the stream last was looked at, so that a client
// may send those again elsewhere, and why.
func goAway(last, code uint32, why string) []byte {
	p := binary.BigEndian.AppendUint32(nil, last)
	p = binary.BigEndian.AppendUint32(p, code)
	return appendFrame(nil, frameGoAway, 0, 0, append(p, why...))
}

// firstSettings is the payload of SETTINGS with another initial window.
func firstSettings(p []byte, window uint32) []byte {
	const initialWindow, each = 4, 6
	p = append([]byte(nil), p...)
	for at := 0; at+each <= len(p); at += each {
		if binary.BigEndian.Uint16(p[at:]) == initialWindow {
			binary.BigEndian.PutUint32(p[at+2:], window)
		}
	}
	return p
}

// Codes of gRPC, as trailers have them.
const (
	deadlineExceeded  = "4"
	resourceExhausted = "8"
)

// appendStatus ends a stream with a status: trailers, and before them the header,
// unless that was sent. The fields are literals that are not indexed (RFC 7541, section
// 6.2.2): gRPC's table for the connection stays as it is.
func appendStatus(b []byte, stream uint32, replied, halfClosed bool, code, message string) []byte {
	var p []byte
	if !replied {
		p = append(p, 0x88) // :status 200, of the static table
		p = appendField(p, "content-type", "application/grpc")
	}
	p = appendField(p, "grpc-status", code)
	p = appendField(p, "grpc-message", message)
	b = appendFrame(b, frameHeaders, flagEndStream|flagEndHeaders, stream, p)
	if halfClosed {
		return b
	}
	return appendFrame(b, frameRST, 0, stream, []byte{0, 0, 0, errNone}) // no need to send the rest
}

// appendField appends a header's field; both strings are shorter than 127 bytes.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, 0, byte(len(name))), name...)
	return append(append(b, byte(len(value))), value...)
}
