package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
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
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", fullMethod(method)}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	id := 2*z.calls + 1
	z.calls++
	wire := wireOf(z.t, m)
	err := errors.Join(
		z.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}),
		z.fr.WriteData(id, true, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(wire))), wire...)),
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
	budget, heap := r.service.sendBudget, heapInUse()
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
		if got := budget.common.Load(); got != n*leastAnswer {
			t.Errorf("%d bytes are counted, want those of %d answers: %d", got, n, n*leastAnswer)
		}
	}
	counted(800)
	if held, says := heapInUse()-heap, budget.unsent(); held > 3*says/2 {
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
	if err := budget.tryFull(); err != nil {
		t.Errorf("there is room: %v", err)
	}
	_, err := r.GetState(timeout(t), &pb.GetStateRequest{AgentId: "a", Key: "k"})
	exhausted(t, "a read", err, "waiting to be sent")
	_, err = r.Transact(timeout(t), &pb.TransactRequest{TxnId: r.id(), Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}})
	exhausted(t, "a commit, before it is one", err, "waiting to be sent")
	if _, err := r.Health(timeout(t), &pb.HealthRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	clock.Add(int64(stalledAfter + time.Second)) // then those who do not read make room
	r.put("", "a", "k", `{}`)
}

// tryFull is nil when small answers have no room.
func (b *sendBudget) tryFull() error {
	if b.common.Load()+leastAnswer <= b.ceiling(prioritySmall) {
		return errNotYet
	}
	return nil
}

// loneBudget is a budget of 16 MiB with connections that are nothing else, each of which
// has not read n bytes for long.
func loneBudget(unread ...int64) (b *sendBudget, list []*connBudget) {
	env := engine.MemoryEnv(nil, func(string, ...any) {})
	b = newSendBudget(&Config{UnsentBytes: 16 << 20, Streams: 16}, &env)
	for _, n := range unread {
		l := &connBudget{Addr: &net.TCPAddr{}, budget: b}
		l.close = l.ended
		b.conns[l] = struct{}{}
		h, _ := b.tryTake(l, nil, n, priorityDone)
		h.since = h.since.Add(-2 * stalledAfter)
		list = append(list, l)
	}
	return b, list
}

// TestRoomThatComesMeanwhile: whoever does not read may go, or be closed for another
// request, at any moment while a request looks for room. It is not refused when that has
// made room, and closes nobody else for it.
func TestRoomThatComesMeanwhile(t *testing.T) {
	asks := map[string]func(*sendBudget) error{ // each for itself: any order
		"before it is served": func(b *sendBudget) error { return b.full(prioritySmall) },
		"its answer": func(b *sendBudget) error {
			_, err := b.take(&connBudget{budget: b}, nil, leastAnswer, prioritySmall)
			return err
		},
	}
	const moments = 4 // more than the clock is looked at
	for what, ask := range asks {
		for moment := range moments {
			for _, unread := range [][]int64{{15 << 20}, {10 << 20, 5 << 20}} {
				b, list := loneBudget(unread...)
				now, looks := b.now, 0
				b.now = func() time.Time {
					if looks++; looks == moment+1 {
						list[0].close()
					}
					return now()
				}
				if err := ask(b); err != nil {
					t.Errorf("%s, at look %d at the clock: %v", what, moment, err)
				}
				if !list[0].gone || len(list) > 1 && list[1].gone {
					t.Errorf("%s, at look %d at the clock, of %v: not the first, or not only that, was closed", what, moment, unread)
				}
			}
		}
	}
}

// TestRefusedPagesTakeNoRoom: while pages are refused, small answers that have room have
// it at any time.
func TestRefusedPagesTakeNoRoom(t *testing.T) {
	b, _ := loneBudget()
	l := &connBudget{budget: b}
	if _, held := b.tryTake(l, nil, b.ceiling(priorityPage), priorityPage); held != 0 {
		t.Fatal("nothing was held")
	}
	done := make(chan struct{})
	var pages sync.WaitGroup
	for range 4 {
		pages.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if h, _ := b.tryTake(l, nil, 4<<20, priorityPage); h != nil {
						t.Error("a page was let in")
					}
				}
			}
		})
	}
	for range 20_000 {
		h, held := b.tryTake(l, nil, leastAnswer, prioritySmall)
		if h == nil {
			t.Errorf("a small answer was refused, with %d bytes held of %d", held, b.ceiling(prioritySmall))
			break
		}
		h.release()
	}
	close(done)
	pages.Wait()
}
