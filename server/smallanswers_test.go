package server

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wiretest"
)

// zeroWindow is a client that speaks HTTP/2 by hand and lets no data be sent to it.
type zeroWindow struct {
	t     *testing.T
	conn  net.Conn
	fr    *http2.Framer
	calls uint32
}

func (r *rig) zeroWindow() *zeroWindow {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	z := &zeroWindow{t: r.t, conn: conn, fr: http2.NewFramer(conn, conn)}
	_, err = conn.Write([]byte(http2.ClientPreface))
	if err = errors.Join(err, z.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})); err != nil {
		r.t.Fatal(err)
	}
	return z
}

// call sends a request and returns its stream.
func (z *zeroWindow) call(method string, m proto.Message) uint32 {
	z.t.Helper()
	id := 2*z.calls + 1
	z.calls++
	wire := wireOf(z.t, m)
	err := errors.Join(
		z.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: wiretest.Header(fullMethod(method), "te", "trailers"), EndHeaders: true}),
		z.fr.WriteData(id, true, append(wiretest.Prefix(len(wire)), wire...)),
	)
	if err != nil {
		z.t.Fatal(err)
	}
	return id
}

// answered returns when n more calls have an answer: its header, which no window holds
// back, and which is sent when the answer has been counted.
func (z *zeroWindow) answered(n int) {
	z.t.Helper()
	for range n {
		z.frame(http2.FrameHeaders)
	}
}

// frame reads up to a frame of a kind.
func (z *zeroWindow) frame(kind http2.FrameType) {
	z.t.Helper()
	for {
		f, err := z.fr.ReadFrame()
		if err != nil {
			z.t.Fatal(err)
		}
		if f.Header().Type == kind {
			return
		}
	}
}

// reset gives calls up, and returns when the transport has let go of them: it does
// what it is told in turn, and the answer to a ping comes behind.
func (z *zeroWindow) reset(ids []uint32) {
	z.t.Helper()
	for _, id := range ids {
		_ = z.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	if err := z.fr.WritePing(false, [8]byte{}); err != nil {
		z.t.Fatal(err)
	}
	z.frame(http2.FramePing)
}

// TestSmallAnswersAreCountedToo: an answer of a few bytes that cannot be sent holds a
// stream of the transport, which is what counts.
func TestSmallAnswersAreCountedToo(t *testing.T) {
	var clock stoppedClock
	r := newRig(t, withUnsent(16, 16), clock.use)
	r.put("", "a", "k", `{}`)
	budget, heap := r.service.unsent, heapInUse()
	get := func(z *zeroWindow, n int) (ids []uint32) {
		for range n {
			ids = append(ids, z.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}))
		}
		z.answered(n)
		return ids
	}
	z := r.zeroWindow()
	ids := get(z, 800)
	counted := func(n int64) {
		t.Helper()
		if got := budget.Usage().Common; got != n*unsent.LeastAnswer {
			t.Errorf("%d bytes are counted, want those of %d answers: %d", got, n, n*unsent.LeastAnswer)
		}
	}
	counted(800)
	if held, says := heapInUse()-heap, budget.Usage().Unsent(); held > 3*says/2 {
		t.Errorf("800 answers hold %d KiB, of which %d are counted", held>>10, says>>10)
	}
	z.reset(ids[:300])
	counted(500)
	_ = z.conn.Close()
	r.nothingWaits("its connection is gone")
	// Many such connections run into the budget, and others are still told how things are.
	for range 4 {
		z := r.zeroWindow()
		for range 8 { // a few at a time: past the limit of requests they would have no answers
			get(z, 100)
		}
	}
	if room := budget.Usage().SmallRoom; room >= unsent.LeastAnswer {
		t.Errorf("there is room: %d bytes", room)
	}
	_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
	exhausted(t, "a read", err, "waiting to be sent")
	_, err = r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
	exhausted(t, "a commit, before it is one", err, "waiting to be sent")
	if _, err := r.Health(timeout(t), &pb.HealthRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	clock.Add(int64(unsent.StalledAfter + time.Second)) // then those who do not read make room
	r.put("", "a", "k", `{}`)
}
