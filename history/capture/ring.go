package capture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// segments is how many files a full ring has: it drops its oldest part in pieces
// of that size.
const segments = 16

const segmentSuffix = ".ring"

func segmentName(number int) string { return fmt.Sprintf("%09d%s", number, segmentSuffix) }

// ring is the files. One goroutine writes.
type ring struct {
	dir     string
	max     int64 // bytes of all segments
	current *os.File
	size    int64 // of current
	number  int   // of the next segment
	kept    []segment
}

type segment struct {
	path string
	size int64
}

func openRing(dir string, limit int64) (*ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &ring{dir: dir, max: limit, number: 1}
	names, err := segmentNames(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		r.kept = append(r.kept, segment{name, info.Size()})
		if _, err := fmt.Sscanf(filepath.Base(name), "%d", &r.number); err != nil {
			return nil, fmt.Errorf("%s is no segment of a ring", name)
		}
		r.number++
	}
	return r, nil
}

// segmentNames lists a ring's files, oldest first.
func segmentNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), segmentSuffix) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names) // numbers of one width
	return names, nil
}

// begin begins a segment with a first frame, and drops the oldest ones for it.
func (r *ring) begin(first []byte) error {
	if err := r.close(); err != nil {
		return err
	}
	for len(r.kept) > 0 && r.bytes()+r.max/segments > r.max {
		if err := os.Remove(r.kept[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		r.kept = r.kept[1:]
	}
	path := filepath.Join(r.dir, segmentName(r.number))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	r.number++
	r.current, r.size = f, 0
	r.kept = append(r.kept, segment{path: path})
	return r.write(first)
}

// wrapped tells whether a segment was dropped.
func (r *ring) wrapped() bool { return r.number-1 > len(r.kept) }

// full tells whether it is time for another segment.
func (r *ring) full() bool { return r.current == nil || r.size >= r.max/segments }

func (r *ring) bytes() (total int64) {
	for _, s := range r.kept {
		total += s.size
	}
	return total
}

// write writes a chunk: frames behind chunkHeader bytes that are left for its head.
// After an error nothing more can be written to the segment.
func (r *ring) write(chunk []byte) error {
	sum(chunk)
	n, err := r.current.Write(chunk)
	r.size += int64(n)
	r.kept[len(r.kept)-1].size = r.size
	if err != nil {
		_ = r.close()
	}
	return err
}

func (r *ring) close() error {
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current = nil
	return err
}

// clear drops everything.
func (r *ring) clear() error {
	err := r.close()
	for _, s := range r.kept {
		if rerr := os.Remove(s.path); err == nil && !errors.Is(rerr, os.ErrNotExist) {
			err = rerr
		}
	}
	r.kept, r.number = nil, 1
	return err
}
