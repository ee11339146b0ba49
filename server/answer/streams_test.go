package answer

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// No message of events is larger than clients accept, and a stream that cannot send an event has sent those before.
func TestEventsFitMessages(t *testing.T) {
	s := &Service{config: Config{Tuning: Tuning{}.WithDefaults()}}
	for size := MaxBytes - 12; size < MaxBytes+4; size++ {
		first := &pb.ReplayEvent{TxnId: "first", CommitTs: 1, Operations: []*pb.Operation{{Key: "k"}}}
		big := &pb.ReplayEvent{TxnId: "x", CommitTs: 2, Operations: []*pb.Operation{{Key: "k", ValueJson: []byte{}}}}
		big.Operations[0].ValueJson = make([]byte, size-proto.Size(big)-12)
		sent := []string{}
		cursor := uint64(0)
		err := s.batchSender("", func(b *pb.EventBatch) error {
			if proto.Size(b) > MaxBytes+1024 {
				t.Errorf("a message of %d bytes", proto.Size(b))
			}
			for _, ev := range b.Events {
				sent = append(sent, ev.TxnId)
			}
			cursor = b.Cursor
			return nil
		})([]*pb.ReplayEvent{first, big}, 9)
		all := len(sent) == 2 && err == nil && cursor == 9
		some := len(sent) == 1 && cursor == 1 && errors.Is(err, engine.ErrLimit)
		if !all && !some {
			t.Errorf("an event of %d bytes: sent %v to cursor %d, error %v", proto.Size(big), sent, cursor, err)
		}
	}
}
