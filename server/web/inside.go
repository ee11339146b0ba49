package web

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// ask makes a call of a method for whoever made the request outer, and hands each message of the
// answer to each, as bytes. The call is a request to the service like any other: it has the header
// of outer that says who asks.
func (f *Front) ask(outer *http.Request, method string, request proto.Message, each func(message []byte) error) *status.Status {
	body, err := proto.Marshal(request)
	if err != nil {
		return status.New(codes.InvalidArgument, "the request is not UTF-8")
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body)))
	r := outer.Clone(outer.Context())
	r.Method, r.URL, r.RequestURI = http.MethodPost, &url.URL{Path: method}, method
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(append(frame, body...))), -1
	r.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Te": {"trailers"}}
	for _, kept := range []string{"Authorization", "User-Agent", "Traceparent", "Tracestate"} {
		if v := outer.Header.Values(kept); len(v) > 0 {
			r.Header[kept] = v
		}
	}
	a := &answer{header: make(http.Header), each: each}
	f.backend.ServeHTTP(a, r)
	return a.end()
}

// answer is the ResponseWriter of a call: it takes the messages out of their frames as they come.
type answer struct {
	header http.Header
	each   func([]byte) error
	code   int
	rest   []byte // of a frame that is not whole
	err    error  // of each, or of what came
}

func (a *answer) Header() http.Header  { return a.header }
func (a *answer) WriteHeader(code int) { a.code = code }
func (a *answer) Flush()               {}

func (a *answer) Write(p []byte) (int, error) {
	if a.code != 0 && a.code != http.StatusOK {
		return len(p), nil // of an error that is not gRPC's
	}
	a.rest = append(a.rest, p...)
	for a.err == nil && len(a.rest) >= 5 {
		n := int(binary.BigEndian.Uint32(a.rest[1:5]))
		if len(a.rest)-5 < n {
			break
		}
		a.err = a.each(a.rest[5 : 5+n])
		a.rest = a.rest[5+n:]
	}
	if len(a.rest) == 0 {
		a.rest = nil
	}
	return len(p), a.err
}

// end is how the call ended: what stands in its trailers.
func (a *answer) end() *status.Status {
	get := func(name string) string {
		if v := a.header.Get(name); v != "" {
			return v
		}
		return a.header.Get(http.TrailerPrefix + name)
	}
	code, err := strconv.ParseUint(get("Grpc-Status"), 10, 32)
	switch {
	case a.err != nil:
		return status.New(codes.Canceled, a.err.Error())
	case err != nil:
		return status.New(codes.Internal, "the call ended without a status")
	}
	if details := get("Grpc-Status-Details-Bin"); details != "" {
		var s rpcstatus.Status
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
		if err == nil && proto.Unmarshal(raw, &s) == nil {
			return status.FromProto(&s)
		}
	}
	message := get("Grpc-Message")
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return status.New(codes.Code(code), message)
}
