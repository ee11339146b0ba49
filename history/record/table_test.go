package record

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// unrecorded are the methods of the contract that are no operations, and why.
var unrecorded = map[string]string{
	"Health":       "it says whether the daemon serves, nothing of what it holds",
	"Version":      "it is about the daemon's build",
	"GetStatus":    "it is about the daemon: no order of operations explains what it says",
	"ListRefusals": "as GetStatus",
	"ListStreams":  "as GetStatus",
	"Session":      "each request in it is recorded as a call of its own",
}

// TestTableIsTheContract: each method of the service is in the table, or an exception with a
// reason; and what both halves of the table say of it is what its messages say.
func TestTableIsTheContract(t *testing.T) {
	service := pb.File_statehouse_v1_statehouse_proto.Services().ByName("StatehouseService")
	seen := make(map[string]bool)
	for i := range service.Methods().Len() {
		desc := service.Methods().Get(i)
		full := fmt.Sprintf("/%s/%s", service.FullName(), desc.Name())
		seen[full] = true
		number, recorded := Number(full)
		if _, excepted := unrecorded[string(desc.Name())]; excepted == recorded {
			t.Errorf("%s: is it recorded? %v; is it an exception? %v", desc.Name(), recorded, excepted)
		}
		if recorded {
			checkMethod(t, Numbered(number), desc)
		}
	}
	for i, m := range methods {
		if !seen[m.name] {
			t.Errorf("%s is not in the contract", m.name)
		}
		if number, known := Number(m.name); !known || int(number) != i {
			t.Errorf("%s has the number %d at place %d", m.name, number, i)
		}
	}
	for _, kind := range history.Kinds() {
		if m := byKind[kind]; m == nil || m.Kind != kind {
			t.Errorf("no method makes an operation of kind %q", kind)
		} else if got, recorded := KindOf(MethodOf(kind)); got != kind || !recorded {
			t.Errorf("the method of %q makes %q", kind, got)
		}
	}
}

func checkMethod(t *testing.T, m *Method, desc protoreflect.MethodDescriptor) {
	nameOf := func(m proto.Message) protoreflect.FullName { return m.ProtoReflect().Descriptor().FullName() }
	if in, out := nameOf(m.NewRequest()), nameOf(m.NewAnswer()); in != desc.Input().FullName() || out != desc.Output().FullName() {
		t.Errorf("%s is from %s to %s here, and in the contract from %s to %s", m.name, in, out, desc.Input().FullName(), desc.Output().FullName())
	}
	info := m.Kind.Info()
	if info.Kind != m.Kind {
		t.Errorf("%s is of kind %q, which history does not know", m.name, m.Kind)
	}
	has := func(name protoreflect.Name) bool { return desc.Output().Fields().ByName(name) != nil }
	for what, is := range map[string][2]bool{ // any order
		"a stream":                       {info.Stream, desc.IsStreamingServer()},
		"an answer that has a read_ts":   {info.ReadTS, has("read_ts")},
		"an answer that has a commit":    {info.Commits, has("commit_ts") && has("versions") && !has("state")},
		"single, a commit for a message": {m.single, m.name == pb.StatehouseService_Replay_FullMethodName},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: is it %s? the table says %v, the contract %v", m.name, what, is[0], is[1])
		}
	}
}

// TestNumbersStay: files of captures hold them.
func TestNumbersStay(t *testing.T) {
	for i, name := range strings.Fields(`BeginTransaction Write Delete Commit Abort Transact GetState GetStateAtVersion BatchGetState
		ListKeys ScanPrefix GetHistory ListAgents ListNamespaces GetTransaction ReplayBatches Watch Replay
		RenewLeases ListLeases RefreshExpiry Find Diff GetAgent`) {
		if m := Numbered(byte(i)); m == nil || m.name != "/statehouse.v1.StatehouseService/"+name {
			t.Errorf("%d is no longer %s", i, name)
		}
	}
	if m := Numbered(byte(len(methods))); m != nil {
		t.Errorf("%s has a number that nothing has", m.name)
	}
}

// unread are the fields of requests and answers that are no part of a history, and why.
var unread = map[string]string{
	"value":                               "a Struct becomes JSON before it is recorded",
	"epoch":                               "a history is of one epoch, and its commits are named in it",
	"strict":                              "what a strict read is answered with is what any other is",
	"BeginTransactionResponse.timeout_ms": "when a transaction expires is the daemon's to know",
	"BatchGetStateResponse: GetStateResponse.read_ts": "all states of a batch are read at one point, which stands beside them",
	"DiffResponse: GetStateResponse.read_ts":          "the points that are compared stand beside the keys",
}

// TestFieldsAreRead: what a request or an answer says is in the history, field by field, and
// what is asked for again asks the same.
func TestFieldsAreRead(t *testing.T) {
	met := make(map[string]bool)
	text := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	for _, m := range methods {
		eachField(t, m.NewRequest(), met, func(req proto.Message) string {
			in, token := Input(m.Kind, req)
			if again, _ := Input(m.Kind, Request(m.Kind, &in, token)); text(again) != text(in) {
				t.Errorf("%s: what asks for %s asks for %s again", m.name, text(in), text(again))
			}
			return text(in) + token
		})
		in := &history.Input{Namespace: "n", Agent: "a", Key: "k", Writes: make([]history.Write, 1), Names: make([]history.Name, 1)}
		eachField(t, m.NewAnswer(), met, func(answer proto.Message) string {
			if m.Kind.Info().Stream {
				return text(Batch(0, answer))
			}
			out, _ := Output(m.Kind, in, answer)
			return text(out)
		})
	}
	for field := range unread { // any order
		if !met[field] {
			t.Errorf("no message has the field %s, which is said to be unread", field)
		}
	}
}

// eachField sets each field of m alone, those of the messages in it too, and complains when
// read does not see it.
func eachField(t *testing.T, m proto.Message, met map[string]bool, read func(proto.Message) string) {
	var visit func(part protoreflect.Message)
	visit = func(part protoreflect.Message) {
		fields := part.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			name, full := string(f.Name()), string(part.Descriptor().Name())+"."+string(f.Name())
			met[name], met[full] = true, true
			inside := string(m.ProtoReflect().Descriptor().Name()) + ": " + full
			met[inside] = true
			switch ours := f.Message() != nil && !f.IsMap() && f.Message().ParentFile().Package() == "statehouse.v1"; {
			case unread[name] != "" && full != "Condition.value" || unread[full] != "" || unread[inside] != "":
			case ours && f.IsList():
				visit(part.Mutable(f).List().AppendMutable().Message())
			case ours && f.Message().Name() != "Inexact": // of which only counts that it is there
				visit(part.Mutable(f).Message())
			default:
				before := read(m)
				if set(part, f); read(m) == before {
					t.Errorf("%s is passed over", inside)
				}
			}
			part.Clear(f)
		}
	}
	visit(m.ProtoReflect())
}

// set sets a field to something.
func set(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		m.Mutable(f).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString("v"))
	case f.IsList():
		m.Mutable(f).List().Append(something(f))
	case f.Message() != nil && f.Message().Name() == "Timestamp":
		m.Set(f, protoreflect.ValueOfMessage(stamp(7).ProtoReflect()))
	case f.Message() != nil:
		m.Mutable(f)
	default:
		m.Set(f, something(f))
	}
}

func something(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("{}"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(7)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(7)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(min(2, f.Enum().Values().Len()-1)))
	}
	return protoreflect.ValueOfString("text")
}
