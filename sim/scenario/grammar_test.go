package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// schema is as much of JSON schema as scenario.schema.json uses. An unknown keyword
// is an error: it would be one that nobody checks.
type schema struct {
	Schema      string            `json:"$schema"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Properties  map[string]schema `json:"properties"`
	Additional  *bool             `json:"additionalProperties"`
	Required    []string          `json:"required"`
	Items       *schema           `json:"items"`
	MinItems    int               `json:"minItems"`
	Minimum     *int              `json:"minimum"`
	MinLength   int               `json:"minLength"`
	Pattern     string            `json:"pattern"`
	Enum        []string          `json:"enum"`
	AnyOf       []schema          `json:"anyOf"`
	Ref         string            `json:"$ref"`
	Defs        map[string]schema `json:"$defs"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	text, err := os.ReadFile(scenarioDir + "/scenario.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// check tells what a value has that the schema does not allow.
func (s *schema) check(root *schema, at string, v any) error {
	if s.Ref != "" {
		def := root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		return def.check(root, at, v)
	}
	kinds := map[string]string{"object": "map[string]interface {}", "array": "[]interface {}", "string": "string", "integer": "int", "boolean": "bool"}
	if s.Type != "" && fmt.Sprintf("%T", v) != kinds[s.Type] {
		return fmt.Errorf("%s is %T, want %s", at, v, s.Type)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range s.Required {
			if v[name] == nil {
				return fmt.Errorf("%s has no %s", at, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			p, known := s.Properties[name]
			if !known {
				return fmt.Errorf("%s has an unknown %s", at, name)
			}
			if err := p.check(root, at+"."+name, v[name]); err != nil {
				return err
			}
		}
	case []any:
		if len(v) < s.MinItems {
			return fmt.Errorf("%s has %d items", at, len(v))
		}
		for i, item := range v {
			if err := s.Items.check(root, fmt.Sprintf("%s[%d]", at, i), item); err != nil {
				return err
			}
		}
	case int:
		if s.Minimum != nil && v < *s.Minimum {
			return fmt.Errorf("%s is %d", at, v)
		}
	case string:
		return s.checkText(at, v, root)
	}
	return nil
}

func (s *schema) checkText(at, v string, root *schema) error {
	switch {
	case len(v) < s.MinLength, s.Enum != nil && !slices.Contains(s.Enum, v), s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v):
		return fmt.Errorf("%s is %q", at, v)
	case s.AnyOf == nil:
		return nil
	}
	for i := range s.AnyOf {
		if s.AnyOf[i].check(root, at, v) == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is %q, which is nothing", at, v)
}

// TestSchemaTakesScenarios: editors that know the schema find every scenario right, and are
// told where it is in the first line.
func TestSchemaTakesScenarios(t *testing.T) {
	s := readSchema(t)
	for name := range scenarios(t) { // order cannot matter
		text, err := os.ReadFile(filepath.Join(scenarioDir, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		up := strings.Repeat("../", strings.Count(name, "/"))
		if !bytes.HasPrefix(text, []byte("# yaml-language-server: $schema="+up+"scenario.schema.json\n")) {
			t.Errorf("%s.yaml does not name the schema in its first line", name)
		}
		if err := s.checkYAML(string(text)); err != nil {
			t.Errorf("%s.yaml: %v", name, err)
		}
	}
}

func (s *schema) checkYAML(text string) error {
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	return s.check(s, "it", doc)
}

// TestSchemaAgreesWithParser: what one takes the other takes, and what one refuses the
// other refuses.
func TestSchemaAgreesWithParser(t *testing.T) {
	s := readSchema(t)
	const good = "scenario: a\ntitle: b\nclass: recoverable\nexpect: ok\nsteps: [start]\n"
	for _, text := range []string{
		good,
		good + "story: c\nseed: 7\nmust: [x]\nconfig: {txn_timeout: 10s, capacity: 5}\n",
		strings.Replace(good, "expect: ok", "expect: violation\nviolation: {promise: G10, check: x}", 1),
		good + "colour: red\n",
		good + "config: {colour: red}\n",
		good + "config: {capacity: much}\n",
		strings.Replace(good, "scenario: a", "scenario: A", 1),
		strings.Replace(good, "title: b", "title: ''", 1),
		strings.Replace(good, "recoverable", "lucky", 1),
		strings.Replace(good, "expect: ok", "expect: fine", 1),
		strings.Replace(good, "expect: ok", "expect: violation\nviolation: {promise: G1, colour: red}", 1),
		strings.Replace(good, "[start]", "[]", 1),
		strings.Replace(good, "[start]", "[jmp]", 1),
		strings.Replace(good, "[start]", "[[start]]", 1),
		strings.Replace(good, "[start]", "['c1 #7 get a/k => absent', deliver c1, 'reply #7', crash mode=torn seed=4, advance 5s, jump -1h]", 1),
		strings.Replace(good, "[start]", "[fault crash file=wal op=sync nth=1 when=after mode=torn, fault sync-error, rot wal nth=1, tamper log swap nth=2, room 5]", 1),
		strings.Replace(good, "[start]", "[crash mode=soft]", 1),
		strings.Replace(good, "[start]", "[fault fire]", 1),
		strings.Replace(good, "[start]", "[tamper meta swap]", 1),
		strings.Replace(good, "[start]", "[deliver]", 1),
		strings.Replace(good, "[start]", "[plan now]", 1),
		strings.Replace(good, "[start]", "[c1 shout a/k]", 1),
	} {
		_, err := Read(strings.NewReader(text))
		if err2 := s.checkYAML(text); (err == nil) != (err2 == nil) {
			t.Errorf("the parser says %v, the schema %v, to\n%s", err, err2, text)
		}
	}
	for _, field := range []string{"scenario", "title", "class", "expect", "steps"} {
		text := regexp.MustCompile(`(?m)^`+field+`:.*\n`).ReplaceAllString(good, "")
		if _, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("the parser does not miss %s", field)
		}
	}
}

// TestSchemaKnowsFields: its properties are the parser's, and nothing may be added.
func TestSchemaKnowsFields(t *testing.T) {
	s := readSchema(t)
	for _, c := range []struct {
		s *schema
		v any
	}{{s, Scenario{}}, {sub(s, "violation"), Breach{}}, {sub(s, "config"), sim.Config{}}} {
		typ := reflect.TypeOf(c.v)
		if c.s.Additional == nil || *c.s.Additional {
			t.Errorf("the schema lets a %s have anything", typ.Name())
		}
		same(t, "fields of "+typ.Name(), slices.Sorted(maps.Keys(c.s.Properties)), yamlFields(typ))
	}
	same(t, "required fields", s.Required, []string{"scenario", "title", "class", "expect", "steps"})
	same(t, "classes", sub(s, "class").Enum, texts(sim.Classes()))
	same(t, "ends", sub(s, "expect").Enum, constants(t, "scenario.go", "Expect"))
}

func sub(s *schema, name string) *schema { p := s.Properties[name]; return &p }

// TestSchemaKnowsSteps: the words that its patterns of steps list are the parser's.
func TestSchemaKnowsSteps(t *testing.T) {
	var listed []string
	for _, p := range sub(readSchema(t), "steps").Items.AnyOf {
		for _, m := range regexp.MustCompile(`^\^([a-z]+)|[(=]([a-z_-]+(\|[a-z_-]+)+)\)`).FindAllStringSubmatch(p.Pattern, -1) {
			listed = append(listed, strings.Split(m[1]+m[2], "|")...)
		}
	}
	slices.Sort(listed)
	units := []string{"ns", "us", "ms", "s", "m", "h"}
	same(t, "words of steps", slices.Compact(listed), append(units, stepWords(t)...))
}

// stepWords lists every word that a step can be made of.
func stepWords(t *testing.T) []string {
	t.Helper()
	words := slices.DeleteFunc(constants(t, "../step/step.go", "Verb"), func(v string) bool { return v == string(step.Call) }) // never written
	for _, kind := range history.Kinds() {
		words = append(words, kind.Info().Word)
		for _, part := range kind.Info().Parts {
			if !slices.Contains(step.AnswerForms(), part) && part != history.ValuePart {
				t.Errorf("the part %q of the answer to %q has no form", part, kind)
			}
		}
	}
	words = append(append(words, texts(simdisk.FaultKinds())...), texts(simdisk.CrashModes())...)
	words = append(words, texts(simdisk.Classes())...)
	for _, tamper := range step.Tampers() {
		words = append(words, tamper.File, tamper.How)
	}
	slices.Sort(words)
	return slices.Compact(words) // crash is a verb and a fault, and so on
}

// TestGrammarIsWhole: the page that explains the notation leaves nothing out.
func TestGrammarIsWhole(t *testing.T) {
	page, err := os.ReadFile(scenarioDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	words := append(stepWords(t), texts(simdisk.OpKinds())...)
	words = append(append(words, texts(sim.Classes())...), constants(t, "scenario.go", "Expect")...)
	words = append(append(words, yamlFields(reflect.TypeFor[Scenario]())...), yamlFields(reflect.TypeFor[sim.Config]())...)
	words = append(words, probes(t)...)
	for _, form := range step.AnswerForms() {
		words = append(words, string(form)+"=")
	}
	code := strings.Join(regexp.MustCompile("(?s)```.*?```|`[^`\n]+`").FindAllString(string(page), -1), "\n")
	for _, word := range words {
		if !regexp.MustCompile(`(^|[^a-z-])`+regexp.QuoteMeta(word)+`($|[^a-z-]|[a-z]$)`).MatchString(code) && !strings.Contains(code, "`"+word) {
			t.Errorf("scenarios/README.md does not explain %q", word)
		}
	}
}

// probes lists the probes that the world's source names.
func probes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`w\.rec\.probe\((?:"([^"]*)"\)|what \+ "([^"]*)"\)|"([^"]*)" \+ what\))`)
	var list []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found.FindAllStringSubmatch(string(text), -1) {
			for _, what := range []string{"flush", "compact"} {
				switch {
				case m[2] != "":
					list = append(list, what+m[2])
				case m[3] != "":
					list = append(list, m[3]+what)
				}
			}
			if m[1] != "" {
				list = append(list, m[1])
			}
		}
	}
	return list
}

// constants lists the values of the constants of a type of strings.
func constants(t *testing.T, file, typ string) []string {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typ {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, text)
			}
		}
		return true
	})
	return list
}

func yamlFields(typ reflect.Type) []string {
	var list []string
	for i := range typ.NumField() {
		name, options, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
		if options == "inline" {
			list = append(list, yamlFields(typ.Field(i).Type)...)
			continue
		}
		list = append(list, name)
	}
	return list
}

func texts[T ~string](list []T) []string {
	var out []string
	for _, x := range list {
		out = append(out, string(x))
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: the schema has\n%v, the parser\n%v", what, got, want)
	}
}
