// Package record translates between the contract and histories: what goes over the wire as
// protobuf is an operation of package history here. Connections in a simulator and real ones
// are recorded by the same code.
//
//   - A [Method] is a method of the contract that is recorded: its messages, and how they
//     are an operation's input and output. All of them are one table, the half of
//     history.Kinds that knows messages; changes.go, reads.go and streams.go have its lines.
//   - A [Recorder] writes down what goes over real connections.
//   - [Cover] asks a daemon for what a recording needs to be judged.
package record

import (
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Outcome is what an error leaves its client to know. An answer of the daemon says itself
// whether the operation may have been applied; what comes from between them never does.
func Outcome(err error) (history.Outcome, *history.Refusal) {
	if err == nil {
		return history.OK, nil
	}
	s := status.Convert(err)
	for _, d := range s.Details() {
		if e, ok := d.(*pb.StatehouseError); ok {
			r := &history.Refusal{Code: e.GetCode().String(), Message: e.GetMessage(), Details: e.GetDetails()}
			if e.GetMaybeApplied() {
				return history.Unknown, r
			}
			return history.Fail, r
		}
	}
	r := &history.Refusal{Code: strings.ToLower(s.Code().String()), Message: s.Message()}
	switch s.Code() {
	case codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument:
		return history.Fail, r // refused at the door
	}
	return history.Unknown, r
}

// named is a message that names a record.
type named interface {
	GetNamespace() string
	GetAgentId() string
	GetKey() string
}

func name(m named) history.Name {
	return history.Name{Namespace: namespace(m.GetNamespace()), Agent: m.GetAgentId(), Key: m.GetKey()}
}

// namespace is the one that is meant: an empty one is the default.
func namespace(ns string) string {
	if ns == "" {
		return "default"
	}
	return ns
}

func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	at := t.AsTime()
	switch { // farther away than nanoseconds count
	case at.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case at.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return at.UnixNano()
}

// instant is a time of a request. 0 stands for none in a history: for 1970 itself, before which
// nothing was committed either, stands the nanosecond after.
func instant(t *timestamppb.Timestamp) int64 {
	ns := nanos(t)
	if t != nil && ns == 0 {
		return 1
	}
	return ns
}

func stamp(ns int64) *timestamppb.Timestamp {
	if ns == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, ns))
}
