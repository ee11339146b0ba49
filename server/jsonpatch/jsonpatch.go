// Package jsonpatch says how one value became another: as a JSON Patch (RFC 6902) of the
// operations add, remove and replace.
//
// Applied to the first value a patch gives the second one, number for number as it is spelled:
// 1 and 1.0 are different here, since clients read them as different types. The order of members and
// the escapes of strings are no difference. Two values that differ in nothing else are [Same].
//
// Arrays are compared from both ends; what is left between is compared element by element. So
// what is appended, or inserted in one place, is seen as that. A patch that would be longer than
// the second value, and than a KiB, replaces it as a whole.
package jsonpatch

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine/jsontext"
)

// Same reports whether there is nothing to patch.
func Same(a, b []byte) bool { return jsontext.Equal(a, b, jsontext.SameSpelling) }

// Make is the patch that makes b of a, which are JSON text as it is stored. It is [] if they are
// the same.
func Make(a, b []byte) []byte {
	p := patch{out: []byte{'['}, most: max(len(b)+whole, short)}
	p.value(a, b)
	if p.most < len(p.out) {
		p = patch{out: []byte{'['}}
		p.operation("replace", b)
	}
	return append(p.out, ']')
}

const (
	// whole is what replacing all takes beside the value.
	whole = len(`[{"op":"replace","path":"","value":}`)
	// short is how long a patch may be of any value: most are read by people.
	short = 1 << 10
)

// A patch is one that is being made.
type patch struct {
	out  []byte
	path []byte // where it is, as a JSON string without its quotes
	most int    // bytes of out, past which it is given up
}

// operation appends one at the current path; value is nil for remove.
func (p *patch) operation(op string, value []byte) {
	if len(p.out) > 1 {
		p.out = append(p.out, ',')
	}
	p.out = append(append(append(p.out, `{"op":"`...), op...), `","path":"`...)
	p.out = append(append(p.out, p.path...), '"')
	if value != nil {
		p.out = append(append(p.out, `,"value":`...), value...)
	}
	p.out = append(p.out, '}')
}

// in does something one step further down.
func (p *patch) in(step string, do func()) {
	n := len(p.path)
	p.path = append(append(p.path, '/'), step...)
	do()
	p.path = p.path[:n]
}

// at is in for an element of an array.
func (p *patch) at(i int, do func()) { p.in(strconv.Itoa(i), do) }

// named is in for a member of an object.
func (p *patch) named(name string, do func()) { p.in(escaped(name), do) }

// escaped is a name as it stands in a pointer within a JSON string.
func escaped(name string) string {
	name = strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(name); err != nil {
		panic("jsonpatch: a name that is no string: " + err.Error())
	}
	return string(b.Bytes()[1 : b.Len()-2]) // without its quotes and the end of the line
}

func (p *patch) value(a, b []byte) {
	if len(p.out) > p.most || bytes.Equal(a, b) {
		return
	}
	switch kind := jsontext.KindOf(a[0]); {
	case kind == jsontext.KindOf(b[0]) && kind == jsontext.Object:
		p.object(jsontext.Sorted(a), jsontext.Sorted(b))
	case kind == jsontext.KindOf(b[0]) && kind == jsontext.Array:
		p.array(jsontext.Elements(a), jsontext.Elements(b))
	case !Same(a, b):
		p.operation("replace", b)
	}
}

func (p *patch) object(a, b []jsontext.Member) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Name < b[0].Name:
			p.named(a[0].Name, func() { p.operation("remove", nil) })
			a = a[1:]
		case len(a) == 0 || b[0].Name < a[0].Name:
			p.named(b[0].Name, func() { p.operation("add", b[0].Value) })
			b = b[1:]
		default:
			if !bytes.Equal(a[0].Value, b[0].Value) {
				p.named(a[0].Name, func() { p.value(a[0].Value, b[0].Value) })
			}
			a, b = a[1:], b[1:]
		}
	}
}

func (p *patch) array(a, b [][]byte) {
	first := 0
	for len(a) > 0 && len(b) > 0 && Same(a[0], b[0]) {
		a, b, first = a[1:], b[1:], first+1
	}
	for len(a) > 0 && len(b) > 0 && Same(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	both := min(len(a), len(b))
	for i := range both {
		p.at(first+i, func() { p.value(a[i], b[i]) })
	}
	for i := both; i < len(b); i++ {
		p.at(first+i, func() { p.operation("add", b[i]) })
	}
	for i := len(a) - 1; i >= both; i-- {
		p.at(first+i, func() { p.operation("remove", nil) })
	}
}
