package simdisk_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/sim/simdisk"
)

// simulated are the options that the simulator gives Pebble, but for the limits
// that this benchmark never comes near.
func simulated(d *simdisk.Disk, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS:                          d,
		Logger:                      &quiet{},
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		DisableAutomaticCompactions: true,
		DisableTableStats:           true,
		MemTableSize:                256 << 10,
	}
	o.Experimental.FileCacheShards = 1
	o.Experimental.ReadSamplingMultiplier = -1
	return o
}

// BenchmarkPebble is what a run of the simulator costs below the engine: open a
// store, commit a hundred times with a sync each, flush, cut the power, open again.
// The store has so many MiB in tables from before.
func BenchmarkPebble(b *testing.B) {
	for _, mib := range []int{0, 8} {
		b.Run(fmt.Sprintf("store=%dMiB", mib), func(b *testing.B) {
			cache := pebble.NewCache(1 << 20)
			defer cache.Unref()
			base := filled(b, cache, mib)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d := base.Clone()
				db, err := pebble.Open("/data/store", simulated(d, cache))
				must(b, err)
				for n := range uint64(100) {
					must(b, db.Set(key(n), bytes.Repeat(key(n), 40), pebble.Sync))
				}
				must(b, db.Flush())
				next := d.Crash(simdisk.CrashOptions{Mode: simdisk.Random, Seed: uint64(i)})
				must(b, db.Close())
				db, err = pebble.Open("/data/store", simulated(next, cache))
				must(b, err)
				must(b, db.Close())
			}
		})
	}
}

// filled returns a disk with a store of some size, in tables of a MiB.
func filled(b *testing.B, cache *pebble.Cache, mib int) *simdisk.Disk {
	b.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, err := pebble.Open("/data/store", simulated(d, cache))
	must(b, err)
	value := make([]byte, 4096)
	for n := range uint64(mib * 256) {
		for i := range value {
			value[i] = byte(n * uint64(i) * 2654435761 >> 13) // not to be compressed away
		}
		must(b, db.Set(key(n), value, pebble.NoSync))
		if n%256 == 255 {
			must(b, db.Flush())
		}
	}
	must(b, db.Close())
	return d
}

// BenchmarkAppend is a log's way of writing: a little at the end, and a sync.
func BenchmarkAppend(b *testing.B) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	record := make([]byte, 400)
	b.ReportAllocs()
	for b.Loop() {
		f, err := d.Create("/data/000001.log", unspecified)
		if err != nil {
			must(b, d.MkdirAll("/data", 0o755))
			continue
		}
		for range 1000 {
			_, err := f.Write(record)
			must(b, err)
			must(b, f.Sync())
		}
		must(b, f.Close())
		must(b, syncDir(d, "/data"))
	}
}

// BenchmarkImages copies a disk of 16 MiB in files of 1 MiB that nobody changes.
func BenchmarkImages(b *testing.B) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	for i := range 16 {
		must(b, put(d, fmt.Sprintf("%06d.sst", i), string(make([]byte, 1<<20))))
	}
	must(b, syncDir(d, "/"))
	b.Run("clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Clone()
		}
	})
	b.Run("crash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d = d.Crash(simdisk.CrashOptions{Mode: simdisk.Random})
		}
	})
}
