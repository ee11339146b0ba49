package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Reads are the methods that can be called with GET, by path: each reads, and has a request whose
// fields fit a query.
var Reads = map[string]string{
	"/v1/health":      pb.StatehouseService_Health_FullMethodName,
	"/v1/version":     pb.StatehouseService_Version_FullMethodName,
	"/v1/status":      pb.StatehouseService_GetStatus_FullMethodName,
	"/v1/state":       pb.StatehouseService_GetState_FullMethodName,
	"/v1/version-of":  pb.StatehouseService_GetStateAtVersion_FullMethodName,
	"/v1/keys":        pb.StatehouseService_ListKeys_FullMethodName,
	"/v1/scan":        pb.StatehouseService_ScanPrefix_FullMethodName,
	"/v1/history":     pb.StatehouseService_GetHistory_FullMethodName,
	"/v1/diff":        pb.StatehouseService_Diff_FullMethodName,
	"/v1/agent":       pb.StatehouseService_GetAgent_FullMethodName,
	"/v1/agents":      pb.StatehouseService_ListAgents_FullMethodName,
	"/v1/namespaces":  pb.StatehouseService_ListNamespaces_FullMethodName,
	"/v1/refusals":    pb.StatehouseService_ListRefusals_FullMethodName,
	"/v1/streams":     pb.StatehouseService_ListStreams_FullMethodName,
	"/v1/leases":      pb.StatehouseService_ListLeases_FullMethodName,
	"/v1/transaction": pb.StatehouseService_GetTransaction_FullMethodName,
}

// Streams are those that are answered as server-sent events.
var Streams = map[string]string{
	"/v1/watch":  pb.StatehouseService_Watch_FullMethodName,
	"/v1/replay": pb.StatehouseService_ReplayBatches_FullMethodName,
}

// read answers a GET of a method with what a POST of the same fields is answered.
func (f *Front) read(method string) http.HandlerFunc {
	input := f.methods[method].Input()
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := newMessage(input)
		if err == nil {
			err = fill(request.Interface(), r.URL.Query())
		}
		var body []byte
		if err == nil {
			body, err = protojson.Marshal(request.Interface())
		}
		if err != nil {
			fail(w, http.StatusBadRequest, codes.InvalidArgument, err.Error())
			return
		}
		call := r.Clone(r.Context())
		call.Method, call.URL.Path, call.URL.RawQuery, call.RequestURI = http.MethodPost, method, "", method
		call.Header.Set("Content-Type", "application/json")
		call.Body, call.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		f.rpc(w, call)
	}
}

func newMessage(d protoreflect.MessageDescriptor) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.FullName(), err)
	}
	return t.New(), nil
}
