package structwire

import (
	"testing"

	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestUnmarshal: an answer that was unmarshalled is the same bytes again, and none of its Structs was parsed.
func TestUnmarshal(t *testing.T) {
	entry := &pb.StateEntry{Key: "k", Version: 7}
	if _, err := Set(entry, Fields{2, 7}, []byte(`{"a":[1,{"b":9007199254740993}]}`)); err != nil {
		t.Fatal(err)
	}
	state := &pb.GetStateResponse{Version: 3}
	if _, err := Set(state, Fields{1, 8}, []byte(`{"c":"d"}`)); err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{
		&pb.ScanPrefixResponse{Entries: []*pb.StateEntry{{Key: "other", ValueJson: []byte("{}")}, entry}, ReadTs: 9},
		&pb.BatchGetStateResponse{States: []*pb.GetStateResponse{state, state}},
		state,
		&pb.TransactResponse{CommitTs: 4, Versions: []uint64{1, 2}},
	} {
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		if err := Unmarshal(wire, got); err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		switch got := got.(type) {
		case *pb.ScanPrefixResponse:
			if got.Entries[1].Value != nil || len(got.Entries[1].ProtoReflect().GetUnknown()) == 0 {
				t.Errorf("%v was parsed", got.Entries[1])
			}
		case *pb.GetStateResponse:
			if got.Value != nil {
				t.Errorf("%v was parsed", got)
			}
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
		if err != nil || string(again) != string(wire) && len(again) != len(wire) {
			t.Errorf("%T: %x became %x, %v", m, wire, again, err)
		}
		parsed, want := m.ProtoReflect().New().Interface(), m.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(again, parsed); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(wire, want); err != nil || !proto.Equal(parsed, want) {
			t.Errorf("%T: %v became %v", m, want, parsed)
		}
	}
	if err := Unmarshal([]byte{0xff}, state); err == nil {
		t.Error("what is no message is unmarshalled")
	}
}
