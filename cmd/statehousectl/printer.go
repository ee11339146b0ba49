package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// pipeWidth is how wide lines are cut when the output is no terminal.
const pipeWidth = 120

// printer writes a command's output, buffered. The first error stays.
type printer struct {
	w        *bufio.Writer
	terminal bool
	width    int
	json     *json.Encoder
	text     bytes.Buffer // what json encodes into
	scratch  []byte
	held     []heldRow
	widths   []int // of the columns of rows
}

func newPrinter(out io.Writer) *printer {
	p := &printer{w: bufio.NewWriterSize(out, 64<<10), width: pipeWidth}
	p.json = json.NewEncoder(&p.text)
	p.json.SetEscapeHTML(false)
	return p
}

// newPrinter is a printer on the tool's output, which may be a terminal.
func (a *app) newPrinter() *printer {
	p := newPrinter(a.out)
	if f, ok := a.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			p.width = w
		}
	}
	if w, err := strconv.Atoi(a.getenv("COLUMNS")); err == nil && w > 0 {
		p.width = w
	}
	return p
}

func (p *printer) flush() error {
	if err := p.release(); err != nil {
		return err
	}
	return p.w.Flush()
}

// line prints one line. What comes from the daemon must be made printable first.
func (p *printer) line(format string, args ...any) error {
	if len(p.held) > 0 { // in its place behind the rows before it
		p.held = append(p.held, heldRow{line: fmt.Sprintf(format, args...)})
		return nil
	}
	_, err := fmt.Fprintf(p.w, format+"\n", args...)
	return err
}

// encode is v as JSON on one line, without its end. It is valid until the next call.
func (p *printer) encode(v any) ([]byte, error) {
	p.text.Reset()
	if err := p.json.Encode(v); err != nil {
		return nil, err
	}
	p.scratch = appendJSON(p.scratch[:0], bytes.TrimSuffix(p.text.Bytes(), []byte("\n")))
	return p.scratch, nil
}

// object prints v as JSON on one line.
func (p *printer) object(v any) error {
	text, err := p.encode(v)
	if err != nil {
		return err
	}
	_, err = p.w.Write(append(text, '\n'))
	return err
}

// value prints a value for a person: indented on a terminal, else as it is.
func (p *printer) value(text []byte) error {
	if p.terminal {
		p.text.Reset()
		if err := json.Indent(&p.text, text, "", "  "); err != nil {
			return fmt.Errorf("the value is not JSON: %w", err)
		}
		text = p.text.Bytes()
	}
	_, err := p.w.Write(append(appendJSON(nil, text), '\n'))
	return err
}
