package history

import (
	"regexp"
	"strings"
	"testing"
)

// goNames are what an error of encoding/json has of Go.
var goNames = regexp.MustCompile(`Go |json:|history\.|\[\]|map\[|uint|int64|struct`)

// TestForeignFiles: what is no history is refused in words, and most of it by name.
func TestForeignFiles(t *testing.T) {
	header := headerExample + "\n"
	for text, want := range map[string]string{ // any order
		"<!DOCTYPE html>\n<html>": "HTML", "[1,2]": "JSON array", "[\n{}]": "JSON array", "{:type :invoke}": "EDN", "{\n \"a\": 1}": "several lines",
		`{"resourceSpans":[{"scopeSpans":[]}]}`: "OpenTelemetry", "\x1f\x8b\x08\x00": "gzip", "PK\x03\x04": "zip", "\xef\xbb\xbf" + header: "byte order mark",
		`{"type":"ok","f":"read","value":3,"process":0}`: "Jepsen", `{"level":"info","ts":1,"type":"x"}`: "log", `"a"`: "no JSON", "42": "no JSON", "null": "no JSON", "\x00\x01": "no JSON", "\n": "an empty line",
		`{"op":{}}`: "header, which is missing", `{"format":["statehouse-history"]}`: "not a word", `{"format":"statehouse-history","version":"1"}`: `"version" holds a string where a whole number`,
		`{"format":"statehouse-history","version":1,"unit":7}`: `"unit" holds the number where a string`,
		header + "[]":                                     "it holds an array where an object belongs",
		header + `{"op":{"id":"x"}}`:                      `"op.id" holds a string where a whole number`,
		header + `{"op":{"id":1.5}}`:                      `"op.id" holds the number 1.5 where a whole number`,
		header + `{"op":{"id":1,"in":{"writes":{}}}}`:     `"op.in.writes" holds an object where an array`,
		header + `{"op":{"id":1,"in":{"keys":[7]}}}`:      `holds the number where an object`,
		header + `{"op":{"id":1,"in":{"expected":-1}}}`:   `"op.in.expected" holds the number -1 where a whole number from 0`,
		header + `{"op":{"id":1,"in":{"reverse":"yes"}}}`: `"op.in.reverse" holds a string where true or false`,
		header + `{"op":{"id":1,"colour":"red"}}`:         `unknown field "colour"`,
		header + `{"op":{"id":1`:                          "ends in the middle",
		header + `{"op":{"id":1,}}`:                       "not JSON",
		header + "GET / HTTP/1.1":                         "not JSON",
	} {
		_, err := ReadHistory(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || goNames.MatchString(err.Error()) {
			t.Errorf("%.60q: %v, want %q and nothing of Go's", text, err, want)
		}
	}
}
