package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// schema is as much of JSON schema as history.schema.json uses. An unknown keyword
// is an error: it would be one that nobody checks.
type schema struct {
	Schema      string            `json:"$schema"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Ref         string            `json:"$ref"`
	Defs        map[string]schema `json:"$defs"`
	OneOf       []schema          `json:"oneOf"`
	AllOf       []schema          `json:"allOf"`
	If          *schema           `json:"if"`
	Then        *schema           `json:"then"`
	Not         *schema           `json:"not"`
	Type        any               `json:"type"` // a name or a list of names
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Additional  json.RawMessage   `json:"additionalProperties"` // false, or a schema
	MinProps    int               `json:"minProperties"`
	MaxProps    *int              `json:"maxProperties"`
	Items       *schema           `json:"items"`
	Minimum     *json.Number      `json:"minimum"`
	Maximum     *json.Number      `json:"maximum"`
	Enum        []any             `json:"enum"`
	Const       any               `json:"const"`
}

func readSchema(t testing.TB) *schema {
	t.Helper()
	text, err := os.ReadFile("history.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// checkLine tells what a line has that the schema does not allow.
func (s *schema) checkLine(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return s.check(s, "it", v)
}

func (s *schema) check(root *schema, at string, v any) error {
	if s.Ref != "" {
		def, known := root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		if !known {
			return fmt.Errorf("the schema has no %s", s.Ref)
		}
		if err := def.check(root, at, v); err != nil {
			return err
		}
	}
	if err := s.checkApplied(root, at, v); err != nil {
		return err
	}
	if err := s.checkSelf(at, v); err != nil {
		return err
	}
	switch v := v.(type) {
	case map[string]any:
		return s.checkObject(root, at, v)
	case []any:
		if s.Items == nil {
			return nil
		}
		for i := range v {
			if err := s.Items.check(root, fmt.Sprintf("%s[%d]", at, i), v[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkApplied checks what the schemas inside of this one say of the same value.
func (s *schema) checkApplied(root *schema, at string, v any) error {
	for i := range s.AllOf {
		if err := s.AllOf[i].check(root, at, v); err != nil {
			return err
		}
	}
	var refused []error
	for i := range s.OneOf {
		if err := s.OneOf[i].check(root, at, v); err != nil {
			refused = append(refused, err)
		}
	}
	if n := len(s.OneOf); n > 0 && len(refused) != n-1 {
		return fmt.Errorf("%s is %d of %d things: %w", at, n-len(refused), n, errors.Join(refused...))
	}
	if s.Not != nil && s.Not.check(root, at, v) == nil {
		return fmt.Errorf("%s is %v", at, v)
	}
	if s.If != nil && s.If.check(root, at, v) == nil {
		return s.Then.check(root, at, v)
	}
	return nil
}

// checkSelf checks a value, what it is made of aside.
func (s *schema) checkSelf(at string, v any) error {
	if s.Type != nil && !slices.ContainsFunc(s.types(), func(t string) bool { return isOf(t, v) }) {
		return fmt.Errorf("%s is %v, want %v", at, v, s.Type)
	}
	if s.Const != nil && !reflect.DeepEqual(s.Const, v) || s.Enum != nil && !slices.ContainsFunc(s.Enum, func(e any) bool { return reflect.DeepEqual(e, v) }) {
		return fmt.Errorf("%s is %v", at, v)
	}
	if n, number := v.(json.Number); number {
		if s.Minimum != nil && integer(n).Cmp(integer(*s.Minimum)) < 0 || s.Maximum != nil && integer(n).Cmp(integer(*s.Maximum)) > 0 {
			return fmt.Errorf("%s is %v", at, n)
		}
	}
	return nil
}

func (s *schema) types() []string {
	switch t := s.Type.(type) {
	case string:
		return []string{t}
	case []any:
		var list []string
		for _, name := range t {
			list = append(list, name.(string))
		}
		return list
	}
	return nil
}

func isOf(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case json.Number:
		return name == "integer" && integer(v) != nil
	case []any:
		return name == "array"
	}
	return name == "object"
}

func integer(n json.Number) *big.Int {
	i, ok := new(big.Int).SetString(n.String(), 10)
	if !ok {
		return nil
	}
	return i
}

func (s *schema) checkObject(root *schema, at string, v map[string]any) error {
	for _, name := range s.Required {
		if _, has := v[name]; !has {
			return fmt.Errorf("%s has no %s", at, name)
		}
	}
	if len(v) < s.MinProps || s.MaxProps != nil && len(v) > *s.MaxProps {
		return fmt.Errorf("%s has %d fields", at, len(v))
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p, known := s.Properties[name]
		switch {
		case known:
		case s.closed():
			return fmt.Errorf("%s has an unknown %s", at, name)
		case s.Additional != nil:
			p = s.rest()
		}
		if err := p.check(root, at+"."+name, v[name]); err != nil {
			return err
		}
	}
	return nil
}

// closed: no other fields than those listed are allowed.
func (s *schema) closed() bool { return string(s.Additional) == "false" }

// rest is the schema of fields that are not listed.
func (s *schema) rest() (r schema) {
	if err := json.Unmarshal(s.Additional, &r); err != nil {
		panic(err)
	}
	return r
}
