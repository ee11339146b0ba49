package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// A client of gRPC's C core (Python, Ruby, PHP) takes 8 KiB of trailers; past
// that it reports RESOURCE_EXHAUSTED in place of the error.
const trailerRoom = 8 << 10

// trailerBytes is what a status costs in trailers: the message percent-encoded,
// and the whole in base64.
func trailerBytes(err error) int {
	s := status.Convert(err)
	message := 0
	for _, c := range []byte(s.Message()) {
		if message++; c < ' ' || c > '~' || c == '%' {
			message += 2
		}
	}
	return message + proto.Size(s.Proto())*4/3 + 256
}

func TestErrorsFitIntoTrailers(t *testing.T) {
	r := newRig(t)
	for what, fill := range map[string]string{"DEL": "\x7f", "CJK": "界", "ASCII": "k"} { // any order
		ns, agent, key := strings.Repeat(fill, 128/len(fill)), strings.Repeat(fill, 256/len(fill)), strings.Repeat(fill, 1024/len(fill))
		op := set(ns, agent, key, `{}`)
		op.ExpectedVersion = ptr(uint64(7))
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{op}})
		d := refused(t, what, err, codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED)
		if d.GetDetails()["key"] != key || d.GetDetails()["agent_id"] != agent || d.GetDetails()["namespace"] != ns {
			t.Errorf("%s: the details do not name the key", what)
		}
		if !strings.HasPrefix(d.GetMessage(), "precondition failed") || !strings.HasSuffix(d.GetMessage(), "is at version 0, not 7") {
			t.Errorf("%s: the message lost its point: %s", what, d.GetMessage())
		}
		if n := trailerBytes(err); n > trailerRoom {
			t.Errorf("%s: the longest names make %d bytes of trailers, more than %d", what, n, trailerRoom)
		}
	}
}
