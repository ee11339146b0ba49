package conns

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"statehouse.dev/statehouse/server/wiretest"
)

// converse reads message by message, and says at the end how many there were. It reads on
// when it is let go on, unless the first message is empty.
func (r *rig) converse(ss grpc.ServerStream) error {
	s := FromContext(ss.Context())
	refused := make(chan error, 1)
	s.OnRefusal(func(err error) { refused <- err })
	s.Converse()
	n := 0
	for {
		m := new(wrapperspb.BytesValue)
		received := make(chan error, 1)
		go func() { received <- ss.RecvMsg(m) }()
		var err error
		select {
		case err = <-received:
		case err = <-refused:
			return status.Error(codes.ResourceExhausted, err.Error())
		}
		switch {
		case errors.Is(err, io.EOF):
			return ss.SendMsg(wrapperspb.Bytes(fmt.Append(nil, n)))
		case err != nil:
			return err
		}
		if n++; n == 1 && len(m.Value) > 0 {
			select {
			case <-r.release:
			case <-ss.Context().Done():
				return ss.Context().Err()
			}
		}
		s.Took(proto.Size(m))
		s.conn.mu.Lock()
		window, unread := s.window, s.unread
		s.conn.mu.Unlock()
		if window+unread > firstWindow+firstWindow/16+int64(limits.Message+limits.Message/16) {
			return status.Errorf(codes.Internal, "window %d, unread %d", window, unread)
		}
	}
}

// Messages of all sizes, for longer than any window would last that were not widened, or
// widened too much.
func TestConversations(t *testing.T) {
	r := newRig(t, limits, false)
	conn := r.dial(here)
	defer conn.Close()
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(c)))
			stream, err := conn.NewStream(timeout(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Converse")
			if err != nil {
				t.Error(err)
				return
			}
			sizes := []int{0}
			for total := 0; total < 24<<20; {
				n := rnd.IntN(200)
				switch rnd.IntN(50) {
				case 0:
					n = int(limits.Message) - 16
				case 1:
					n = rnd.IntN(int(limits.Message) - 16)
				case 2:
					n = firstWindow - 12 + rnd.IntN(16) // round the window
				}
				sizes, total = append(sizes, n), total+n+200
			}
			for i, n := range sizes {
				if err := stream.SendMsg(wrapperspb.Bytes(make([]byte, n))); err != nil {
					t.Errorf("message %d, of %d bytes: %v", i, n, err)
					break
				}
			}
			_ = stream.CloseSend()
			var told wrapperspb.BytesValue
			if err := stream.RecvMsg(&told); err != nil || string(told.Value) != fmt.Sprint(len(sizes)) {
				t.Errorf("%d messages: %q read, %v", len(sizes), told.Value, err)
			}
		})
	}
	clients.Wait()
}

// A handler that reads no further stalls its client at the window, and holds no more.
func TestConversationsStall(t *testing.T) {
	r := newRig(t, limits, false)
	conn := r.dial(here)
	defer conn.Close()
	stream, err := conn.NewStream(timeout(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Converse")
	if err != nil {
		t.Fatal(err)
	}
	const n, size = 1000, 1000
	sent := make(chan error, 1)
	go func() {
		for range n {
			if err := stream.SendMsg(wrapperspb.Bytes(make([]byte, size))); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	eventually(t, "the window is full", func() error {
		if held := r.table.bodies.held.Load(); held < firstWindow/2 {
			return errNotYet
		}
		return nil
	})
	time.Sleep(50 * time.Millisecond)
	if held := r.table.bodies.held.Load(); held > 3*firstWindow {
		t.Errorf("%d bytes are held", held)
	}
	close(r.release)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	var told wrapperspb.BytesValue
	if err := stream.RecvMsg(&told); err != nil || string(told.Value) != fmt.Sprint(n) {
		t.Errorf("%q read, %v", told.Value, err)
	}
}

// A long message that does not arrive is refused, and with it the conversation.
func TestConversationsThatStop(t *testing.T) {
	l := limits
	l.Body = 200 * time.Millisecond
	r := newRig(t, l, false)
	w := r.raw()
	id := w.begin("Converse")
	_ = w.fr.WriteData(id, false, wiretest.Prefix(0))
	_ = w.fr.WriteData(id, false, wiretest.Prefix(500_000)) // and no more
	w.ended("it", id, resourceExhausted, "did not arrive")
}
