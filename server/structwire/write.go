package structwire

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"statehouse.dev/statehouse/engine/jsonform"
)

// Tags of the fields in read.go, each of which is one byte.
const (
	structFieldsTag = byte(structFields)<<3 | byte(protowire.BytesType)
	entryKeyTag     = byte(entryKey)<<3 | byte(protowire.BytesType)
	entryValueTag   = byte(entryValue)<<3 | byte(protowire.BytesType)
	listValuesTag   = byte(ListValues)<<3 | byte(protowire.BytesType)

	nullTag   = byte(NullKind)<<3 | byte(protowire.VarintType)
	numberTag = byte(numberKind)<<3 | byte(protowire.Fixed64Type)
	stringTag = byte(stringKind)<<3 | byte(protowire.BytesType)
	boolTag   = byte(boolKind)<<3 | byte(protowire.VarintType)
	structTag = byte(structKind)<<3 | byte(protowire.BytesType)
	listTag   = byte(ListKind)<<3 | byte(protowire.BytesType)
)

// Append appends JSON text as the wire bytes of a google.protobuf.Struct,
// fields in the order of the text. The text is one that jsonform.CheckValue
// returned; another may be refused or come out as something else. A number that no
// double is becomes the nearest one, and is counted in Inexact.
func Append(dst, text []byte) ([]byte, Inexact, error) {
	w := structWriter{text: text, dst: slices.Grow(dst, len(text)+len(text)/4+16)}
	if w.peek() != '{' {
		return nil, w.inexact, w.fail()
	}
	if err := w.object(); err != nil {
		return nil, w.inexact, err
	}
	if w.at != len(text) {
		return nil, w.inexact, w.fail()
	}
	return w.dst, w.inexact, nil
}

// structWriter reads JSON from text[at:] and appends messages to dst. A length
// stands before what it is the length of, so one byte is left for it, its slot,
// and most lengths fit. For one that does not, what follows is moved (setLengths).
type structWriter struct {
	text    []byte
	at      int
	dst     []byte
	depth   int
	path    [jsonform.MaxValueDepth]pathStep // of the containers that are open
	inexact Inexact
}

// fail refuses text that CheckValue cannot have returned.
func (w *structWriter) fail() error {
	return fmt.Errorf("not the JSON of a value: byte %d of %d", w.at, len(w.text))
}

func (w *structWriter) peek() byte {
	if w.at < len(w.text) {
		return w.text[w.at]
	}
	return 0
}

// enter steps over the opening bracket.
func (w *structWriter) enter() error {
	if w.depth == jsonform.MaxValueDepth {
		return w.fail()
	}
	w.depth++
	w.at++
	return nil
}

// more steps over the comma before the next member or the bracket after the last.
func (w *structWriter) more(closing byte) (bool, error) {
	switch w.peek() {
	case ',':
		w.at++
		return true, nil
	case closing:
		w.at++
		w.depth--
		return false, nil
	}
	return false, w.fail()
}

func (w *structWriter) object() error {
	if err := w.enter(); err != nil {
		return err
	}
	if w.peek() == '}' {
		_, err := w.more('}')
		return err
	}
	for more := true; more; {
		w.dst = append(w.dst, structFieldsTag, 0, entryKeyTag, 0)
		entry := len(w.dst) - 3
		if err := w.string(); err != nil {
			return err
		}
		w.setLengths(entry + 2)
		w.path[w.depth-1] = pathStep{keyFrom: w.afterLength(entry + 2), keyTo: len(w.dst)}
		if w.peek() != ':' {
			return w.fail()
		}
		w.at++
		w.dst = append(w.dst, entryValueTag, 0)
		if err := w.value(entry, len(w.dst)-1); err != nil {
			return err
		}
		var err error
		if more, err = w.more('}'); err != nil {
			return err
		}
	}
	return nil
}

func (w *structWriter) list() error {
	if err := w.enter(); err != nil {
		return err
	}
	if w.peek() == ']' {
		_, err := w.more(']')
		return err
	}
	for i, more := 0, true; more; i++ {
		w.path[w.depth-1] = pathStep{item: i}
		w.dst = append(w.dst, listValuesTag, 0)
		if err := w.value(-1, len(w.dst)-1); err != nil {
			return err
		}
		var err error
		if more, err = w.more(']'); err != nil {
			return err
		}
	}
	return nil
}

// value appends the content of a Value and sets the lengths that end with it: of
// an entry (-1: it is in a list) and of the Value itself.
func (w *structWriter) value(entrySlot, valueSlot int) error {
	content := -1
	var err error
	switch c := w.peek(); c {
	case '{':
		w.dst = append(w.dst, structTag, 0)
		content = len(w.dst) - 1
		err = w.object()
	case '[':
		w.dst = append(w.dst, listTag, 0)
		content = len(w.dst) - 1
		err = w.list()
	case '"':
		w.dst = append(w.dst, stringTag, 0)
		content = len(w.dst) - 1
		err = w.string()
	case 't':
		err = w.literal("true", boolTag, 1)
	case 'f':
		err = w.literal("false", boolTag, 0)
	case 'n':
		err = w.literal("null", nullTag, 0)
	default:
		err = w.number()
	}
	if err != nil {
		return err
	}
	switch {
	case entrySlot < 0 && content < 0:
		w.setLengths(valueSlot)
	case entrySlot < 0:
		w.setLengths(valueSlot, content)
	case content < 0:
		w.setLengths(entrySlot, valueSlot)
	default:
		w.setLengths(entrySlot, valueSlot, content)
	}
	return nil
}

func (w *structWriter) literal(word string, tag, payload byte) error {
	if rest := w.text[w.at:]; len(rest) < len(word) || string(rest[:len(word)]) != word {
		return w.fail()
	}
	w.at += len(word)
	w.dst = append(w.dst, tag, payload)
	return nil
}

func (w *structWriter) number() error {
	from := w.at
	for w.at < len(w.text) && numberBytes[w.text[w.at]] {
		w.at++
	}
	text := w.text[from:w.at]
	d, exact, err := exactDouble(text)
	if err != nil {
		w.at = from
		return w.fail()
	}
	if !exact {
		w.inexact.add(w, text, from)
	}
	w.dst = protowire.AppendFixed64(append(w.dst, numberTag), math.Float64bits(d))
	return nil
}

var numberBytes = func() (is [256]bool) {
	for _, c := range "0123456789-.eE+" {
		is[c] = true
	}
	return is
}()

const (
	maxSlots      = 3 // end at the same place: of an entry, its Value and a container in that
	maxVarintSize = 10
)

// afterLength is where the content of a message begins whose length stands at slot.
func (w *structWriter) afterLength(slot int) int {
	_, n := protowire.ConsumeVarint(w.dst[slot:])
	return slot + n
}

// setLengths fills the slots, outermost first, of messages that all end at the end
// of dst. It moves every byte at most once, so that a byte inside of n containers
// is moved n times: a bounded number, since the nesting is.
func (w *structWriter) setLengths(slots ...int) {
	end := len(w.dst)
	if end-slots[0]-1 < 1<<7 {
		for _, slot := range slots {
			w.dst[slot] = byte(end - slot - 1)
		}
		return
	}
	grown := 0 // by how much the message after a slot outgrows its present size
	for i := len(slots) - 1; i >= 0; i-- {
		grown += protowire.SizeVarint(uint64(end-slots[i]-1+grown)) - 1
	}
	var room [maxSlots * (maxVarintSize - 1)]byte
	w.dst = append(w.dst, room[:grown]...)
	newEnd := len(w.dst)
	for i := len(slots) - 1; i >= 0; i-- {
		slot := slots[i]
		copy(w.dst[slot+1+grown:], w.dst[slot+1:end])
		content := newEnd - (slot + 1 + grown)
		end = slot
		grown -= protowire.SizeVarint(uint64(content)) - 1
		protowire.AppendVarint(w.dst[:slot+grown], uint64(content))
	}
}

// string appends the text of a JSON string. Where its quote is is looked for again
// only when an escape turns out to have been in front of it, so that no text takes
// more than a few looks at each byte.
func (w *structWriter) string() error {
	if w.peek() != '"' {
		return w.fail()
	}
	w.at++
	for quote := -1; ; {
		if quote < w.at {
			n := bytes.IndexByte(w.text[w.at:], '"')
			if n < 0 {
				return w.fail()
			}
			quote = w.at + n
		}
		n := bytes.IndexByte(w.text[w.at:quote], '\\')
		if n < 0 {
			w.dst = append(w.dst, w.text[w.at:quote]...)
			w.at = quote + 1
			return nil
		}
		w.dst = append(w.dst, w.text[w.at:w.at+n]...)
		w.at += n
		if err := w.escape(); err != nil {
			return err
		}
	}
}

// escape appends what an escape stands for.
func (w *structWriter) escape() error {
	if w.at+1 >= len(w.text) {
		return w.fail()
	}
	c := w.text[w.at+1]
	w.at += 2
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, err := w.hex4()
		if err == nil && utf16.IsSurrogate(r) {
			w.at += len(`\u`)
			var low rune
			low, err = w.hex4()
			r = utf16.DecodeRune(r, low)
		}
		w.dst = utf8.AppendRune(w.dst, r)
		return err
	}
	w.dst = append(w.dst, c)
	return nil
}

func (w *structWriter) hex4() (r rune, err error) {
	if w.at+4 > len(w.text) {
		return 0, w.fail()
	}
	for _, c := range w.text[w.at : w.at+4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c&15)
	}
	w.at += 4
	return r, nil
}
