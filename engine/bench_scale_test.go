package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkSpace reports how many bytes on disk a byte of keys and values costs after
// 100,000 commits of 256-byte values (the aim: at most 4), and after a flush and a
// compaction (at most 2).
func BenchmarkSpace(b *testing.B) {
	l := load(64, 100_000)
	var used, compacted int64
	for b.Loop() {
		dir := b.TempDir()
		e, err := openRunning(dir)
		if err != nil {
			b.Fatal(err)
		}
		_, err = commits(e, l)
		if err == nil {
			used, err = diskUsed(dir)
		}
		if err == nil {
			err = e.Compact()
		}
		if err == nil {
			compacted, err = settledDiskUsed(dir)
		}
		if err = errors.Join(err, e.Close()); err != nil {
			b.Fatal(err)
		}
	}
	data := float64(l.Commits * l.bytesPerCommit())
	b.ReportMetric(float64(used)/data, "disk/data")
	b.ReportMetric(float64(compacted)/data, "compacted/data")
}

// BenchmarkScale reports latencies of one client in a store of 100,000 records and in a
// larger one (STATEHOUSE_BENCH_RECORDS; 1,000,000), which should be alike: the aim, for a
// client on the wire, is at most 1.5.
func BenchmarkScale(b *testing.B) {
	records := 1_000_000
	if text := os.Getenv("STATEHOUSE_BENCH_RECORDS"); text != "" {
		var err error
		if records, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	e := openBench(b)
	l := benchLoad{Clients: 8, ValueBytes: 256, Keys: 1 << 30, Writes: 1000}
	values := l.values()
	commit, read := map[int]time.Duration{}, map[int]time.Duration{}
	have := 0
	for _, size := range []int{100_000, records} {
		base := have / l.Writes
		_, err := measure(l.Clients, (size-have)/l.Writes, func(_, i int) error {
			_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("load-%d", base+i)), l.writes(values, 0, base+i), engine.Conditions{})
			return err
		})
		if err == nil {
			commit[size], read[size], err = latencies(e, l, values, size)
		}
		if err != nil {
			b.Fatal(err)
		}
		have = size
	}
	b.ReportMetric(float64(commit[records].Microseconds()), "commit-p50-µs")
	b.ReportMetric(float64(read[records].Microseconds()), "get-p50-µs")
	b.ReportMetric(float64(commit[records])/float64(commit[100_000]), "commit-growth")
	b.ReportMetric(float64(read[records])/float64(read[100_000]), "get-growth")
}

// diskUsed is what a directory occupies, in bytes: blocks, not apparent sizes, so
// that what is preallocated counts and holes do not.
func diskUsed(dir string) (int64, error) {
	var used int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // removed meanwhile
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			used += st.Blocks * 512
		}
		return nil
	})
	return used, err
}

// settledDiskUsed waits a moment for files that are obsolete to be removed, which
// Pebble does in the background.
func settledDiskUsed(dir string) (used int64, err error) {
	for range 20 {
		before := used
		if used, err = diskUsed(dir); err != nil || used == before {
			return used, err
		}
		time.Sleep(250 * time.Millisecond)
	}
	return used, nil
}

// latencies of overwrites and reads of keys drawn from all there are.
func latencies(e *runningEngine, l benchLoad, values [][]byte, records int) (commit, read time.Duration, err error) {
	r := rand.New(rand.NewPCG(uint64(records), 3))
	c, err := measure(1, 2000, func(_, i int) error {
		w := engine.Write{Name: l.name(0, r.IntN(records)), Value: values[i%len(values)]}
		_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("one-%d-%d", records, i)), []engine.Write{w}, engine.Conditions{})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	g, err := measure(1, 50_000, func(_, _ int) error {
		s, err := e.Snapshot(engine.At{})
		if err != nil {
			return err
		}
		rec, err := s.Get(l.name(0, r.IntN(records)))
		if err == nil && !rec.Exists {
			err = fmt.Errorf("%v is missing", rec.Name)
		}
		return err
	})
	return c.P50, g.P50, err
}
