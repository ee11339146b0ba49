package capture

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"time"
)

// Env is everything a recorder may ask of the outside world. Production has it from
// OSEnv.
type Env struct {
	// FS holds the ring. It is not the store's: a ring may be on another disk, which may
	// stall without harm to the store, and that of a store in memory is on a disk, too.
	FS FS
	// Now is the clock. The time between two of its readings is right even when the wall
	// clock is set in between, as it is with time.Now.
	Now func() time.Time
	// Rand fills p with random bytes: the key of digests.
	Rand func(p []byte)
	// Within calls f with a context that ends after d. It returns f's error, or the
	// context's if f does not return in time: f may hang on a disk that does not answer.
	Within func(d time.Duration, f func(context.Context) error) error
}

// FS is what a recorder needs of a file system. Errors match those of io/fs.
type FS interface {
	// MkdirAll makes a directory, and its parents, that only its owner can read.
	MkdirAll(dir string) error
	// List returns the files of a directory, in any order.
	List(dir string) ([]fs.FileInfo, error)
	// Create makes a file that only its owner can read. It fails if the file exists.
	Create(path string) (File, error)
	// Open opens a file for reading. The file stays readable when it is removed.
	Open(path string) (File, error)
	Remove(path string) error
	// Rename replaces what is at the path to.
	Rename(from, to string) error
}

// File is a file of an FS.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

func readFile(files FS, path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	return data, errors.Join(err, f.Close())
}

// replaceFile writes a file under another name and renames it, so that path leads to
// what was there before or to all of what is new.
func replaceFile(files FS, path string, write func(io.Writer) error) error {
	part := path + ".part"
	if err := remove(files, part); err != nil {
		return err
	}
	f, err := files.Create(part)
	if err != nil {
		return err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = files.Rename(part, path)
	}
	if err != nil {
		_ = files.Remove(part) // of no use to anybody
	}
	return err
}

func writeFile(files FS, path string, data []byte) error {
	return replaceFile(files, path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// remove removes a file that may be gone already.
func remove(files FS, path string) error {
	if err := files.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// filesOf are the files of dir whose names end in suffix; of a directory that does not
// exist, none.
func filesOf(files FS, dir, suffix string) ([]fs.FileInfo, error) {
	all, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []fs.FileInfo
	for _, info := range all {
		if filepath.Ext(info.Name()) == suffix {
			list = append(list, info)
		}
	}
	return list, err
}
