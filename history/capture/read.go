package capture

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
)

// tape is a ring opened for reading: its files stay readable when it goes on and
// drops them.
type tape struct {
	files   []*os.File
	sizes   []int64 // what is written when it was opened
	live    bool    // its last life goes on
	wrapped bool    // what it began with was dropped

	// What a first look finds.
	first   *life // how the oldest segment begins
	lives   map[int64]*span
	gaps    []history.Gap
	ends    map[uint64]ending // of streams
	lost    uint64            // operations
	last    int64             // the latest time in it
	final   stop              // what its last mark says
	stopped bool              // it ends in order
}

// span is where a life lies among others: its times and ids are moved behind those
// of the lives before.
type span struct {
	shift int64
	ids   uint64
}

// stop is what a mark or a stop says.
type stop struct {
	time      int64 // of the tape
	published uint64
	active    bool // requests were under way
}

// ending of a stream.
type ending struct {
	returned int64
	answer   []byte
	frames   uint16
}

// frame with its place.
type frame struct {
	kind kind
	body []byte
	span *span
}

func (f *frame) number(at int) int64 { return int64(binary.LittleEndian.Uint64(f.body[at:])) }
func (f *frame) id() uint64          { return uint64(f.number(idAt)) + f.span.ids }
func (f *frame) called() int64       { return f.number(calledAt) + f.span.shift }
func (f *frame) ended() int64        { return f.number(endedAt) + f.span.shift }
func (f *frame) method() byte        { return f.body[methodAt] }
func (f *frame) lane() uint16        { return binary.LittleEndian.Uint16(f.body[laneAt:]) }

// check tells whether a body is as long as its kind says.
func (f *frame) check() bool {
	switch f.kind {
	case kindCall, kindOpen, kindBatch, kindEnd:
		return len(f.body) >= fixed && record.Numbered(f.method()) != nil
	case kindLost, kindMark, kindStop:
		return len(f.body) == 24
	}
	return true
}

// ErrNothing says that nothing was captured.
var ErrNothing = errors.New("there is no capture")

func openTape(dir string) (*tape, error) {
	names, err := segmentNames(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(names) == 0 {
		return nil, ErrNothing
	}
	t := &tape{lives: make(map[int64]*span), ends: make(map[uint64]ending)}
	for _, name := range names {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // just dropped: it was the oldest
		}
		if err == nil {
			var info os.FileInfo
			if info, err = f.Stat(); err == nil {
				t.files, t.sizes = append(t.files, f), append(t.sizes, info.Size())
				if len(t.files) == 1 {
					t.wrapped = filepath.Base(name) != segmentName(1)
				}
			}
		}
		if err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *tape) close() {
	for _, f := range t.files {
		_ = f.Close() // only read
	}
}

// walk calls visit with every frame of every segment; torn, when a segment ends in
// something else.
func (t *tape) walk(visit func(*frame) error, torn func()) error {
	var s *span
	for i, file := range t.files {
		data := make([]byte, t.sizes[i])
		if _, err := io.ReadFull(io.NewSectionReader(file, 0, t.sizes[i]), data); err != nil {
			return err
		}
		for len(data) > 0 {
			frames, rest, err := nextChunk(data)
			if err != nil {
				torn()
				break
			}
			data = rest
			for len(frames) > 0 {
				f := frame{span: s}
				if f.kind, f.body, frames, err = nextFrame(frames); err != nil || !f.check() {
					torn()
					break
				}
				if f.kind == kindLife {
					var l life
					if err := json.Unmarshal(f.body, &l); err != nil {
						return fmt.Errorf("%s: %w", file.Name(), err)
					}
					s = t.span(&l)
					f.span = s
				}
				if s == nil {
					return fmt.Errorf("%s is no segment of a capture", file.Name())
				}
				if err := visit(&f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// span is the place of a segment's life.
func (t *tape) span(l *life) *span {
	if s := t.lives[l.Born]; s != nil {
		return s
	}
	s := &span{}
	if t.first == nil {
		t.first = l
	} else {
		// By the clock, but never before what has been: it may have been set back.
		s.shift = max(l.Born-t.first.Born, t.last+1)
		for _, other := range t.lives { // a maximum: order cannot matter
			s.ids = max(s.ids, other.ids)
		}
		s.ids += idsOfLife
	}
	t.lives[l.Born] = s
	return s
}

// idsOfLife is more than a life has: ids of different lives do not meet.
const idsOfLife = 1 << 40
