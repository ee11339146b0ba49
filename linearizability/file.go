package linearizability

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ReadHistory reads a whole history; of one with an error in it, nothing.
func ReadHistory(in io.Reader) (*History, error) {
	r, err := NewReader(in)
	if err != nil {
		return nil, err
	}
	h := &History{Header: r.Header}
	ops := make(map[int]*Operation)
	for {
		l, err := r.Next()
		switch {
		case err == io.EOF:
			h.Complete = r.Complete
			// They may have been written when they returned.
			slices.SortFunc(h.Operations, func(a, b *Operation) int { return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.ID, b.ID)) })
			return h, nil
		case err != nil:
			return nil, err
		}
		if err := h.add(&l, ops); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.lines, err)
		}
	}
}

func (h *History) add(l *Line, ops map[int]*Operation) error {
	base := h.Header.Base
	switch {
	case (l.Record != nil || l.Agent != nil) && base == nil:
		return errors.New("there is state of a base, and the header has none")
	case l.Record != nil:
		base.Records = append(base.Records, *l.Record)
	case l.Agent != nil:
		base.Agents = append(base.Agents, *l.Agent)
	case l.Op != nil:
		if ops[l.Op.ID] != nil {
			return fmt.Errorf("there are two operations %d", l.Op.ID)
		}
		h.Operations = append(h.Operations, l.Op)
		ops[l.Op.ID] = l.Op
	case l.Batch != nil:
		op := ops[l.Batch.Op]
		if op == nil {
			return fmt.Errorf("there is a batch of operation %d, which does not come before it", l.Batch.Op)
		}
		op.Batches = append(op.Batches, l.Batch.Batch)
	case l.Event != nil:
		h.Log = append(h.Log, *l.Event)
	case l.Note != nil:
		h.Notes = append(h.Notes, *l.Note)
	case l.Gap != nil:
		h.Gaps = append(h.Gaps, *l.Gap)
	}
	return nil
}

// Write writes the whole history: operations, then the log, then notes.
func (h *History) Write(out io.Writer) error {
	w, err := NewWriter(out, h.Header)
	if err != nil {
		return err
	}
	// Errors of the writer stay: End returns the first.
	if b := h.Header.Base; b != nil {
		for i := range b.Records {
			_ = w.Write(Line{Record: &b.Records[i]})
		}
		for i := range b.Agents {
			_ = w.Write(Line{Agent: &b.Agents[i]})
		}
	}
	for _, op := range h.Operations {
		_ = w.Write(Line{Op: op})
		for _, b := range op.Batches {
			_ = w.Write(Line{Batch: &BatchOf{op.ID, b}})
		}
	}
	for i := range h.Log {
		_ = w.Write(Line{Event: &h.Log[i]})
	}
	for i := range h.Notes {
		_ = w.Write(Line{Note: &h.Notes[i]})
	}
	for i := range h.Gaps {
		_ = w.Write(Line{Gap: &h.Gaps[i]})
	}
	return w.End(h.Complete)
}
