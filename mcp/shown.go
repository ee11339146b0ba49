package mcp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"statehouse.dev/statehouse/client"
)

// How much an answer shows.
const (
	maxValue  = 4 << 10  // of a value among others
	maxAnswer = 24 << 10 // of all values of an answer
	maxPiece  = 16 << 10 // of a value that get shows, at once
	usualPage = 50       // how many of a list, unless the caller says
	maxPage   = 200
)

// value is a value, or how large it is.
type value struct {
	Value json.RawMessage `json:"value,omitempty" jsonschema:"the value; an object with $bytes in base64 and $content_type if it is no JSON"`
	Size  int             `json:"value_size,omitempty" jsonschema:"bytes of a value that is left out because it is large: get shows it"`
}

// record is a record as a list shows it.
type record struct {
	Agent      string    `json:"agent,omitempty"`
	Key        string    `json:"key"`
	Version    uint64    `json:"version"`
	CommitTS   uint64    `json:"commit_ts" jsonschema:"the commit that made this version"`
	CommitTime time.Time `json:"commit_time,omitzero"`
	value
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Gone      string    `json:"gone,omitempty" jsonschema:"why the value cannot be shown any more: erased or pruned"`
}

// screen is the space for the values of an answer.
type screen struct{ used, left int }

// show is a value as far as there is room for it.
func (s *screen) show(v json.RawMessage, b *client.Bytes) value {
	text := textOf(v, b)
	switch {
	case len(text) == 0:
		return value{}
	case len(text) > maxValue, s.used+len(text) > maxAnswer:
		s.left++
		return value{Size: len(text)}
	}
	s.used += len(text)
	return value{Value: text}
}

// note says what is left out of an answer, and how to go on.
func (s *screen) note(next string) string {
	var parts []string
	if s.left > 0 {
		parts = append(parts, fmt.Sprintf("%d values are left out for their size (value_size): read those that you need with get", s.left))
	}
	if next != "" {
		parts = append(parts, "there is more: call again with the same arguments and page set to next_page")
	}
	return strings.Join(parts, "; ")
}

func (s *screen) record(r *client.Record) record {
	return record{
		Key: r.Key, Version: uint64(r.Version), CommitTS: uint64(r.CommitTS), CommitTime: r.CommitTime,
		value: s.show(r.Value, r.Bytes), ExpiresAt: r.ExpiresAt, Gone: gone(r.Erased, r.Pruned),
	}
}

// textOf is a value as JSON text.
func textOf(v json.RawMessage, b *client.Bytes) json.RawMessage {
	if b == nil {
		return v
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // bytes and a string
	}
	return text
}

func gone(erased, pruned bool) string {
	switch {
	case erased:
		return "erased"
	case pruned:
		return "pruned"
	}
	return ""
}

// paging is what tools that list take.
type paging struct {
	Limit int    `json:"limit,omitempty" jsonschema:"how many at most; 50 unless given, 200 at most"`
	Page  string `json:"page,omitempty" jsonschema:"next_page of the answer before, with the same arguments"`
}

func (p paging) page() *client.Page {
	size := min(p.Limit, maxPage)
	if size <= 0 {
		size = usualPage
	}
	return &client.Page{Size: size, Token: p.Page}
}

// more is what answers that list end with.
type more struct {
	NextPage string `json:"next_page,omitempty" jsonschema:"there is more, from here"`
	Note     string `json:"note,omitempty" jsonschema:"what is left out, and how to go on"`
}

func moreOf(p *client.Page, s *screen) more { return more{p.Next, s.note(p.Next)} }

// pieceOf cuts from a text what is shown at once, at whole characters. next is where the rest begins; 0: there is none.
func pieceOf(text []byte, from int) (piece string, next int, err error) {
	if from < 0 || from > len(text) || from < len(text) && !utf8.RuneStart(text[from]) {
		return "", 0, fmt.Errorf("offset %d is none that an answer gave: the value has %d bytes", from, len(text))
	}
	end := min(from+maxPiece, len(text))
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	if end == len(text) {
		return string(text[from:]), 0, nil
	}
	return string(text[from:end]), end, nil
}

// part is what a JSON Pointer (RFC 6901) finds in a value; nil: nothing.
func part(text json.RawMessage, pointer string) (json.RawMessage, error) {
	if pointer == "" {
		return text, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("%q is no JSON Pointer: one begins with a slash, such as /steps/0", pointer)
	}
	for name := range strings.SplitSeq(pointer[1:], "/") {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		var members map[string]json.RawMessage
		var elements []json.RawMessage
		switch {
		case json.Unmarshal(text, &members) == nil && members != nil:
			text = members[name]
		case json.Unmarshal(text, &elements) == nil:
			i, err := strconv.ParseUint(name, 10, 31)
			if err != nil || i >= uint64(len(elements)) {
				return nil, nil
			}
			text = elements[i]
		default:
			return nil, nil
		}
		if text == nil {
			return nil, nil
		}
	}
	return text, nil
}

func quoted(name string) string { return strconv.Quote(name) }
