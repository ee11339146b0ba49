package capture

import "statehouse.dev/statehouse/history"

// index is what a first pass over a tape finds.
type index struct {
	first   *process // how the oldest segment begins
	spans   map[int64]*span
	gaps    []history.Gap
	ends    map[uint64]ending // of streams
	lost    uint64            // operations
	last    int64             // the latest time in it
	final   mark              // its last
	stopped bool              // it ends in order
}

// span is where a process lies among others, by when it was born: its times and ids are
// moved past those of the processes before it.
type span struct {
	shift int64
	ids   uint64
}

// mark is what a mark or a stop says.
type mark struct {
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

func newIndex() index { return index{spans: make(map[int64]*span), ends: make(map[uint64]ending)} }

// Why something is missing.
const (
	whyKilled  = "the daemon did not end in order: what it had not written yet is missing"
	whyCorrupt = "a part of the ring is damaged, or could not be written"
	whyEnded   = "requests were under way when the capture ended"
	whyDumped  = "requests were under way when it was dumped"
	whyLost    = "the disk could not keep up"
	whyWrapped = "the ring was full: its oldest part was dropped"
)

// build makes the index in a first pass over the tape, and shows every frame to look.
func (t *tape) build(look func(*frame) error) error {
	var before *span // of the process that wrote the frame before
	torn := false    // the segment before ends in the middle of a chunk
	err := t.walk(func(f *frame) error {
		switch f.kind {
		case kindProcess:
			t.begins(f, before, torn)
			before, torn = f.span, false
		case kindMark, kindStop:
			t.mark(f)
		case kindLost:
			l := parseMark(f.body)
			t.lost += l[0]
			t.gap(int64(l[1])+f.span.shift, int64(l[2])+f.span.shift, int(l[0]), whyLost)
		case kindEnd:
			t.ends[f.id()] = ending{f.ended(), f.body[fixed:], f.lane()}
			t.last = max(t.last, f.ended())
		case kindCall, kindOpen, kindBatch:
			t.last = max(t.last, f.ended())
		}
		return look(f)
	}, func() { torn = true })
	switch {
	case err != nil:
		return err
	case t.first == nil:
		return ErrNothing
	case !t.stopped && !t.live:
		t.gap(t.final.time, t.last, 0, whyKilled)
	case !t.stopped && t.final.active:
		t.gap(t.final.time, t.last, 0, whyDumped)
	}
	return nil
}

// begins notes how a segment begins, and what may be missing before it.
func (t *tape) begins(f *frame, before *span, torn bool) {
	now := f.process.Now + f.span.shift
	switch {
	case before == nil && t.wrapped:
		t.gap(0, now, 0, whyWrapped)
	case before == nil:
	case f.span != before && !t.stopped:
		t.gap(t.final.time, now, 0, whyKilled)
	case torn:
		t.gap(t.final.time, now, 0, whyCorrupt)
	}
	if before == nil || f.span != before {
		t.final = mark{time: now, published: f.process.Published, active: true}
		t.stopped = false
	}
	t.last = max(t.last, now)
}

func (t *tape) mark(f *frame) {
	m := parseMark(f.body)
	t.final = mark{int64(m[0]) + f.span.shift, m[1], m[2] > 0}
	t.last = max(t.last, t.final.time)
	if t.stopped = f.kind == kindStop; t.stopped && t.final.active {
		t.gap(t.final.time, t.final.time, 0, whyEnded)
	}
}

func (x *index) gap(from, to int64, lost int, why string) {
	x.gaps = append(x.gaps, history.Gap{From: from, To: max(from, to), Lost: lost, Why: why})
}

// idsOfProcess is more than a process has: ids of different processes do not meet.
const idsOfProcess = 1 << 40

// spanOf is where a process lies.
func (x *index) spanOf(p *process) *span {
	if s := x.spans[p.Born]; s != nil {
		return s
	}
	s := &span{}
	if x.first == nil {
		x.first = p
	} else {
		// By the clock, but never before what has been: it may have been set back.
		s.shift = max(p.Born-x.first.Born, x.last+1)
		s.ids = uint64(len(x.spans)) * idsOfProcess
	}
	x.spans[p.Born] = s
	return s
}
