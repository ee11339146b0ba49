package sim

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"statehouse.dev/statehouse/history"
)

// A value goes over the wire as JSON text or as a google.protobuf.Struct. This file makes one
// of the other, apart from package structwire, which is what is tested.

// eachValue calls f with the messages in m that have fields for a value in both forms.
func eachValue(m protoreflect.Message, f func(m protoreflect.Message, object, text protoreflect.FieldDescriptor)) {
	fields := m.Descriptor().Fields()
	object, text := fields.ByName("value"), fields.ByName("value_json")
	if object != nil && text != nil {
		f(m, object, text)
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || field.IsMap() || field == object || !m.Has(field) {
			continue
		}
		if !field.IsList() {
			eachValue(m.Get(field).Message(), f)
			continue
		}
		for k := range m.Get(field).List().Len() {
			eachValue(m.Get(field).List().Get(k).Message(), f)
		}
	}
}

// speakStruct puts Structs in place of JSON text. Text that is no value stays.
func speakStruct(m protoreflect.Message) {
	eachValue(m, func(m protoreflect.Message, object, text protoreflect.FieldDescriptor) {
		var tree map[string]any
		if !m.Has(text) || json.Unmarshal(m.Get(text).Bytes(), &tree) != nil {
			return
		}
		if s, err := structpb.NewStruct(tree); err == nil && tree != nil {
			m.Set(object, protoreflect.ValueOfMessage(s.ProtoReflect()))
			m.Clear(text)
		}
	})
}

// speakText puts JSON text beside each Struct that has none, and reports whether there was one.
func speakText(m protoreflect.Message) (found bool) {
	eachValue(m, func(m protoreflect.Message, object, text protoreflect.FieldDescriptor) {
		if m.Has(object) && !m.Has(text) {
			s, _ := m.Get(object).Message().Interface().(*structpb.Struct)
			m.Set(text, protoreflect.ValueOfBytes(appendStruct(nil, s)))
			found = true
		}
	})
	return found
}

// hideText takes away the text beside a Struct.
func hideText(m protoreflect.Message) {
	eachValue(m, func(m protoreflect.Message, object, text protoreflect.FieldDescriptor) {
		if m.Has(object) {
			m.Clear(text)
		}
	})
}

func appendStruct(out []byte, s *structpb.Struct) []byte {
	out = append(out, '{')
	for i, name := range slices.Sorted(maps.Keys(s.GetFields())) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, name), ':')
		out = appendValue(out, s.GetFields()[name])
	}
	return append(out, '}')
}

func appendString(out []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(out, `""`...) // it is a string: cannot be
	}
	return append(out, text...)
}

func appendValue(out []byte, v *structpb.Value) []byte {
	switch k := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		if n := k.NumberValue; n == math.Trunc(n) && math.Abs(n) < 1e21 && (n != 0 || !math.Signbit(n)) {
			return strconv.AppendFloat(out, n, 'f', 0, 64)
		}
		if n := math.Abs(k.NumberValue); n >= 1e-6 && n < 1e21 {
			return strconv.AppendFloat(out, k.NumberValue, 'f', -1, 64)
		}
		return strconv.AppendFloat(out, k.NumberValue, 'e', -1, 64)
	case *structpb.Value_StringValue:
		return appendString(out, k.StringValue)
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(out, k.BoolValue)
	case *structpb.Value_StructValue:
		return appendStruct(out, k.StructValue)
	case *structpb.Value_ListValue:
		out = append(out, '[')
		for i, x := range k.ListValue.GetValues() {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendValue(out, x)
		}
		return append(out, ']')
	}
	return append(out, "null"...)
}

// representable reports whether all values of a request can be sent as Structs.
func representable(in *history.Input) bool {
	if in.Value != "" && !history.Doubles(in.Value) {
		return false
	}
	return !slices.ContainsFunc(in.Writes, func(w history.Write) bool { return !w.Delete && !history.Doubles(w.Value) })
}
