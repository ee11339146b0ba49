package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// TestPebblePrefixSeek holds what reads of records rest on: with layout.VersionSplit in
// the comparer, SeekPrefixGE finds a record's newest version and nothing of a
// neighbour's, through bloom filters, in memory, after a flush and after a
// compaction. Names are neighbours in every way that a split could get wrong.
func TestPebblePrefixSeek(t *testing.T) {
	log := pebbleLog{func(string, ...any) {}, func(err error) { t.Error(err) }}
	db, err := pebble.Open("/store", storeOptions(vfs.NewMem(), Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20, ManualCompaction: true}, log, nil))
	if err != nil {
		t.Fatal(err)
	}
	// The bytes of a version can look like names, and names like versions.
	odd := []string{"a", "ab", "aaaaaaaa", "a\x01", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"}
	var names []RecordName
	for _, ns := range odd {
		for _, agent := range odd {
			for _, key := range odd {
				names = append(names, RecordName{Namespace: ns, Agent: agent, Key: key})
			}
		}
	}
	// Absent ones are looked for, too; versions pass a byte's end on the way.
	versionsOf := func(i int) Version { return Version(i % 3 * 150) }
	write := func(from, to Version) {
		t.Helper()
		b := db.NewBatch()
		for i, n := range names {
			for v := from; v <= min(to, versionsOf(i)); v++ {
				_ = b.Set(layout.AppendVersion(layout.RecordPrefix(n), v), fmt.Appendf(nil, "%v %d", n, v), nil)
			}
		}
		if err := b.Commit(pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	check := func(stage string, upTo Version) {
		t.Helper()
		for _, filters := range []bool{false, true} {
			it, err := db.NewIter(&pebble.IterOptions{UseL6Filters: filters})
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range names {
				newest := min(upTo, versionsOf(i))
				found := it.SeekPrefixGE(layout.RecordPrefix(n))
				if found != (newest > 0) {
					t.Fatalf("%s: %q found is %v, its newest version %d", stage, n, found, newest)
				}
				for v := newest; v > 0; v-- {
					if want := fmt.Sprintf("%v %d", n, v); string(it.Value()) != want {
						t.Fatalf("%s: %q has %q where %q must be", stage, n, it.Value(), want)
					}
					if it.Next() != (v > 1) {
						t.Fatalf("%s: after version %d of %q the iterator is valid is %v", stage, v, n, v <= 1)
					}
				}
			}
			if err := errors.Join(it.Error(), it.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(1, 100)
	check("in memory", 100)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	check("flushed", 100)
	write(101, 200) // a record's versions in two tables
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	check("in two tables", 200)
	if err := db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	check("compacted", 200)
	write(201, 300)
	check("in a table and in memory", 300)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
