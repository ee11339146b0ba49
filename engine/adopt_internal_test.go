package engine

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// LogTag is the tag of the rows of commits.
const LogTag = layout.LogTag

// Examine is what Adopt says of a step, without adopting it.
func (e *Engine) Examine(s *Step) error {
	b := e.db.NewBatch()
	defer b.Close()
	_, err := e.examine(s, b)
	return err
}

// Respell changes rows of a tag in a batch, and has their checksums fit.
func Respell(t *testing.T, batch []byte, tag byte, change func(body []byte)) []byte {
	t.Helper()
	var from, to pebble.Batch
	if err := from.SetRepr(batch); err != nil {
		t.Fatal(err)
	}
	for rows := from.Reader(); ; {
		kind, key, value, more, err := rows.Next()
		switch {
		case err != nil:
			t.Fatal(err)
		case !more:
			return to.Repr()
		case kind == pebble.InternalKeyKindDelete:
			_ = to.Delete(key, nil)
			continue
		}
		body, err := layout.OpenRow(key, value)
		if err != nil {
			t.Fatal(err)
		}
		body = append([]byte(nil), body...)
		if key[0] == tag {
			change(body)
		}
		_ = to.Set(key, layout.SealRow(key, body), nil)
	}
}

// StoredRows are all rows of the store as they stand, for tests that compare two stores.
func (e *Engine) StoredRows(t *testing.T) (rows []string) {
	t.Helper()
	it, err := e.db.DB.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		rows = append(rows, fmt.Sprintf("%q %x", it.Key(), it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// Derived is what readers are told from memory besides rows, for the same tests.
func (e *Engine) Derived() (lines []string) {
	for _, f := range e.db.forks.all() {
		lines = append(lines, fmt.Sprintf("fork %+v", *f))
	}
	for _, g := range e.db.acts.all() {
		lines = append(lines, fmt.Sprintf("act %+v", *g))
	}
	if floors := e.db.floors.Load(); floors != nil {
		lines = append(lines, fmt.Sprintf("floors %v", *floors)) // in order
	}
	return append(lines, fmt.Sprintf("outcomes dropped to %d, last commit at %d", e.prunedTime.Load(), e.publishedTime.Load()))
}

// UsedFeatures are those that the store lists.
func (e *Engine) UsedFeatures(t *testing.T) []string {
	t.Helper()
	body, err := getRow(e.db, featuresKey)
	names, good := parseFeatures(body)
	if err != nil || body != nil && !good {
		t.Fatalf("%x, %v", body, err)
	}
	return names
}
