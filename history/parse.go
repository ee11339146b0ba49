package history

import (
	"math"
	"strings"
	"unicode/utf8"
)

// parser reads JSON as histories have it, several times as fast as encoding/json,
// which decides wherever anything is unusual: on an unknown, repeated or null field, a
// number that is no plain integer, a surrogate, and on every error. It sets bad then,
// and what it has read is not used. FuzzParse holds the two to each other.
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
	p.object(func(key string) {
		switch key {
		case "op":
			l.Op = new(Operation)
			p.operation(l.Op)
		case "event":
			l.Event = new(Event)
			p.event(l.Event)
		case "batch":
			l.Batch = new(BatchOf)
			p.batch(l.Batch)
		case "record":
			l.Record = new(Record)
			p.record(l.Record)
		default:
			p.bad = true
		}
	})
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

// object calls field behind each key, to read its value.
func (p *parser) object(field func(key string)) {
	var keys [32]string
	n := 0
	p.want('{')
	if p.bad || p.next('}') {
		return
	}
	for !p.bad {
		key := p.text()
		for _, k := range keys[:n] {
			p.bad = p.bad || k == key
		}
		if n == len(keys) || p.bad {
			p.bad = true
			return
		}
		keys[n], n = key, n+1
		p.want(':')
		if p.bad {
			return
		}
		field(key)
		if !p.next(',') {
			p.want('}')
			return
		}
	}
}

// list reads an array, element by element.
func list[T any](p *parser, element func(*T)) []T {
	p.want('[')
	out := make([]T, 0, 1)
	if p.bad || p.next(']') {
		return out
	}
	for !p.bad {
		var x T
		element(&x)
		out = append(out, x)
		if !p.next(',') {
			p.want(']')
			break
		}
	}
	return out
}

func (p *parser) strings() []string { return list(p, func(s *string) { *s = p.text() }) }

func (p *parser) texts() map[string]string {
	m := make(map[string]string)
	p.object(func(key string) { m[key] = p.text() })
	return m
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

// escaped reads on where the first escape of a string is.
func (p *parser) escaped(start int) string {
	var b strings.Builder
	for !p.bad {
		// As far as nothing is escaped.
		end := p.i
		for end < len(p.s) && p.s[end] != '"' && p.s[end] != '\\' && p.s[end] >= ' ' {
			end++
		}
		if end+1 >= len(p.s) || p.s[end] < ' ' {
			break
		}
		if b.Cap() == 0 {
			b.Grow(2*(end-start) + 32)
		}
		b.WriteString(p.s[start:end])
		p.i = end + 1
		if p.s[end] == '"' {
			return b.String()
		}
		p.escape(&b)
		start = p.i
	}
	p.bad = true
	return ""
}

// escape reads what follows a backslash.
func (p *parser) escape(b *strings.Builder) {
	c := p.s[p.i]
	p.i++
	switch c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'u':
		r := rune(0)
		for range 4 {
			h := -1
			if p.i < len(p.s) {
				h = strings.IndexByte("0123456789abcdef", p.s[p.i]|0x20)
			}
			if h < 0 || p.s[p.i] < '0' {
				p.bad = true
				return
			}
			r = r<<4 | rune(h)
			p.i++
		}
		p.bad = p.bad || r >= 0xd800 && r < 0xe000
		b.WriteRune(r)
	default:
		p.bad = true
	}
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

func (p *parser) uintPtr() *uint64 {
	n := p.uint()
	return &n
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
