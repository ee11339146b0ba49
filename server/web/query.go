package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// fill sets the fields of a request from a query, by the names of the contract: namespace=default,
// start_ts=7, encoding=json, at.commit_ts=7, at.time=2026-11-30T10:42:00Z. A name that there is
// not is refused: a misspelled filter would be none.
func fill(m proto.Message, query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if len(values) != 1 {
			return fmt.Errorf("%q is given %d times", clip(name), len(values))
		}
		if err := set(m.ProtoReflect(), name, values[0]); err != nil {
			return err
		}
	}
	return nil
}

func set(m protoreflect.Message, name, value string) error {
	at := m
	for rest := name; ; {
		first, deeper, nested := strings.Cut(rest, ".")
		f := at.Descriptor().Fields().ByName(protoreflect.Name(first))
		if f == nil || f.IsList() || f.IsMap() || nested != holds(f) {
			return fmt.Errorf("there is no parameter %q; there are %s", clip(name), strings.Join(parameters(m.Descriptor(), ""), ", "))
		}
		if !nested {
			v, err := parse(at, f, value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			at.Set(f, v)
			return nil
		}
		at, rest = at.Mutable(f).Message(), deeper
	}
}

// holds reports whether a field is a message with fields of its own.
func holds(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.MessageKind && f.Message().FullName() != "google.protobuf.Timestamp"
}

func parse(m protoreflect.Message, f protoreflect.FieldDescriptor, value string) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(value), nil
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not true or false", clip(value))
		}
		return protoreflect.ValueOfBool(b), nil
	case protoreflect.Uint64Kind:
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not a whole number", clip(value))
		}
		return protoreflect.ValueOfUint64(n), nil
	case protoreflect.Uint32Kind:
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not a whole number of 32 bits", clip(value))
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.EnumKind:
		for i := range f.Enum().Values().Len() {
			if v := f.Enum().Values().Get(i); strings.EqualFold(string(v.Name()), value) || strings.EqualFold(short(v), value) {
				return protoreflect.ValueOfEnum(v.Number()), nil
			}
		}
		return protoreflect.Value{}, fmt.Errorf("%q is not one of %s", clip(value), strings.Join(Choices(f.Enum()), ", "))
	case protoreflect.MessageKind:
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("%q is not a time such as 2026-11-30T10:42:00Z", clip(value))
		}
		return protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()), nil
	}
	return protoreflect.Value{}, fmt.Errorf("it cannot be given in a query: POST the request as JSON")
}

// parameters are the names that set takes for a message.
func parameters(d protoreflect.MessageDescriptor, under string) (names []string) {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.IsList() || f.IsMap():
		case holds(f):
			names = append(names, parameters(f.Message(), under+string(f.Name())+".")...)
		default:
			names = append(names, under+string(f.Name()))
		}
	}
	return names
}

// short is a value of an enum without what all of them begin with: json of VALUE_ENCODING_JSON.
func short(v protoreflect.EnumValueDescriptor) string {
	var prefix strings.Builder
	for i, r := range string(v.Parent().Name()) {
		if i > 0 && r >= 'A' && r <= 'Z' {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(r)
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), strings.ToUpper(prefix.String())+"_"))
}

// Choices are the words that a parameter takes for the values of an enum.
func Choices(e protoreflect.EnumDescriptor) (names []string) {
	for i := range e.Values().Len() {
		names = append(names, short(e.Values().Get(i)))
	}
	return names
}
