package history

import (
	"math"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// parser reads JSON as histories have it: what a type's fields are called is in its tags, which
// are looked up once (see shape). Wherever anything is unusual it leaves the line to
// encoding/json: at an unknown, repeated or null field, a number that is no plain integer, a
// surrogate, and at every error. It sets bad then, and what it has read is not used. FuzzParse
// holds the two to each other.
//
// It is by hand because reading is a fifth of the work of checking a long history. For a line
// encoding/json takes 5 times as long, and Unmarshal of go-json-experiment twice as long, with
// which all of statehouse-sim check took 15% more processor time.
//
// Strings are cut out of the line, not copied: who keeps one for long clones it.
type parser struct {
	s   string
	i   int
	bad bool
}

// parseLine reads a line; false: encoding/json has to.
func parseLine(text []byte, l *Line) bool {
	if !utf8.Valid(text) {
		return false
	}
	p := &parser{s: string(text)}
	p.read(lineShape, reflect.ValueOf(l).Elem())
	p.space()
	return !p.bad && p.i == len(p.s)
}

func (p *parser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\r' || p.s[p.i] == '\n') {
		p.i++
	}
}

// next takes a character, if it comes next.
func (p *parser) next(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) want(c byte) {
	if !p.next(c) {
		p.bad = true
	}
}

// text reads a string.
func (p *parser) text() string {
	if p.want('"'); p.bad {
		return ""
	}
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.s[start : p.i-1]
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			p.bad = true
			return ""
		}
		p.i++
	}
	p.bad = true
	return ""
}

// escaped reads a string that begins at the quote before start and has an escape at p.i.
func (p *parser) escaped(start int) string {
	for p.i < len(p.s) && p.s[p.i] != '"' {
		if p.s[p.i] == '\\' {
			p.i++
		}
		p.i++
	}
	if p.i++; p.i > len(p.s) {
		p.bad = true
		return ""
	}
	out, err := jsontext.AppendUnquote(make([]byte, 0, p.i-start), p.s[start-1:p.i])
	p.bad = err != nil
	return string(out)
}

// digits reads a number without sign, point or exponent.
func (p *parser) digits() uint64 {
	start, n := p.i, uint64(0)
	for p.i < len(p.s) && p.s[p.i]-'0' <= 9 {
		n = n*10 + uint64(p.s[p.i]-'0')
		p.i++
	}
	// Nineteen digits cannot overflow. What has more is left to encoding/json.
	if l := p.i - start; l == 0 || l > 19 || l > 1 && p.s[start] == '0' || p.i < len(p.s) && strings.IndexByte(".eE", p.s[p.i]) >= 0 {
		p.bad = true
	}
	return n
}

func (p *parser) uint() uint64 {
	p.space()
	return p.digits()
}

func (p *parser) int() int64 {
	minus := p.next('-')
	if !minus {
		p.space()
	}
	n := p.digits()
	if n > math.MaxInt64 {
		p.bad = true
	}
	if minus {
		return -int64(n)
	}
	return int64(n)
}

func (p *parser) bool() bool {
	p.space()
	switch {
	case strings.HasPrefix(p.s[p.i:], "true"):
		p.i += 4
		return true
	case strings.HasPrefix(p.s[p.i:], "false"):
		p.i += 5
		return false
	}
	p.bad = true
	return false
}

// shape is how the parser reads a type.
type shape struct {
	typ    reflect.Type
	kind   reflect.Kind
	elem   *shape  // of a pointer or slice
	fields []field // of a struct
}

type field struct {
	name  string
	index []int
	shape *shape
}

// maxFields is how many a struct can have: the parser has a bit for each.
const maxFields = 64

var lineShape = shapeOf(reflect.TypeFor[Line]())

func shapeOf(t reflect.Type) *shape {
	s := &shape{typ: t, kind: t.Kind()}
	switch s.kind {
	case reflect.Pointer, reflect.Slice:
		s.elem = shapeOf(t.Elem())
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				s.fields = append(s.fields, field{name, f.Index, shapeOf(f.Type)})
			}
		}
	}
	if len(s.fields) > maxFields {
		panic("history: too many fields in " + t.String())
	}
	return s
}

// read reads a value of a shape.
func (p *parser) read(s *shape, v reflect.Value) {
	switch s.kind {
	case reflect.String:
		v.SetString(p.text())
	case reflect.Uint64:
		v.SetUint(p.uint())
	case reflect.Int, reflect.Int64:
		v.SetInt(p.int())
	case reflect.Bool:
		v.SetBool(p.bool())
	case reflect.Pointer:
		v.Set(reflect.New(s.elem.typ))
		p.read(s.elem, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(s.typ, 0, 1))
		p.each('[', ']', func() {
			n := v.Len()
			if n == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(n + 1)
			p.read(s.elem, v.Index(n))
		})
	case reflect.Map:
		m := make(map[string]string)
		p.each('{', '}', func() {
			key := p.text()
			p.want(':')
			_, twice := m[key]
			m[key] = p.text()
			p.bad = p.bad || twice
		})
		v.Set(reflect.ValueOf(m))
	case reflect.Struct:
		p.object(s, v)
	default:
		p.bad = true
	}
}

// object reads fields, which mostly come in the order in which the struct has them.
func (p *parser) object(s *shape, v reflect.Value) {
	seen, next := uint64(0), 0
	p.each('{', '}', func() {
		at := s.find(p.text(), next)
		p.want(':')
		if p.bad || at < 0 || seen&(1<<at) != 0 {
			p.bad = true
			return
		}
		seen, next = seen|1<<at, at+1
		f := &s.fields[at]
		if len(f.index) == 1 {
			p.read(f.shape, v.Field(f.index[0]))
		} else {
			p.read(f.shape, v.FieldByIndex(f.index))
		}
	})
}

// find is the place of a field, looked for from one on; -1: there is none of that name.
func (s *shape) find(name string, from int) int {
	for i := from; i < len(s.fields); i++ {
		if s.fields[i].name == name {
			return i
		}
	}
	for i := range min(from, len(s.fields)) {
		if s.fields[i].name == name {
			return i
		}
	}
	return -1
}

// each calls one before each member of an array or object, to read it.
func (p *parser) each(open, end byte, one func()) {
	p.want(open)
	if p.bad || p.next(end) {
		return
	}
	for !p.bad {
		one()
		if !p.next(',') {
			p.want(end)
			return
		}
	}
}
