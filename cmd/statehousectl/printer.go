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

	"statehouse.dev/statehouse/cmd/show"
)

// printer writes a command's output, buffered. The first error stays.
type printer struct {
	w        *bufio.Writer
	terminal bool
	format   string   // of formats; empty is a table without the names of its columns
	headers  bool     // a table has them
	pending  []string // names of columns that are yet to be printed
	many     bool     // a list is printed
	items    int      // of it, so far
	table    *show.Table
	json     show.Encoder
}

func newPrinter(out io.Writer) *printer {
	w := bufio.NewWriterSize(out, 64<<10)
	return &printer{w: w, table: show.NewTable(w)}
}

// newPrinter is a printer on the tool's output, which may be a terminal.
func (a *app) newPrinter() *printer {
	p := newPrinter(a.out)
	p.format, p.headers = a.format, a.format == formatTable && !a.noHeaders
	if f, ok := a.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = true
		p.table.Colour = show.Colours(true, a.getenv)
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			p.table.Width = w
		}
	}
	if w, err := strconv.Atoi(a.getenv("COLUMNS")); err == nil && w > 0 {
		p.table.Width = w
	}
	return p
}

func (p *printer) flush() error {
	if err := p.table.Release(); err != nil {
		return err
	}
	return p.w.Flush()
}

// line prints one line. What comes from the daemon must be made printable first.
func (p *printer) line(format string, args ...any) error {
	if err := p.head(); err != nil {
		return err
	}
	return p.table.Line(fmt.Sprintf(format, args...))
}

// row prints cells, all of them printable, and after them as much of the value as
// fits.
func (p *printer) row(value []byte, cells ...string) error {
	if err := p.head(); err != nil {
		return err
	}
	return p.table.Row(value, cells...)
}

// encode is v as JSON on one line, without its end. It is valid until the next call.
func (p *printer) encode(v any) ([]byte, error) { return p.json.Encode(v) }

// value prints a value for a person: indented on a terminal, else as it is.
func (p *printer) value(text []byte) error {
	if p.terminal {
		var indented bytes.Buffer
		if err := json.Indent(&indented, text, "", "  "); err != nil {
			return fmt.Errorf("the value is not JSON: %w", err)
		}
		text = indented.Bytes()
	}
	_, err := p.w.Write(append(show.AppendJSON(nil, text), '\n'))
	return err
}
