package bench

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// syncLatency is the p50 of writing about what a commit's log record is and
// fdatasync, over what the file holds already.
func syncLatency(dir string, d time.Duration) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const size, space = 512, 8 << 20
	if _, err := f.Write(make([]byte, space)); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	var took []time.Duration
	buf := make([]byte, size)
	for start := time.Now(); time.Since(start) < d; {
		t := time.Now()
		if _, err := f.WriteAt(buf, int64(len(took)*size%space)); err != nil {
			return 0, err
		}
		if err := datasync(f); err != nil {
			return 0, err
		}
		took = append(took, time.Since(t))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
