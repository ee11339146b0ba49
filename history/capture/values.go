package capture

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"statehouse.dev/statehouse/history"
)

// valueReader puts all values of messages into one form: JSON text, members
// sorted, numbers in a normal form. A client may write a value as a Struct and
// read it as JSON, or the other way round; to the judge it is one value then.
type valueReader struct {
	// structText is the JSON of a Struct that the daemon's codec left unparsed in a
	// request.
	structText func(wire []byte) ([]byte, error)
	none       bool // nobody wants values, and they cost most
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
		for unknown := m.GetUnknown(); len(unknown) > 0; {
			num, typ, n := protowire.ConsumeField(unknown)
			if n < 0 {
				return
			}
			if num >= hiddenFields && typ == protowire.BytesType {
				_, _, tag := protowire.ConsumeTag(unknown)
				wire, _ := protowire.ConsumeBytes(unknown[tag:])
				text, terr := v.structText(wire)
				if terr != nil {
					err = terr
					return
				}
				m.Set(field, protoreflect.ValueOfBytes(text))
			}
			unknown = unknown[n:]
		}
		normalField(m, field)
	})
	return err
}

// hiddenFields are those that the daemon's codec keeps Structs in (see there).
const hiddenFields = 19000

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

// normal is the normal form of JSON text. What is none stays, but for bytes that are
// not UTF-8.
func normal(text string) string { return history.Normal(strings.ToValidUTF8(text, "\uFFFC")) }
