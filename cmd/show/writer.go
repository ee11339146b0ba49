package show

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer is a terminal's output on which nobody can have it obey: what is not printable
// is written as an escape of JSON. A tool that prints through one shows names, values,
// notes and errors of strangers wherever they come to be printed; what is quoted already
// passes as it is, and so does JSON to a program, which reads the same. Lines and tabs
// stay. It is safe for concurrent use.
type Writer struct {
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
