package history

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// ReadHistory reads a whole history; of one with an error in it, nothing.
func ReadHistory(in io.Reader) (*History, error) { return readHistory(in, false) }

// ReadCut reads a history whose end may be missing, as of a program that was killed while
// it recorded: a last line that is not whole is dropped, and what was under way then is a gap.
func ReadCut(in io.Reader) (*History, error) { return readHistory(in, true) }

func readHistory(in io.Reader, cut bool) (*History, error) {
	r, err := NewReader(in)
	if err != nil {
		return nil, err
	}
	h := &History{Header: r.Header}
	ops := make(map[int]*Operation)
	for {
		l, err := r.Next()
		switch {
		case cut && r.cutOff():
			h.cutOff()
			fallthrough
		case err == io.EOF:
			h.Complete = r.Complete
			slices.SortFunc(h.Operations, ByCall) // they may have been written when they returned
			return h, nil
		case err != nil:
			return nil, err
		}
		if err := h.add(&l, ops); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.lines, err)
		}
	}
}

// cutOff tells of a history in the order of its file that its end is missing: whatever was
// under way at the last time that it knows is in a gap, and streams that went on until then
// may have had more batches.
func (h *History) cutOff() {
	last := int64(0)
	for _, op := range h.Operations {
		last = max(last, op.Call)
		if !op.Kind.Info().Stream {
			last = max(last, op.Return)
		}
		for i := range op.Batches {
			last = max(last, op.Batches[i].Time)
		}
	}
	for i, op := range h.Operations {
		if op.Kind.Info().Stream && (op.Return >= last || i == len(h.Operations)-1) {
			op.Outcome, op.Return, op.Rest = Unknown, 0, 0
		}
	}
	h.Gaps = append(h.Gaps, Gap{From: last, To: last, Why: "the recording was cut off"})
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
