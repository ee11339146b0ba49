package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"statehouse.dev/statehouse/server/web"
)

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// message is a reference to the schema of a message, which is described with all that it holds.
func (d *describing) message(m protoreflect.MessageDescriptor) object {
	if schema := known(m); schema != nil {
		return schema
	}
	name := string(m.Name())
	if _, described := d.schemas[name]; described {
		return ref(name)
	}
	properties := object{}
	schema := object{"type": "object", "additionalProperties": false, "properties": properties}
	d.schemas[name] = schema // before its fields, which may hold it
	if text := comment(m); text != "" {
		schema["description"] = text
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		p := d.field(f)
		if text := comment(f); text != "" {
			if _, is := p["$ref"]; is {
				p = object{"allOf": []object{p}}
			}
			p["description"] = text
		}
		properties[f.JSONName()] = p
	}
	return ref(name)
}

// known is the schema of a type that JSON has a form of its own for; nil: of none.
func known(m protoreflect.MessageDescriptor) object {
	switch m.FullName() {
	case "google.protobuf.Timestamp":
		return object{"type": "string", "format": "date-time"}
	case "google.protobuf.Duration":
		return object{"type": "string", "pattern": `^-?[0-9]+(\.[0-9]+)?s$`}
	case "google.protobuf.Struct":
		return object{"type": "object"}
	}
	return nil
}

func (d *describing) field(f protoreflect.FieldDescriptor) object {
	switch {
	case f.IsMap():
		return object{"type": "object", "additionalProperties": d.single(f.MapValue())}
	case f.IsList():
		return object{"type": "array", "items": d.single(f)}
	}
	return d.single(f)
}

func (d *describing) single(f protoreflect.FieldDescriptor) object {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.StringKind:
		return object{"type": "string"}
	case protoreflect.BytesKind:
		if web.JSONText(f) {
			return object{"oneOf": []object{{"type": "object"}, {"type": "array"}, {"type": "string", "contentEncoding": "base64"}}}
		}
		return object{"type": "string", "contentEncoding": "base64"}
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return object{"type": "number"}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return object{"type": "string", "format": "uint64"}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return object{"type": "string", "format": "int64"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return object{"type": "integer", "format": "uint32"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return object{"type": "integer", "format": "int32"}
	case protoreflect.EnumKind:
		return d.enum(f.Enum())
	}
	return d.message(f.Message())
}

func (d *describing) enum(e protoreflect.EnumDescriptor) object {
	name := string(e.Name())
	var values []string
	var text []string
	if c := comment(e); c != "" {
		text = append(text, c)
	}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		values = append(values, string(v.Name()))
		if c := comment(v); c != "" {
			text = append(text, string(v.Name())+": "+c)
		}
	}
	schema := object{"type": "string", "enum": values}
	if len(text) > 0 {
		schema["description"] = strings.Join(text, "\n\n")
	}
	d.schemas[name] = schema
	return ref(name)
}

// comment is what the contract says above a declaration, a paragraph a line.
func comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	var paragraphs []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			paragraphs = append(paragraphs, p)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
