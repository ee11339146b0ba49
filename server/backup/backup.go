// Package backup makes segments of a store's log, checks them, and makes a store of them again.
//
// [Write] writes one of what was committed after a commit: it answers the RPC Backup and fills an
// archive. [Verify] checks a backup, which is a directory of segments or a file that holds one after the
// other: every seal, the hash chain within the segments and across them, every value against the
// digest in its event. [Restore] makes a store of one, up to its end or a moment before, in a new
// epoch. [Archiver] ships segments as commits are made.
//
// What is in a segment is of package history/segment, what is in its rows is the engine's.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
)

// Written is what Write wrote.
type Written struct {
	segment.Header
	segment.Trailer
}

// Progress is told how far it is: the last commit that is done, and the last of all.
type Progress func(done, last uint64)

// Write writes a segment of what was committed after a commit. As long as it runs, the files that
// the store had when it began are kept.
func Write(ctx context.Context, x *engine.Export, out io.Writer, progress Progress) (Written, error) {
	of := x.Of()
	header := headerOf(of)
	w, err := segment.NewWriter(out, header)
	if err != nil {
		return Written{}, err
	}
	for more := true; more; {
		rows, err := x.System()
		if err == nil {
			err = w.System(segmentRows(rows))
		}
		if err != nil {
			return Written{}, err
		}
		more = len(rows) > 0
	}
	for x.At() < of.To {
		before := x.At()
		rows, err := x.Next(ctx)
		if err == nil {
			err = w.Commits(int(x.At()-before), segmentRows(rows))
		}
		if err != nil {
			return Written{}, err
		}
		if progress != nil {
			progress(uint64(x.At()), uint64(of.To))
		}
	}
	trailer, err := w.Close()
	return Written{header, trailer}, err
}

func headerOf(of engine.Stretch) segment.Header {
	h := segment.Header{
		Version: segment.Version, Store: of.StoreID, Format: of.Format,
		After: uint64(of.After), AfterHash: of.AfterHash, To: uint64(of.To), ToHash: of.ToHash,
		OutcomesAfter: uint64(of.OutcomesAfter), Features: of.Features,
	}
	if of.To > 0 {
		h.ToTime = of.ToTime.UnixNano()
	}
	for _, e := range of.Epochs {
		h.Epochs = append(h.Epochs, segment.Epoch{Name: e.Name, Began: uint64(e.Began)})
	}
	return h
}

func stretchOf(h *segment.Header) engine.Stretch {
	of := engine.Stretch{
		StoreID: h.Store, Format: h.Format,
		After: engine.CommitTS(h.After), AfterHash: h.AfterHash, To: engine.CommitTS(h.To), ToHash: h.ToHash,
		ToTime: time.Unix(0, h.ToTime).UTC(), OutcomesAfter: engine.CommitTS(h.OutcomesAfter), Features: h.Features,
	}
	for _, e := range h.Epochs {
		of.Epochs = append(of.Epochs, engine.Epoch{Name: e.Name, Began: engine.CommitTS(e.Began)})
	}
	return of
}

func segmentRows(rows []engine.Row) []segment.Row {
	out := make([]segment.Row, len(rows))
	for i, r := range rows {
		out[i] = segment.Row(r)
	}
	return out
}

func engineRows(rows []segment.Row) []engine.Row {
	out := make([]engine.Row, len(rows))
	for i, r := range rows {
		out[i] = engine.Row(r)
	}
	return out
}

func failf(kind error, format string, args ...any) *engine.Failure {
	return &engine.Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// about is an error with what it is about, as one of the engine's.
func about(what string, err error) error {
	kind := engine.ErrStorage
	var f *engine.Failure
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &f):
		return &engine.Failure{Kind: f.Kind, Message: what + ": " + f.Message, Details: f.Details}
	case errors.Is(err, segment.ErrDamaged):
		kind = engine.ErrDataLoss
	case errors.Is(err, segment.ErrVersion):
		kind = engine.ErrFormat
	}
	return failf(kind, "%s: %v", what, err)
}
