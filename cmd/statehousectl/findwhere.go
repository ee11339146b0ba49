package main

import (
	"encoding/json"
	"strings"

	"statehouse.dev/statehouse/client"
)

// The conditions of find, as they are written on a command line.

// comparisons in the order in which they are looked for: the longer ones first.
var comparisons = []client.Comparison{
	client.NotEqual, client.LessOrEqual, client.GreaterOrEqual, client.Equal, client.Less, client.Greater,
}

// parseWhere reads [not] POINTER COMPARISON VALUE, POINTER in LIST or POINTER exists.
func parseWhere(s string) (client.Condition, error) {
	c, rest := client.Condition{}, strings.TrimSpace(s)
	if after, found := strings.CutPrefix(rest, "not "); found {
		c.Not, rest = true, strings.TrimSpace(after)
	}
	var err error
	if c.Pointer, rest, err = cutPointer(rest); err != nil {
		return c, usagef("--where %s: %v", quote(s), err)
	}
	if c.Comparison, rest = cutComparison(rest); c.Comparison == "" {
		return c, usagef("--where %s: after the pointer comes =, !=, <, <=, >, >=, in or exists", quote(s))
	}
	switch {
	case c.Comparison == client.Exists && rest != "":
		return c, usagef("--where %s: exists has no value", quote(s))
	case c.Comparison != client.Exists && !json.Valid([]byte(rest)):
		return c, usagef("--where %s: %s is no JSON; a string is in double quotes: '/status = \"open\"'", quote(s), quote(rest))
	}
	c.Value = json.RawMessage(rest)
	return c, nil
}

// cutPointer cuts a JSON Pointer from the front: up to a space or a comparison, or, in double
// quotes, whatever is in them.
func cutPointer(s string) (pointer, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		d := json.NewDecoder(strings.NewReader(s))
		if err := d.Decode(&pointer); err != nil {
			return "", "", err
		}
		return pointer, strings.TrimSpace(s[d.InputOffset():]), nil
	}
	if !strings.HasPrefix(s, "/") {
		return "", "", usagef("a condition begins with a JSON Pointer, such as /status")
	}
	end := strings.IndexAny(s, " \t!<=>")
	if end < 0 {
		end = len(s)
	}
	return s[:end], strings.TrimSpace(s[end:]), nil
}

func cutComparison(s string) (c client.Comparison, rest string) {
	for _, c := range comparisons {
		if rest, found := strings.CutPrefix(s, string(c)); found {
			return c, strings.TrimSpace(strings.TrimPrefix(rest, "=")) // == is =, too
		}
	}
	for _, c := range []client.Comparison{client.In, client.Exists} {
		rest, found := strings.CutPrefix(s, string(c))
		if trimmed := strings.TrimLeft(rest, " \t"); found && (rest == "" || trimmed != rest || rest[0] == '[') {
			return c, trimmed
		}
	}
	return "", s
}

// parseMeta reads [not] KEY=TEXT, KEY!=TEXT or KEY, which is that it is there.
func parseMeta(s string) (client.Condition, error) {
	c, rest := client.Condition{}, s
	if after, found := strings.CutPrefix(rest, "not "); found {
		c.Not, rest = true, after
	}
	key, text, compared := strings.Cut(rest, "=")
	switch before, different := strings.CutSuffix(key, "!"); {
	case !compared:
		c.Comparison = client.Exists
	case different:
		key, c.Comparison = before, client.NotEqual
	default:
		c.Comparison = client.Equal
	}
	if c.Metadata = strings.TrimSpace(key); c.Metadata == "" {
		return c, usagef("--meta %s names no key: it is KEY=TEXT, KEY!=TEXT or KEY", quote(s))
	}
	if compared {
		value, err := json.Marshal(text)
		if err != nil {
			return c, err
		}
		c.Value = value
	}
	return c, nil
}
