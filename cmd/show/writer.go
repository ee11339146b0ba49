package show

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer writes text to a terminal with all characters that are not printable escaped as
// in JSON, except line breaks and tabs, so that no name, value or error of a client can
// control the terminal. Text that is quoted already stays as it is, and JSON stays the
// same to a program that reads it. A Writer is safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	out io.Writer
	cut []byte // the beginning of a character that is not complete yet
	buf []byte
}

// NewWriter returns a Writer to out.
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

// wholeCharacters is the length of text without an incomplete character at its end.
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

// appendVisible is AppendJSON for text that is not all JSON.
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
