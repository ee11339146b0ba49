package sim

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/simdisk"
)

// dataDir is where the daemon keeps its store on the simulated disk.
const dataDir = "/data"

// daemon is one life of the daemon process: the production assembly, with
// everything outside of it simulated.
type daemon struct {
	w          *World
	generation int // from 1, one a start
	service    *server.Service
	codec      encoding.CodecV2
	desc       *grpc.ServiceDesc
	impl       any
	rand       *rand.ChaCha8
	syncs      *gate // of the log; open but between plan and settle
	removals   *gate // of what Pebble needs no more; shut while the daemon lives

	// The end of it. image is what the next process finds; set once, inside the
	// operation in which this one died.
	image  *simdisk.Disk
	how    string        // it died: crash, halt
	halted chan struct{} // closed by Halt, whose goroutine never goes on
	stuck  bool          // it hangs, or is being closed: nobody else may close it
}

func (w *World) newDaemon() *daemon {
	w.generation++
	var key [32]byte
	for i := range 4 {
		s := simdisk.Derive(w.seed, "daemon", fmt.Sprint(w.generation), fmt.Sprint(i))
		for j := range 8 {
			key[8*i+j] = byte(s >> (8 * j))
		}
	}
	d := &daemon{w: w, generation: w.generation, codec: server.Codec(), rand: rand.NewChaCha8(key), syncs: newGate(), removals: newGate(), halted: make(chan struct{})}
	d.syncs.set(true)
	return d
}

func (d *daemon) env() engine.Env {
	return engine.Env{
		FS:    d.w.disk,
		Now:   d.w.wallClock,
		Rand:  func(p []byte) { _, _ = d.rand.Read(p) }, // never fails
		Await: d.w.await,
		Halt:  d.halt,
		Log:   d.w.logged,
	}
}

// halt is the engine's Env.Halt. As in production the process ends here: what
// it had written stays with the operating system, and whoever called is not
// heard of again. Pebble may be left with a lock held, so nobody closes it.
func (d *daemon) halt(reason error) {
	if d.image == nil && !d.w.disk.Dead() {
		d.image, d.how = d.w.disk.Kill(), "halt: "+reason.Error()
		close(d.halted)
	}
	select {}
}

// RegisterService notes the service, as a grpc.Server does.
func (d *daemon) RegisterService(desc *grpc.ServiceDesc, impl any) { d.desc, d.impl = desc, impl }

// assemble builds the service as production does.
func (d *daemon) assemble() (err error) {
	d.service, err = server.Assemble(d.env(), server.Config{Engine: engine.Options{
		Dir: dataDir, Limits: d.w.config.limits(), NoSync: d.w.config.Unsynced,
		Tuning: engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true},
	}})
	if err == nil {
		d.service.Register(d)
	}
	return err
}

// act runs what may touch the disk, and comes back when it is done or the process
// has halted in the middle of it. A panic is a violation: it is the engine's way
// to say that an invariant is broken.
func (d *daemon) act(f func()) {
	done := make(chan string, 1)
	go func() {
		defer func() {
			p := recover()
			if p == nil {
				done <- ""
				return
			}
			done <- fmt.Sprintf("%v\n%s", p, debug.Stack())
		}()
		f()
	}()
	broken, ended := d.watch(done)
	switch {
	case !ended:
		d.w.violate("G9", "hang", 0, "the daemon does not get done, and no step can wake it")
		if d.image == nil {
			d.image, d.how = d.w.disk.Kill(), "hang"
			d.stuck = true
		}
	case broken != "":
		d.w.violate("G7", "panic", 0, "the daemon panicked: "+broken)
	}
	d.w.rest()
}

// How long the daemon may take over what takes it milliseconds. It is the only real
// time in a run, and decides nothing but that the run has failed.
const (
	idleTime = 2 * time.Second  // while all of its goroutines wait: Pebble sleeps, if at all, for 100 ms
	busyTime = 30 * time.Second // while some of them are busy, with nothing that ends
)

// watch waits until what acts is done or the process has halted. One that waits
// for a sync inside of a step gets it, and so for a removal: only the sync that a step
// leaves behind waits for settle.
func (d *daemon) watch(done <-chan string) (broken string, ended bool) {
	begin := time.Now()
	for idle := time.Duration(0); idle < idleTime && time.Since(begin) < busyTime; {
		resting := d.w.rest()
		select {
		case broken = <-done:
			return broken, true
		case <-d.halted:
			return "", true
		default:
		}
		if resting && !d.release() {
			time.Sleep(time.Millisecond)
			idle += time.Millisecond
		}
	}
	return "", false
}

// handle answers one request the way grpc.Server would: codec, interceptor,
// handler.
func (d *daemon) handle(ctx context.Context, t *task, c *call) ([]byte, error) {
	method := record.MethodOf(c.op.Kind)
	name := method[len(d.desc.ServiceName)+2:]
	decode := func(v any) error { return d.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(c.req)}, v) }
	for i := range d.desc.Methods {
		if m := &d.desc.Methods[i]; m.MethodName == name {
			resp, err := m.Handler(d.impl, ctx, decode, d.service.Unary)
			if err != nil {
				return nil, err
			}
			return d.encode(resp)
		}
	}
	for i := range d.desc.Streams {
		if m := &d.desc.Streams[i]; m.StreamName == name {
			s := &serverStream{d: d, t: t, c: c, ctx: ctx, decode: decode}
			return nil, d.service.Stream(d.impl, s, &grpc.StreamServerInfo{FullMethod: method, IsServerStream: true}, m.Handler)
		}
	}
	panic("sim: no method " + method)
}

func (d *daemon) encode(m any) ([]byte, error) {
	b, err := d.codec.Marshal(m)
	if err != nil {
		return nil, err
	}
	defer b.Free()
	return b.Materialize(), nil
}

type serverStream struct {
	d      *daemon
	t      *task
	c      *call
	ctx    context.Context
	decode func(any) error
	read   bool
}

func (s *serverStream) SetHeader(metadata.MD) error  { return nil }
func (s *serverStream) SendHeader(metadata.MD) error { return nil }
func (s *serverStream) SetTrailer(metadata.MD)       {}
func (s *serverStream) Context() context.Context     { return s.ctx }

func (s *serverStream) RecvMsg(m any) error {
	if s.read {
		return io.EOF
	}
	s.read = true
	return s.decode(m)
}

func (s *serverStream) SendMsg(m any) error {
	if !s.t.park(func() bool { return len(s.c.msgs) < streamWindow || s.ctx.Err() != nil }) {
		return context.Canceled
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	raw, err := s.d.encode(m)
	if err == nil {
		s.c.msgs = append(s.c.msgs, raw)
	}
	return err
}
