package sim

import (
	"context"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"statehouse.dev/statehouse/history/capture"
	"statehouse.dev/statehouse/server/captures"
	"statehouse.dev/statehouse/sim/step"
)

// ring is the disk that captures are on: not the store's, and without faults.
type ring struct {
	files map[string]*ringFile
	looks int64 // at its clock
}

var _ capture.FS = (*ring)(nil)

// capturing is how the daemon is to capture.
func (w *World) capturing() captures.Config {
	if !w.config.Capture {
		return captures.Config{}
	}
	return captures.Config{Dir: "/ring", On: true, Env: capture.Env{
		FS: &w.ring,
		Now: func() time.Time { // it is never set, and no two moments are one
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ring.looks++
			return step.Epoch.Add(w.clock.elapsed + time.Duration(w.ring.looks))
		},
		Rand: func(b []byte) { clear(b) }, // the key of digests, of which there are none
		// What halts, halts: no dump is made of it on the way.
		Within: func(time.Duration, func(context.Context) error) error { return nil },
	}}
}

type ringFile struct {
	name string
	data []byte
}

func (r *ring) MkdirAll(string) error { return nil }

func (r *ring) List(dir string) (list []fs.FileInfo, err error) {
	for _, path := range slices.Sorted(maps.Keys(r.files)) {
		if filepath.Dir(path) == dir {
			list = append(list, ringInfo{r.files[path]})
		}
	}
	return list, nil
}

func (r *ring) Create(path string) (capture.File, error) {
	if r.files[path] != nil {
		return nil, fs.ErrExist
	}
	if r.files == nil {
		r.files = make(map[string]*ringFile)
	}
	r.files[path] = &ringFile{name: filepath.Base(path)}
	return r.files[path], nil
}

func (r *ring) Open(path string) (capture.File, error) {
	if r.files[path] == nil {
		return nil, fs.ErrNotExist
	}
	return r.files[path], nil
}

func (r *ring) Remove(path string) error {
	if r.files[path] == nil {
		return fs.ErrNotExist
	}
	delete(r.files, path)
	return nil
}

func (r *ring) Rename(from, to string) error {
	f := r.files[from]
	if f == nil {
		return fs.ErrNotExist
	}
	delete(r.files, from)
	f.name, r.files[to] = filepath.Base(to), f
	return nil
}

func (f *ringFile) Write(p []byte) (int, error) {
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *ringFile) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *ringFile) Close() error { return nil }

type ringInfo struct{ f *ringFile }

func (i ringInfo) Name() string       { return i.f.name }
func (i ringInfo) Size() int64        { return int64(len(i.f.data)) }
func (i ringInfo) Mode() fs.FileMode  { return 0o600 }
func (i ringInfo) ModTime() time.Time { return time.Time{} }
func (i ringInfo) IsDir() bool        { return false }
func (i ringInfo) Sys() any           { return nil }
