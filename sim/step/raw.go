package step

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// This file is the notation of raw calls, for what no operation of a history can ask: methods
// that are not recorded, fields that contradict each other, bytes that are no message.
//
//	c1 raw GetState {"agentId":"alice","key":"plan","strict":true}
//	c1 raw GetState 0aff
//
// A method and its request, in the JSON form of protobuf or as bytes in hexadecimal. In the
// JSON form txnId may be the name of a transaction and pageToken the call whose token it is.

// Method is a method of the contract, those that no history has among them.
type Method struct {
	Name   string       // in full, as gRPC has it
	Word   string       // its last part
	Kind   history.Kind // that a history has it as; empty: none has it
	Stream bool         // it is answered by a stream

	request, answer protoreflect.MessageType
}

// methods are in the order of the contract.
var methods, methodOfWord = func() (list []*Method, byWord map[string]*Method) {
	byWord = make(map[string]*Method)
	for _, file := range []protoreflect.FileDescriptor{pb.File_statehouse_v1_statehouse_proto, pb.File_statehouse_v1_capture_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for k := range service.Methods().Len() {
				d := service.Methods().Get(k)
				if d.IsStreamingClient() {
					continue // a session: what it carries is called by itself
				}
				m := &Method{Name: fmt.Sprintf("/%s/%s", service.FullName(), d.Name()), Word: string(d.Name()), Stream: d.IsStreamingServer()}
				m.request, m.answer = typeOf(d.Input()), typeOf(d.Output())
				if number, recorded := record.Number(m.Name); recorded {
					m.Kind = record.Numbered(number).Kind
				}
				list, byWord[m.Word] = append(list, m), m
			}
		}
	}
	return list, byWord
}()

func typeOf(d protoreflect.MessageDescriptor) protoreflect.MessageType {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic("step: " + err.Error()) // it is generated code
	}
	return t
}

// Methods are all of the contract that take one request.
func Methods() []*Method { return methods }

// MethodNamed is the method of that name; nil: there is none.
func MethodNamed(word string) *Method { return methodOfWord[word] }

// AdminMethod is a method of operators, which no client of a world calls; nil: there is none.
func AdminMethod(word string) *Method {
	d := pb.File_statehouse_v1_admin_proto.Services().Get(0).Methods().ByName(protoreflect.Name(word))
	if d == nil {
		return nil
	}
	return &Method{Name: fmt.Sprintf("/%s/%s", d.Parent().FullName(), d.Name()), Word: word, request: typeOf(d.Input()), answer: typeOf(d.Output())}
}

// MethodOf is the method by which an operation of that kind is asked for.
func MethodOf(kind history.Kind) *Method {
	name := record.MethodOf(kind)
	for _, m := range methods {
		if m.Name == name {
			return m
		}
	}
	panic("step: no method " + name)
}

// NewRequest is an empty request of the method.
func (m *Method) NewRequest() proto.Message { return m.request.New().Interface() }

// NewAnswer is an empty answer, or message of a stream.
func (m *Method) NewAnswer() proto.Message { return m.answer.New().Interface() }

// RawText is a request as a raw call has it.
func RawText(m proto.Message) string {
	text, err := protojson.Marshal(m)
	var compact bytes.Buffer
	if err == nil && json.Compact(&compact, text) == nil { // protojson puts in blanks at random
		return ascii(compact.Bytes())
	}
	wire, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if err != nil {
		return "-"
	}
	return RawBytes(wire)
}

// RawBytes is the wire form of a request as a raw call has it.
func RawBytes(wire []byte) string {
	if len(wire) == 0 {
		return "-"
	}
	return hex.EncodeToString(wire)
}

// ascii is JSON as one word: what is no ASCII, or a blank, is escaped.
func ascii(text []byte) string {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r > ' ' && r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[n:]
	}
	return string(out)
}

// Request is what a raw call sends: a message, or bytes that may be none.
func (s *Step) Request() (m proto.Message, wire []byte, err error) {
	method := MethodNamed(s.Method)
	switch {
	case method == nil:
		return nil, nil, fmt.Errorf("the contract has no method %q", s.Method)
	case s.Message == "-":
		return method.NewRequest(), nil, nil
	case s.Message != "" && s.Message[0] == '{':
		m = method.NewRequest()
		return m, nil, protojson.Unmarshal([]byte(s.Message), m)
	}
	wire, err = hex.DecodeString(s.Message)
	return nil, wire, err
}

// rawCall reads what follows the word raw.
func (p *parser) rawCall(s *Step) {
	s.Method, s.Message = p.next(), p.next()
	if p.err == nil {
		if _, _, err := s.Request(); err != nil {
			p.fail("%v", err)
		}
	}
	if m := MethodNamed(s.Method); m != nil {
		s.Kind = m.Kind
	}
}
