package enginebench

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"time"

	"statehouse.dev/statehouse/engine"
)

var ctx = context.Background()

// DiskUsed is what a directory occupies, in bytes: blocks, not apparent sizes, so
// that what is preallocated counts and holes do not.
func DiskUsed(dir string) (int64, error) {
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

// Space is how many bytes on disk a byte of keys and values costs.
type Space struct {
	AfterCommits    float64
	AfterCompaction float64
}

// MeasureSpace writes l into a new engine in dir and looks at the disk.
func MeasureSpace(dir string, l Load) (Space, error) {
	e, err := Open(dir)
	if err != nil {
		return Space{}, err
	}
	defer e.Close()
	if _, err := Commits(e, l); err != nil {
		return Space{}, err
	}
	data := float64(l.Commits * l.BytesPerCommit())
	used, err := DiskUsed(dir)
	if err != nil {
		return Space{}, err
	}
	s := Space{AfterCommits: float64(used) / data}
	if err := e.Compact(); err != nil {
		return s, err
	}
	used, err = settledDiskUsed(dir)
	s.AfterCompaction = float64(used) / data
	return s, err
}

// settledDiskUsed waits a moment for files that are obsolete to be removed, which
// Pebble does in the background.
func settledDiskUsed(dir string) (used int64, err error) {
	for range 20 {
		before := used
		if used, err = DiskUsed(dir); err != nil || used == before {
			return used, err
		}
		time.Sleep(250 * time.Millisecond)
	}
	return used, nil
}

// Scale is how latencies grow with the number of records.
type Scale struct {
	Records      int
	Commit, Read time.Duration // p50 of one client, in the engine
}

// MeasureScale grows one store and measures one client's commits and random
// reads at each size. progress is told of records written.
func MeasureScale(dir string, sizes []int, progress func(records int)) ([]Scale, error) {
	e, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	l := Load{Clients: 8, ValueBytes: 256, Keys: 1 << 30, Writes: 1000}
	values := l.Values()
	var out []Scale
	have := 0
	for _, size := range sizes {
		for have < size {
			n := min((size-have)/l.Writes, 100)
			if n == 0 {
				break
			}
			base := have / l.Writes
			if _, err := Measure(l.Clients, n, func(_, i int) error {
				id := engine.TxnID(fmt.Sprintf("load-%d", base+i))
				_, err := e.Transact(ctx, id, l.writes(values, 0, base+i), engine.Conditions{})
				return err
			}); err != nil {
				return nil, err
			}
			have += n * l.Writes
			if progress != nil {
				progress(have)
			}
		}
		s := Scale{Records: have}
		if s.Commit, s.Read, err = latencies(e, l, values, have); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// latencies of overwrites and reads of keys drawn from all there are.
func latencies(e *Engine, l Load, values [][]byte, records int) (commit, read time.Duration, err error) {
	r := rand.New(rand.NewPCG(uint64(records), 3))
	c, err := Measure(1, 2000, func(_, i int) error {
		w := engine.Write{Name: l.name(0, r.IntN(records)), Value: values[i%len(values)]}
		_, err := e.Transact(ctx, engine.TxnID(fmt.Sprintf("one-%d-%d", records, i)), []engine.Write{w}, engine.Conditions{})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	g, err := Measure(1, 50_000, func(_, _ int) error {
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
