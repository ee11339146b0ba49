package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// described is what the OpenAPI document says of answers. Every answer in JSON that a test of this package is
// given is held to it.
type described struct {
	Paths map[string]map[string]struct {
		Responses map[string]map[string]any
	}
	Components map[string]map[string]map[string]any
}

var description = sync.OnceValues(func() (*described, error) {
	d := new(described)
	return d, json.Unmarshal(document, d)
})

// asDescribed fails the test if an answer is not what the document says of it.
func asDescribed(t *testing.T, method, path string, got said) {
	t.Helper()
	d, err := description()
	if err != nil {
		t.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "?")
	operation, known := d.Paths[path][strings.ToLower(method)]
	if !known || got.header.Get("Content-Type") != "application/json" {
		return
	}
	response := operation.Responses[fmt.Sprint(got.status)]
	if response == nil {
		response = operation.Responses["default"]
	}
	var answer any
	decoder := json.NewDecoder(strings.NewReader(string(got.body)))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		t.Errorf("%s: %d %s is no JSON: %v", path, got.status, got.body, err)
		return
	}
	content := d.resolve(response)["content"].(map[string]any)["application/json"].(map[string]any)
	if wrong := d.mismatch(content["schema"].(map[string]any), answer); wrong != "" {
		t.Errorf("%s answers %d, which the document does not describe: %s\n%s", path, got.status, wrong, got.body)
	}
}

func (d *described) resolve(schema map[string]any) map[string]any {
	ref, is := schema["$ref"].(string)
	if !is {
		return schema
	}
	place := strings.Split(ref, "/")
	return d.Components[place[2]][place[3]]
}

// mismatch says where a value is not what a schema says, and how; empty: it is. It knows the words that the
// document has.
func (d *described) mismatch(schema map[string]any, v any) string {
	schema = d.resolve(schema)
	for _, s := range list(schema["allOf"]) {
		if wrong := d.mismatch(s.(map[string]any), v); wrong != "" {
			return wrong
		}
	}
	fits := func(s any) bool { return d.mismatch(s.(map[string]any), v) == "" }
	if one := list(schema["oneOf"]); len(one) > 0 && !slices.ContainsFunc(one, fits) {
		return fmt.Sprintf("%v is none of %v", v, one)
	}
	if enum := list(schema["enum"]); len(enum) > 0 && !slices.Contains(enum, v) {
		return fmt.Sprintf("%v is none of %v", v, enum)
	}
	kind, _ := schema["type"].(string)
	switch v := v.(type) {
	case map[string]any:
		if kind != "" && kind != "object" {
			return "an object, not " + kind
		}
		return d.members(schema, v)
	case []any:
		if kind != "" && kind != "array" {
			return "an array, not " + kind
		}
		items, _ := schema["items"].(map[string]any)
		for at, item := range v {
			if wrong := d.mismatch(items, item); items != nil && wrong != "" {
				return fmt.Sprintf("%d: %s", at, wrong)
			}
		}
	case string:
		if kind != "" && kind != "string" {
			return fmt.Sprintf("the text %q, not %s", v, kind)
		}
		return text(schema, v)
	case bool:
		if kind != "" && kind != "boolean" {
			return fmt.Sprintf("%v, not %s", v, kind)
		}
	case json.Number:
		_, whole := new(big.Int).SetString(v.String(), 10)
		if kind != "" && kind != "number" && (kind != "integer" || !whole) {
			return fmt.Sprintf("the number %v, not %s", v, kind)
		}
	}
	return ""
}

func (d *described) members(schema, v map[string]any) string {
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range list(schema["required"]) {
		if _, is := v[name.(string)]; !is {
			return fmt.Sprintf("no %s", name)
		}
	}
	for name, value := range v { // any order: any of several mistakes will do
		member, known := properties[name].(map[string]any)
		others, open := schema["additionalProperties"].(map[string]any)
		switch {
		case !known && open:
			member = others
		case !known && schema["additionalProperties"] == false:
			return "it has " + name
		}
		if wrong := d.mismatch(member, value); member != nil && wrong != "" {
			return name + ": " + wrong
		}
	}
	return ""
}

func text(schema map[string]any, v string) string {
	if pattern, is := schema["pattern"].(string); is && !regexp.MustCompile(pattern).MatchString(v) {
		return fmt.Sprintf("%q does not match %s", v, pattern)
	}
	var err error
	switch format := schema["format"]; format {
	case "uint64", "int64":
		if n, whole := new(big.Int).SetString(v, 10); !whole || format == "uint64" && n.Sign() < 0 {
			err = fmt.Errorf("%q is no %s", v, format)
		}
	case "date-time":
		_, err = time.Parse(time.RFC3339Nano, v)
	}
	if schema["contentEncoding"] == "base64" && err == nil {
		_, err = base64.StdEncoding.DecodeString(v)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func list(v any) []any {
	all, _ := v.([]any)
	return all
}

// TestAnswersAsDescribed: what the other tests do not come by is described, too; and what is not described
// is found.
func TestAnswersAsDescribed(t *testing.T) {
	r := newRig(t)
	tx := func(id, operations string) {
		t.Helper()
		if got := r.call("Transact", fmt.Sprintf(`{"txnId":%q,"metadata":{"actor":"t"},"operations":[%s]}`, id, operations)); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	tx("1", `{"agentId":"a","key":"k","put":{"value":{"n":9007199254740993},"ttlMs":3600000}},{"agentId":"a","key":"b","put":{"valueBytes":"iVBO","contentType":"image/png"}},
		{"agentId":"a","key":"d","put":{"value":{},"dueInMs":60000}},{"agentId":"a","key":"m/","put":{"value":{"a":1},"append":true}},{"agentId":"a","key":"c","increment":{"pointer":"/n","delta":"3"}}`)
	tx("2", `{"agentId":"a","key":"l","acquire":{"ttlMs":60000,"holder":"h"}}`)
	tx("3", `{"agentId":"f","fork":{"agentId":"a"}}`)
	tx("4", `{"agentId":"a","key":"k","value":{"n":1}},{"agentId":"a","key":"c","delete":true}`)
	for _, encoding := range []string{"VALUE_ENCODING_STRUCT", "VALUE_ENCODING_JSON", "VALUE_ENCODING_NATIVE"} {
		for method, request := range map[string]string{ // each alone: any order
			"BatchGetState": `"names":[{"agentId":"a","key":"k"},{"agentId":"a","key":"b"},{"agentId":"a","key":"d"},{"agentId":"a","key":"none"}]`,
			"ScanPrefix":    `"agentId":"a"`, "GetHistory": `"agentId":"a","key":"c"`, "Find": `"allAgents":true,"withMetadata":true`, "Diff": `"agentId":"f","toAgentId":"a"`,
		} {
			if got := r.call(method, fmt.Sprintf(`{%s,"encoding":%q}`, request, encoding)); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", method, got.status, got.body)
			}
		}
	}
	for method, request := range map[string]string{ // each alone: any order
		"ListKeys": `{"agentId":"a","limit":1}`, "ListAgents": `{}`, "ListLeases": `{"agentId":"a"}`, "GetAgent": `{"agentId":"f"}`, "GetTransaction": `{"txnId":"1"}`, "GetStatus": `{}`,
		"RefreshExpiry": `{"names":[{"agentId":"a","key":"b"}]}`, "ListRefusals": `{"all":true}`, "ListStreams": `{"all":true}`,
	} {
		if got := r.call(method, request); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	d, err := description()
	if err != nil {
		t.Fatal(err)
	}
	for answer, schema := range map[string]string{ // each alone: any order
		`{"commitTs":7}`: "TransactResponse", `{"commitTs":"-7"}`: "TransactResponse", `{"nothing":1}`: "TransactResponse", `{"commitTime":"now"}`: "TransactResponse",
		`{"entries":{}}`: "ScanPrefixResponse", `{"entries":[{"value":[]}]}`: "ScanPrefixResponse", `{"entries":[{"valueBytes":"?"}]}`: "ScanPrefixResponse", `{"exists":"true"}`: "GetStateResponse", `{"code":7}`: "Failure",
	} {
		var v any
		decoder := json.NewDecoder(strings.NewReader(answer))
		decoder.UseNumber()
		if err := decoder.Decode(&v); err != nil || d.mismatch(d.Components["schemas"][schema], v) == "" {
			t.Errorf("%s is taken for %s", answer, schema)
		}
	}
}
