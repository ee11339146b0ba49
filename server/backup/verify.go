package backup

import (
	"context"
	"errors"
	"io"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
)

// Report is what Verify found.
type Report struct {
	Store      string    `json:"store_id"`
	Format     int       `json:"format"`
	Epoch      string    `json:"epoch"`
	Segments   int       `json:"segments"`
	From       uint64    `json:"from_ts"` // the first commit
	To         uint64    `json:"to_ts"`
	ToTime     time.Time `json:"to_time"`
	Operations uint64    `json:"operations"`
	Rows       uint64    `json:"rows"`
	Bytes      uint64    `json:"bytes"` // of rows
	ChainHash  string    `json:"chain_hash"`

	outcomesAfter uint64 // of any segment
}

// until is where reading a backup may end: at a commit, or with the last commit of a time.
type until struct {
	commit uint64    // 0: any
	time   time.Time // zero: any
}

// reached reports whether nothing after a segment that ends so is wanted.
func (u until) reached(h *segment.Header) bool {
	return u.commit > 0 && h.To >= u.commit || !u.time.IsZero() && time.Unix(0, h.ToTime).After(u.time)
}

// passed reports whether a commit is after all that are wanted.
func (u until) passed(ts uint64, at time.Time) bool {
	return u.commit > 0 && ts > u.commit || !u.time.IsZero() && at.After(u.time)
}

// Verify checks a whole backup. It changes nothing. Errors: ErrNoStore; ErrDataLoss when it is not
// as it was written, or something is missing; ErrFormat; ErrStorage.
func Verify(ctx context.Context, env engine.Env, path string, progress Progress) (Report, error) {
	s, err := openSource(&env, path)
	if err != nil {
		return Report{}, err
	}
	return s.verify(ctx, until{}, progress)
}

// verify checks the segments that are wanted, and that a store can end where that ends.
func (s *source) verify(ctx context.Context, wanted until, progress Progress) (Report, error) {
	v := verifier{wanted: wanted}
	err := s.each(func(name string, r *segment.Reader) (bool, error) {
		if v.reached {
			err := v.later(r)
			return err != io.EOF || v.refused != nil, nil
		}
		if err := v.begin(r); err != nil {
			return false, about(name, err)
		}
		if err := v.read(ctx, r, progress); err != nil {
			return false, about(name, err)
		}
		if v.reached = wanted.reached(&r.Header); !v.passed {
			v.end = engine.CommitTS(r.Header.To)
		}
		return false, nil
	})
	if v.reached {
		err = v.refused // what is damaged after all that is wanted is no matter of this restore
	}
	return v.report(), err
}

// later looks at a segment after those that are wanted: something that they hold may have been
// erased since.
func (v *verifier) later(r *segment.Reader) error {
	check := engine.NewChecker(stretchOf(&r.Header))
	for {
		rows, system, err := r.Next()
		if err == nil && system {
			var changes []engine.SystemChange
			if changes, err = systemOf(rows); err == nil {
				err = check.System(changes...)
			}
		}
		if err == io.EOF {
			v.refused = check.ErasedAfter(v.end)
		}
		if err != nil {
			return err
		}
	}
}

type verifier struct {
	wanted  until
	end     engine.CommitTS // the last commit that is wanted, when one after it was seen
	passed  bool            // that is so
	reached bool            // no later segment is wanted
	refused error           // why what is wanted is not to be had
	check   *engine.Checker
	first   segment.Header
	last    segment.Header
	r       Report
}

// begin begins a segment, which must follow the one before.
func (v *verifier) begin(r *segment.Reader) error {
	h := &r.Header
	if v.check == nil {
		v.first, v.check = *h, engine.NewChecker(stretchOf(h))
	} else {
		if err := follows(&v.last, h); err != nil {
			return err
		}
		if err := v.check.Continue(stretchOf(h)); err != nil {
			return err
		}
	}
	v.last = *h
	return nil
}

// follows reports whether a segment can follow another, by what they say of their store.
func follows(before, h *segment.Header) error {
	switch {
	case h.Store != before.Store:
		return failf(engine.ErrDataLoss, "it is of the store %s, and what is before it of %s", h.Store, before.Store)
	case h.Format != before.Format:
		return failf(engine.ErrDataLoss, "its rows have format %d, and those before it %d", h.Format, before.Format)
	case h.Epoch() != before.Epoch():
		return failf(engine.ErrDataLoss, "it is of the epoch %s, and what is before it of %s: the store was restored in between", h.Epoch(), before.Epoch())
	}
	return nil
}

func (v *verifier) read(ctx context.Context, r *segment.Reader, progress Progress) error {
	for {
		rows, system, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if system {
			changes, err := systemOf(rows)
			if err := errors.Join(err, v.check.System(changes...)); err != nil {
				return err
			}
			continue
		}
		for list := engineRows(rows); len(list) > 0; {
			if err := v.aim(list); err != nil {
				return err
			}
			n, err := v.check.Commit(list)
			if err != nil {
				return err
			}
			list = list[n:]
		}
		if progress != nil {
			at, _ := v.check.Head()
			progress(uint64(at), r.Header.To)
		}
	}
	v.r.Segments++
	v.r.Rows += r.Trailer.Rows + r.Trailer.System
	v.r.Bytes += r.Trailer.Bytes
	v.r.outcomesAfter = max(v.r.outcomesAfter, r.Header.OutcomesAfter)
	return v.check.Ended()
}

// aim finds the last commit that is wanted, and checks that a store can end there.
func (v *verifier) aim(rows []engine.Row) error {
	if v.wanted == (until{}) || v.passed {
		return nil
	}
	ts, at, err := v.check.Next(rows)
	if err != nil || !v.wanted.passed(uint64(ts), at) {
		return err
	}
	v.passed, v.end = true, ts-1
	return v.check.EndsAt(v.end)
}

func (v *verifier) report() Report {
	r := v.r
	if v.check == nil {
		return r
	}
	r.Store, r.Format, r.Epoch = v.last.Store, v.last.Format, v.last.Epoch()
	at, hash := v.check.Head()
	text, _ := segment.Hash(hash).MarshalText() // which cannot fail
	r.From, r.To, r.ChainHash, r.Operations = v.first.After+1, uint64(at), string(text), v.check.Operations
	if at > 0 && r.To == v.last.To {
		r.ToTime = time.Unix(0, v.last.ToTime).UTC()
	}
	return r
}

// systemOf is what rows of the system say.
func systemOf(rows []segment.Row) ([]engine.SystemChange, error) {
	out := make([]engine.SystemChange, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = engine.Row(r).System(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
