package sim

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/simdisk"
)

const scenarioDir = "../scenarios"

// stories are those of the repository, by file.
func stories(t *testing.T) map[string]*Scenario {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(scenarioDir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*Scenario)
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ReadScenario(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if want := s.ID + ".yaml"; filepath.Base(file) != want {
			t.Errorf("%s is called %s", file, want)
		}
		out[file] = s
	}
	return out
}

// TestScenarios runs every story, twice: it ends as it says, and the same way.
func TestScenarios(t *testing.T) {
	single(t)
	list, canaries := stories(t), 0
	for _, file := range slices.Sorted(maps.Keys(list)) {
		s := list[file]
		if s.Expect == ExpectViolation {
			canaries++
		}
		t.Run(s.ID, func(t *testing.T) {
			first, err := s.Run(Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verdict(first); err != nil {
				t.Error(err)
			}
			if second, err := s.Run(Options{}); err != nil || second.Sum != first.Sum {
				t.Errorf("the second run went otherwise: %v", err)
			}
		})
	}
	if len(list) < 25 || canaries < 3 {
		t.Errorf("there are %d stories, %d of them canaries", len(list), canaries)
	}
}

// TestScenarioSchema holds the schema that editors use, and the page that people
// read, to what the parser knows.
func TestScenarioSchema(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(scenarioDir, "scenario.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Enum       []string
			Properties map[string]any
			Items      struct {
				AnyOf []struct{ Pattern string }
			}
		}
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	props := schema.Properties
	same(t, "fields", slices.Sorted(maps.Keys(props)), yamlFields(reflect.TypeFor[Scenario]()))
	same(t, "config", slices.Sorted(maps.Keys(props["config"].Properties)), yamlFields(reflect.TypeFor[Config]()))
	same(t, "violation", slices.Sorted(maps.Keys(props["violation"].Properties)), yamlFields(reflect.TypeFor[Breach]()))
	same(t, "class", props["class"].Enum, texts(Classes()))

	page, err := os.ReadFile(filepath.Join(scenarioDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*regexp.Regexp
	var all strings.Builder
	for _, p := range props["steps"].Items.AnyOf {
		patterns = append(patterns, regexp.MustCompile(p.Pattern))
		all.WriteString(p.Pattern)
	}
	verbs := []Verb{
		Deliver, Drop, Dup, Again, Reply, Lose, Timeout, Forge, Plan, Settle, Tick, Flush, Compact, Start, Stop, Kill,
		Crash, Advance, Jump, Fault, Heal, Capacity, Room, Rot, Truncate, Remove,
	}
	words := append(texts(verbs), slices.Sorted(maps.Keys(callWords))...)
	words = append(append(words, texts(simdisk.FaultKinds())...), texts(simdisk.CrashModes())...)
	for _, word := range append(words, texts(simdisk.Classes())...) {
		whole := regexp.MustCompile(`(^|[^a-z-])` + word + `($|[^a-z-])`)
		if !whole.MatchString(all.String()) {
			t.Errorf("the schema does not know %q", word)
		}
		if !whole.Match(page) {
			t.Errorf("the page does not tell of %q", word)
		}
	}
	for file, s := range stories(t) {
		for _, step := range s.Steps {
			if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(step.String()) }) {
				t.Errorf("%s: the schema refuses the step %q", file, step)
			}
		}
	}
}

func same(t *testing.T, what string, schema, parser []string) {
	t.Helper()
	slices.Sort(parser)
	if schema = slices.Clone(schema); !slices.Equal(slices.Sorted(slices.Values(schema)), parser) {
		t.Errorf("%s: the schema has %v, the parser %v", what, schema, parser)
	}
}

func yamlFields(typ reflect.Type) []string {
	var list []string
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
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
