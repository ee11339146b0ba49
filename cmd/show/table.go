package show

import (
	"io"
	"strings"
)

// PipeWidth is how wide lines are cut when the output is no terminal.
const PipeWidth = 120

// Rows of cells line up: some are held back until it is known how wide their
// columns are. A column of later ones only grows.
const (
	heldRows   = 64
	widestCell = 32 // what is wider does not widen its column
	leastValue = 20 // columns of a value, however narrow the terminal
)

// Table writes rows of cells that line up, and lines between them.
type Table struct {
	Width  int
	Colour bool // deletes are red
	out    io.StringWriter
	held   []heldRow
	widths []int // of the columns
}

// heldRow is a row, or a line between rows.
type heldRow struct {
	cells []string
	value string
	line  string
	alert bool // it is to be noticed
}

// NewTable is a table as wide as PipeWidth.
func NewTable(out io.StringWriter) *Table { return &Table{Width: PipeWidth, out: out} }

// Line writes a line, in its place after the rows before it.
func (t *Table) Line(line string) error {
	line = Printable(line)
	if len(t.held) > 0 {
		t.held = append(t.held, heldRow{line: line})
		return nil
	}
	_, err := t.out.WriteString(line + "\n")
	return err
}

// Row writes cells, all of them printable, and after them as much of the value as
// fits.
func (t *Table) Row(value []byte, cells ...string) error { return t.row(false, value, cells) }

func (t *Table) row(alert bool, value []byte, cells []string) error {
	t.held = append(t.held, heldRow{cells: cells, value: Summary(value, t.Width), alert: alert && t.Colour})
	for i, cell := range cells {
		if i == len(t.widths) {
			t.widths = append(t.widths, 0)
		}
		if n := Columns(cell); n <= widestCell {
			t.widths[i] = max(t.widths[i], n)
		}
	}
	if len(t.held) < heldRows {
		return nil
	}
	return t.Release()
}

// Release writes what was held back.
func (t *Table) Release() error {
	for _, h := range t.held {
		line := h.line
		if h.cells != nil {
			var b strings.Builder
			for i, cell := range h.cells {
				b.WriteString(Pad(cell, t.widths[i]) + "  ")
			}
			line = b.String()
			line = strings.TrimRight(line+Cut(h.value, max(t.Width-Columns(line), leastValue)), " ")
		}
		if h.alert {
			line = red + line + plain
		}
		if _, err := t.out.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	clear(t.held)
	t.held = t.held[:0]
	return nil
}

// Change is Row for a change: one that deletes is to be noticed.
func (t *Table) Change(deletes bool, value []byte, cells ...string) error {
	return t.row(deletes, value, cells)
}
