package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// LongHistory is how many operations a history has at least that is judged in sections.
const LongHistory = 100_000

// Index is what a file that is longer than memory holds where: what has to be known before any
// of it is judged, and where the rest is.
type Index struct {
	Header             Header // with the whole base
	Complete           bool
	Operations, Events int
	Gaps               []Gap

	In         io.ReaderAt
	Size       int64
	Ops, Log   stretchOfFile
	OpsL, LogL int    // the lines that they begin with
	LastInLog  uint64 // if it is dense
}

// stretchOfFile is from the first line of a kind to the end of the last one.
type stretchOfFile struct{ from, to int64 }

func (s *stretchOfFile) add(from, to int64) (first bool) {
	if first = s.to == 0; first {
		s.from = from
	}
	s.to = to
	return first
}

// ReadIndex reads a file through, and decodes only the rare lines: all but those of operations,
// their batches and the log.
func ReadIndex(in io.ReaderAt, size int64) (*Index, error) {
	s := &Index{In: in, Size: size}
	n := 0
	ended := false
	err := eachLine(io.NewSectionReader(in, 0, size), func(text []byte, at int64) error {
		n++
		if ended {
			return errors.New("it comes after the end line")
		}
		var err error
		ended, err = s.look(text, at, n)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", n, err)
	case !ended:
		return nil, fmt.Errorf("line %d: the history is cut off: it has no end line: %w", n+1, io.ErrUnexpectedEOF)
	}
	if s.Header.Base != nil {
		s.LastInLog = s.Header.Base.CommitTS
	}
	s.LastInLog += uint64(s.Events)
	return s, nil
}

func (s *Index) look(text []byte, at int64, n int) (ended bool, err error) {
	if n == 1 {
		return false, decode(text, &s.Header)
	}
	end := at + int64(len(text)) + 1
	switch kind := kindOfLine(text); string(kind) {
	case "op", "batch":
		if s.Ops.add(at, end) {
			s.OpsL = n
		}
		if kind[0] == 'o' {
			s.Operations++
		}
		return false, nil
	case "event":
		if s.Log.add(at, end) {
			s.LogL = n
		}
		s.Events++
		return false, nil
	case "note":
		return false, nil
	}
	var l Line
	if err := l.read(text); err != nil {
		return false, err
	}
	if err := l.check(); err != nil {
		return false, err
	}
	switch {
	case l.End != nil && l.End.Lines != n-1:
		return false, fmt.Errorf("the end line counts %d lines before it, but there are %d", l.End.Lines, n-1)
	case l.End != nil:
		s.Complete = l.End.Complete
		return true, nil
	case l.Gap != nil:
		s.Gaps = append(s.Gaps, *l.Gap)
		return false, nil
	case l.Record != nil || l.Agent != nil:
		return false, (&History{Header: s.Header}).add(&l, nil)
	}
	return false, errors.New("its first field is not what it holds") // with white space kindOfLine does not know
}

// kindOfLine is the first key of a line; nil: there is none.
func kindOfLine(text []byte) []byte {
	rest := bytes.TrimLeft(text, " \t\r")
	if len(rest) == 0 || rest[0] != '{' {
		return nil
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	end := bytes.IndexByte(rest[1:], '"')
	if end < 0 {
		return nil
	}
	return rest[1 : end+1]
}

// eachLine calls f with each line, and where it is. The line is f's only until f returns.
func eachLine(in io.Reader, f func(text []byte, at int64) error) error {
	buf := make([]byte, 0, 1<<20)
	at := int64(0)
	for {
		if len(buf) == cap(buf) {
			if cap(buf) > MaxLine {
				return fmt.Errorf("longer than %d bytes", MaxLine)
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 && err == io.EOF && len(rest) > 0 {
				i = len(rest)
			}
			if i < 0 {
				break
			}
			if err := f(rest[:i], at); err != nil {
				return err
			}
			at += int64(i) + 1
			rest = rest[min(i+1, len(rest)):]
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		buf = buf[:copy(buf, rest)]
	}
}
