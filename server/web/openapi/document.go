package main

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"statehouse.dev/statehouse/server/web"
)

// object is an object of JSON; encoding/json writes its members in order.
type object = map[string]any

// about is what stands above everything.
const about = `The contract of Statehouse over HTTP: every method as a POST of its request in JSON, reads as a GET
with the fields of the request in the query, and watches and replays as server-sent events.

The JSON is that of Protocol Buffers: a field that has its zero value is left out of answers, a number of 64 bits is a
string (in requests a number does as well), bytes are in base64. A field that is not known is refused.

docs/HTTP.md of the project says more.`

// describe makes the document of the contract.
func describe(files *protoregistry.Files) (object, error) {
	d := &describing{schemas: object{}, paths: object{}}
	byPath := make(map[string]protoreflect.MethodDescriptor)
	for _, s := range web.Services() {
		found, err := files.FindDescriptorByName(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		methods := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			path := fmt.Sprintf("/%s/%s", s, m.Name())
			byPath[path] = m
			if !m.IsStreamingClient() && !m.IsStreamingServer() {
				d.paths[path] = object{"post": d.call(m)}
			}
		}
	}
	for path, method := range web.Reads { // a set: any order
		d.paths[path] = object{"get": d.read(path, byPath[method], "application/json")}
	}
	for path, method := range web.Streams { // a set: any order
		d.paths[path] = object{"get": d.read(path, byPath[method], "text/event-stream")}
	}
	d.failure()
	return object{
		"openapi":  "3.1.0",
		"info":     object{"title": "Statehouse", "version": "v1", "description": about, "license": object{"name": "see LICENSE"}},
		"servers":  []object{{"url": "/"}},
		"security": []object{{}, {"key": []string{}}},
		"paths":    d.paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"key": object{"type": "http", "scheme": "bearer", "description": "An access key, shk_…, or the shared token; where access is open, none."}},
			"responses": object{"failure": object{
				"description": "A refusal or an error; the status is that of its code.",
				"content":     object{"application/json": object{"schema": ref("Failure")}},
			}},
		},
	}, nil
}

type describing struct {
	schemas, paths object
}

// call is a method as a POST.
func (d *describing) call(m protoreflect.MethodDescriptor) object {
	return object{
		"operationId": string(m.Parent().Name()) + "_" + string(m.Name()),
		"tags":        []string{string(m.Parent().Name())},
		"description": comment(m),
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": d.message(m.Input())}}},
		"responses":   responses("application/json", d.message(m.Output()), comment(m.Output())),
	}
}

// read is a method as a GET.
func (d *describing) read(path string, m protoreflect.MethodDescriptor, kind string) object {
	description := comment(m)
	schema := d.message(m.Output())
	parameters := d.parameters(m.Input(), "")
	if kind == "text/event-stream" {
		schema = object{"type": "string", "description": "Events named commit, each with a ReplayEvent as JSON for its data and its place in the log for its id."}
		parameters = append(parameters, object{
			"name": "Last-Event-ID", "in": "header", "schema": object{"type": "string"},
			"description": "The id of the last event that was seen, with which a browser connects again: what comes after it is sent.",
		})
		description += "\n\nAs server-sent events."
	}
	return object{
		"operationId": "get" + path, "tags": []string{"reads"}, "description": description,
		"parameters": parameters, "responses": responses(kind, schema, comment(m.Output())),
	}
}

// parameters are the fields of a request as web's fill takes them.
func (d *describing) parameters(m protoreflect.MessageDescriptor, under string) []object {
	list := []object{}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		switch {
		case f.IsList() || f.IsMap():
		case f.Kind() == protoreflect.MessageKind && known(f.Message()) == nil:
			list = append(list, d.parameters(f.Message(), under+string(f.Name())+".")...)
		default:
			p := object{"name": under + string(f.Name()), "in": "query", "schema": d.single(f)}
			if f.Kind() == protoreflect.EnumKind {
				p["schema"] = object{"type": "string", "enum": web.Choices(f.Enum())}
			}
			if text := comment(f); text != "" {
				p["description"] = text
			}
			list = append(list, p)
		}
	}
	return list
}

func responses(kind string, schema object, description string) object {
	if description == "" {
		description = "The answer."
	}
	return object{
		"200":     object{"description": description, "content": object{kind: object{"schema": schema}}},
		"default": object{"$ref": "#/components/responses/failure"},
	}
}

// failure describes errors.
func (d *describing) failure() {
	d.schemas["Failure"] = object{
		"type": "object", "required": []string{"code"},
		"properties": object{
			"code":    object{"type": "string", "description": "The gRPC code, as the Connect protocol spells it: not_found, failed_precondition, …"},
			"message": object{"type": "string"},
			"details": object{"type": "array", "description": "The details of the gRPC status, for clients of the Connect protocol.", "items": object{"type": "object"}},
			"error": object{
				"type": "object", "description": "What went wrong, in the contract's words: a StatehouseError.",
				"properties": object{
					"code":         object{"type": "string", "description": "An ErrorCode, such as PRECONDITION_FAILED."},
					"message":      object{"type": "string"},
					"details":      object{"type": "object", "additionalProperties": object{"type": "string"}},
					"maybeApplied": object{"type": "boolean", "description": "The commit may have been applied: ask again under the same id."},
				},
			},
		},
	}
}
