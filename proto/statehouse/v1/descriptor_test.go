package statehousev1

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// baseMessages is the base contract of docs/CONTRACT.md: every
// message with its fields as "[optional |repeated ]type name = number".
const baseMessages = `
HealthRequest:
HealthResponse: string status = 1
VersionRequest:
VersionResponse: string version = 1; string git_sha = 2
BeginTransactionRequest: optional uint64 timeout_ms = 1
BeginTransactionResponse: string txn_id = 1
WriteRequest: string txn_id = 1; string namespace = 2; string agent_id = 3; string key = 4; google.protobuf.Struct value = 5
WriteResponse:
DeleteRequest: string txn_id = 1; string namespace = 2; string agent_id = 3; string key = 4
DeleteResponse:
CommitRequest: string txn_id = 1
CommitResponse: uint64 commit_ts = 1
AbortRequest: string txn_id = 1
AbortResponse:
GetStateRequest: string namespace = 1; string agent_id = 2; string key = 3
GetStateResponse: optional google.protobuf.Struct value = 1; uint64 version = 2; uint64 commit_ts = 3; bool exists = 4
GetStateAtVersionRequest: string namespace = 1; string agent_id = 2; string key = 3; uint64 version = 4
GetStateAtVersionResponse: optional google.protobuf.Struct value = 1; uint64 version = 2; uint64 commit_ts = 3; bool exists = 4
ListKeysRequest: string namespace = 1; string agent_id = 2
ListKeysResponse: repeated string keys = 1
ScanPrefixRequest: string namespace = 1; string agent_id = 2; string prefix = 3
ScanPrefixResponse: repeated statehouse.v1.StateEntry entries = 1
ReplayRequest: string namespace = 1; string agent_id = 2; optional uint64 start_ts = 3; optional uint64 end_ts = 4
StateEntry: string key = 1; google.protobuf.Struct value = 2; uint64 version = 3; uint64 commit_ts = 4
ReplayEvent: string txn_id = 1; uint64 commit_ts = 2; repeated statehouse.v1.Operation operations = 3
Operation: string key = 1; optional google.protobuf.Struct value = 2; uint64 version = 3
StatehouseError: statehouse.v1.ErrorCode code = 1; string message = 2; repeated statehouse.v1.StatehouseError.DetailsEntry details = 3
`

// baseMethods are "name request response"; a stream is marked.
const baseMethods = `
Health HealthRequest HealthResponse
Version VersionRequest VersionResponse
BeginTransaction BeginTransactionRequest BeginTransactionResponse
Write WriteRequest WriteResponse
Delete DeleteRequest DeleteResponse
Commit CommitRequest CommitResponse
Abort AbortRequest AbortResponse
GetState GetStateRequest GetStateResponse
GetStateAtVersion GetStateAtVersionRequest GetStateAtVersionResponse
ListKeys ListKeysRequest ListKeysResponse
ScanPrefix ScanPrefixRequest ScanPrefixResponse
Replay ReplayRequest stream ReplayEvent
`

const baseErrors = "UNKNOWN INVALID_REQUEST TXN_NOT_FOUND TXN_EXPIRED TXN_ALREADY_COMMITTED KEY_NOT_FOUND VERSION_NOT_FOUND STORAGE_ERROR INTERNAL_ERROR"

func describe(f protoreflect.FieldDescriptor) string {
	typ := f.Kind().String()
	switch f.Kind() {
	case protoreflect.MessageKind:
		typ = string(f.Message().FullName())
	case protoreflect.EnumKind:
		typ = string(f.Enum().FullName())
	}
	label := ""
	switch {
	case f.Cardinality() == protoreflect.Repeated:
		label = "repeated "
	case f.HasOptionalKeyword():
		label = "optional "
	}
	return fmt.Sprintf("%s%s %s = %d", label, typ, f.Name(), f.Number())
}

func lines(table string) []string { return strings.Split(strings.TrimSpace(table), "\n") }

func TestBaseContract(t *testing.T) {
	file := File_statehouse_v1_statehouse_proto
	if file.Package() != "statehouse.v1" {
		t.Errorf("package %s", file.Package())
	}
	for _, line := range lines(baseMessages) {
		name, fields, _ := strings.Cut(line, ":")
		m := file.Messages().ByName(protoreflect.Name(name))
		if m == nil {
			t.Errorf("message %s is gone", name)
			continue
		}
		for i, want := range strings.Split(strings.TrimSpace(fields), "; ") {
			if want == "" {
				continue
			}
			f := m.Fields().ByNumber(protoreflect.FieldNumber(i + 1))
			if f == nil || describe(f) != want {
				t.Errorf("%s field %d: want %q, have %v", name, i+1, want, f)
			}
		}
	}
	if f := file.Messages().ByName("StatehouseError").Fields().ByName("details"); !f.IsMap() ||
		f.MapKey().Kind() != protoreflect.StringKind || f.MapValue().Kind() != protoreflect.StringKind {
		t.Error("StatehouseError.details is not a map of strings")
	}
	for i, name := range strings.Fields(baseErrors) {
		v := file.Enums().ByName("ErrorCode").Values().ByNumber(protoreflect.EnumNumber(i))
		if v == nil || string(v.Name()) != name {
			t.Errorf("error code %d is not %s", i, name)
		}
	}
}

func TestBaseService(t *testing.T) {
	service := File_statehouse_v1_statehouse_proto.Services().ByName("StatehouseService")
	for i, line := range lines(baseMethods) {
		name, types, _ := strings.Cut(line, " ")
		m := service.Methods().ByName(protoreflect.Name(name))
		if m == nil || m.IsStreamingClient() {
			t.Errorf("method %d %s is gone or streams from its client", i, name)
			continue
		}
		out := string(m.Output().Name())
		if m.IsStreamingServer() {
			out = "stream " + out
		}
		if have := string(m.Input().Name()) + " " + out; have != types {
			t.Errorf("method %s: want %s, have %s", name, types, have)
		}
	}
}
