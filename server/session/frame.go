package session

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of fields, as the contract has them.
const (
	frameEntry  = 1 // of SessionRequests and SessionAnswers
	frameWindow = 2 // of SessionAnswers

	requestID      = 1
	requestMethod  = 2
	requestBody    = 3
	requestTimeout = 4
	requestCancel  = 5

	answerID     = 1
	answerBody   = 2
	answerStatus = 3
)

// Frame is a message of requests as it came. The codec fills it, without a look at it.
type Frame struct{ data mem.Buffer }

// Set takes over a message.
func (f *Frame) Set(data mem.Buffer) { f.data = data }

// Len is the length of the message.
func (f *Frame) Len() int { return f.data.Len() }

// entry is a request as it stands in a frame.
type entry struct {
	id      uint64
	method  []byte
	body    []byte
	timeout uint64 // in microseconds; 0: none
	cancel  bool
}

// Invalid is what a client did that ends its session.
type Invalid string

func (i Invalid) Error() string { return string(i) }

var errSize = errors.New("an answer does not have the size that it said")

const errMalformed Invalid = "a message of the session is no well-formed message of its type, or a string in it is not valid UTF-8"

// cutEntry takes the next request off the front of a frame. ok is false when there is none
// left.
func cutEntry(frame []byte) (e entry, rest []byte, ok bool, err error) {
	for len(frame) > 0 {
		num, typ, n := protowire.ConsumeTag(frame)
		if n < 0 || num > protowire.MaxValidNumber {
			return e, nil, false, errMalformed
		}
		if num != frameEntry || typ != protowire.BytesType {
			m := protowire.ConsumeFieldValue(num, typ, frame[n:])
			if m < 0 {
				return e, nil, false, errMalformed
			}
			frame = frame[n+m:]
			continue
		}
		msg, m := protowire.ConsumeBytes(frame[n:])
		if m < 0 {
			return e, nil, false, errMalformed
		}
		e, err = parseEntry(msg)
		return e, frame[n+m:], err == nil, err
	}
	return e, nil, false, nil
}

// parseEntry reads a SessionRequest as the generated code would: of a field that is there
// twice the last counts, and what is not known is passed over.
func parseEntry(msg []byte) (e entry, err error) {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 || num > protowire.MaxValidNumber {
			return e, errMalformed
		}
		msg = msg[n:]
		switch {
		case typ == protowire.VarintType && (num == requestID || num == requestTimeout || num == requestCancel):
			var v uint64
			if v, n = protowire.ConsumeVarint(msg); n < 0 {
				return e, errMalformed
			}
			switch num {
			case requestID:
				e.id = v
			case requestTimeout:
				e.timeout = v
			case requestCancel:
				e.cancel = v != 0
			}
		case typ == protowire.BytesType && (num == requestMethod || num == requestBody):
			var v []byte
			if v, n = protowire.ConsumeBytes(msg); n < 0 {
				return e, errMalformed
			}
			if num == requestBody {
				e.body = v
			} else if e.method = v; !utf8.Valid(v) {
				return e, errMalformed
			}
		default:
			if n = protowire.ConsumeFieldValue(num, typ, msg); n < 0 {
				return e, errMalformed
			}
		}
		msg = msg[n:]
	}
	return e, nil
}
