package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/sim/simtest"
)

// tableReads looks at what is read of tables below blockFS.
type tableReads struct {
	vfs.FS
	large, broken atomic.Int64 // reads that blockFS checks, and those without a checksum
}

func (r *tableReads) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := r.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return tableFile{f, r}, nil
}

type tableFile struct {
	vfs.File
	reads *tableReads
}

func (f tableFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if n >= checkedRead {
		f.reads.large.Add(1)
		if !blockSumHolds(p[:n]) {
			f.reads.broken.Add(1)
		}
	}
	return n, err
}

func factStore(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	log := pebbleLog{func(string, ...any) {}, func(err error) { t.Error(err) }}
	events := &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	o := storeOptions(fs, Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20}, log, events)
	db, err := pebble.Open("/store", o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// What blockFS rests on: of a table Pebble reads the footer, which is short, and whole
// blocks with their trailers, whoever reads and however far ahead.
func TestPebbleReadsWholeBlocks(t *testing.T) {
	simtest.Serial(t)
	fs := &tableReads{FS: vfs.NewMem()}
	rng := rand.New(rand.NewPCG(1, 1))
	db := factStore(t, fs)
	const rounds, rows = 12, 60
	for round := range rounds {
		for i := range rows {
			size := []int{10, 100, 3000, 5000, 9000, 40_000}[i%6]
			if i == 7 {
				size = 1 << 20
			}
			name := RecordName{Namespace: "n", Agent: fmt.Sprint("agent-", i%7), Key: fmt.Sprint("key-", i)}
			key := layout.AppendVersion(layout.RecordPrefix(name), Version(round+1))
			if err := db.Set(key, layout.SealRow(key, noise(rng, size)), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	readAll := func() {
		t.Helper()
		for _, forward := range []bool{true, false} {
			it, err := db.NewIter(nil)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ok := forward && it.First() || !forward && it.Last(); ok; ok = forward && it.Next() || !forward && it.Prev() {
				n++
			}
			if err := it.Close(); err != nil || n != rounds*rows {
				t.Errorf("%d rows, %v", n, err)
			}
		}
	}
	readAll()
	if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	readAll()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = factStore(t, fs)
	readAll()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d reads of %d bytes or more", fs.large.Load(), checkedRead)
	if fs.large.Load() < 1000 || fs.broken.Load() > 0 {
		t.Errorf("of %d reads %d are no block with a checksum", fs.large.Load(), fs.broken.Load())
	}
}

// Why there is blockFS: Pebble searches a damaged block for the bit, and says so.
func TestPebbleSearchesForFlippedBits(t *testing.T) {
	mem := vfs.NewMem()
	db := factStore(t, mem)
	key := layout.AppendVersion(layout.RecordPrefix(RecordName{Namespace: "n", Agent: "a", Key: "k"}), 1)
	value := noise(rand.New(rand.NewPCG(1, 1)), 6000)
	if err := db.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, mem, value[3000:3100])
	for _, checked := range []bool{true, false} {
		o := storeOptions(mem, Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20}, pebbleLog{func(string, ...any) {}, func(error) {}},
			&pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}})
		if !checked {
			o.FS = mem
		}
		db, err := pebble.Open("/store", o)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = db.Get(key)
		if searched := strings.Contains(fmt.Sprintf("%+v", err), "bit flip found"); !pebble.IsCorruptionError(err) || searched == checked {
			t.Errorf("with the check %v: Pebble searched %v and answered %v", checked, searched, err)
		}
		_ = db.Close()
	}
}

// flip changes a bit of the only table that holds pattern.
func flip(t *testing.T, fs vfs.FS, pattern []byte) {
	t.Helper()
	names, err := fs.List("/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin("/store", name)
		content, err := readFile(fs, path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(content, pattern)
		if at < 0 || !strings.HasSuffix(name, ".sst") {
			continue
		}
		content[at] ^= 4
		if err := writeFileAtomic(fs, path, content); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no table holds the value")
}

// BenchmarkBlockRead is what the check adds to the read of a block that is not cached.
func BenchmarkBlockRead(b *testing.B) {
	dir := b.TempDir()
	for _, size := range []int{8 << 10, 1 << 20} {
		name := fmt.Sprintf("%s/%d.sst", dir, size)
		w, err := vfs.Default.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			b.Fatal(err)
		}
		block := noise(rand.New(rand.NewPCG(1, 1)), size)
		block = binary.LittleEndian.AppendUint32(block, blockSum(block))
		if _, err := w.Write(block); err != nil {
			b.Fatal(err)
		}
		_ = w.Close()
		for _, fs := range []vfs.FS{vfs.Default, blockFS{vfs.Default}} {
			b.Run(fmt.Sprintf("%d bytes, %T", size, fs), func(b *testing.B) {
				f, err := fs.Open(name)
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				p := make([]byte, len(block))
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f.ReadAt(p, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
