package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// tool is one of the server's tools, with In and Out as its arguments and its answer.
type tool[In, Out any] struct {
	name, title, about string
	writes             bool // it commits
	destroys           bool // what is there now is replaced by it
	again              bool // doing it twice is as doing it once
	run                func(ctx context.Context, req *sdk.CallToolRequest, in In) (Out, error)
}

// object is a JSON object, as its text.
type object struct{ json.RawMessage }

// number is a JSON number with its digits.
type number = json.Number

// schemas are those of the types that Go's own do not say enough of.
var schemas = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[object]():          {Type: "object", AdditionalProperties: &jsonschema.Schema{Description: "anything"}},
	reflect.TypeFor[json.RawMessage](): {Description: "JSON"},
	reflect.TypeFor[number]():          {Type: "number"},
	reflect.TypeFor[comparison]():      {Type: "string", Enum: comparisons},
}

// schemaOf is the schema of T. Of arguments (in) it leaves out what the server is confined to.
func schemaOf[T any](d *door, in bool) *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: schemas})
	if err != nil {
		panic(err) // of a type of this package
	}
	d.fit(s, in)
	return s
}

// fit takes from a schema, and from those in it, null in place of a list, and what the server is confined to.
func (d *door) fit(s *jsonschema.Schema, in bool) {
	if s == nil {
		return
	}
	if slices.Equal(s.Types, []string{"null", "array"}) {
		s.Types, s.Type = nil, "array" // a list that is empty is left out
	}
	if in && s.Properties != nil {
		for name, confined := range map[string]bool{ // each is another: any order
			"namespace": d.Confined, "agent": d.Agent != "", "all_agents": d.Agent != "", "to_agent": d.Agent != "",
		} {
			if confined {
				delete(s.Properties, name)
				s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == name })
				s.PropertyOrder = slices.DeleteFunc(s.PropertyOrder, func(r string) bool { return r == name })
			}
		}
	}
	for _, p := range s.Properties { // each for itself: any order
		d.fit(p, in)
	}
	d.fit(s.Items, in)
}

// add gives the server a tool.
func add[In, Out any](d *door, t tool[In, Out]) {
	input := schemaOf[In](d, true)
	resolved, err := input.Resolve(nil)
	if err != nil {
		panic(err) // of a schema of this package
	}
	no := false
	d.server.AddTool(&sdk.Tool{
		Name: t.name, Title: t.title, Description: t.about, InputSchema: input, OutputSchema: schemaOf[Out](d, false),
		Annotations: &sdk.ToolAnnotations{
			Title: t.title, ReadOnlyHint: !t.writes, DestructiveHint: &t.destroys, IdempotentHint: !t.writes || t.again, OpenWorldHint: &no,
		},
	}, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in In
		if err := decode(req.Params.Arguments, resolved, &in); err != nil {
			return failed(fmt.Sprintf("the arguments are not those of %s: %v. Nothing was done. Call it again with arguments that match its input schema.", t.name, err)), nil
		}
		over, err := d.turn(ctx)
		if err != nil {
			return nil, err
		}
		defer over()
		out, err := t.run(ctx, req, in)
		if err != nil {
			return failed(d.explain(ctx, err)), nil
		}
		text, err := encode(out)
		if err != nil {
			return nil, err
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: string(text)}}, StructuredContent: json.RawMessage(text)}, nil
	})
}

// decode checks arguments, and reads them from their text.
func decode(text json.RawMessage, schema *jsonschema.Resolved, in any) error {
	if len(bytes.TrimSpace(text)) == 0 || bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		text = json.RawMessage("{}")
	}
	var checked any // numbers as floating point ones, which is enough to see what they are
	if err := json.Unmarshal(text, &checked); err != nil {
		return err
	}
	if err := schema.Validate(checked); err != nil {
		return err
	}
	return json.Unmarshal(text, in)
}

// encode is JSON without escapes that only browsers need.
func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(text.Bytes()), err
}

// failed is the answer of a tool that could not do what it was asked.
func failed(text string) *sdk.CallToolResult {
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}}}
}
