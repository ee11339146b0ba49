package session

import (
	"errors"
	"math"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Messages of a session are written and read here, not by the generated code: that
// would copy each request and each answer once more, and makes a tree of every message.

// Numbers of fields of the contract.
const (
	listField   = 1 // of SessionRequests and SessionAnswers
	windowField = 2 // of SessionAnswers

	idField      = 1 // of SessionRequest
	methodField  = 2
	requestField = 3
	timeoutField = 4
	cancelField  = 5

	answerField = 2 // of SessionAnswer, whose id is 1, too
	statusField = 3
)

// appendRequest adds a request to a SessionRequests. A timeout of 0 is none.
func appendRequest(b []byte, r *request, timeout time.Duration) []byte {
	size := protowire.SizeTag(idField) + protowire.SizeVarint(r.id) +
		protowire.SizeTag(methodField) + protowire.SizeBytes(len(r.method)) +
		protowire.SizeTag(requestField) + protowire.SizeBytes(len(r.body))
	us := uint64(timeout.Microseconds())
	if us > 0 {
		size += protowire.SizeTag(timeoutField) + protowire.SizeVarint(us)
	}
	b = protowire.AppendTag(b, listField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendVarint(protowire.AppendTag(b, idField, protowire.VarintType), r.id)
	b = protowire.AppendString(protowire.AppendTag(b, methodField, protowire.BytesType), r.method)
	b = protowire.AppendBytes(protowire.AppendTag(b, requestField, protowire.BytesType), r.body)
	if us > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, timeoutField, protowire.VarintType), us)
	}
	return b
}

// appendCancel adds to a SessionRequests that nothing waits for request id any more.
func appendCancel(b []byte, id uint64) []byte {
	size := protowire.SizeTag(idField) + protowire.SizeVarint(id) + protowire.SizeTag(cancelField) + protowire.SizeVarint(1)
	b = protowire.AppendTag(b, listField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendVarint(protowire.AppendTag(b, idField, protowire.VarintType), id)
	return protowire.AppendVarint(protowire.AppendTag(b, cancelField, protowire.VarintType), 1)
}

// answer is a SessionAnswer. Its bytes are those of the message that it came in.
type answer struct {
	id             uint64
	answer, status []byte
}

var errUnreadable = errors.New("the daemon sent a message of the session that cannot be read")

// readAnswers adds the answers of a SessionAnswers to list, and returns how many requests the
// daemon wants to have under way; 0: it does not say. Fields that it does not know are passed over.
func readAnswers(list []answer, b []byte) (_ []answer, window int, err error) {
	err = eachField(b, func(number protowire.Number, n uint64, value []byte) error {
		switch number {
		case windowField:
			window = int(min(n, math.MaxInt32))
			return nil
		case listField:
		default:
			return nil
		}
		var a answer
		err := eachField(value, func(number protowire.Number, n uint64, value []byte) error {
			switch number {
			case idField:
				a.id = n
			case answerField:
				a.answer = value
			case statusField:
				a.status = value
			}
			return nil
		})
		list = append(list, a)
		return err
	})
	return list, window, err
}

// eachField calls f with the fields of a message that are numbers or bytes.
func eachField(b []byte, f func(number protowire.Number, n uint64, value []byte) error) error {
	for len(b) > 0 {
		number, kind, used := protowire.ConsumeTag(b)
		if used < 0 {
			return errUnreadable
		}
		b = b[used:]
		var n uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			n, used = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			value, used = protowire.ConsumeBytes(b)
		default:
			used = protowire.ConsumeFieldValue(number, kind, b)
		}
		if used < 0 {
			return errUnreadable
		}
		b = b[used:]
		if kind == protowire.VarintType || kind == protowire.BytesType {
			if err := f(number, n, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// raw has a stream carry messages as the bytes that they are.
type raw struct{}

var _ encoding.CodecV2 = raw{}

func (raw) Name() string { return proto.Name }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
