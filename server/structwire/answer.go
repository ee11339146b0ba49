package structwire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Unmarshal makes an answer of its bytes that has its Structs as Set puts them into one: unparsed. It is for an
// answer that is to be sent on.
func Unmarshal(wire []byte, m proto.Message) error {
	hidden, err := hide(m.ProtoReflect().Descriptor(), wire, nil)
	if err != nil || hidden == nil {
		if err == nil {
			err = proto.Unmarshal(wire, m)
		}
		return err
	}
	if err := proto.Unmarshal(hidden, m); err != nil {
		return err
	}
	reveal(m.ProtoReflect())
	return nil
}

// reveal gives hidden Structs their numbers back, in m and what is in it.
func reveal(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				reveal(v.List().Get(i).Message())
			}
		default:
			reveal(v.Message())
		}
		return true
	})
	var shown []byte
	for unknown := m.GetUnknown(); len(unknown) > 0; {
		num, typ, n := protowire.ConsumeField(unknown)
		_, _, tagSize := protowire.ConsumeTag(unknown)
		if num == hiddenField {
			num = structField(m.Descriptor())
		}
		shown = append(protowire.AppendTag(shown, num, typ), unknown[tagSize:n]...)
		unknown = unknown[n:]
	}
	m.SetUnknown(shown)
}

// structField is the number of a message's Struct, of which none has more than one.
func structField(md protoreflect.MessageDescriptor) protowire.Number {
	for i := range md.Fields().Len() {
		if of := md.Fields().Get(i).Message(); of != nil && of.FullName() == "google.protobuf.Struct" {
			return md.Fields().Get(i).Number()
		}
	}
	panic("no Struct was hidden in a " + string(md.FullName()))
}
