package programs

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// transport is what gRPC is to a stream: it takes messages, and frees them when the client
// has read them.
type transport struct {
	grpc.ServerStream
	ctx     context.Context
	unread  []mem.BufferSlice
	ended   bool
	cursor  uint64
	commits []uint64
}

func (t *transport) Context() context.Context     { return t.ctx }
func (t *transport) SetHeader(metadata.MD) error  { return nil }
func (t *transport) SendHeader(metadata.MD) error { return nil }

func (t *transport) SendMsg(m any) error {
	data, is := unsent.Encoded(m)
	if !is {
		turns.Fail("G9: a message goes to the transport uncounted: %T", m)
	}
	if err := t.ctx.Err(); err != nil {
		data.Free()
		return err
	}
	t.unread = append(t.unread, data)
	turns.Point()
	return nil
}

// read takes messages as a client does, until the stream has ended and all are taken.
func (t *transport) read(after func()) {
	for {
		turns.Until(func() bool { return len(t.unread) > 0 || t.ended })
		if len(t.unread) == 0 {
			return
		}
		data := t.unread[0]
		t.unread = t.unread[1:]
		var batch pb.EventBatch
		if err := proto.Unmarshal(data.Materialize(), &batch); err != nil {
			turns.Fail("G5: a message of a stream cannot be read: %v", err)
		}
		data.Free()
		for _, ev := range batch.GetEvents() {
			if ev.GetCommitTs() <= t.cursor {
				turns.Fail("G5: a stream has sent commit %d after %d", ev.GetCommitTs(), t.cursor)
			}
			t.cursor = ev.GetCommitTs()
			t.commits = append(t.commits, t.cursor)
		}
		if batch.GetCursor() < t.cursor {
			turns.Fail("G5: a stream's cursor %d is before commit %d", batch.GetCursor(), t.cursor)
		}
		after()
	}
}

// streams: a replay and a watch with a client that reads slowly. What is not given up
// arrives whole, and nothing is left of either.
func streams(w *world) {
	size := []int{100, 3 << 10, 7 << 10, 20 << 10}[w.rand.IntN(4)]
	before, during := w.rand.IntN(4), w.few(2)
	s, err := server.Assemble(w.env, server.Config{Engine: engine.Options{Dir: "data", Tuning: engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}}})
	w.must("opening", err)
	w.undone = append(w.undone, func() { _ = s.Close() })
	w.e = s.Engine()
	b := unsent.New(1<<20, 32, &w.env, access.Principal)
	commit := func(i int) {
		value := fmt.Appendf(nil, `{"n":"%0*d"}`, size, i)
		_, err := w.e.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", i)), []engine.Write{{Name: name(0, i), Value: value}}, engine.Conditions{})
		w.must("commit", err)
	}
	w.while(func() {
		for i := range before {
			commit(i)
		}
		threads := []func(){func() {
			for i := range during {
				commit(before + i)
			}
		}}
		for range w.few(2) {
			threads = append(threads, w.stream(s, b, before, before+during)...)
		}
		together(threads...)
	})
	nothing(b)
}

// stream makes the threads of a stream: its handler, its client and what ends it.
func (w *world) stream(s *server.Service, b *unsent.Budget, before, all int) []func() {
	c, ctx := w.connect(b)
	ctx, cancel := context.WithCancel(ctx)
	t := &transport{ctx: ctx}
	w.undone = append(w.undone, func() { cancel(); _ = c.Close() })
	watch, given := w.rand.IntN(3) > 0, w.rand.IntN(3) == 0
	var handler grpc.StreamHandler = func(_ any, ss grpc.ServerStream) error {
		return s.ReplayBatches(&pb.ReplayRequest{AllAgents: true, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON}, &grpc.GenericServerStream[pb.ReplayRequest, pb.EventBatch]{ServerStream: ss})
	}
	if watch {
		handler = func(_ any, ss grpc.ServerStream) error {
			after := uint64(0)
			return s.Watch(&pb.WatchRequest{AllAgents: true, AfterTs: &after, Encoding: pb.ValueEncoding_VALUE_ENCODING_JSON}, &grpc.GenericServerStream[pb.WatchRequest, pb.EventBatch]{ServerStream: ss})
		}
	}
	end := func() {
		cancel()
		if len(t.commits)%2 == 0 {
			_ = c.Close()
		}
	}
	threads := []func(){
		func() {
			err := b.Stream(nil, t, nil, handler)
			t.ended = true
			switch {
			case err == nil && !watch, errors.Is(err, engine.ErrStopped), ctx.Err() != nil:
			case err == nil:
				turns.Fail("G9: a watch ended by itself")
			default:
				turns.Fail("a stream ended with %v", err)
			}
		},
		func() {
			t.read(func() {
				if watch && !given && len(t.commits) == all {
					end()
				}
			})
			if !given && len(t.commits) < before {
				turns.Fail("G5: a stream ended in order after %d of %d commits", len(t.commits), before)
			}
		},
	}
	if given {
		threads = append(threads, func() { turns.Point(); end() })
	}
	return threads
}
