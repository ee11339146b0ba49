package history

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSchemaTakesHistories: those of testdata, written by the simulator and by the
// Python client, line by line.
func TestSchemaTakesHistories(t *testing.T) {
	s := readSchema(t)
	paths, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no histories", err)
	}
	for _, path := range append(paths, "testdata/clients/python.jsonl") {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, MaxLine)
		for n := 1; lines.Scan(); n++ {
			if err := s.checkLine(lines.Bytes()); err != nil {
				t.Errorf("%s:%d: %v", path, n, err)
			}
		}
		if err := lines.Err(); err != nil {
			t.Error(err)
		}
	}
}

// TestSchemaKnowsTypes: what a history is made of in Go, and nothing else, is in the
// schema, field by field.
func TestSchemaKnowsTypes(t *testing.T) {
	s := readSchema(t)
	reached := map[string]bool{"number": true, "time": true, "date": true, "value": true, "texts": true}
	var visit func(typ reflect.Type)
	visit = func(typ reflect.Type) {
		name := typ.Name()
		if reached[name] {
			return
		}
		reached[name] = true
		def, known := s.Defs[name]
		if !known {
			t.Errorf("the schema has no %s", name)
			return
		}
		if !isOfType(&def, "object") || !def.closed() {
			t.Errorf("%s: the schema lets anything be one", name)
		}
		var fields, required []string
		for _, f := range jsonFields(typ) {
			fields = append(fields, f.name)
			if !f.optional {
				required = append(required, f.name)
			}
			p := def.Properties[f.name]
			if err := describes(s, &p, f.typ, f.optional, visit); err != nil {
				t.Errorf("%s.%s: %v", name, f.name, err)
			}
		}
		same(t, "fields of "+name, slices.Collect(maps.Keys(def.Properties)), fields)
		same(t, "required fields of "+name, def.Required, required)
	}
	visit(reflect.TypeFor[Header]())
	visit(reflect.TypeFor[Line]())
	same(t, "definitions", slices.Collect(maps.Keys(s.Defs)), slices.Collect(maps.Keys(reached)))
	same(t, "kinds", texts(s.Defs["Operation"].Properties["kind"].Enum), texts(Kinds()))
	if h := s.Defs["Header"].Properties; h["format"].Const != Format || fmt.Sprint(h["version"].Const) != fmt.Sprint(Version) {
		t.Error("the schema is of another format, or version")
	}
}

type jsonField struct {
	name     string
	typ      reflect.Type
	optional bool
}

// jsonFields lists a struct's fields as encoding/json sees them.
func jsonFields(typ reflect.Type) (list []jsonField) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			list = append(list, jsonFields(f.Type)...)
		case name != "-":
			list = append(list, jsonField{name, f.Type, strings.Contains(options, "omit")})
		}
	}
	return list
}

// describes tells whether a property is one of that Go type, and visits the structs
// that it leads to.
func describes(root, p *schema, typ reflect.Type, optional bool, visit func(reflect.Type)) error {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	ref := strings.TrimPrefix(p.Ref, "#/$defs/")
	if def, known := root.Defs[ref]; known && typ.Kind() != reflect.Struct {
		p = &def
	}
	ok := false
	switch typ.Kind() {
	case reflect.Struct:
		ok = ref == typ.Name()
		visit(typ)
	case reflect.Slice:
		if ok = isOfType(p, "array") && isOfType(p, "null") == !optional && p.Items != nil; ok {
			return describes(root, p.Items, typ.Elem(), true, visit)
		}
	case reflect.Map:
		ok = isOfType(p, "object") && !p.closed() && p.rest().Type == "string"
	case reflect.String:
		ok = isOfType(p, "string") || p.Const != nil || p.Enum != nil
	case reflect.Bool:
		ok = isOfType(p, "boolean")
	case reflect.Uint64:
		ok = isOfType(p, "integer") && p.Minimum != nil && p.Minimum.String() == "0" && p.Maximum.String() == "18446744073709551615"
	case reflect.Int, reflect.Int64:
		ok = isOfType(p, "integer") || p.Const != nil
	}
	if !ok {
		return fmt.Errorf("it is %v in Go, and not so in the schema", typ)
	}
	return nil
}

func isOfType(s *schema, name string) bool { return slices.Contains(s.types(), name) }

// TestSchemaAgreesWithReader: what one takes as a line, the other takes.
func TestSchemaAgreesWithReader(t *testing.T) {
	s := readSchema(t)
	const head = `{"format":"statehouse-history","version":1,"unit":"ns"}`
	for _, line := range []string{
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"return":6,"outcome":"ok","out":{"read_ts":18446744073709551615}}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"return":6,"outcome":"ok","out":{"read_ts":18446744073709551616}}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"return":6,"outcome":"ok","out":{"read_ts":-1}}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"outcome":"unknown"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"outcome":"ok"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":-5,"return":0,"outcome":"ok"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"return":6,"outcome":"fail"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"return":6,"outcome":"fail","error":{"code":"CONFLICT"}}}`,
		`{"op":{"id":1,"client":"c","kind":"shout","call":5,"outcome":"unknown"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"outcome":"fine"}}`,
		`{"op":{"id":0,"client":"c","kind":"get","call":5,"outcome":"unknown"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":"5","outcome":"unknown"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5.5,"outcome":"unknown"}}`,
		`{"op":{"id":1,"client":"c","kind":"get","call":5,"outcome":"unknown","colour":"red"}}`,
		`{"op":{"id":1,"client":"c","kind":"transact","call":5,"outcome":"unknown","in":{"metadata":{"a":1}}}}`,
		`{"op":{"id":1,"client":"c","kind":"transact","call":5,"outcome":"unknown","in":{"writes":[{"ns":"n","agent":"a","key":"k","value":"{}"}]}}}`,
		`{"op":{"id":1,"client":"c","kind":"transact","call":5,"outcome":"unknown","in":{"writes":{}}}}`,
		`{"event":{"commit_ts":1,"commit_time":1,"txn":"t","ops":null}}`,
		`{"note":{"time":1,"lane":"disk","kind":"fault"}}`,
		`{"gap":{"from":1,"to":2,"lost":3,"why":"the disk was full"}}`,
		`{"note":{"time":1,"lane":"disk","kind":"fault"},"gap":{"from":1,"to":2}}`,
		`{"colour":{}}`,
		`{}`,
	} {
		_, err := ReadHistory(strings.NewReader(head + "\n" + line + "\n" + `{"end":{"complete":false,"lines":2}}` + "\n"))
		if err2 := s.checkLine([]byte(line)); (err == nil) != (err2 == nil) {
			t.Errorf("the reader says %v, the schema %v, to\n%s", err, err2, line)
		}
	}
	for _, header := range []string{
		head,
		`{"format":"statehouse-history","version":1,"unit":"step","base":{"commit_ts":7},"redaction":"digest","config":{"a":"b"}}`,
		`{"format":"statehouse-history","version":2,"unit":"ns"}`,
		`{"format":"story","version":1,"unit":"ns"}`,
		`{"format":"statehouse-history","version":1,"unit":"ns","colour":"red"}`,
	} {
		_, err := ReadHistory(strings.NewReader(header + "\n" + `{"end":{"complete":false,"lines":1}}` + "\n"))
		if err2 := s.checkLine([]byte(header)); (err == nil) != (err2 == nil) {
			t.Errorf("the reader says %v, the schema %v, to\n%s", err, err2, header)
		}
	}
}

func texts[T any](list []T) (out []string) {
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: the schema has\n%v, Go\n%v", what, got, want)
	}
}
