package history

import (
	"reflect"
	"strings"
)

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
