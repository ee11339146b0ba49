package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// store answers transactions, and is the source of their log.
type store struct {
	mu   sync.Mutex
	log  []history.Event
	last map[string]uint64 // version by key
	// damaged commits cannot be read.
	damaged map[uint64]bool
}

func newStore() *store { return &store{last: make(map[string]uint64), damaged: make(map[uint64]bool)} }

func (s *store) published() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return uint64(len(s.log)) }

func (s *store) transact(_ context.Context, m any) (any, error) {
	req := m.(*pb.TransactRequest)
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := history.Event{CommitTS: uint64(len(s.log) + 1), TxnID: req.GetTxnId()}
	resp := &pb.TransactResponse{CommitTs: ev.CommitTS}
	for _, o := range req.GetOperations() {
		s.last[o.GetKey()]++
		ev.Ops = append(ev.Ops, history.EventOp{Name: history.Name{Namespace: "default", Agent: o.GetAgentId(), Key: o.GetKey()}, Version: s.last[o.GetKey()], Value: string(o.GetValueJson())})
		resp.Versions = append(resp.Versions, s.last[o.GetKey()])
	}
	s.log = append(s.log, ev)
	return resp, nil
}

func (s *store) Events(after, last uint64, f func(*history.Event) error) error {
	var bad *UnreadableError
	for i := after; i < last; i++ {
		ev := s.log[i]
		if s.damaged[ev.CommitTS] {
			bad = &UnreadableError{Commits: []uint64{ev.CommitTS}, Err: errors.New("rot")}
			continue
		}
		if err := f(&ev); err != nil {
			return err
		}
	}
	if bad != nil {
		return bad
	}
	return nil
}

func (s *store) Record(at uint64, n history.Name) (history.Record, error) {
	r := history.Record{Name: n}
	for i := range s.log[:at] {
		for _, o := range s.log[i].Ops {
			if o.Name == n {
				r = history.Record{Name: n, Exists: true, Version: o.Version, CommitTS: s.log[i].CommitTS, Value: o.Value}
			}
		}
	}
	return r, nil
}

func (s *store) Records(uint64, string, string, string, func(history.Record) error) error { return nil }
func (s *store) Namespaces(uint64) ([]string, error)                                      { return nil, nil }
func (s *store) Agents(at uint64, ns, prefix string, f func(history.Agent) error) error {
	if at == 0 {
		return nil
	}
	return f(history.Agent{Namespace: ns, Agent: prefix, FirstTS: 1, HeadTS: at})
}

// recorder records in memory, into what files has in the directory ring.
func (s *store) recorder(t *testing.T, files *memory) *Recorder {
	t.Helper()
	r := New(worldOf(files), Config{Dir: "ring", MaxBytes: MinBytes, Published: s.published, Log: func(event string, attrs ...any) { t.Log(event, attrs) }})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	somebody = peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}})
	transact = &grpc.UnaryServerInfo{FullMethod: pb.StatehouseService_Transact_FullMethodName}
)

// write commits n times through a recorder.
func (s *store) write(t *testing.T, r *Recorder, n int, value string) {
	t.Helper()
	for range n {
		req := &pb.TransactRequest{TxnId: fmt.Sprintf("t%d", len(s.log)+1), Operations: []*pb.TransactOperation{{
			AgentId: "secret-agent", Key: fmt.Sprintf("secret-key-%d", len(s.log)%7), ValueJson: []byte(value),
		}}}
		if _, err := r.Unary(somebody, req, transact, s.transact); err != nil {
			t.Fatal(err)
		}
	}
}

// dumped is what the ring holds, as a history, and judged.
func dumped(t *testing.T, dump func(*bytes.Buffer) error) (*history.History, linearizability.Result, string) {
	t.Helper()
	var b bytes.Buffer
	if err := dump(&b); err != nil {
		t.Fatal(err)
	}
	h, err := history.ReadHistory(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return h, linearizability.Check(h, linearizability.Options{}), b.String()
}

func (s *store) dump(t *testing.T, r *Recorder, redaction Redaction) (*history.History, linearizability.Result, string) {
	t.Helper()
	return dumped(t, func(b *bytes.Buffer) error { return r.Dump(t.Context(), b, Options{Source: s, Redaction: redaction}) })
}

func TestRedaction(t *testing.T) {
	s := newStore()
	r := s.recorder(t, newMemory())
	defer r.Close()
	s.write(t, r, 20, `{"secret":"value"}`)
	for redaction, hidden := range map[Redaction][]string{RedactNothing: nil, RedactValues: {`value\"`}, RedactNames: {`value\"`, "secret"}} {
		h, judged, text := s.dump(t, r, redaction)
		if judged.Verdict != verdict.OK || len(h.Operations) != 20 || len(h.Log) != 20 || len(h.Gaps) != 0 {
			t.Errorf("redaction %d: %s, %d operations, %d events, gaps %v", redaction, judged.Verdict, len(h.Operations), len(h.Log), h.Gaps)
		}
		for _, word := range hidden {
			if strings.Contains(text, word) {
				t.Errorf("redaction %d shows %q", redaction, word)
			}
		}
		if redaction == RedactNothing && !strings.Contains(text, "secret-key-3") {
			t.Errorf("nothing is redacted, and the names are not there")
		}
	}
}

// Full rings drop their oldest part, processes that are killed what they had not
// written: both are said, and what is left is right.
func TestRingOverflowsAndProcessesDie(t *testing.T) {
	s, files := newStore(), newMemory()
	r := s.recorder(t, files)
	value := `{"pad":"` + strings.Repeat("x", 2000) + `"}`
	for range 50 {
		s.write(t, r, 20, value)
		if err := r.flush(kindMark); err != nil {
			t.Fatal(err)
		}
	}
	s.write(t, r, 5, value) // of which only a part reaches the disk
	if err := r.flush(kindMark); err != nil {
		t.Fatal(err)
	}
	kept, err := segmentsOf(files, "ring")
	if err != nil {
		t.Fatal(err)
	}
	files.cut(kept[len(kept)-1].path, 9000)

	r = s.recorder(t, files) // goes on by itself
	defer r.Close()
	s.write(t, r, 50, value)
	h, judged, _ := s.dump(t, r, RedactValues)
	var why []string
	for _, g := range h.Gaps {
		why = append(why, g.Why)
	}
	if len(why) != 2 || why[0] != whyWrapped || why[1] != whyKilled {
		t.Errorf("gaps: %v", why)
	}
	if judged.Verdict != verdict.OK || h.Header.Base == nil || len(h.Operations) < 100 || judged.Stats.Unexplained != 5 {
		t.Errorf("%s %+v: %d operations, %+v, %+v", judged.Verdict, judged.Violations, len(h.Operations), h.Header.Base, judged.Stats)
	}
	if size := r.ring.bytes(); size > MinBytes+MinBytes/segments {
		t.Errorf("the ring has %d bytes", size)
	}
}

// What the disk cannot keep up with is lost, counted, and said; nobody waits.
func TestLoss(t *testing.T) {
	s := newStore()
	r := s.recorder(t, newMemory())
	defer r.Close()
	r.ring.max = 1 << 30
	value := `{"pad":"` + strings.Repeat("x", 1<<20) + `"}`
	s.write(t, r, 40, value) // while nothing is written
	s.write(t, r, 3, `{}`)
	h, judged, _ := s.dump(t, r, RedactValues)
	lost := 0
	for _, g := range h.Gaps {
		lost += g.Lost
	}
	if lost == 0 || uint64(lost) != r.Status().Lost || len(h.Operations)+lost != 43 || judged.Verdict != verdict.OK {
		t.Errorf("%d lost, %d recorded, status %+v, %s %+v", lost, len(h.Operations), r.Status(), judged.Verdict, judged.Violations)
	}
}

// A log that cannot be read is made up of what clients were told.
func TestDamagedLog(t *testing.T) {
	s := newStore()
	r := s.recorder(t, newMemory())
	defer r.Close()
	s.write(t, r, 10, `{"n":1}`)
	s.damaged[4] = true
	h, _, text := s.dump(t, r, RedactValues)
	if h.Complete || !strings.Contains(text, "rot") || len(h.Log) != 9 {
		t.Errorf("complete %v, %d events", h.Complete, len(h.Log))
	}
	if missing := h.Rebuild(); len(missing) != 0 || len(h.Log) != 10 || linearizability.Check(h, linearizability.Options{}).Verdict != verdict.OK {
		t.Errorf("missing %v, %d events", missing, len(h.Log))
	}
}

// A wrong answer is found in a capture, whatever the rest.
func TestWrongAnswerIsFound(t *testing.T) {
	s := newStore()
	r := s.recorder(t, newMemory())
	defer r.Close()
	s.write(t, r, 5, `{"n":1}`)
	s.log[2].Ops[0].Value = `{"n":2}`
	if _, judged, _ := s.dump(t, r, RedactValues); judged.Verdict != verdict.Illegal || judged.Violations[0].Op != 3 {
		t.Errorf("%s %+v", judged.Verdict, judged.Violations)
	}
}

func TestStopAndStart(t *testing.T) {
	s, files := newStore(), newMemory()
	r := s.recorder(t, files)
	defer r.Close()
	s.write(t, r, 5, `{"n":1}`)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	s.write(t, r, 5, `{"n":2}`)
	h, judged, _ := s.dump(t, r, RedactValues)
	if len(h.Operations) != 5 || len(h.Log) != 5 || judged.Verdict != verdict.OK || len(h.Gaps) != 0 {
		t.Errorf("stopped: %d operations, %d events, %s, gaps %v", len(h.Operations), len(h.Log), judged.Verdict, h.Gaps)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	s.write(t, r, 4, `{"n":3}`)
	if h, judged, _ = s.dump(t, r, RedactValues); len(h.Operations) != 4 || h.Header.Base.CommitTS != 10 || judged.Verdict != verdict.OK {
		t.Errorf("started again: %d operations, %+v, %s %+v", len(h.Operations), h.Header.Base, judged.Verdict, judged.Violations)
	}
}

// Of requests under way no two have the same lane.
func TestLanes(t *testing.T) {
	var l lanes
	var taken [3000]bool
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				lane := l.take()
				mu.Lock()
				if taken[lane] {
					t.Errorf("lane %d is taken twice", lane)
				}
				taken[lane] = true
				mu.Unlock()
				mu.Lock()
				taken[lane] = false
				mu.Unlock()
				l.leave(lane)
			}
		})
	}
	all.Wait()
	if l.active.Load() != 0 || l.take() != 0 {
		t.Error("lanes are left taken")
	}
}

// FuzzTape: no bytes in a ring make reading it do more than fail.
func FuzzTape(f *testing.F) {
	s := newStore()
	files := newMemory()
	r := New(worldOf(files), Config{Dir: "ring", MaxBytes: MinBytes, Published: s.published, Log: func(string, ...any) {}})
	if err := r.Start(); err != nil {
		f.Fatal(err)
	}
	for range 3 {
		req := &pb.TransactRequest{TxnId: fmt.Sprint(rand.Int()), Operations: []*pb.TransactOperation{{AgentId: "a", Key: "k", ValueJson: []byte(`{"n":1}`)}}}
		if _, err := r.Unary(somebody, req, transact, s.transact); err != nil {
			f.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		f.Fatal(err)
	}
	first := filepath.Join("ring", segmentName(1))
	seed, err := readFile(files, first)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		files := newMemory()
		if err := writeFile(files, first, fixSums(data)); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if (&Recorder{env: worldOf(files), config: Config{Dir: "ring"}}).Dump(t.Context(), &b, Options{}) == nil {
			if _, err := history.ReadHistory(&b); err != nil && !strings.Contains(err.Error(), "two operations") {
				t.Errorf("what was dumped cannot be read: %v", err)
			}
		}
	})
}

// fixSums makes the checksums right, so that what they guard is tried.
func fixSums(data []byte) []byte {
	data = bytes.Clone(data)
	for rest := data; len(rest) >= chunkHeader; {
		n := uint64(rest[0]) | uint64(rest[1])<<8 | uint64(rest[2])<<16 | uint64(rest[3])<<24
		if n > uint64(len(rest)-chunkHeader) {
			break
		}
		sum(rest[:chunkHeader+n])
		rest = rest[chunkHeader+n:]
	}
	return data
}
