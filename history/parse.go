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
