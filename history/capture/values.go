package capture

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"statehouse.dev/statehouse/history"
)

// valueReader puts all values of messages into one form: JSON text, members
// sorted, numbers in a normal form. A client may write a value as a Struct and
// read it as JSON, or the other way round; to who judges it is one value.
type valueReader struct {
	// structText is the JSON of the Struct that a request, or an operation in it, carries;
	// nil: none does.
	structText func(m proto.Message) (text []byte, given bool, err error)
	none       bool // values are not wanted, and they cost most
}

// request reads the Structs of a request. It fails where a Struct is no value.
func (v valueReader) request(m proto.Message) (err error) {
	if v.none {
		return nil
	}
	eachMessage(m.ProtoReflect(), func(m protoreflect.Message) {
		field := m.Descriptor().Fields().ByName("value_json")
		if field == nil {
			return
		}
		if v.structText != nil {
			text, given, terr := v.structText(m.Interface())
			if terr != nil {
				err = terr
				return
			}
			if given {
				m.Set(field, protoreflect.ValueOfBytes(text))
			}
		}
		normalField(m, field)
		if patch := m.Descriptor().Fields().ByName("merge_json"); patch != nil {
			normalField(m, patch)
		}
	})
	return err
}

// answer reads the values of an answer.
func (v valueReader) answer(m proto.Message) (err error) {
	if v.none {
		return nil
	}
	eachMessage(m.ProtoReflect(), func(m protoreflect.Message) {
		field := m.Descriptor().Fields().ByName("value_json")
		if field == nil {
			return
		}
		if s := m.Descriptor().Fields().ByName("value"); s != nil && m.Has(s) {
			text, terr := m.Get(s).Message().Interface().(*structpb.Struct).MarshalJSON()
			if terr != nil {
				err = terr
				return
			}
			m.Set(field, protoreflect.ValueOfBytes(text))
		}
		normalField(m, field)
	})
	return err
}

func normalField(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if text := m.Get(field).Bytes(); len(text) > 0 {
		m.Set(field, protoreflect.ValueOfBytes([]byte(normal(string(text)))))
	}
}

// eachMessage calls f with m and with the messages in it that may hold values.
func eachMessage(m protoreflect.Message, f func(protoreflect.Message)) {
	f(m)
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap() || field.Message().ParentFile().Package() == "google.protobuf":
		case field.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), f)
			}
		default:
			eachMessage(v.Message(), f)
		}
		return true
	})
}

// normal is the normal form of JSON text. Other text stays, but for bytes that are not
// UTF-8.
func normal(text string) string { return history.Normal(strings.ToValidUTF8(text, "\uFFFC")) }
