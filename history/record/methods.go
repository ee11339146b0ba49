package record

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// methods are all that are recorded. Files of captures hold a method's place among them: new
// ones go to the end.
var methods = []*Method{
	begin, write, del, commit, abort, transact, get, getVersion, batchGet, listKeys, scan,
	keyHistory, listAgents, listSpaces, getTxn, replayBatches, watch, replay,
	renewLeases, listLeases, refreshExpiry, find, diff, getAgent,
}

// Method is a method of the contract that is recorded, as an operation of a kind.
type Method struct {
	Kind history.Kind
	name string // in full
	// single: a message of it is one event. It differs in framing from the method of
	// that kind that is recorded on connections, which know only that.
	single bool

	request func(in *history.Input, page string) proto.Message
	input   func(req proto.Message, in *history.Input)
	output  func(resp proto.Message, in *history.Input, out *history.Output)

	emptyRequest, emptyAnswer proto.Message
}

// unary is a method with one answer. request makes the message that asks for an input. input
// and output read the fields that only this message has; Input and Output read those that all
// have. Either may be nil.
func unary[Req, Resp proto.Message](
	kind history.Kind, name string,
	request func(in *history.Input, page string) Req,
	input func(req Req, in *history.Input),
	output func(resp Resp, in *history.Input, out *history.Output),
) *Method {
	m := method[Req, Resp](kind, name, request, input)
	if output != nil {
		m.output = func(resp proto.Message, in *history.Input, out *history.Output) { output(resp.(Resp), in, out) }
	}
	return m
}

// streamed is a method that is answered by any number of messages.
func streamed[Req, Message proto.Message](
	kind history.Kind, name string, request func(in *history.Input) Req, input func(req Req, in *history.Input),
) *Method {
	return method[Req, Message](kind, name, func(in *history.Input, _ string) Req { return request(in) }, input)
}

func method[Req, Resp proto.Message](
	kind history.Kind, name string, request func(in *history.Input, page string) Req, input func(req Req, in *history.Input),
) *Method {
	var req Req
	var resp Resp
	m := &Method{Kind: kind, name: name, emptyRequest: req, emptyAnswer: resp}
	m.request = func(in *history.Input, page string) proto.Message { return request(in, page) }
	if input != nil {
		m.input = func(req proto.Message, in *history.Input) { input(req.(Req), in) }
	}
	return m
}

var byName, byKind, numbers = func() (map[string]*Method, map[history.Kind]*Method, map[string]byte) {
	names, kinds, numbers := make(map[string]*Method), make(map[history.Kind]*Method), make(map[string]byte)
	for i, m := range methods {
		if numbers[m.name] = byte(i); !m.single {
			names[m.name], kinds[m.Kind] = m, m
		}
	}
	return names, kinds, numbers
}()

// Number stands for a method, by its full name, in files of captures; false: it is not
// recorded.
func Number(method string) (number byte, recorded bool) {
	number, recorded = numbers[method]
	return number, recorded
}

// Numbered is the method with that number; nil: there is none.
func Numbered(number byte) *Method {
	if int(number) >= len(methods) {
		return nil
	}
	return methods[number]
}

// NewRequest is an empty request of the method.
func (m *Method) NewRequest() proto.Message { return m.emptyRequest.ProtoReflect().New().Interface() }

// NewAnswer is an empty answer, or message of a stream.
func (m *Method) NewAnswer() proto.Message { return m.emptyAnswer.ProtoReflect().New().Interface() }

// KindOf is the kind of operation that a method, by its full name, is recorded as on a
// connection; false: it is not recorded.
func KindOf(method string) (kind history.Kind, recorded bool) {
	if m := byName[method]; m != nil {
		return m.Kind, true
	}
	return "", false
}

// of panics at a kind that is not in the table: whoever has one made it up.
func of(kind history.Kind) *Method {
	m := byKind[kind]
	if m == nil {
		panic(fmt.Sprintf("record: no method makes an operation of kind %q", kind))
	}
	return m
}

// MethodOf is the full name of the method that makes an operation of that kind.
func MethodOf(kind history.Kind) string { return of(kind).name }

// NewRequest is an empty message that asks for an operation of that kind.
func NewRequest(kind history.Kind) proto.Message { return of(kind).NewRequest() }

// NewResponse is an empty answer to an operation of that kind, or a message of it.
func NewResponse(kind history.Kind) proto.Message { return of(kind).NewAnswer() }

// Request is the message that asks for in: the other way round from Input.
func Request(kind history.Kind, in *history.Input, pageToken string) proto.Message {
	return of(kind).request(in, pageToken)
}

// Input is what a request for an operation of that kind asks. The page token, which is the
// daemon's own business, is returned beside it, for the caller to find the operation whose
// answer it came with. Values must be JSON: Struct fields are not recorded.
func Input(kind history.Kind, req proto.Message) (in history.Input, pageToken string) {
	if n, ok := req.(interface{ GetNamespace() string }); ok {
		in.Namespace = namespace(n.GetNamespace())
	}
	if n, ok := req.(interface{ GetAgentId() string }); ok {
		in.Agent = n.GetAgentId()
	}
	if n, ok := req.(interface{ GetKey() string }); ok {
		in.Key = n.GetKey()
	}
	if n, ok := req.(interface{ GetTxnId() string }); ok {
		in.TxnID = n.GetTxnId()
	}
	if n, ok := req.(interface{ GetPageToken() string }); ok {
		pageToken = n.GetPageToken()
	}
	if n, ok := req.(interface{ GetPrefix() string }); ok {
		in.Prefix = n.GetPrefix()
	}
	if n, ok := req.(interface{ GetReverse() bool }); ok {
		in.Reverse = n.GetReverse()
	}
	if n, ok := req.(interface{ GetAt() *pb.At }); ok {
		in.At, in.AtTime = moment(n.GetAt())
	}
	if n, ok := req.(interface{ GetEncoding() pb.ValueEncoding }); ok {
		in.NoValues = n.GetEncoding() == pb.ValueEncoding_VALUE_ENCODING_NONE
		in.Doubles = n.GetEncoding() == pb.ValueEncoding_VALUE_ENCODING_STRUCT
		in.Native = n.GetEncoding() == pb.ValueEncoding_VALUE_ENCODING_NATIVE
	}
	if n, ok := req.(interface{ GetMinReadTs() uint64 }); ok {
		in.MinRead = n.GetMinReadTs()
	}
	if n, ok := req.(interface{ GetMaxStalenessMs() uint64 }); ok {
		in.MaxStale = n.GetMaxStalenessMs()
	}
	if n, ok := req.(interface{ GetLimit() uint32 }); ok {
		in.Limit = uint64(n.GetLimit())
	}
	if m := of(kind); m.input != nil {
		m.input(req, &in)
	}
	return in, pageToken
}

// Output is what the answer to an operation of that kind says, and the token of the next page.
func Output(kind history.Kind, in *history.Input, resp proto.Message) (out history.Output, nextPage string) {
	if n, ok := resp.(interface{ GetReadTs() uint64 }); ok {
		out.ReadTS = n.GetReadTs()
	}
	if n, ok := resp.(interface{ GetNextPageToken() string }); ok {
		nextPage = n.GetNextPageToken()
		out.More = nextPage != ""
	}
	if m := of(kind); m.output != nil {
		m.output(resp, in, &out)
	}
	return out, nextPage
}
