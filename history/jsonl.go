package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is how many bytes a line may have, its newline aside.
const MaxLine = 16 << 20

// Line is any line but the header. Exactly one field is set.
type Line struct {
	Record *Record    `json:"record,omitempty"` // of the base
	Agent  *Agent     `json:"agent,omitempty"`  // of the base
	Op     *Operation `json:"op,omitempty"`     // without its batches
	Batch  *BatchOf   `json:"batch,omitempty"`
	Event  *Event     `json:"event,omitempty"` // of the log
	Note   *Note      `json:"note,omitempty"`
	Gap    *Gap       `json:"gap,omitempty"`
	End    *End       `json:"end,omitempty"`
}

// BatchOf is a batch of an operation that stands before it.
type BatchOf struct {
	Op int `json:"op"`
	Batch
}

// End is the last line: without it, a file cut at a newline would look whole.
type End struct {
	Complete bool `json:"complete"` // as in History
	Lines    int  `json:"lines"`    // before this one, the header among them
}

func (l Line) check() error {
	n := 0
	for _, set := range []bool{l.Record != nil, l.Agent != nil, l.Op != nil, l.Batch != nil, l.Event != nil, l.Note != nil, l.Gap != nil, l.End != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("a line holds one of record, agent, op, batch, event, note, gap and end, but this one holds %d", n)
	}
	if l.Op != nil {
		return l.Op.check()
	}
	return nil
}

// check refuses what is no operation, whatever was answered.
func (op *Operation) check() error {
	switch {
	case op.ID < 1:
		return errors.New("operations are numbered from 1")
	case infoOf[op.Kind] == nil:
		return fmt.Errorf("operation %d is of kind %q, which there is not", op.ID, op.Kind)
	case op.Outcome != OK && op.Outcome != Fail && op.Outcome != Unknown:
		return fmt.Errorf("operation %d has the outcome %q, and not ok, fail or unknown", op.ID, op.Outcome)
	case op.Outcome == Fail && op.Error == nil:
		return fmt.Errorf("operation %d failed without an error", op.ID)
	case op.Outcome != Unknown && op.Return == 0:
		return fmt.Errorf("operation %d was answered, but has not returned", op.ID)
	case op.Return != 0 && op.Return < op.Call:
		return fmt.Errorf("operation %d returned before it was called", op.ID)
	case op.In.PageOf == op.ID:
		return fmt.Errorf("operation %d continues operation %d, itself", op.ID, op.In.PageOf)
	}
	return nil
}

// Writer writes a history line by line. Its errors stay: after a line that is
// missing, no end line may say that all is there.
type Writer struct {
	out   *bufio.Writer
	lines int
	err   error
}

// NewWriter writes the header, with this package's Format and Version.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	w := &Writer{out: bufio.NewWriter(out)}
	h.Format, h.Version = Format, Version
	return w, w.put(h, nil)
}

// Write writes a line. Kinds may mix; within a kind, order is kept.
func (w *Writer) Write(l Line) error { return w.put(l, l.check()) }

// End writes the end line and flushes. Nothing can be written after it.
func (w *Writer) End(complete bool) error {
	if err := w.Write(Line{End: &End{complete, w.lines}}); err != nil {
		return err
	}
	err := w.out.Flush()
	w.err = errors.New("the history has ended")
	return err
}

func (w *Writer) put(v any, err error) error {
	if w.err != nil {
		return w.err
	}
	w.lines++
	var text []byte
	if err == nil {
		text, err = encode(v)
	}
	if err == nil {
		_, err = w.out.Write(text)
	}
	if err != nil {
		w.err = fmt.Errorf("line %d: %w", w.lines, err)
	}
	return w.err
}

// encode refuses what a Reader would refuse, or see changed.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // people read it
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > MaxLine+1 {
		return nil, fmt.Errorf("longer than %d bytes", MaxLine)
	}
	// The encoder puts this escape, and only it, in place of bytes that are not UTF-8:
	// two keys would become one. Text with a real backslash before ufffd is no such.
	if bytes.Contains(bytes.ReplaceAll(b.Bytes(), []byte(`\\`), nil), []byte(`\ufffd`)) {
		return nil, errors.New("text that is not UTF-8")
	}
	return b.Bytes(), nil
}

// Reader reads a history line by line.
type Reader struct {
	Header   Header
	Complete bool // as in History; known once Next has said io.EOF
	scan     *bufio.Scanner
	lines    int
	err      error
	torn     bool // err is of a line that could not be read
}

// NewReader reads the header.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{scan: bufio.NewScanner(in)}
	r.scan.Buffer(nil, MaxLine+1)
	if err := r.read(&r.Header); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.lines, err)
	}
	if err := r.Header.Base.check(); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.lines, err)
	}
	return r, nil
}

// Next returns the next line before the end line. io.EOF says that the end line was
// there and right; a file that stops without one ends in another error. Errors stay.
func (r *Reader) Next() (Line, error) {
	var l Line
	if r.err == nil {
		if r.err = r.next(&l); r.err != nil && r.err != io.EOF {
			r.err = fmt.Errorf("line %d: %w", r.lines, r.err)
		}
	}
	if r.err != nil {
		return Line{}, r.err
	}
	return l, nil
}

func (r *Reader) next(l *Line) error {
	if err := r.read(l); err != nil {
		r.torn = true
		return err
	}
	if err := l.check(); err != nil || l.End == nil {
		return err
	}
	if before := r.lines - 1; l.End.Lines != before {
		return fmt.Errorf("the end line counts %d lines before it, but there are %d", l.End.Lines, before)
	}
	r.lines++
	if r.scan.Scan() {
		return errors.New("it comes after the end line")
	}
	if err := r.scan.Err(); err != nil {
		return err
	}
	r.Complete = l.End.Complete
	return io.EOF
}

// cutOff reports whether the line that could not be read is the last, whole or not there.
func (r *Reader) cutOff() bool { return r.torn && !r.scan.Scan() && r.scan.Err() == nil }

// read decodes the next line. Its errors are never io.EOF.
func (r *Reader) read(v any) error {
	r.lines++
	if !r.scan.Scan() {
		switch err := r.scan.Err(); err {
		case nil:
			return fmt.Errorf("the history is cut off: it has no end line: %w", io.ErrUnexpectedEOF)
		case bufio.ErrTooLong:
			return fmt.Errorf("longer than %d bytes: %w", MaxLine, err)
		default:
			return err
		}
	}
	var err error
	if l, ok := v.(*Line); ok {
		err = l.read(r.scan.Bytes())
	} else {
		err = decode(r.scan.Bytes(), v)
	}
	if err != nil && r.scan.Err() != nil {
		return r.scan.Err() // it was not read to its end
	}
	return err
}

// MaxObjects is how many objects a line may have, in its values too. What takes three
// bytes in a file takes a hundred in memory.
const MaxObjects = 2 << 20

// read decodes a line.
func (l *Line) read(text []byte) error {
	if bytes.Count(text, []byte("{")) > MaxObjects {
		return fmt.Errorf("more than %d objects", MaxObjects)
	}
	if parseLine(text, l) {
		return nil
	}
	*l = Line{}
	return decode(text, l)
}

// decode is strict: a field that is passed over is something that is not judged.
func decode(text []byte, v any) error {
	if _, first := v.(*Header); first {
		if err := checkVersion(text); err != nil {
			return err
		}
	}
	if !utf8.Valid(text) {
		return errors.New("text that is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err == io.EOF {
		return errors.New("empty")
	} else if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("JSON that ends in the middle: %w", err)
	} else if err != nil {
		return InWords(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

// checkVersion looks at nothing else: a header of another version may have fields
// that this one does not know, and they are not what is wrong with it.
func checkVersion(header []byte) error {
	var h struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(header, &h); h.Format != Format {
		return notOurs(header)
	} else if err != nil {
		return InWords(err)
	}
	if h.Version != Version {
		return fmt.Errorf("this history is of version %d, and only version %d can be read here", h.Version, Version)
	}
	return nil
}
