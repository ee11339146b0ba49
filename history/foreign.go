package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// What is no history, or not quite one, is refused in the words of who wrote it: of
// formats and fields, not of Go's types.

// headerExample is what a history begins with.
const headerExample = `{"format":"statehouse-history","version":1,"unit":"ns"}`

// notOurs says of a file's first line what it looks like instead of a header.
func notOurs(line []byte) error {
	what := "no JSON"
	text := bytes.TrimSpace(line)
	var fields map[string]json.RawMessage
	switch {
	case len(text) == 0:
		what = "an empty line"
	case bytes.HasPrefix(text, []byte("\ufeff")):
		what = "a byte order mark, which JSON does not have"
	case bytes.HasPrefix(text, []byte("{:")), bytes.HasPrefix(text, []byte("#jepsen")), bytes.HasPrefix(text, []byte("[{:")):
		what = "EDN, of which the file's name must end in .edn"
	case bytes.HasPrefix(text, []byte("<")):
		what = "HTML or XML"
	case bytes.HasPrefix(text, []byte{0x1f, 0x8b}):
		what = "data compressed with gzip: unpack it first, or is it a bundle (statehousectl bundle)?"
	case bytes.HasPrefix(text, []byte("PK\x03\x04")):
		what = "a zip file"
	case bytes.HasPrefix(text, []byte("[")):
		what = "a JSON array, and not one JSON object a line"
	case bytes.Equal(text, []byte("{")):
		what = "JSON that goes on over several lines, and not one object a line"
	case json.Unmarshal(text, &fields) == nil && fields != nil:
		what = whose(fields)
	}
	return fmt.Errorf("it begins with %s; the first line of a history is its header, such as %s (see docs/HISTORY.md)", what, headerExample)
}

// whose says of a JSON object that is no header whose it may be.
func whose(fields map[string]json.RawMessage) string {
	has := func(name string) bool { _, has := fields[name]; return has }
	switch {
	case has("format"):
		var format string
		if json.Unmarshal(fields["format"], &format) != nil {
			return `an object whose "format" is not a word`
		}
		return fmt.Sprintf("an object of the format %.80q", format)
	case has("resourceSpans"), has("resourceLogs"), has("resourceMetrics"):
		return "an export of OpenTelemetry"
	case has("op"), has("event"), has("batch"), has("end"), has("record"):
		return "a line of a history that comes after the header, which is missing"
	case has("process") && has("type"), has("f") && has("type"):
		return "a Jepsen operation as JSON: this reads EDN, or its own format"
	case has("type") && (has("timestamp") || has("ts") || has("level")):
		return "a line of a log"
	}
	return `an object without a "format"`
}

// InWords is an error of encoding/json without the names of Go's types.
func InWords(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		at := "it"
		if typ.Field != "" {
			at = fmt.Sprintf("the field %q", typ.Field)
		}
		return fmt.Errorf("%s holds %s where %s belongs", at, article(typ.Value), kindInWords(typ.Type))
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("this is not JSON: %s", syntax.Error())
	}
	if text, json := strings.CutPrefix(err.Error(), "json: "); json {
		return errors.New(text)
	}
	return err
}

// article is how encoding/json calls a value, as a noun.
func article(value string) string {
	switch kind, rest, _ := strings.Cut(value, " "); kind {
	case "object", "array":
		return "an " + kind
	case "bool":
		return "true or false"
	case "number":
		return strings.TrimSpace("the number " + rest)
	default:
		return "a " + kind
	}
}

func kindInWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Uint, reflect.Uint64, reflect.Uint32:
		return "a whole number from 0 to 18446744073709551615"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number of 64 bits"
	}
	return "an object"
}
