package bench

import (
	"context"
	"os"
	"path/filepath"
)

// Disk is what a commit waits for and no server can spare it: a write of about its size,
// over what the file in dir holds already, and fdatasync. Close ends it.
func Disk(dir, op string) (t *Target, close func(), err error) {
	f, err := os.Create(filepath.Join(dir, "fdatasync"))
	if err != nil {
		return nil, nil, err
	}
	close = func() {
		_ = f.Close() // nothing in it counts
		_ = os.Remove(f.Name())
	}
	const size, space = 512, 8 << 20
	if _, err = f.Write(make([]byte, space)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		close()
		return nil, nil, err
	}
	buf, at := make([]byte, size), int64(0)
	sync := func(context.Context, int, int) (int, error) {
		at = (at + size) % space
		if _, err := f.WriteAt(buf, at); err != nil {
			return 0, err
		}
		return 1, datasync(f)
	}
	return &Target{Name: "fdatasync", Clients: 1, Ops: map[string]Op{op: sync}}, close, nil
}
