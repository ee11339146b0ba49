package server

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// replayed spells the commits that a replay brings.
func (r *rig) replayed(req *pb.ReplayRequest) string {
	r.t.Helper()
	s := ""
	for _, ev := range r.both(req) {
		s += fmt.Sprint(ev.CommitTs)
		for _, op := range ev.Operations {
			s += " " + op.Key
		}
		s += ";"
	}
	return s
}

func TestReplayFilters(t *testing.T) {
	r := newRig(t)
	var times []time.Time
	for _, ops := range [][]*pb.TransactOperation{
		{set("", "a", "note/1", `{}`), set("", "a", "tool/1", `{}`)},                          // 1
		{set("", "b", "note/2", `{}`)},                                                        // 2
		{set("", "a", "tool/2", `{}`)},                                                        // 3
		{set("n", "a", "note/3", `{}`)},                                                       // 4
		{set("", "a", "note/4", `{}`), set("", "b", "tool/4", `{}`), remove("", "a", "tool")}, // 5
		{remove("", "a", "note/1")},                                                           // 6
	} {
		r.advance(time.Minute)
		times = append(times, r.transact(ops...).CommitTime.AsTime())
	}
	u := func(n uint64) *uint64 { return &n }
	at := func(i int, d time.Duration) *timestamppb.Timestamp { return timestamppb.New(times[i-1].Add(d)) }
	for _, c := range []struct {
		req  *pb.ReplayRequest
		want string
	}{
		{&pb.ReplayRequest{AgentId: "a"}, "1 note/1 tool/1;3 tool/2;5 note/4 tool;6 note/1;"},
		{&pb.ReplayRequest{AgentId: "b"}, "2 note/2;5 tool/4;"},
		{&pb.ReplayRequest{AgentId: "nobody"}, ""},
		{&pb.ReplayRequest{Namespace: "nowhere", AllAgents: true}, ""},
		{&pb.ReplayRequest{Namespace: "n", AgentId: "a"}, "4 note/3;"},
		{&pb.ReplayRequest{AllAgents: true}, "1 note/1 tool/1;2 note/2;3 tool/2;5 note/4 tool tool/4;6 note/1;"},
		{&pb.ReplayRequest{Namespace: "n", AllAgents: true}, "4 note/3;"},
		{&pb.ReplayRequest{AgentId: "a", KeyPrefix: "note/"}, "1 note/1;5 note/4;6 note/1;"},
		{&pb.ReplayRequest{AllAgents: true, KeyPrefix: "tool"}, "1 tool/1;3 tool/2;5 tool tool/4;"},
		{&pb.ReplayRequest{AllAgents: true, KeyPrefix: "none"}, ""},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(3)}, "3 tool/2;5 note/4 tool;6 note/1;"},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(2), EndTs: u(5)}, "3 tool/2;5 note/4 tool;"},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(5), EndTs: u(5)}, "5 note/4 tool;"},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(0), EndTs: u(1)}, "1 note/1 tool/1;"},
		{&pb.ReplayRequest{AgentId: "a", EndTs: u(0)}, ""},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(6), EndTs: u(3)}, ""},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(7)}, ""},
		{&pb.ReplayRequest{AgentId: "a", StartTs: u(1<<64 - 1), EndTs: u(1<<64 - 1)}, ""},
		{&pb.ReplayRequest{AgentId: "a", EndTs: u(1<<64 - 1)}, "1 note/1 tool/1;3 tool/2;5 note/4 tool;6 note/1;"},
		{&pb.ReplayRequest{AllAgents: true, StartTime: at(2, 0), EndTime: at(3, 0)}, "2 note/2;3 tool/2;"},
		{&pb.ReplayRequest{AllAgents: true, StartTime: at(2, 1), EndTime: at(5, -1)}, "3 tool/2;"},
		{&pb.ReplayRequest{AllAgents: true, StartTime: at(6, 0)}, "6 note/1;"},
		{&pb.ReplayRequest{AllAgents: true, StartTime: at(6, 1)}, ""},
		{&pb.ReplayRequest{AllAgents: true, EndTime: at(1, 0)}, "1 note/1 tool/1;"},
		{&pb.ReplayRequest{AllAgents: true, StartTime: at(2, 0), StartTs: u(3), EndTime: at(6, 0), EndTs: u(5)}, "3 tool/2;5 note/4 tool tool/4;"},
		{&pb.ReplayRequest{AgentId: "a", Limit: 1}, "1 note/1 tool/1;"},
		{&pb.ReplayRequest{AgentId: "a", Limit: 2, KeyPrefix: "note"}, "1 note/1;5 note/4;"},
		{&pb.ReplayRequest{AgentId: "a", Limit: 4}, "1 note/1 tool/1;3 tool/2;5 note/4 tool;6 note/1;"},
		{&pb.ReplayRequest{AgentId: "a", Limit: 1<<64 - 1}, "1 note/1 tool/1;3 tool/2;5 note/4 tool;6 note/1;"},
	} {
		for _, encoding := range []pb.ValueEncoding{asStruct, asJSON, noValues} {
			c.req.Encoding = encoding
			if got := r.replayed(c.req); got != c.want {
				t.Errorf("%v: %s, want %s", c.req, got, c.want)
			}
		}
	}
	for what, wire := range map[string][]byte{ // independent of each other: any order
		"agent_id": wireOf(t, &pb.ReplayRequest{AgentId: "a", AllAgents: true}),
		"encoding": wireOf(t, &pb.ReplayRequest{AgentId: "a", Encoding: 9}),
		"time":     wireOf(t, &pb.ReplayRequest{AgentId: "a", StartTime: &timestamppb.Timestamp{Nanos: -1}}),
	} {
		for _, method := range []string{"Replay", "ReplayBatches"} {
			invalidArgument(t, method+" with a bad "+what, r.raw(method, wire), what)
		}
	}
}

// Deletes are told in every encoding, and values come where they were asked for.
func TestReplayEncodings(t *testing.T) {
	r := newRig(t)
	r.transact(set("", "a", "empty", `{}`), remove("", "a", "gone"), set("", "a", "k", `{"n":1.5}`))
	for _, encoding := range []pb.ValueEncoding{asStruct, asJSON, noValues} {
		events := r.both(&pb.ReplayRequest{AgentId: "a", Encoding: encoding})
		for _, op := range events[0].Operations {
			isStruct, isJSON := op.Value != nil, len(op.ValueJson) > 0
			if op.Deleted != (op.Key == "gone") || isStruct != (encoding == asStruct && !op.Deleted) || isJSON != (encoding == asJSON && !op.Deleted) {
				t.Errorf("%v: %v", encoding, op)
			}
		}
	}
}

// A long replay comes whole, in many messages whose cursors can be resumed from.
func TestReplayResumesFromAnyCursor(t *testing.T) {
	r := newRig(t)
	const commits = 300
	value := `{"v":"` + strings.Repeat("x", 4000) + `"}`
	for i := range commits {
		r.put("", fmt.Sprint("a", i%2), "k", value)
	}
	want := r.both(&pb.ReplayRequest{AllAgents: true, Encoding: asJSON})
	if len(want) != commits {
		t.Fatalf("%d events", len(want))
	}
	messages, got := 0, tape{}
	for got.cursor < commits {
		s, err := r.ReplayBatches(timeout(t), &pb.ReplayRequest{AllAgents: true, Encoding: asJSON, StartTs: ptr(got.cursor + 1)})
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + messages%3 { // then drop the connection's stream and resume
			batch, err := s.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			messages++
			if err := got.take(batch); err != nil {
				t.Error(err)
			}
		}
	}
	if summary(got.events) != summary(want) {
		t.Errorf("resumed %d events, want %d, or they differ", len(got.events), commits)
	}
	if messages < 5 {
		t.Errorf("%d messages: this resumes nothing", messages)
	}
}
