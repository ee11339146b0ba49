package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// services are those of the contract.
var services = []protoreflect.ServiceDescriptor{
	pb.File_statehouse_v1_statehouse_proto.Services().ByName("StatehouseService"),
	pb.File_statehouse_v1_admin_proto.Services().ByName("AdminService"),
	pb.File_statehouse_v1_capture_proto.Services().ByName("CaptureService"),
}

// Services are their names.
func Services() (names []protoreflect.FullName) {
	for _, s := range services {
		names = append(names, s.FullName())
	}
	return names
}

// methods are their methods, by path.
func methods() map[string]protoreflect.MethodDescriptor {
	all := make(map[string]protoreflect.MethodDescriptor)
	for _, s := range services {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			all[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = m
		}
	}
	return all
}

// newTranscoder turns requests of the other protocols into gRPC for backend. No compression: see
// guard.
func newTranscoder(backend http.Handler) (http.Handler, error) {
	var served []*vanguard.Service
	for _, s := range services {
		served = append(served, vanguard.NewServiceWithSchema(s, backend))
	}
	return vanguard.NewTranscoder(served,
		vanguard.WithCodec(func(types vanguard.TypeResolver) vanguard.Codec {
			// A field that is not known is refused, not skipped: a condition that is misspelled
			// would be no condition.
			return refusing{&vanguard.JSONCodec{MarshalOptions: protojson.MarshalOptions{Resolver: types}, UnmarshalOptions: protojson.UnmarshalOptions{Resolver: types}}}
		}),
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC), vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithNoTargetCompression(), vanguard.WithMaxMessageBufferBytes(2*maxBody)))
}

// refusing is a codec that says that what it cannot read is its client's mistake.
type refusing struct{ *vanguard.JSONCodec }

func (c refusing) Unmarshal(text []byte, m proto.Message) error {
	if err := c.JSONCodec.Unmarshal(text, m); err != nil {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the request is not %s as JSON: %w", m.ProtoReflect().Descriptor().Name(), err))
	}
	return nil
}

// rpc answers the calls of methods.
func (f *Front) rpc(w http.ResponseWriter, r *http.Request) {
	m := f.methods[r.URL.Path]
	if m == nil {
		fail(w, http.StatusNotFound, codes.Unimplemented, fmt.Sprintf("there is no %q here: /openapi.json lists what there is", clip(r.URL.Path)))
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(w, http.StatusMethodNotAllowed, codes.Unimplemented, "a method is called with POST")
		return
	}
	kind, refusal := typeOf(r)
	if refusal != "" {
		fail(w, http.StatusUnsupportedMediaType, codes.InvalidArgument, refusal)
		return
	}
	if m.IsStreamingClient() {
		// What net/http reads of a stream without an end, gRPC keeps: no window bounds it.
		fail(w, http.StatusNotImplemented, codes.Unimplemented, fmt.Sprintf("%s is a stream of requests, which is served over gRPC only: see --listen-addr", m.Name()))
		return
	}
	for _, header := range []string{"Accept-Encoding", "Connect-Accept-Encoding", "Grpc-Accept-Encoding"} {
		r.Header.Del(header)
	}
	if kind == "application/json" && m.IsStreamingServer() {
		fail(w, http.StatusUnsupportedMediaType, codes.InvalidArgument, fmt.Sprintf(
			"%s answers a stream: send application/connect+json, or see /v1/watch and /v1/replay for server-sent events", m.Name()))
		return
	}
	r.Header.Set("Content-Type", kind) // what a type is called does not depend on its case; the transcoder's does
	switch kind {
	case "application/json":
		f.json(w, r, m)
	case "application/proto": // of a call with one message each way
		r.Header.Set(connectVersion, "1")
		f.transcoder.ServeHTTP(w, r)
	default:
		f.transcoder.ServeHTTP(w, r)
	}
}

// connectVersion is the header of a client of the Connect protocol.
const connectVersion = "Connect-Protocol-Version"

// json answers a call with one message each way in JSON, which needs no header of the Connect protocol.
func (f *Front) json(w http.ResponseWriter, r *http.Request, m protoreflect.MethodDescriptor) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		failBody(w, err)
		return
	}
	request, plain, err := inexact(m.Input(), body)
	if err != nil {
		fail(w, http.StatusBadRequest, codes.InvalidArgument, "the request is refused: "+err.Error())
		return
	}
	answer := &answering{ResponseWriter: w, ctx: r.Context(), room: f.answers, connect: r.Header.Get(connectVersion) != ""}
	if plain {
		answer.exact = m.Output()
	}
	r.Header.Set(connectVersion, "1")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(request)), int64(len(request))
	f.transcoder.ServeHTTP(answer, r)
	answer.done()
}
