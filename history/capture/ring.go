package capture

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
)

// segments is how many files a full ring has: it drops its oldest part in pieces
// of that size.
const segments = 16

const segmentSuffix = ".ring"

func segmentName(number int) string { return fmt.Sprintf("%09d%s", number, segmentSuffix) }

// ring is the files. One goroutine writes.
type ring struct {
	files   FS
	dir     string
	max     int64 // bytes of all segments
	current File
	size    int64 // of current
	number  int   // of the next segment
	kept    []segment
}

type segment struct {
	path string
	size int64
}

func openRing(files FS, dir string, limit int64) (*ring, error) {
	if err := files.MkdirAll(dir); err != nil {
		return nil, err
	}
	kept, err := segmentsOf(files, dir)
	if err != nil {
		return nil, err
	}
	r := &ring{files: files, dir: dir, max: limit, number: 1, kept: kept}
	if len(kept) > 0 {
		last := kept[len(kept)-1].path
		if _, err := fmt.Sscanf(filepath.Base(last), "%d", &r.number); err != nil {
			return nil, fmt.Errorf("%s is no segment of a ring", last)
		}
		r.number++
	}
	return r, nil
}

// segmentsOf lists a ring's files, oldest first.
func segmentsOf(files FS, dir string) ([]segment, error) {
	infos, err := filesOf(files, dir, segmentSuffix)
	list := make([]segment, len(infos))
	for i, info := range infos {
		list[i] = segment{filepath.Join(dir, info.Name()), info.Size()}
	}
	slices.SortFunc(list, func(a, b segment) int { return cmp.Compare(a.path, b.path) }) // numbers of one width
	return list, err
}

// begin begins a segment with a first frame, and drops the oldest ones for it.
func (r *ring) begin(first []byte) error {
	if err := r.close(); err != nil {
		return err
	}
	for len(r.kept) > 0 && r.bytes()+r.max/segments > r.max {
		if err := remove(r.files, r.kept[0].path); err != nil {
			return err
		}
		r.kept = r.kept[1:]
	}
	path := filepath.Join(r.dir, segmentName(r.number))
	f, err := r.files.Create(path)
	if err != nil {
		return err
	}
	r.number++
	r.current, r.size = f, 0
	r.kept = append(r.kept, segment{path: path})
	return r.write(first)
}

// wrapped reports whether a segment was dropped.
func (r *ring) wrapped() bool { return r.number-1 > len(r.kept) }

// full reports whether it is time for another segment.
func (r *ring) full() bool { return r.current == nil || r.size >= r.max/segments }

func (r *ring) bytes() (total int64) {
	for _, s := range r.kept {
		total += s.size
	}
	return total
}

// write writes a chunk: frames after chunkHeader bytes that are left for its head.
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
		if rerr := remove(r.files, s.path); err == nil {
			err = rerr
		}
	}
	r.kept, r.number = nil, 1
	return err
}
