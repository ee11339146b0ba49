package server

import (
	"testing"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Who committed and in which trace comes back in replays, watches and histories.
func TestPrincipalComesBack(t *testing.T) {
	r := newRig(t)
	r.mute = true // a capture knows nothing of what is asked of the engine itself
	write := []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`)}}
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	if _, err := r.service.Engine().Transact(t.Context(), "x", write, engine.Conditions{Principal: "ops", TraceID: trace}); err != nil {
		t.Fatal(err)
	}
	events := r.both(&pb.ReplayRequest{AgentId: "a", Encoding: asJSON})
	if len(events) != 1 || events[0].Principal != "ops" || events[0].TraceId != trace {
		t.Errorf("replay: %v", events)
	}
	h, err := r.GetHistory(timeout(t), &pb.GetHistoryRequest{AgentId: "a", Key: "k"})
	if err != nil || len(h.Entries) != 1 || h.Entries[0].Principal != "ops" || h.Entries[0].TraceId != trace {
		t.Errorf("history: %v %v", h, err)
	}
}
