package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/metrics"

	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/edn"
	"statehouse.dev/statehouse/history/zst"
)

// readLimits bound what reading a history may take: it may come from a stranger, and some
// hundred kilobytes can unpack to any size, or make objects of many times its own.
type readLimits struct {
	bytes  int64 // unpacked; 0: by the size of the file
	memory int64 // of what is made of it; 0: maxMemory
}

const (
	maxMemory = 1 << 30
	// What is compressed may unpack to so many times its size: real histories become ten
	// times smaller, very uniform ones a hundred times.
	maxRatio = 256
	// It may unpack to this anyhow, and never to more than maxUnpacked without a flag.
	anyhowUnpacked = 256 << 20
	maxUnpacked    = 4 << 30
)

var errTooLarge = errors.New("too large")

func (l *readLimits) flags(f *pflag.FlagSet) {
	f.Int64Var(&l.bytes, "max-bytes", 0, fmt.Sprintf("refuse what unpacks to more than this (default %d times its size, from %d to %d)", maxRatio, anyhowUnpacked, int64(maxUnpacked)))
	f.Int64Var(&l.memory, "max-memory", maxMemory, "refuse a history of which more than this would be in memory, in bytes")
}

// unpacked is how much a compressed file may come to.
func (l *readLimits) unpacked(info os.FileInfo) int64 {
	switch {
	case l.bytes > 0:
		return l.bytes
	case !info.Mode().IsRegular():
		return maxUnpacked // the size of a pipe is not known
	}
	return max(anyhowUnpacked, min(maxUnpacked, maxRatio*info.Size()))
}

// file is a history in a file, that is read within the limits.
func (l *readLimits) file(in io.ReaderAt, size int64) *historyFile {
	g := &memoryGuard{in: in, limit: maxMemory}
	if l.memory > 0 {
		g.limit = uint64(l.memory)
	}
	return &historyFile{g, size}
}

// memoryGuard is a file that cannot be read on when there is too much in memory: that is
// what is to be bounded, and no count of bytes, lines or operations says it.
type memoryGuard struct {
	in    io.ReaderAt
	limit uint64
}

func (g *memoryGuard) ReadAt(p []byte, at int64) (int, error) {
	if heap() > g.limit {
		if runtime.GC(); heap() > g.limit { // it was not only garbage
			return 0, fmt.Errorf("%w: it takes more than %d bytes of memory; --max-memory raises that", errTooLarge, g.limit)
		}
	}
	return g.in.ReadAt(p, at)
}

// heap is how many bytes of memory objects take.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// historyFile is a history that can be read more than once.
type historyFile struct {
	file io.ReaderAt
	size int64
}

func (f *historyFile) reader() io.Reader { return io.NewSectionReader(f.file, 0, f.size) }

// history reads the whole of it, in the format that its name says.
func (f *historyFile) history(path string, cut bool) (*history.History, error) {
	if formatOf(path) == edn.Suffix {
		return edn.Read(f.reader())
	}
	if cut {
		return history.ReadCut(bufio.NewReaderSize(f.reader(), 1<<20))
	}
	return history.ReadHistory(bufio.NewReaderSize(f.reader(), 1<<20))
}

// long surveys a history that can be judged in sections, and is long enough for that.
// Others are nil, and so is what is no history: whoever reads it says why.
func (f *historyFile) long(how judging) *history.Index {
	if !how.parts || how.cut || f.size < history.LongHistory*minLine {
		return nil
	}
	s, err := history.ReadIndex(f.file, f.size)
	if err != nil || !s.Complete || s.Operations < history.LongHistory || s.Header.Source == history.SourceClient || s.Header.Base != nil && s.Header.Base.Covers > 0 {
		return nil
	}
	return s
}

// minLine is less than an operation takes in a file.
const minLine = 60

// openHistory opens a history. What is compressed, or can be read only once, is copied
// into a temporary file.
func openHistory(path string, limits readLimits) (_ *historyFile, done func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	if info.Mode().IsRegular() && !zst.Compressed(f) {
		return limits.file(f, info.Size()), func() { _ = f.Close() }, nil
	}
	defer f.Close()
	in, err := zst.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	defer in.Close()
	temp, err := os.CreateTemp("", "statehouse-history-")
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		_ = temp.Close()
		_ = os.Remove(temp.Name())
	}
	most := limits.unpacked(info)
	size, err := io.Copy(temp, io.LimitReader(in, most+1))
	if err == nil && size > most {
		err = fmt.Errorf("%w: it is more than %d bytes unpacked; --max-bytes raises that", errTooLarge, most)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	return limits.file(temp, size), done, nil
}
