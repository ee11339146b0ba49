package capture

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/history"
)

// FlushEvery is how long what was recorded may wait until it is written: that much
// is lost when the process is killed.
const FlushEvery = 10 * time.Millisecond

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
	// Published is the last commit that every reader may see.
	Published func() uint64
	// Log says what an operator should know.
	Log func(event string, attrs ...any)
}

// Recorder records what passes its interceptors, while it is on. It is safe for
// concurrent use.
type Recorder struct {
	env     Env
	config  Config
	born    time.Time // times of this process count from here
	on      atomic.Bool
	calls   atomic.Uint64 // ids
	lanes   lanes
	clients clientNames

	operations atomic.Uint64
	pending    pending

	flushing sync.Mutex     // held by the one who writes the ring; guards problem, too
	dumps    sync.WaitGroup // of DumpFile
	ring     *ring
	problem  error
}

// process is how a segment begins: what is known of the process that writes it, when
// everything before it may be gone.
type process struct {
	Born      int64             `json:"born"` // ns since 1970; the same for all segments of a process
	Now       int64             `json:"now"`  // ns since then
	Published uint64            `json:"published"`
	Build     string            `json:"build,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
}

// New makes a recorder. One that was on when its process ended goes on by itself; if
// it cannot, it is off, and Status says why: what serves does not depend on it.
func New(env Env, config Config) *Recorder {
	config.MaxBytes = max(config.MaxBytes, MinBytes)
	r := &Recorder{env: env, config: config, born: env.Now()}
	r.pending = newPending(r.now)
	of, err := readFile(env.FS, r.marker())
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

// now is in ns since the process began.
func (r *Recorder) now() int64 { return int64(r.env.Now().Sub(r.born)) }

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
	ring, err := openRing(r.env.FS, r.config.Dir, r.config.MaxBytes)
	if err == nil && fresh {
		err = ring.clear()
	}
	if err == nil {
		r.ring, r.problem = ring, nil
		err = r.beginSegment()
	}
	if err == nil {
		err = writeFile(r.env.FS, r.marker(), []byte(r.config.Store))
	}
	if err != nil {
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
	return cmp.Or(err, remove(r.env.FS, r.marker()))
}

// Close ends the recorder with its process, after Run has returned: a capture that is on
// goes on with the next process.
func (r *Recorder) Close() error {
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
	if !r.on.Load() {
		return
	}
	body, err := json.Marshal(history.Note{Time: r.now(), Lane: lane, Kind: kind, Text: text})
	if err != nil {
		return // it is of strings and numbers
	}
	r.pending.append(kindNote, body)
}

// Step records what the engine did to the disk, to commits first to last; 0: to
// none.
func (r *Recorder) Step(what string, first, last uint64) {
	switch {
	case !r.on.Load():
	case first == 0:
		r.Note("disk", what, "")
	default:
		r.Note("writer", what, fmt.Sprintf("commits %d to %d", first, last))
	}
}

// dumpPatience bounds what a dump may take that the process waits for.
const dumpPatience = 10 * time.Second

// Halted records that the process is about to end because of reason, and dumps
// what there is beside the ring, values as digests. It returns in dumpPatience, even
// when the disk does not answer.
func (r *Recorder) Halted(reason string, o Options) {
	if !r.on.Load() {
		return
	}
	r.Note("daemon", "halt", reason)
	path, err := r.DumpFile(o, "halt")
	if err != nil {
		r.config.Log("the capture could not be dumped; start the daemon again and dump it then", "error", err.Error())
		return
	}
	r.config.Log("the capture was dumped", "file", path)
}

// DumpFile writes what was captured to a new file beside the ring, and returns its
// name. It gives up after dumpPatience.
func (r *Recorder) DumpFile(o Options, why string) (path string, err error) {
	name := fmt.Sprintf("dump-%s-%s.jsonl", r.env.Now().UTC().Format("20060102T150405.000Z"), why)
	path = filepath.Join(r.config.Dir, name)
	r.dumps.Add(1)
	return path, r.env.Within(dumpPatience, func(ctx context.Context) error {
		defer r.dumps.Done()
		return replaceFile(r.env.FS, path, func(w io.Writer) error { return r.Dump(ctx, w, o) })
	})
}

// EndDumps waits for dumps that DumpFile gave up, since they read the Source. It returns in
// dumpPatience, even when the disk does not answer.
func (r *Recorder) EndDumps() error {
	return r.env.Within(dumpPatience, func(context.Context) error {
		r.dumps.Wait()
		return nil
	})
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
	s := Status{On: r.on.Load(), MaxBytes: r.config.MaxBytes, Operations: r.operations.Load(), Lost: r.pending.lostEver.Load(), Problem: r.problem}
	if r.ring != nil {
		s.Bytes, s.Wrapped = r.ring.bytes(), r.ring.wrapped()
	}
	return s
}

// Dir is where the ring is.
func (r *Recorder) Dir() string { return r.config.Dir }

// Flush writes what was recorded. When it cannot, Status says why.
func (r *Recorder) Flush() {
	if r.on.Load() {
		r.noteProblem(r.flush(kindMark))
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

// flush writes what waits, and a last frame that says until when it is complete.
func (r *Recorder) flush(last kind) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	chunk := r.pending.take(last, r.mark)
	if chunk == nil {
		return nil
	}
	err := r.write(chunk)
	if err != nil {
		r.pending.loseChunk(chunk)
	}
	r.pending.reuse(chunk)
	return err
}

// mark is what is known at a moment at which everything that ended before waits to be
// written. With no request under way, every commit that is published is of one that is
// there: what is published is read first.
func (r *Recorder) mark() markBody {
	published := r.config.Published()
	return markBody{uint64(r.now()), published, uint64(r.lanes.active.Load())}
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
	body, err := json.Marshal(process{
		Born: r.born.UnixNano(), Now: r.now(), Published: r.config.Published(),
		Build: r.config.Build, Settings: r.config.Settings,
	})
	if err != nil {
		return err
	}
	return r.ring.begin(appendFrame(make([]byte, chunkHeader), kindProcess, body))
}
