package engine

import (
	"bytes"
	"context"

	"statehouse.dev/statehouse/engine/layout"
)

// nextBase returns the next records of the base: those whose events retention has dropped, which are
// current at what it has dropped up to. No commit that is exported names them.
func (x *Export) nextBase(ctx context.Context) (rows []Row, err error) {
	for size := 0; len(x.base) > 0 && size < exportBytes; {
		n, err := x.baseOf(ctx, x.base[0], &rows, exportBytes-size)
		if err != nil {
			return nil, err
		}
		if size += n; x.cursor == nil {
			x.base = x.base[1:]
		}
	}
	return rows, nil
}

// baseOf adds records of a namespace from the cursor on, about so many bytes of them, and moves the
// cursor; nil: that was all.
func (x *Export) baseOf(ctx context.Context, namespace string, rows *[]Row, room int) (size int, err error) {
	prefix := layout.AppendNames(nil, layout.RecordTag, namespace)
	it, err := newRowIter(x.db, prefix, layout.Successor(prefix))
	if err != nil {
		return 0, err
	}
	it.ctx = ctx
	ok := false
	if x.cursor == nil {
		ok = it.first()
	} else {
		ok = it.seek(x.cursor)
	}
	for ok && size < room {
		n, _, good := layout.SplitRecordKey(it.key())
		end := layout.Successor(layout.RecordPrefix(n))
		if !good || !it.before(end) { // to the oldest version
			it.corrupt()
			break
		}
		_, row, good := recordAt(it)
		f := x.db.forks.get(n.AgentName())
		for good && f != nil && row.CommitTS <= f.upTo { // copied, see nextCopies
			if !it.previous() || !bytes.HasPrefix(it.key(), layout.RecordPrefix(n)) {
				break
			}
			_, row, good = recordAt(it)
		}
		if it.err != nil || !good {
			break
		}
		if copied := f != nil && row.CommitTS <= f.upTo; !copied && row.CommitTS <= x.went.pasts[namespace].dropped {
			var event []byte
			if event, it.err = getRow(x.db, layout.EventKey(n.AgentName(), row.CommitTS)); it.err != nil {
				break
			}
			if event == nil {
				*rows = append(*rows, rowOf(it.key(), it.body))
				size += len(it.key()) + len(it.body)
			}
		}
		x.cursor = end
		ok = it.seek(end)
	}
	if !ok {
		x.cursor = nil
	}
	return size, it.close()
}
