package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// failure is an error as it is answered: what the Connect protocol has, whose clients find the
// StatehouseError in details, and the same in error for everybody else.
type failure struct {
	Code    string          `json:"code"`
	Message string          `json:"message,omitempty"`
	Details []failureDetail `json:"details,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

type failureDetail struct {
	Type  string          `json:"type"`
	Value string          `json:"value"`
	Debug json.RawMessage `json:"debug,omitempty"`
}

// words are what the Connect protocol calls the codes of gRPC, and the HTTP status that it gives them.
var words = map[codes.Code]struct {
	word   string
	status int
}{
	codes.Canceled:           {"canceled", 499},
	codes.Unknown:            {"unknown", http.StatusInternalServerError},
	codes.InvalidArgument:    {"invalid_argument", http.StatusBadRequest},
	codes.DeadlineExceeded:   {"deadline_exceeded", http.StatusGatewayTimeout},
	codes.NotFound:           {"not_found", http.StatusNotFound},
	codes.AlreadyExists:      {"already_exists", http.StatusConflict},
	codes.PermissionDenied:   {"permission_denied", http.StatusForbidden},
	codes.ResourceExhausted:  {"resource_exhausted", http.StatusTooManyRequests},
	codes.FailedPrecondition: {"failed_precondition", http.StatusBadRequest},
	codes.Aborted:            {"aborted", http.StatusConflict},
	codes.OutOfRange:         {"out_of_range", http.StatusBadRequest},
	codes.Unimplemented:      {"unimplemented", http.StatusNotImplemented},
	codes.Internal:           {"internal", http.StatusInternalServerError},
	codes.Unavailable:        {"unavailable", http.StatusServiceUnavailable},
	codes.DataLoss:           {"data_loss", http.StatusInternalServerError},
	codes.Unauthenticated:    {"unauthenticated", http.StatusUnauthorized},
}

// own are the errors of this package in the contract's words.
var own = map[codes.Code]pb.ErrorCode{
	codes.InvalidArgument:   pb.ErrorCode_INVALID_REQUEST,
	codes.Unimplemented:     pb.ErrorCode_INVALID_REQUEST,
	codes.Internal:          pb.ErrorCode_INTERNAL_ERROR,
	codes.PermissionDenied:  pb.ErrorCode_PERMISSION_DENIED,
	codes.ResourceExhausted: pb.ErrorCode_LIMIT_EXCEEDED,
	codes.Unavailable:       pb.ErrorCode_UNAVAILABLE,
	codes.Unauthenticated:   pb.ErrorCode_UNAUTHENTICATED,
}

// fail answers an error of this package.
func fail(w http.ResponseWriter, httpStatus int, code codes.Code, message string) {
	write(w, httpStatus, failure{Code: words[code].word, Message: message, Error: jsonOf(&pb.StatehouseError{Code: own[code], Message: message})})
}

// failed answers a status of the service.
func failed(w http.ResponseWriter, st *status.Status) {
	write(w, statusOf(st.Code()), of(st))
}

func statusOf(code codes.Code) int {
	if word, known := words[code]; known {
		return word.status
	}
	return http.StatusInternalServerError
}

// of is a status as it is answered.
func of(st *status.Status) failure {
	e := &pb.StatehouseError{Code: own[st.Code()], Message: st.Message()}
	for _, d := range st.Details() {
		if said, is := d.(*pb.StatehouseError); is {
			e = said
		}
	}
	return failure{Code: words[st.Code()].word, Message: st.Message(), Error: jsonOf(e)}
}

// explain sets Error from the detail that has it.
func (f *failure) explain() {
	for _, d := range f.Details {
		if d.Type != string((*pb.StatehouseError)(nil).ProtoReflect().Descriptor().FullName()) {
			continue
		}
		var e pb.StatehouseError
		if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(d.Value, "=")); err == nil && proto.Unmarshal(raw, &e) == nil {
			f.Error = jsonOf(&e)
		}
	}
}

// jsonOf is a message as JSON on one line.
func jsonOf(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil // it was made here
	}
	var compact bytes.Buffer // protojson's spaces are not the same from build to build
	if json.Compact(&compact, text) != nil {
		return text
	}
	return compact.Bytes()
}

// text is the failure as JSON.
func (f failure) text() []byte {
	text, err := json.Marshal(f)
	if err != nil { // its parts are JSON, or strings
		return []byte(`{"code":"internal"}`)
	}
	return text
}

func write(w http.ResponseWriter, httpStatus int, f failure) {
	f.sayRetry(w.Header())
	w.Header().Set("Content-Type", "application/json")
	if httpStatus == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="statehouse"`)
	}
	w.WriteHeader(httpStatus)
	_, _ = w.Write(append(f.text(), '\n')) // its client may be gone
}

// sayRetry puts when to try again where HTTP has it, in whole seconds.
func (f *failure) sayRetry(h http.Header) {
	var e struct {
		Details struct {
			MS json.Number `json:"retry_after_ms"`
		} `json:"details"`
	}
	if json.Unmarshal(f.Error, &e) != nil {
		return
	}
	if ms, err := e.Details.MS.Int64(); err == nil {
		h.Set("Retry-After", strconv.FormatInt((ms+999)/1000, 10))
	}
}

// ofWord is the contract's code for a word that came without one.
func ofWord(word string) pb.ErrorCode {
	for code, w := range words { // any order: each word is there once
		if w.word == word {
			return own[code]
		}
	}
	return pb.ErrorCode_UNKNOWN
}
