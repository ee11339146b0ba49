package edn

import (
	"errors"
	"fmt"
	"io"
	"math/big"

	"olympos.io/encoding/edn"
)

// toJSON makes of a value what encoding/json writes: keywords and symbols are strings, and
// so are the keys of maps.
func toJSON(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, int64, float64:
		return v, nil
	case big.Int:
		return &v, nil
	case edn.Keyword:
		return string(v), nil
	case edn.Symbol:
		return string(v), nil
	case edn.Tag:
		return toJSON(v.Value)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = toJSON(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[any]any:
		return object(v)
	}
	return nil, fmt.Errorf("%v is of a type (%T) that histories do not have", v, v)
}

func object(m map[any]any) (any, error) {
	out := make(map[string]any, len(m))
	for k, v := range m { // into a map: order cannot matter
		name, err := toJSON(k)
		if err != nil {
			return nil, err
		}
		text, is := name.(string)
		if !is {
			return nil, fmt.Errorf("the key %v is no keyword or string", k)
		}
		if _, twice := out[text]; twice {
			return nil, fmt.Errorf("the key %s is there twice", text)
		}
		if out[text], err = toJSON(v); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
	}
	return out, nil
}

// maxDepth of brackets in brackets: the decoder recurses.
const maxDepth = 200

var errDeep = errors.New("its brackets are too deep")

// shallow reads on until brackets are too deep.
type shallow struct {
	in    io.Reader
	state byte // '"' in a string, ';' in a comment, 0 elsewhere
	skip  bool // the next byte, after a backslash
	depth int
}

func (s *shallow) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	for i, c := range p[:n] {
		switch {
		case s.skip:
			s.skip = false
		case s.state == ';':
			if c == '\n' {
				s.state = 0
			}
		case c == '\\':
			s.skip = true
		case c == '"':
			s.state ^= '"'
		case s.state == '"':
		case c == ';':
			s.state = ';'
		case c == '(' || c == '[' || c == '{':
			if s.depth++; s.depth > maxDepth {
				return i, errDeep
			}
		case c == ')' || c == ']' || c == '}':
			s.depth--
		}
	}
	return n, err
}
