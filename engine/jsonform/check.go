package jsonform

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"

	"statehouse.dev/statehouse/engine/words"
)

// A value is one JSON object, kept as the text that was sent. CheckValue reads it once,
// front to back, and builds no tree: a value of 1 MiB would become tens of MiB of small
// objects. It remembers only where the keys of the open objects are, to find duplicates.
//
// It is by hand because going over the tokens of jsontext is no faster where it matters (0.65 µs
// for a value of 256 bytes, and 0.60 by hand), takes three times as long for an object of 300
// keys, and leaves still to be said where an error is, whether a number fits into a float64 and
// whether the value is in its normal form.

// MaxValueDepth is how deep objects and arrays may be nested in a value, counting the
// outermost. A Python protobuf client cannot read deeper Structs.
const MaxValueDepth = 28

// maxTextBytes is a limit above all configured ones: offsets are kept in 32 bits.
const maxTextBytes = math.MaxInt32

// ValueError says why a value is refused. It matches ErrInvalid.
type ValueError struct {
	Reason string // what is wrong, without the place
	Offset int    // of the byte where it is wrong; -1 for the value as a whole
}

func (e *ValueError) Error() string {
	if e.Offset < 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
}

// Unwrap makes errors.Is find ErrInvalid.
func (e *ValueError) Unwrap() error { return words.ErrInvalid }

// CheckValue refuses what is not a value: one object of strict JSON (RFC 8259) of
// at most maxBytes as sent, in UTF-8, nested at most MaxValueDepth deep, with no
// key twice in an object and no number that is infinite as a float64. It returns the
// text without insignificant white space and otherwise unchanged, including number
// spellings, escapes and key order. Text without such white space is returned itself,
// not a copy. A copy has little spare capacity, so len is about what it costs.
func CheckValue(text []byte, maxBytes int) ([]byte, error) {
	out, _, err := CheckForm(text, maxBytes)
	return out, err
}

// CheckForm is CheckValue, and reports whether its result is certainly in normal form
// (normalform.go), as most values are.
func CheckForm(text []byte, maxBytes int) (out []byte, normal bool, err error) {
	if limit := min(maxBytes, maxTextBytes); len(text) > limit {
		return nil, false, &ValueError{fmt.Sprintf("the value is %d bytes long, more than the limit of %d bytes", len(text), limit), -1}
	}
	if len(text) == 0 {
		return nil, false, &ValueError{"the value is empty; it must be a JSON object", -1}
	}
	s := valueScanner{text: text, keys: NewKeySet(text), normal: true}
	s.space()
	if s.peek() != '{' {
		return nil, false, s.unexpected("the value must be a JSON object, but has", "it")
	}
	if err := s.object(); err != nil {
		return nil, false, err
	}
	s.space()
	if s.at < len(text) {
		return nil, false, s.unexpected("the value goes on after its end with", "more")
	}
	return s.compacted(), s.normal, nil
}

// valueScanner reads a value. Each method starts at the first byte of what it is named
// after and ends at the byte after it.
type valueScanner struct {
	text   []byte
	at     int // the next byte
	depth  int // containers open
	keys   KeySet
	normal bool   // what was read so far is in normal form
	out    []byte // text[:copied] without white space; nil if there was none so far
	copied int
}

func (s *valueScanner) fail(offset int, format string, args ...any) error {
	return &ValueError{fmt.Sprintf(format, args...), offset}
}

// unexpected refuses the byte at s.at, or the end of the text there.
func (s *valueScanner) unexpected(problem, missing string) error {
	if s.at >= len(s.text) {
		return s.fail(s.at, "the value ends where %s should be", missing)
	}
	if c := s.text[s.at]; c >= utf8.RuneSelf {
		return s.fail(s.at, "%s 0x%02x", problem, c)
	}
	return s.fail(s.at, "%s %q", problem, s.text[s.at])
}

// expected is unexpected with the name of what should be there.
func (s *valueScanner) expected(what string) error {
	return s.unexpected(what+" should be where the value has", what)
}

// peek returns the byte at s.at, or 0 at the end; 0 never occurs in JSON.
func (s *valueScanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// space skips insignificant white space and leaves it out of the result.
func (s *valueScanner) space() {
	if s.at < len(s.text) && s.text[s.at] > ' ' {
		return
	}
	from := s.at
	for s.at < len(s.text) {
		if c := s.text[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		s.at++
	}
	if s.at == from {
		return
	}
	if s.out == nil {
		s.out = make([]byte, 0, len(s.text))
	}
	s.out = append(s.out, s.text[s.copied:from]...)
	s.copied = s.at
}

func (s *valueScanner) compacted() []byte {
	if s.out == nil {
		return s.text
	}
	out := append(s.out, s.text[s.copied:]...)
	// A megabyte of blanks around {} must not stay in memory for a value of two bytes.
	if cap(out)-len(out) > len(out)/4 {
		out = bytes.Clone(out)
	}
	return out
}

func (s *valueScanner) value() error {
	switch c := s.peek(); c {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		_, err := s.string()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || isDigit(c) {
			from := s.at
			err := s.number()
			s.normal = s.normal && err == nil && isNormalNumber(s.text[from:s.at])
			return err
		}
		return s.expected("a JSON value")
	}
}

func (s *valueScanner) literal(word string) error {
	if rest := s.text[s.at:]; len(rest) < len(word) || string(rest[:len(word)]) != word {
		return s.fail(s.at, "the value has a word other than true, false or null")
	}
	s.at += len(word)
	return nil
}

// enter skips the opening bracket.
func (s *valueScanner) enter() error {
	if s.depth == MaxValueDepth {
		return s.fail(s.at, "the value is nested more than %d deep", MaxValueDepth)
	}
	s.depth++
	s.at++
	s.space()
	return nil
}

func (s *valueScanner) leave() {
	s.depth--
	s.at++
}

func (s *valueScanner) object() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.leave()
		return nil
	}
	open := s.keys.Open()
	for {
		if err := s.key(open); err != nil {
			return err
		}
		s.space()
		if s.peek() != ':' {
			return s.expected("a colon")
		}
		s.at++
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case '}':
			if at, twice := s.keys.Close(open); twice {
				return s.duplicate(at)
			}
			s.leave()
			return nil
		default:
			return s.expected("a comma or a closing brace")
		}
	}
}

func (s *valueScanner) key(open int) error {
	at := s.at
	if s.peek() != '"' {
		return s.expected("a key in double quotes")
	}
	escaped, err := s.string()
	if err != nil {
		return err
	}
	if twice := s.keys.addJSON(open, at, s.at, escaped); twice {
		return s.duplicate(at)
	}
	s.normal = s.normal && s.keys.inOrder(open)
	return nil
}

func (s *valueScanner) duplicate(at int) error {
	s.at = at
	if _, err := s.string(); err != nil {
		return err // cannot be: it was read before
	}
	return s.fail(at, "an object has the key %.80s twice; the second is", s.text[at:s.at])
}

func (s *valueScanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.leave()
		return nil
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case ']':
			s.leave()
			return nil
		default:
			return s.expected("a comma or a closing bracket")
		}
	}
}
