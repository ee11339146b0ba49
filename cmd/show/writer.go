package show

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer is an output that no text can make a terminal obey: what is not printable is
// written as an escape of JSON. A tool that prints through one shows names, values,
// notes and errors of strangers wherever they come to be printed; what is quoted already
// passes as it is, and so does JSON to a program, which reads the same. Lines and tabs
// stay. It is safe for concurrent use.
type Writer struct {
	Colour bool // what Alert writes is red

	mu  sync.Mutex
	out io.Writer
	cut []byte // a character's beginning, the rest of which is yet to come
	buf []byte
}

// NewWriter makes one.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

func (w *Writer) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	whole := append(w.cut, text...)
	end := wholeCharacters(whole)
	w.buf = appendVisible(w.buf[:0], whole[:end])
	w.cut = append([]byte(nil), whole[end:]...)
	if _, err := w.out.Write(w.buf); err != nil {
		return 0, err
	}
	return len(text), nil
}

// wholeCharacters is where a character begins that text has only the beginning of, or
// its length.
func wholeCharacters(text []byte) int {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if utf8.FullRune(text[i:]) {
				break
			}
			return i
		}
	}
	return len(text)
}

// appendVisible is AppendJSON for text of which not all is JSON.
func appendVisible(dst, text []byte) []byte {
	from := 0
	for i, c := range text {
		if c < ' ' && c != '\n' && c != '\t' {
			dst = appendEscape(AppendJSON(dst, text[from:i]), rune(c))
			from = i + 1
		}
	}
	return AppendJSON(dst, text[from:])
}

// Colours reports whether an output may be coloured: it is a terminal, and nothing says that it
// or its user would rather not (https://no-color.org).
func Colours(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

const (
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// Alert writes text that is to be noticed.
func (w *Writer) Alert(text string) error {
	if !w.Colour {
		_, err := w.Write([]byte(text))
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.out, red+string(appendVisible(nil, []byte(text)))+plain)
	return err
}
