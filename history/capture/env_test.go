package capture

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statehouse.dev/statehouse/history"
)

// memory is an FS in memory. Errors are of what is set in broken.
type memory struct {
	mu     sync.Mutex
	files  map[string]*memoryFile
	broken error // what Create and Write fail with
	worlds int   // that have used it
}

type memoryFile struct {
	of   *memory
	name string
	data []byte
}

func newMemory() *memory { return &memory{files: make(map[string]*memoryFile)} }

// worldOf is an Env without real time: each look at its clock takes a microsecond, and
// each world begins an hour after the one before.
func worldOf(files *memory) Env {
	var mu sync.Mutex
	files.worlds++
	now, random := time.Unix(1_000_000_000, 0).Add(time.Duration(files.worlds)*time.Hour), rand.NewChaCha8([32]byte{1})
	return Env{
		FS: files,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Microsecond)
			return now
		},
		Rand:   func(p []byte) { _, _ = random.Read(p) },
		Within: func(_ time.Duration, f func(context.Context) error) error { return f(context.Background()) },
	}
}

func (m *memory) MkdirAll(string) error { return nil }

func (m *memory) List(dir string) (list []fs.FileInfo, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path, f := range m.files { // in any order
		if filepath.Dir(path) == dir {
			list = append(list, f)
		}
	}
	return list, nil
}

func (m *memory) Create(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	if m.files[path] != nil {
		return nil, fs.ErrExist
	}
	m.files[path] = &memoryFile{of: m, name: filepath.Base(path)}
	return m.files[path], nil
}

func (m *memory) Open(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] == nil {
		return nil, fs.ErrNotExist
	}
	return m.files[path], nil
}

func (m *memory) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[path] == nil {
		return fs.ErrNotExist
	}
	delete(m.files, path)
	return nil
}

func (m *memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[from]
	if f == nil {
		return fs.ErrNotExist
	}
	delete(m.files, from)
	f.name, m.files[to] = filepath.Base(to), f
	return nil
}

// cut cuts n bytes off the end of a file.
func (m *memory) cut(path string, n int) {
	f := m.files[path]
	f.data = f.data[:len(f.data)-n]
}

func (f *memoryFile) Write(p []byte) (int, error) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if f.of.broken != nil {
		return 0, f.of.broken
	}
	f.data = append(f.data, p...)
	return len(p), nil
}

func (f *memoryFile) ReadAt(p []byte, at int64) (int, error) {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	return bytes.NewReader(f.data).ReadAt(p, at)
}

func (f *memoryFile) Close() error       { return nil }
func (f *memoryFile) Name() string       { return f.name }
func (f *memoryFile) Size() int64        { return int64(len(f.data)) }
func (f *memoryFile) Mode() fs.FileMode  { return 0o600 }
func (f *memoryFile) ModTime() time.Time { return time.Time{} }
func (f *memoryFile) IsDir() bool        { return false }
func (f *memoryFile) Sys() any           { return nil }

// TestSameWorldSameBytes: what is recorded and dumped is a function of what comes over
// the seam.
func TestSameWorldSameBytes(t *testing.T) {
	run := func() map[string]string {
		s, files := newStore(), newMemory()
		r := s.recorder(t, files)
		for i := range 40 {
			s.write(t, r, 5, `{"secret":"`+strings.Repeat("x", 1000*i)+`"}`)
			r.Flush()
		}
		r.Halted("the disk is gone", Options{Source: s})
		_, _, text := s.dump(t, r, RedactNames)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{"the dump": text}
		for path, f := range files.files { // into a map: order cannot matter
			all[path] = string(f.data)
		}
		return all
	}
	one, other := run(), run()
	if len(one) < 5 || !maps.Equal(one, other) {
		t.Errorf("%d and %d files that are not the same", len(one), len(other))
	}
}

// TestBrokenDisk: a disk that fails costs what should have been written to it, which is
// counted, and Status says why. When it works again the ring goes on.
func TestBrokenDisk(t *testing.T) {
	s, files := newStore(), newMemory()
	r := s.recorder(t, files)
	defer r.Close()
	s.write(t, r, 3, `{}`)
	r.Flush()
	files.broken = errors.New("no space")
	s.write(t, r, 4, `{}`)
	r.Flush()
	r.Halted("it is full", Options{Source: s})
	if st := r.Status(); st.Lost != 4 || !errors.Is(st.Problem, files.broken) {
		t.Errorf("%+v", st)
	}
	files.broken = nil
	s.write(t, r, 5, `{}`)
	r.Flush()
	if st := r.Status(); st.Problem != nil {
		t.Errorf("%+v", st)
	}
	h, _, _ := s.dump(t, r, RedactValues)
	if len(h.Operations) != 8 || len(h.Gaps) != 1 || h.Gaps[0].Lost != 4 {
		t.Errorf("%d operations, gaps %+v", len(h.Operations), h.Gaps)
	}
	for path := range files.files { // in any order
		if strings.Contains(path, "dump") {
			t.Errorf("%s is left", path)
		}
	}
}

// TestWithin: who waits does not wait for what hangs.
func TestWithin(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	within := OSEnv().Within
	err := within(time.Millisecond, func(context.Context) error { <-hang; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	failed := errors.New("failed")
	if err := within(time.Hour, func(context.Context) error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
}

// TestOSFiles: the ring of production is its owner's alone.
func TestOSFiles(t *testing.T) {
	files, dir := OSEnv().FS, filepath.Join(t.TempDir(), "a", "ring")
	if err := files.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.ring")
	for _, text := range []string{"old", "newer"} {
		if err := writeFile(files, path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := filesOf(files, dir, ".ring")
	if err != nil || len(list) != 1 || list[0].Size() != 5 || list[0].Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", list, err)
	}
	if data, err := readFile(files, path); string(data) != "newer" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := files.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if err := errors.Join(remove(files, path), remove(files, path)); err != nil {
		t.Error(err)
	}
	if list, err := filesOf(files, filepath.Join(dir, "none"), ".ring"); len(list) != 0 || err != nil {
		t.Errorf("no directory: %v, %v", list, err)
	}
}

// stuck is a Source that answers nothing until it is let go.
type stuck struct {
	Source
	letGo chan struct{}
}

func (s stuck) Events(uint64, uint64, func(*history.Event) error) error {
	<-s.letGo
	return nil
}

// TestEndDumps: a dump that was given up is waited for before what it reads is closed.
func TestEndDumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		r := s.recorder(t, newMemory())
		s.write(t, r, 5, `{}`)
		calls := 0
		r.env.Within = func(_ time.Duration, f func(context.Context) error) error {
			if calls++; calls > 1 {
				return f(t.Context())
			}
			go func() { _ = f(t.Context()) }()
			return context.DeadlineExceeded
		}
		source := stuck{Source: s, letGo: make(chan struct{})}
		if _, err := r.DumpFile(Options{Source: source}, "test"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		ended := false
		go func() {
			_ = r.EndDumps()
			ended = true
		}()
		synctest.Wait()
		if ended {
			t.Error("it did not wait")
		}
		close(source.letGo)
		synctest.Wait()
		if !ended {
			t.Error("it waits for a dump that has ended")
		}
	})
}
