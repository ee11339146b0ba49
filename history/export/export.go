// Package export is the format in which namespaces and agents leave a store and come into another: JSON
// lines, for eyes and tools as well as for an import. It knows files, and not how they are sent.
//
//	{"statehouse_export":1,"export_id":"…","store_id":"…","epoch":"…","to_ts":42,"made":"…","targets":[{"namespace":"default"}]}
//	{"commit_ts":7,"commit_time":"…","txn_id":"…","principal":"…","trace_id":"…","metadata":{…},"operations":[
//	  {"namespace":"default","agent":"planner","key":"task","version":1,"value":{…}}, …]}   (on one line)
//	…
//	{"end":{"events":3,"operations":9,"sha256":"…"}}
//
// The first line says what it is of, and is followed by whole histories: every commit of what it names, in
// order, with the operations on it. An operation has a value, or is deleted; erased says that its value was
// erased, or that the delete is an erasure's, and pruned that retention took the value. A value
// is the text that is stored, byte for byte. The last line has the SHA-256 of all lines before, so that
// a file that was cut or changed is noticed.
//
// A field that a reader does not know makes it refuse the file, since what it does not know may be what
// matters. So there is room for more.
//
// Original reads what the tools of the original Statehouse write, which are not this format (original.go).
package export

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Format is raised when a reader of the one before could misread a file.
const Format = 1

// Header is the first line.
type Header struct {
	Format  int       `json:"statehouse_export"`
	ID      string    `json:"export_id"` // random: no two exports share one
	Store   string    `json:"store_id,omitempty"`
	Epoch   string    `json:"epoch,omitempty"`
	To      uint64    `json:"to_ts"` // the commit up to which it goes
	Made    time.Time `json:"made,omitzero"`
	Targets []Target  `json:"targets"`
}

// Target is what is exported.
type Target struct {
	Namespace string `json:"namespace"`
	Agent     string `json:"agent,omitempty"` // "": all of the namespace
}

// Event is a commit.
type Event struct {
	CommitTS   uint64            `json:"commit_ts"`
	CommitTime time.Time         `json:"commit_time,omitzero"` // zero: not known
	TxnID      string            `json:"txn_id,omitempty"`
	Principal  string            `json:"principal,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Operations []Operation       `json:"operations"`
}

// Operation is what a commit did to a key.
type Operation struct {
	Namespace string          `json:"namespace"`
	Agent     string          `json:"agent"`
	Key       string          `json:"key"`
	Version   uint64          `json:"version"`
	Deleted   bool            `json:"deleted,omitempty"`
	Erased    bool            `json:"erased,omitempty"`
	Pruned    bool            `json:"pruned,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
}

// End is the last line.
type End struct {
	Events     uint64 `json:"events"`
	Operations uint64 `json:"operations"`
	SHA256     string `json:"sha256"` // of all lines before, in hexadecimal digits
}

// Writer writes an export.
type Writer struct {
	out io.Writer
	sum hash.Hash
	End End // of what was written
}

// NewWriter writes the first line.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := &Writer{out: out, sum: sha256.New()}
	h.Format = Format
	return w, w.line(h)
}

// Event writes a commit.
func (w *Writer) Event(ev *Event) error {
	w.End.Events++
	w.End.Operations += uint64(len(ev.Operations))
	return w.line(ev)
}

// Close writes the last line.
func (w *Writer) Close() error {
	w.End.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	return w.line(struct {
		End *End `json:"end"`
	}{&w.End})
}

func (w *Writer) line(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a value is written as it is stored
	if err := e.Encode(v); err != nil {
		return err
	}
	w.sum.Write(b.Bytes())
	_, err := w.out.Write(b.Bytes())
	return err
}

// maxLine bounds what is read at a time: a commit is at most about 4 MiB, its names may be escaped.
const maxLine = 64 << 20

// Reader reads an export.
type Reader struct {
	Header Header
	End    End // once Next has returned io.EOF

	in   *bufio.Scanner
	sum  hash.Hash
	line int
	last uint64 // commit_ts
	read End
}

// NewReader reads the first line.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: scanner(in), sum: sha256.New()}
	text, err := r.next()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	var format struct {
		Format *int `json:"statehouse_export"`
	}
	if err := json.Unmarshal(text, &format); err != nil || format.Format == nil {
		return nil, errors.New("this is no export of statehousectl: its first line has no statehouse_export")
	}
	if *format.Format != Format {
		return nil, fmt.Errorf("the export has format %d, and this statehousectl reads %d: use a newer one", *format.Format, Format)
	}
	if err := decode(text, &r.Header); err != nil {
		return nil, r.wrong(err)
	}
	return r, nil
}

func scanner(in io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), maxLine)
	return s
}

// next reads a line.
func (r *Reader) next() ([]byte, error) {
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.line+1, err)
		}
		return nil, io.EOF
	}
	r.line++
	return r.in.Bytes(), nil
}

func (r *Reader) wrong(err error) error { return fmt.Errorf("line %d: %w", r.line, err) }

// Next returns the next commit, and io.EOF after the last one if the file is whole and as it was written.
func (r *Reader) Next() (*Event, error) {
	r.sum.Write(append(r.in.Bytes(), '\n'))
	text, err := r.next()
	if err == io.EOF {
		return nil, fmt.Errorf("the file ends after line %d, and an export ends with a line that says so: it was cut, or is still being written", r.line)
	}
	if err != nil {
		return nil, err
	}
	var line struct {
		Event
		End *End `json:"end"`
	}
	if err := decode(text, &line); err != nil {
		return nil, r.wrong(err)
	}
	if line.End != nil {
		return nil, r.end(line.End)
	}
	switch {
	case line.CommitTS <= r.last:
		return nil, r.wrong(fmt.Errorf("commit %d comes after commit %d", line.CommitTS, r.last))
	case len(line.Operations) == 0:
		return nil, r.wrong(errors.New("a commit without operations"))
	}
	r.last = line.CommitTS
	r.read.Events++
	r.read.Operations += uint64(len(line.Operations))
	return &line.Event, nil
}

func (r *Reader) end(end *End) error {
	r.read.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	if r.read != *end {
		return fmt.Errorf("the file has %d commits and SHA-256 %.12s…, and its last line says %d and %.12s…: it was changed", r.read.Events, r.read.SHA256, end.Events, end.SHA256)
	}
	if _, err := r.next(); err != io.EOF {
		return r.wrong(errors.New("there is something after the end"))
	}
	r.End = *end
	return io.EOF
}

// decode reads one JSON object, of which every field is known.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one object on a line")
	}
	return nil
}
