package state

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestCheck: of all that a write may be it is one thing; a time to live and a moment at which it is due are of a value.
func TestCheck(t *testing.T) {
	const value, bytes, sum, patch, add, absent, act, gone, ttl, due = 1, 2, 4, 8, 16, 32, 64, 128, 256, 512
	good := map[int]bool{
		value: true, bytes: true, gone: true, sum: true, act: true, value | patch: true, value | add: true, bytes | add: true, value | absent: true, bytes | absent: true,
		value | ttl: true, bytes | ttl: true, value | add | ttl: true, bytes | add | ttl: true, value | absent | ttl: true, bytes | absent | ttl: true,
		value | due: true, bytes | due: true,
	}
	for is := range 1024 {
		w := Write{Patch: is&patch != 0, Append: is&add != 0, IfAbsent: is&absent != 0, Tombstone: is&gone != 0}
		if is&value != 0 {
			w.Value = []byte(`{}`)
		}
		if is&bytes != 0 {
			w.Bytes = &Bytes{}
		}
		if is&sum != 0 {
			w.Sum = &Sum{Delta: "1"}
		}
		if is&act != 0 {
			w.act = func(*pb.TransactOperation) {}
		}
		if is&ttl != 0 {
			w.TTL = time.Second
		}
		if is&due != 0 {
			w.Due = &Due{In: time.Second}
		}
		if err := Check(&w); (err == nil) != good[is] {
			t.Errorf("%010b: %v", is, err)
		}
	}
	if Check(&Write{Value: []byte(`{}`), TTL: -1}) == nil {
		t.Error("a time to live that has passed is taken")
	}
}

// TestOperationOf: each write is said in one way, and what is due in the field that is meant.
func TestOperationOf(t *testing.T) {
	at := time.Unix(5, 6)
	for _, c := range []struct {
		w    Write
		want *pb.TransactOperation
	}{
		{Write{Value: []byte(`{}`)}, &pb.TransactOperation{ValueJson: []byte(`{}`)}},
		{Write{Bytes: &Bytes{}}, &pb.TransactOperation{Put: &pb.Put{ValueBytes: []byte{}}}},
		{Write{Value: []byte(`{}`), TTL: time.Microsecond}, &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), TtlMs: 1}}},
		{Write{Value: []byte(`{}`)}.DueAt(at), &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), DueAt: Timestamp(&at)}}},
		{Write{Value: []byte(`{}`)}.DueIn(0), &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), DueInMs: new(uint64)}}},
		{Write{Value: []byte(`{}`), Append: true, TTL: time.Second}, &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), Append: true, TtlMs: 1000}}},
		{Write{Value: []byte(`{}`), IfAbsent: true}, &pb.TransactOperation{Put: &pb.Put{ValueJson: []byte(`{}`), IfAbsent: true}}},
		{Write{Value: []byte(`{}`), Patch: true}, &pb.TransactOperation{MergeJson: []byte(`{}`)}},
		{Write{Sum: &Sum{"/n", "2", "1", "3"}}, &pb.TransactOperation{Increment: &pb.Increment{Pointer: "/n", Delta: "2", Min: "1", Max: "3"}}},
		{Write{Tombstone: true}, &pb.TransactOperation{Delete: true}},
		{Acting(RecordName{}, func(o *pb.TransactOperation) { o.Release = &pb.ReleaseLease{Token: 7} }), &pb.TransactOperation{Release: &pb.ReleaseLease{Token: 7}}},
	} {
		c.want.Namespace, c.want.AgentId, c.want.Key = "n", "a", "k"
		if got := OperationOf(RecordName{"n", "a", "k"}, c.w); !proto.Equal(got, c.want) {
			t.Errorf("%+v is %v, want %v", c.w, got, c.want)
		}
		if evaluated := c.want.ValueJson == nil && !c.w.Tombstone && c.w.Bytes == nil && c.w.TTL != time.Microsecond; Evaluated(&c.w) != evaluated {
			t.Errorf("%+v is evaluated: %t", c.w, !evaluated)
		}
	}
}

// TestAnswers: what an answer leaves out is absent, and not something that is empty.
func TestAnswers(t *testing.T) {
	if s := StatusOf(&pb.GetStatusResponse{}); s.Archive != nil {
		t.Errorf("nothing is archived, and the archive is %+v", s.Archive)
	}
	if s := StatusOf(&pb.GetStatusResponse{Archive: &pb.ArchiveStatus{ArchivedTs: 3, LagCommits: 4, Error: "x"}}); s.Archive == nil || *s.Archive != (Archive{3, 4, 0, "x"}) {
		t.Errorf("the archive is %+v", s.Archive)
	}
	for d, want := range map[time.Duration]uint64{-time.Second: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2} {
		if got := Milliseconds(d); got != want {
			t.Errorf("%v is %d ms", d, got)
		}
	}
	for _, at := range []At{{}, AtCommit(7), AtTime(time.Unix(5, 6)), NotBefore(9)} {
		if got := fmt.Sprint(Point(at).GetCommitTs(), Point(at).GetTime().AsTime().UnixNano(), Least(at)); got != map[string]string{"": "0 0 " + fmt.Sprint(Least(at)), "7": "7 0 0", "1970-01-01T00:00:05.000000006Z": "0 5000000006 0"}[at.String()] {
			t.Errorf("%q is %s", at, got)
		}
	}
}
