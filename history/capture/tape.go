package capture

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"statehouse.dev/statehouse/history/record"
)

// tape is a ring opened for reading: its files stay readable when it goes on and
// drops them.
type tape struct {
	segments []openSegment
	live     bool // its last process goes on
	wrapped  bool // what it began with was dropped
	index
}

type openSegment struct {
	segment // size is what was written when it was opened
	file    File
}

// frame is a frame with its place.
type frame struct {
	kind    kind
	body    []byte
	span    *span
	process *process // of kindProcess
}

func (f *frame) number(at int) int64 { return int64(binary.LittleEndian.Uint64(f.body[at:])) }
func (f *frame) id() uint64          { return uint64(f.number(idAt)) + f.span.ids }
func (f *frame) called() int64       { return f.number(calledAt) + f.span.shift }
func (f *frame) ended() int64        { return f.number(endedAt) + f.span.shift }
func (f *frame) method() byte        { return f.body[methodAt] }
func (f *frame) lane() uint16        { return binary.LittleEndian.Uint16(f.body[laneAt:]) }

// valid reports whether a body is as long as its kind says.
func (f *frame) valid() bool {
	switch {
	case f.kind.isOperation():
		return len(f.body) >= fixed && record.Numbered(f.method()) != nil
	case f.kind == kindLost, f.kind == kindMark, f.kind == kindStop:
		return len(f.body) == markBytes
	}
	return true
}

// ErrNothing says that nothing was captured.
var ErrNothing = errors.New("there is no capture")

func openTape(files FS, dir string) (*tape, error) {
	list, err := segmentsOf(files, dir)
	if err != nil {
		return nil, err
	}
	t := &tape{index: newIndex()}
	for _, s := range list {
		f, err := files.Open(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // just dropped: it was the oldest
		}
		if err != nil {
			t.close()
			return nil, err
		}
		t.segments = append(t.segments, openSegment{s, f})
	}
	if len(t.segments) == 0 {
		return nil, ErrNothing
	}
	t.wrapped = filepath.Base(t.segments[0].path) != segmentName(1)
	return t, nil
}

func (t *tape) close() {
	for _, s := range t.segments {
		_ = s.file.Close() // only read
	}
}

// walk calls visit with every frame of every segment, and torn when a segment ends in
// something else.
func (t *tape) walk(visit func(*frame) error, torn func()) error {
	var at *span
	for _, s := range t.segments {
		data := make([]byte, s.size)
		if _, err := io.ReadFull(io.NewSectionReader(s.file, 0, s.size), data); err != nil {
			return err
		}
		for len(data) > 0 {
			frames, rest, err := nextChunk(data)
			if err != nil {
				torn()
				break
			}
			data = rest
			whole, err := t.walkChunk(s.path, frames, &at, visit)
			if err != nil {
				return err
			}
			if !whole {
				torn()
			}
		}
	}
	return nil
}

// walkChunk calls visit with the frames of a chunk, and reports whether they are all it
// has. at is where the process lies that wrote them.
func (t *tape) walkChunk(path string, frames []byte, at **span, visit func(*frame) error) (whole bool, err error) {
	for len(frames) > 0 {
		f := frame{}
		if f.kind, f.body, frames, err = nextFrame(frames); err != nil || !f.valid() {
			return false, nil
		}
		if f.kind == kindProcess {
			f.process = &process{}
			if err := json.Unmarshal(f.body, f.process); err != nil {
				return false, fmt.Errorf("%s: %w", path, err)
			}
			*at = t.spanOf(f.process)
		}
		if f.span = *at; f.span == nil {
			return false, fmt.Errorf("%s is no segment of a capture", path)
		}
		if err := visit(&f); err != nil {
			return false, err
		}
	}
	return true, nil
}
