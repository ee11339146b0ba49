package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/capture"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// memory is the recorder's file system.
type memory struct {
	mu    sync.Mutex
	files map[string]*memFile
}

type memFile struct {
	name string
	data []byte
}

func newMemory() *memory { return &memory{files: make(map[string]*memFile)} }

func (m *memory) MkdirAll(string) error { return nil }

func (m *memory) List(string) (list []fs.FileInfo, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files { // in any order, as FS says
		list = append(list, f)
	}
	return list, nil
}

func (m *memory) Create(path string) (capture.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] != nil {
		return nil, fs.ErrExist
	}
	f := &memFile{name: filepath.Base(path)}
	m.files[path] = f
	return f, nil
}

func (m *memory) Open(path string) (capture.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.files[path]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] == nil {
		return fs.ErrNotExist
	}
	delete(m.files, path)
	return nil
}

func (m *memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[from]
	delete(m.files, from)
	f.name = filepath.Base(to)
	m.files[to] = f
	return nil
}

func (f *memFile) Write(p []byte) (int, error) { f.data = append(f.data, p...); return len(p), nil }
func (f *memFile) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(f.data).ReadAt(p, at)
}
func (f *memFile) Close() error       { return nil }
func (f *memFile) Name() string       { return f.name }
func (f *memFile) Size() int64        { return int64(len(f.data)) }
func (f *memFile) Mode() fs.FileMode  { return 0o600 }
func (f *memFile) ModTime() time.Time { return time.Time{} }
func (f *memFile) IsDir() bool        { return false }
func (f *memFile) Sys() any           { return nil }

// recording: of what is captured nothing is missing without a word, and the history that is
// made of it is one that the judges accept.
func recording(w *world) {
	log, ids := func(string, ...any) {}, rand.New(rand.NewPCG(w.rand.Uint64(), 3))
	var clock atomic.Int64
	c := captures.New(captures.Config{Dir: "ring", MaxBytes: capture.MinBytes, On: true, Env: capture.Env{
		FS:     w.memory,
		Now:    func() time.Time { return time.UnixMicro(clock.Add(1)) },
		Rand:   func(p []byte) { ids.Uint64(); clear(p) },
		Within: func(_ time.Duration, f func(context.Context) error) error { return f(context.Background()) },
	}}, "data")
	w.env = c.Env(w.env)
	w.open(engine.Options{})
	c.Open(w.e, "", log)
	chain := c.Unary(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		return h(ctx, req)
	})
	info := &grpc.UnaryServerInfo{FullMethod: pb.StatehouseService_Transact_FullMethodName}
	asked := 0
	ask := func(i int) {
		req := &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{{AgentId: "a", Key: fmt.Sprint("k", i%2), ValueJson: fmt.Appendf(nil, `{"n":%d}`, i)}}}
		_, err := chain(context.Background(), req, info, func(ctx context.Context, _ any) (any, error) {
			r, err := w.e.Transact(ctx, engine.TxnID(req.GetTxnId()), []engine.Write{write(engine.RecordName{Agent: "a", Key: req.GetOperations()[0].GetKey()}, i)}, engine.Conditions{})
			if err != nil {
				return nil, err
			}
			return &pb.TransactResponse{CommitTs: uint64(r.CommitTS), CommitTime: timestamppb.New(r.CommitTime), Versions: []uint64{uint64(r.Versions[0].Version)}}, nil
		})
		w.must("commit", err)
		asked++
	}
	threads := []func(){}
	for i := range 1 + w.few(2) {
		threads = append(threads, func() { ask(2 * i); ask(2*i + 1) })
	}
	n := w.few(3)
	threads = append(threads, func() {
		for range n {
			turns.Tick() // the ring is written
		}
	})
	if w.rand.IntN(2) == 0 {
		threads = append(threads, func() { w.dump(c, -1) })
	}
	w.while(func() {
		ctx, stop := context.WithCancel(context.Background())
		var all turns.WaitGroup
		all.Go(func() { c.Run(ctx) })
		together(threads...)
		stop()
		all.Wait()
	})
	w.must("end of dumps", c.EndDumps())
	w.dump(c, asked)
	w.must("close of the recorder", c.Close())
}

// dump reads what was captured, which must be right, and of so many operations unless
// that is not known.
func (w *world) dump(c *captures.Captures, operations int) {
	var b bytes.Buffer
	if err := c.Dump(context.Background(), &b, capture.RedactNothing); err != nil && !errors.Is(err, capture.ErrNothing) {
		turns.Fail("a dump failed: %v", err)
	}
	h, err := history.ReadHistory(bytes.NewReader(b.Bytes()))
	w.must("a dump cannot be read", err)
	if operations >= 0 && len(h.Operations) != operations {
		turns.Fail("%d requests were answered while a capture was on; it has %d", operations, len(h.Operations))
	}
	if judged := linearizability.Check(h, linearizability.Options{}); judged.Verdict != verdict.OK {
		turns.Fail("a capture is not accepted: %s %+v", judged.Verdict, judged.Violations)
	}
}
