package capture

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/history"
)

// FlushEvery is how long what was recorded may wait until it is written: that much
// is lost when the process is killed.
const FlushEvery = 10 * time.Millisecond

// maxPending bounds what waits to be written, in bytes: when the disk is slower
// than clients are, what does not fit is lost.
const maxPending = 16 << 20

// MinBytes is the smallest ring.
const MinBytes = 1 << 20

// Config of a recorder.
type Config struct {
	Dir      string // of the ring; made when a capture begins
	MaxBytes int64  // of the ring
	Store    string // its id: what was captured of another one is forgotten
	// Build and Settings are of the daemon, for the header of a history. No secrets.
	Build    string
	Settings map[string]string
	// Published is the last commit that everybody may read.
	Published func() uint64
	// Log tells of what an operator should know.
	Log func(event string, attrs ...any)
}

// Recorder records what passes its interceptors, while it is on. It is safe for
// concurrent use.
type Recorder struct {
	config  Config
	born    time.Time // life times count from here
	on      atomic.Bool
	calls   atomic.Uint64 // ids
	lanes   lanes
	clients clientNames

	operations atomic.Uint64
	lostEver   atomic.Uint64

	mu      sync.Mutex
	pending []byte // frames that wait, behind chunkHeader bytes
	spare   []byte
	lost    loss

	flushing sync.Mutex // of who writes: the ring, and problem
	ring     *ring
	problem  error
	stop     chan struct{}
	done     sync.WaitGroup
}

// loss is what did not fit, and when: from the first call to the last return.
type loss struct {
	n        uint64
	from, to int64
}

// life is how a segment begins: what is known when everything before it may be
// gone.
type life struct {
	Born      int64             `json:"born"` // ns since 1970; the same for all segments of a life
	Now       int64             `json:"now"`  // ns since then
	Published uint64            `json:"published"`
	Build     string            `json:"build,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
}

// New makes a recorder. One that was on when its process ended goes on by itself; if
// it cannot, it is off, and Status says why: what serves does not depend on it.
func New(config Config) *Recorder {
	config.MaxBytes = max(config.MaxBytes, MinBytes)
	r := &Recorder{config: config, born: time.Now(), stop: make(chan struct{})}
	r.pending, r.spare = make([]byte, chunkHeader, 1<<18), make([]byte, chunkHeader, 1<<18)
	r.done.Go(r.loop)
	of, err := os.ReadFile(r.marker())
	if err == nil {
		err = r.begin(string(of) != config.Store)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.noteProblem(err)
	}
	return r
}

// marker is a file that is there while a capture is on, and says of which store.
func (r *Recorder) marker() string { return filepath.Join(r.config.Dir, "on") }

// now is in ns since the life began.
func (r *Recorder) now() int64 { return int64(time.Since(r.born)) }

// Start begins a capture, and forgets the one before. One that is on goes on.
func (r *Recorder) Start() error {
	if r.on.Load() {
		return nil
	}
	err := r.begin(true)
	r.noteProblem(err)
	return err
}

func (r *Recorder) begin(fresh bool) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	ring, err := openRing(r.config.Dir, r.config.MaxBytes)
	if err != nil {
		return fmt.Errorf("the capture cannot begin: %w", err)
	}
	if fresh {
		if err := ring.clear(); err != nil {
			return fmt.Errorf("the capture cannot begin: %w", err)
		}
	}
	r.ring, r.problem = ring, nil
	if err := r.beginSegment(); err != nil {
		return fmt.Errorf("the capture cannot begin: %w", err)
	}
	if err := os.WriteFile(r.marker(), []byte(r.config.Store), 0o600); err != nil {
		return fmt.Errorf("the capture cannot begin: %w", err)
	}
	r.on.Store(true)
	return nil
}

// Stop ends the capture. What was captured stays.
func (r *Recorder) Stop() error {
	if !r.on.Swap(false) {
		return nil
	}
	err := r.flush(kindStop)
	if rerr := os.Remove(r.marker()); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = rerr
	}
	return err
}

// Close ends the recorder with its process: a capture that is on goes on with the
// next one.
func (r *Recorder) Close() error {
	close(r.stop)
	r.done.Wait()
	if !r.on.Swap(false) {
		return nil
	}
	err := r.flush(kindStop)
	r.flushing.Lock()
	defer r.flushing.Unlock()
	return errors.Join(err, r.ring.close())
}

// Note records something that happened beside the operations.
func (r *Recorder) Note(lane, kind, text string) {
	if r.on.Load() {
		r.note(lane, kind, text)
	}
}

func (r *Recorder) note(lane, what, text string) {
	body, err := json.Marshal(history.Note{Time: r.now(), Lane: lane, Kind: what, Text: text})
	if err != nil {
		return // it is of strings and numbers
	}
	r.append(kindNote, body)
}

// Step records what the engine did to the disk, to commits first to last; 0: to
// none.
func (r *Recorder) Step(what string, first, last uint64) {
	switch {
	case !r.on.Load():
	case first == 0:
		r.note("disk", what, "")
	default:
		r.note("writer", what, fmt.Sprintf("commits %d to %d", first, last))
	}
}

// haltPatience bounds what a dump may take while the process waits to end.
const haltPatience = 10 * time.Second

// Halted records that the process is about to end because of reason, and dumps
// what there is beside the ring, values as digests. It returns in haltPatience, also
// when the disk answers nobody any more.
func (r *Recorder) Halted(reason string, o Options) {
	if !r.on.Load() {
		return
	}
	r.note("daemon", "halt", reason)
	dumped := make(chan struct{})
	go func() {
		defer close(dumped)
		path, err := r.DumpFile(o, "halt")
		if err != nil {
			r.config.Log("the capture could not be dumped; start the daemon again and dump it then", "error", err.Error())
			return
		}
		r.config.Log("the capture was dumped", "file", path)
	}()
	select {
	case <-dumped:
	case <-time.After(haltPatience):
	}
}

// DumpFile writes what was captured to a new file beside the ring, and tells its
// name.
func (r *Recorder) DumpFile(o Options, why string) (path string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), haltPatience)
	defer cancel()
	path = filepath.Join(r.config.Dir, fmt.Sprintf("dump-%s-%s.jsonl", time.Now().UTC().Format("20060102T150405.000Z"), why))
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = r.Dump(ctx, f, o)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		_ = os.Remove(path + ".part")
	}
	return path, err
}

// Status is how a recorder fares.
type Status struct {
	On               bool
	Bytes, MaxBytes  int64
	Operations, Lost uint64
	Wrapped          bool
	Problem          error
}

// Status reports it.
func (r *Recorder) Status() Status {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	s := Status{On: r.on.Load(), MaxBytes: r.config.MaxBytes, Operations: r.operations.Load(), Lost: r.lostEver.Load(), Problem: r.problem}
	if r.ring != nil {
		s.Bytes, s.Wrapped = r.ring.bytes(), r.ring.wrapped()
	}
	return s
}

// Dir is where the ring is.
func (r *Recorder) Dir() string { return r.config.Dir }

func (r *Recorder) loop() {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r.on.Load() {
				r.noteProblem(r.flush(kindMark))
			}
		case <-r.stop:
			return
		}
	}
}

func (r *Recorder) noteProblem(err error) {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	if err != nil && r.problem == nil {
		r.config.Log("the capture cannot be written", "error", err.Error())
	}
	r.problem = err
}

// append adds a frame of a body that is made already.
func (r *Recorder) append(k kind, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending)+len(body)+5 > maxPending {
		return
	}
	var start int
	r.pending, start = appendFrame(r.pending, k)
	r.pending = append(r.pending, body...)
	endFrame(r.pending, start)
}

// operation adds a frame whose body begins with fixed bytes. When it ends is
// written under the lock, so that whatever ended before a mark stands before it.
func (r *Recorder) operation(k kind, body []byte) {
	called := int64(binary.LittleEndian.Uint64(body[calledAt:]))
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	binary.LittleEndian.PutUint64(body[endedAt:], uint64(now))
	if len(r.pending)+len(body)+5 > maxPending {
		r.lose(called, now, 1)
		return
	}
	var start int
	r.pending, start = appendFrame(r.pending, k)
	r.pending = append(r.pending, body...)
	endFrame(r.pending, start)
}

// lose counts lost operations; mu is held.
func (r *Recorder) lose(from, to int64, n uint64) {
	r.lostEver.Add(n)
	if r.lost.n == 0 || from < r.lost.from {
		r.lost.from = from
	}
	r.lost.n, r.lost.to = r.lost.n+n, max(r.lost.to, to)
}

// flush writes what waits, and a last frame that says until when it is complete.
func (r *Recorder) flush(last kind) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	r.mu.Lock()
	if r.lost.n > 0 {
		body := binary.LittleEndian.AppendUint64(nil, r.lost.n)
		body = binary.LittleEndian.AppendUint64(body, uint64(r.lost.from))
		body = binary.LittleEndian.AppendUint64(body, uint64(r.lost.to))
		r.pending = appendWhole(r.pending, kindLost, body)
		r.lost = loss{}
	}
	if len(r.pending) == chunkHeader && last == kindMark {
		r.mu.Unlock()
		return nil // nothing happened: the next mark is as good
	}
	chunk := appendWhole(r.pending, last, r.mark())
	r.pending = r.spare[:chunkHeader]
	r.spare = nil // the chunk's, when it is written
	r.mu.Unlock()

	err := r.write(chunk)
	if err != nil {
		r.mu.Lock()
		n, from, to := countOperations(chunk[chunkHeader:])
		r.lose(from, to, n)
		r.mu.Unlock()
	}
	if cap(chunk) > maxPending/4 {
		chunk = make([]byte, chunkHeader, 1<<18)
	}
	r.mu.Lock()
	r.spare = chunk[:chunkHeader]
	r.mu.Unlock()
	return err
}

// mark is what is known at a moment at which everything that ended before is in
// pending; mu is held. With no request under way, every commit that is published
// is of one that is there: what is published is read first.
func (r *Recorder) mark() []byte {
	published := r.config.Published()
	b := binary.LittleEndian.AppendUint64(nil, uint64(r.now()))
	b = binary.LittleEndian.AppendUint64(b, published)
	return binary.LittleEndian.AppendUint64(b, uint64(r.lanes.active.Load()))
}

func (r *Recorder) write(chunk []byte) error {
	if r.ring.full() {
		if err := r.beginSegment(); err != nil {
			return err
		}
	}
	return r.ring.write(chunk)
}

// beginSegment reads what is published before anything is written to the segment:
// whatever was answered in those before it, was published by then.
func (r *Recorder) beginSegment() error {
	body, err := json.Marshal(life{
		Born: r.born.UnixNano(), Now: r.now(), Published: r.config.Published(),
		Build: r.config.Build, Settings: r.config.Settings,
	})
	if err != nil {
		return err
	}
	return r.ring.begin(appendWhole(make([]byte, chunkHeader), kindLife, body))
}

func appendWhole(b []byte, k kind, body []byte) []byte {
	b, start := appendFrame(b, k)
	b = append(b, body...)
	endFrame(b, start)
	return b
}

// countOperations tells how many operations are lost with a chunk, and when they
// were.
func countOperations(frames []byte) (n uint64, from, to int64) {
	for len(frames) > 0 {
		k, body, rest, err := nextFrame(frames)
		if err != nil {
			return n, from, to
		}
		frames = rest
		if (k == kindCall || k == kindOpen || k == kindBatch || k == kindEnd) && len(body) >= fixed {
			called := int64(binary.LittleEndian.Uint64(body[calledAt:]))
			if n == 0 || called < from {
				from = called
			}
			n, to = n+1, max(to, int64(binary.LittleEndian.Uint64(body[endedAt:])))
		}
		if k == kindLost && len(body) == 24 {
			n += binary.LittleEndian.Uint64(body)
			from, to = min(from, int64(binary.LittleEndian.Uint64(body[8:]))), max(to, int64(binary.LittleEndian.Uint64(body[16:])))
		}
	}
	return n, from, to
}
