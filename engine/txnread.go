package engine

import (
	"context"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Reads inside a transaction: its snapshot under its own writes. What was read must
// still hold at commit.

// TxnGet reads a record inside a transaction. A record that the transaction wrote has
// version 0 until the commit.
func (e *Engine) TxnGet(id TxnID, name RecordName) (Record, CommitTS, error) {
	if err := words.CheckTxnID(id); err != nil {
		return Record{}, 0, err
	}
	if err := name.Normalize(); err != nil {
		return Record{}, 0, err
	}
	prefix := layout.RecordPrefix(name)
	snapshot, own, err := e.txns.own(id, e.now(), string(prefix))
	if err != nil {
		return Record{}, 0, e.orCommitted(id, err)
	}
	if own != nil {
		return own.record(), snapshot, nil
	}
	rec, err := Snapshot{e: e, ts: snapshot}.get(name, prefix)
	if err != nil {
		return Record{}, 0, e.noted(err)
	}
	return rec, snapshot, e.txns.didRead(id, e.now(), string(prefix), rec.Version, nil)
}

// TxnSnapshot is the commit that an open transaction reads after.
func (e *Engine) TxnSnapshot(id TxnID) (CommitTS, error) {
	if err := words.CheckTxnID(id); err != nil {
		return 0, err
	}
	snapshot, _, err := e.txns.own(id, e.now(), "")
	if err != nil {
		return 0, e.orCommitted(id, err)
	}
	return snapshot, nil
}

// record is how a transaction sees its own write.
func (w *Write) record() Record {
	return Record{Name: w.Name, Exists: !w.Tombstone, Value: w.Value}
}

// TxnScan is Scan inside a transaction. The interval of keys that it covered must not
// change before the commit, not even by a new key.
func (e *Engine) TxnScan(ctx context.Context, id TxnID, o ScanOptions) (records []Record, more bool, at CommitTS, err error) {
	if err := words.CheckTxnID(id); err != nil {
		return nil, false, 0, err
	}
	if err := o.normalize(); err != nil {
		return nil, false, 0, err
	}
	r := readRange{agent: o.Agent, prefix: o.Prefix}
	at, own, err := e.txns.ownIn(id, e.now(), r)
	if err != nil {
		return nil, false, 0, e.orCommitted(id, err)
	}
	records, more, err = Snapshot{e: e, ts: at, ctx: ctx}.mergedScan(&o, sortedOwn(own, &o))
	if err != nil {
		return nil, false, 0, e.noted(err)
	}
	r.first, r.last = scanned(&o, records, more)
	return records, more, at, e.txns.didRead(id, e.now(), "", 0, &r)
}

// scanned returns the bounds of the interval of keys that a page covers.
func scanned(o *ScanOptions, records []Record, more bool) (first, last string) {
	end := ""
	if more {
		end = records[len(records)-1].Name.Key
	}
	if o.Reverse {
		return end, o.After
	}
	return o.After, end
}

// mergedScan merges own writes, in scan order, into the snapshot's records.
func (s Snapshot) mergedScan(o *ScanOptions, own []*Write) (records []Record, more bool, err error) {
	c, err := s.cursor(o)
	if err != nil {
		return nil, false, err
	}
	size := 0
	stored := c.next()
	for stored || len(own) > 0 {
		var rec Record
		order := -1 // of the stored record to the own write
		if !stored {
			order = 1
		} else if len(own) > 0 {
			order = compareKeys(c.rec.Name.Key, own[0].Name.Key, o.Reverse)
		}
		if order < 0 {
			rec = c.rec
		} else {
			rec = own[0].record()
			if o.KeysOnly {
				rec.Value = nil
			}
		}
		if rec.Exists {
			next := rec.size()
			if o.Page.full(len(records), size, next) {
				more = true
				break
			}
			records = append(records, rec)
			size += next
		}
		if order <= 0 {
			stored = c.next()
		}
		if order >= 0 {
			own = own[1:]
		}
	}
	return records, more, c.rows.close()
}

func compareKeys(a, b string, reverse bool) int {
	c := 0
	switch {
	case a < b:
		c = -1
	case a > b:
		c = 1
	}
	if reverse {
		return -c
	}
	return c
}
