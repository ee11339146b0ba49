package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AppendYAML appends JSON text as YAML: the same names in the same order, every number with
// its digits. Strings that could be read as anything else are quoted, with what is not
// printable escaped.
func AppendYAML(dst, text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	w := yamlWriter{d: d, out: dst}
	if err := w.value(0, start); err != nil {
		return nil, err
	}
	return w.out, nil
}

type yamlWriter struct {
	d   *json.Decoder
	out []byte
}

// Where a value stands: at the start of a line, after a name, or after the dash of a list's item.
type place int

const (
	start place = iota
	afterName
	afterDash
)

// value writes the next value and the end of its last line.
func (w *yamlWriter) value(depth int, where place) error {
	token, err := w.d.Token()
	if err != nil {
		return err
	}
	delim, opens := token.(json.Delim)
	if opens && w.d.More() {
		return w.block(delim, depth, where)
	}
	if where != start {
		w.out = append(w.out, ' ')
	}
	switch v := token.(type) {
	case json.Delim: // an empty one
		closing, err := w.d.Token()
		if err != nil {
			return err
		}
		w.out = append(w.out, v.String()+fmt.Sprint(closing)...)
	case string:
		w.out = appendYAMLString(w.out, v)
	case json.Number:
		w.out = append(w.out, v.String()...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	default:
		w.out = append(w.out, "null"...)
	}
	w.out = append(w.out, '\n')
	return nil
}

// block writes an object or a list that is not empty, an item a line.
func (w *yamlWriter) block(delim json.Delim, depth int, where place) error {
	switch where {
	case afterName:
		w.out = append(w.out, '\n')
	case afterDash:
		w.out = append(w.out, ' ')
	}
	for first := true; w.d.More(); first = false {
		if !first || where != afterDash {
			w.out = append(w.out, strings.Repeat("  ", depth)...)
		}
		inside := afterName
		if delim == '[' {
			w.out, inside = append(w.out, '-'), afterDash
		} else {
			name, err := w.d.Token()
			if err != nil {
				return err
			}
			w.out = append(appendYAMLString(w.out, name.(string)), ':')
		}
		if err := w.value(depth+1, inside); err != nil {
			return err
		}
	}
	_, err := w.d.Token()
	return err
}

// plainYAML are strings that are nothing else to any reader of YAML, but for yamlWords.
var plainYAML = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

var yamlWords = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true}

func appendYAMLString(dst []byte, s string) []byte {
	if plainYAML.MatchString(s) && !yamlWords[strings.ToLower(s)] {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case unicode.IsPrint(r) && r != utf8.RuneError:
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff: // YAML has no pairs of surrogates
			dst = fmt.Appendf(dst, `\U%08x`, r)
		default:
			dst = appendEscape(dst, r)
		}
	}
	return append(dst, '"')
}
