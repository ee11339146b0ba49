package capture

import (
	"encoding/json"

	"statehouse.dev/statehouse/history"
)

// Why something is missing.
const (
	whyKilled  = "the daemon did not end in order: what it had not written yet is missing"
	whyDamaged = "a part of the ring is damaged, or could not be written"
	whyEnded   = "requests were under way when the capture ended"
	whyDumped  = "requests were under way when it was dumped"
	whyLost    = "the disk could not keep up"
	whyWrapped = "the ring was full: its oldest part was dropped"
)

// survey is the first look at a tape: where its lives lie, what is missing in
// between, how streams end. look is shown every frame.
func (t *tape) survey(look func(*frame) error) error {
	var life *span // that the frames are of
	torn := false  // the segment before ends in the middle of a chunk
	err := t.walk(func(f *frame) error {
		switch f.kind {
		case kindLife:
			if err := t.begins(f, life, torn); err != nil {
				return err
			}
			life, torn = f.span, false
		case kindMark, kindStop:
			t.mark(f)
		case kindLost:
			n := uint64(f.number(0))
			t.lost += n
			t.gap(f.number(8)+f.span.shift, f.number(16)+f.span.shift, int(n), whyLost)
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

// begins takes in how a segment begins, and what may be missing before it.
func (t *tape) begins(f *frame, before *span, torn bool) error {
	var l life
	if err := json.Unmarshal(f.body, &l); err != nil {
		return err
	}
	now := l.Now + f.span.shift
	switch {
	case before == nil && t.wrapped:
		t.gap(0, now, 0, whyWrapped)
	case before == nil:
	case f.span != before && !t.stopped:
		t.gap(t.final.time, now, 0, whyKilled)
	case torn:
		t.gap(t.final.time, now, 0, whyDamaged)
	}
	if before == nil || f.span != before {
		t.final = stop{time: now, published: l.Published, active: true}
		t.stopped = false
	}
	t.last = max(t.last, now)
	return nil
}

func (t *tape) mark(f *frame) {
	t.final = stop{f.number(0) + f.span.shift, uint64(f.number(8)), f.number(16) > 0}
	t.last = max(t.last, t.final.time)
	if t.stopped = f.kind == kindStop; t.stopped && t.final.active {
		t.gap(t.final.time, t.final.time, 0, whyEnded)
	}
}

func (t *tape) gap(from, to int64, lost int, why string) {
	t.gaps = append(t.gaps, history.Gap{From: from, To: max(from, to), Lost: lost, Why: why})
}
