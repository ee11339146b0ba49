package engine

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// rowKeys are keys of rows that must exist. They are read in key order with one iterator:
// forward seeks are cheap, and often one step is enough.
type rowKeys struct {
	buf  []byte // the keys, one after the other
	ends []int
}

// add adds a key: buf, with the key appended.
func (k *rowKeys) add(buf []byte) { k.buf, k.ends = buf, append(k.ends, len(buf)) }

func (k *rowKeys) key(i int) []byte {
	from := 0
	if i > 0 {
		from = k.ends[i-1]
	}
	return k.buf[from:k.ends[i]]
}

// read calls each with the number of every key, in the order of the keys, and its row's
// body, which is valid until it returns. It returns false for a malformed body.
func (k *rowKeys) read(db *store, each func(i int, body []byte) bool) error {
	if len(k.ends) == 0 {
		return nil
	}
	order := make([]int, len(k.ends))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(k.key(a), k.key(b)) })
	rows, err := db.rows(&pebble.IterOptions{LowerBound: k.key(order[0])})
	if err != nil {
		return err
	}
	for _, i := range order {
		if !rows.reach(k.key(i)) {
			break
		}
		if !each(i, rows.body) {
			rows.corrupt()
			break
		}
	}
	return rows.close()
}

// reach moves forward to exactly key; if it is missing the store is corrupt.
func (i *rowIter) reach(key []byte) bool {
	valid := i.it.Valid() && i.it.Next()
	if !valid || !bytes.Equal(i.it.Key(), key) {
		valid = i.it.SeekGE(key)
	}
	if !i.at(valid) {
		if i.err == nil {
			i.err = layout.CorruptRow(key, "missing")
		}
		return false
	}
	if !bytes.Equal(i.it.Key(), key) {
		i.err = layout.CorruptRow(key, "missing")
		return false
	}
	return true
}
