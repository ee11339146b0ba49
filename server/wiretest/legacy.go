package wiretest

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// legacy is a client of the base contract that was built without our stubs: it
// asks the daemon for its contract (reflection), speaks in dynamic messages, and
// touches no field that docs/CONTRACT.md adds to it.
type legacy struct {
	t       testing.TB
	conn    grpc.ClientConnInterface
	service protoreflect.ServiceDescriptor
	known   map[string][]string // field names of the base contract, by message
}

func newLegacy(t testing.TB, conn grpc.ClientConnInterface) *legacy {
	l := &legacy{t: t, conn: conn, known: baseContract()}
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(Timeout(t))
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	set := &descriptorpb.FileDescriptorSet{}
	ask := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "statehouse.v1.StatehouseService"}}
	if err := stream.Send(ask); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		fd := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(b, fd); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, fd)
	}
	if files, err = protodesc.NewFiles(set); err != nil {
		t.Fatal(err)
	}
	d, err := files.FindDescriptorByName("statehouse.v1.StatehouseService")
	if err != nil {
		t.Fatal(err)
	}
	l.service = d.(protoreflect.ServiceDescriptor)
	_ = stream.CloseSend()
	return l
}

// baseContract is the base contract of docs/CONTRACT.md in short: each message with its fields.
func baseContract() map[string][]string {
	fields := map[string]string{
		"HealthRequest": "", "HealthResponse": "status", "VersionRequest": "", "VersionResponse": "version git_sha",
		"BeginTransactionRequest": "timeout_ms", "BeginTransactionResponse": "txn_id",
		"WriteRequest": "txn_id namespace agent_id key value", "WriteResponse": "",
		"DeleteRequest": "txn_id namespace agent_id key", "DeleteResponse": "",
		"CommitRequest": "txn_id", "CommitResponse": "commit_ts", "AbortRequest": "txn_id", "AbortResponse": "",
		"GetStateRequest": "namespace agent_id key", "GetStateResponse": "value version commit_ts exists",
		"GetStateAtVersionRequest": "namespace agent_id key version", "GetStateAtVersionResponse": "value version commit_ts exists",
		"ListKeysRequest": "namespace agent_id", "ListKeysResponse": "keys",
		"ScanPrefixRequest": "namespace agent_id prefix", "ScanPrefixResponse": "entries", "StateEntry": "key value version commit_ts",
		"ReplayRequest": "namespace agent_id start_ts end_ts", "ReplayEvent": "txn_id commit_ts operations", "Operation": "key value version",
	}
	out := map[string][]string{}
	for m, names := range fields { // into another map: any order
		out[m] = strings.Fields(names)
	}
	return out
}

func (l *legacy) request(method, json string) (string, *dynamicpb.Message, protoreflect.MessageDescriptor) {
	l.t.Helper()
	m := l.service.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		l.t.Fatalf("the daemon has no %s", method)
	}
	req := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(json), req); err != nil {
		l.t.Fatal(err)
	}
	l.strip(req, true)
	return "/" + string(l.service.FullName()) + "/" + method, req, m.Output()
}

// strip removes what the base contract does not have, at every depth; in requests
// there must be nothing to remove.
func (l *legacy) strip(m protoreflect.Message, isRequest bool) {
	known, ours := l.known[string(m.Descriptor().Name())]
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case ours && !slices.Contains(known, string(fd.Name())):
			if isRequest {
				l.t.Errorf("%s.%s is not of the base contract", m.Descriptor().Name(), fd.Name())
			}
			m.Clear(fd)
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				l.strip(v.List().Get(i).Message(), isRequest)
			}
		}
		return true
	})
}

// call makes a request from JSON and returns the answer as JSON.
func (l *legacy) call(method, json string) (string, error) {
	l.t.Helper()
	full, req, output := l.request(method, json)
	resp := dynamicpb.NewMessage(output)
	if err := l.conn.Invoke(Timeout(l.t), full, req, resp); err != nil {
		return "", err
	}
	return l.text(resp), nil
}

func (l *legacy) text(m *dynamicpb.Message) string {
	l.strip(m, false)
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		l.t.Fatal(err)
	}
	return regexp.MustCompile(`\s+`).ReplaceAllString(string(b), "") // protojson's spaces vary
}

func (l *legacy) replay(json string) []string {
	l.t.Helper()
	full, req, output := l.request("Replay", json)
	s, err := l.conn.NewStream(Timeout(l.t), &grpc.StreamDesc{ServerStreams: true}, full)
	if err == nil {
		err = errors.Join(s.SendMsg(req), s.CloseSend())
	}
	if err != nil {
		l.t.Fatal(err)
	}
	var events []string
	for {
		ev := dynamicpb.NewMessage(output)
		if err := s.RecvMsg(ev); errors.Is(err, io.EOF) {
			return events
		} else if err != nil {
			l.t.Fatal(err)
		}
		events = append(events, l.text(ev))
	}
}

// begin answers a transaction id, which must be a UUID.
func (l *legacy) begin() string {
	l.t.Helper()
	got, err := l.call("BeginTransaction", `{}`)
	id := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).FindString(got)
	if err != nil || got != `{"txn_id":"`+id+`"}` || id == "" {
		l.t.Fatalf("begin: %s %v", got, err)
	}
	return id
}

func (l *legacy) expect(method, json, want string) {
	l.t.Helper()
	if got, err := l.call(method, json); err != nil || got != want {
		l.t.Errorf("%s %s: %s %v, want %s", method, json, got, err, want)
	}
}

// fails expects a status, and the code within the StatehouseError detail, which
// the client finds by name and number alone.
func (l *legacy) fails(method, json string, code codes.Code, detail int32) {
	l.t.Helper()
	_, err := l.call(method, json)
	s := status.Convert(err)
	if s.Code() != code || len(s.Proto().GetDetails()) != 1 {
		l.t.Errorf("%s %s: %v, want %v", method, json, err, code)
		return
	}
	d := s.Proto().Details[0]
	m := l.service.ParentFile().Messages().ByName("StatehouseError")
	parsed := dynamicpb.NewMessage(m)
	if err := proto.Unmarshal(d.Value, parsed); err != nil || !strings.HasSuffix(d.TypeUrl, "/statehouse.v1.StatehouseError") {
		l.t.Errorf("%s %s: the detail is a %s: %v", method, json, d.TypeUrl, err)
		return
	}
	number := parsed.Get(m.Fields().ByNumber(1)).Enum()
	message := parsed.Get(m.Fields().ByNumber(2)).String()
	if int32(number) != detail || message == "" {
		l.t.Errorf("%s %s: error code %d %q, want %d", method, json, number, message, detail)
	}
}

// BaseContract drives the whole base contract (docs/CONTRACT.md) on a daemon that has nothing stored. advance lets time pass.
func BaseContract(t testing.TB, conn grpc.ClientConnInterface, advance func(time.Duration)) {
	t.Helper()
	l := newLegacy(t, conn)
	l.expect("Health", `{}`, `{"status":"ok"}`)
	l.expect("Version", `{}`, `{"version":"test"}`)
	const rec = `"namespace":"default","agent_id":"agent","key":`
	record := `"agent_id":"agent","key":` // without namespace

	one := l.begin()
	l.expect("Write", `{"txn_id":"`+one+`",`+record+`"b","value":{"first":true}}`, `{}`)
	l.expect("Write", `{"txn_id":"`+one+`",`+record+`"b","value":{"n":1.5,"s":"é","l":[1,null,{"x":{}}],"o":{}}}`, `{}`)
	l.expect("Write", `{"txn_id":"`+one+`",`+record+`"a","value":{}}`, `{}`)
	l.expect("GetState", `{`+record+`"b"}`, `{}`) // nobody sees it yet
	l.expect("Commit", `{"txn_id":"`+one+`"}`, `{"commit_ts":"1"}`)
	l.expect("Commit", `{"txn_id":"`+one+`"}`, `{"commit_ts":"1"}`)
	b := `{"l":[1,null,{"x":{}}],"n":1.5,"o":{},"s":"é"}`
	l.expect("GetState", `{`+rec+`"b"}`, `{"value":`+b+`,"version":"1","commit_ts":"1","exists":true}`)
	l.expect("GetState", `{`+record+`"a"}`, `{"value":{},"version":"1","commit_ts":"1","exists":true}`)

	two := l.begin()
	l.expect("Write", `{"txn_id":"`+two+`",`+record+`"a","value":{"v":2}}`, `{}`)
	l.expect("Delete", `{"txn_id":"`+two+`",`+record+`"b"}`, `{}`)
	l.expect("Write", `{"txn_id":"`+two+`","agent_id":"another","key":"a","value":{"v":1}}`, `{}`)
	l.expect("Commit", `{"txn_id":"`+two+`"}`, `{"commit_ts":"2"}`)

	gone := l.begin()
	l.expect("Write", `{"txn_id":"`+gone+`",`+record+`"a","value":{"aborted":true}}`, `{}`)
	l.expect("Abort", `{"txn_id":"`+gone+`"}`, `{}`)
	l.expect("Abort", `{"txn_id":"`+gone+`"}`, `{}`)
	l.expect("Abort", `{"txn_id":"00000000-0000-4000-8000-000000000000"}`, `{}`)

	l.expect("GetState", `{`+record+`"b"}`, `{"version":"2","commit_ts":"2"}`)
	l.expect("GetStateAtVersion", `{`+record+`"b","version":"1"}`, `{"value":`+b+`,"version":"1","commit_ts":"1","exists":true}`)
	l.expect("GetStateAtVersion", `{`+record+`"b","version":"2"}`, `{"version":"2","commit_ts":"2"}`)
	l.expect("ListKeys", `{"agent_id":"agent"}`, `{"keys":["a"]}`)
	l.expect("ListKeys", `{"agent_id":"nobody"}`, `{}`)
	l.expect("ScanPrefix", `{"agent_id":"agent","prefix":"a"}`, `{"entries":[{"key":"a","value":{"v":2},"version":"2","commit_ts":"2"}]}`)
	l.expect("ScanPrefix", `{"agent_id":"agent","prefix":"b"}`, `{}`)

	first := `{"txn_id":"` + one + `","commit_ts":"1","operations":[{"key":"b","value":` + b + `,"version":"1"},{"key":"a","value":{},"version":"1"}]}`
	then := `{"txn_id":"` + two + `","commit_ts":"2","operations":[{"key":"a","value":{"v":2},"version":"2"},{"key":"b","version":"2"}]}`
	for _, c := range []struct {
		json string
		want []string
	}{
		{`{"agent_id":"agent"}`, []string{first, then}},
		{`{"agent_id":"agent","start_ts":"2","end_ts":"2"}`, []string{then}},
		{`{"agent_id":"agent","end_ts":"1"}`, []string{first}},
		{`{"agent_id":"agent","start_ts":"3"}`, nil},
	} {
		if got := l.replay(c.json); !slices.Equal(got, c.want) {
			t.Errorf("replay %s:\n%s\nwant\n%s", c.json, got, c.want)
		}
	}

	l.fails("Write", `{"txn_id":"`+one+`",`+record+`"a","value":{}}`, codes.FailedPrecondition, 4)
	l.fails("Delete", `{"txn_id":"00000000-0000-4000-8000-000000000000",`+record+`"a"}`, codes.NotFound, 2)
	l.fails("Commit", `{"txn_id":"00000000-0000-4000-8000-000000000000"}`, codes.NotFound, 2)
	l.fails("GetStateAtVersion", `{`+record+`"a","version":"9"}`, codes.NotFound, 6)
	l.fails("GetState", `{"key":"a"}`, codes.InvalidArgument, 1)
	l.fails("Write", `{"txn_id":"`+l.begin()+`",`+record+`"a"}`, codes.InvalidArgument, 1)
	short, err := l.call("BeginTransaction", `{"timeout_ms":"1"}`)
	if err != nil {
		t.Fatal(err)
	}
	advance(time.Second)
	l.fails("Commit", short, codes.DeadlineExceeded, 3)
}
