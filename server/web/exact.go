package web

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// In JSON a google.protobuf.Struct is just JSON. But its numbers are doubles: a client that writes
// 9007199254740993 would find 9007199254740992, and be told nothing. So JSON text goes to the service and
// comes from it as it is, in the field that the contract has for text (value_json) beside each
// Struct (value), and is called value on both ways, as if the Struct were exact. It also costs less: a Struct
// of 1 MiB is 38 MiB of objects to protobuf.

// textBeside is the field for JSON text beside a field that is a Struct; nil: there is none.
func textBeside(f protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if f == nil || f.Message() == nil || f.Message().FullName() != "google.protobuf.Struct" || f.IsList() || f.IsMap() {
		return nil
	}
	return f.ContainingMessage().Fields().ByName(f.Name() + "_json")
}

// structBeside is the Struct beside a field for JSON text; nil: there is none.
func structBeside(f protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if f == nil || f.Kind() != protoreflect.BytesKind {
		return nil
	}
	name, is := bytes.CutSuffix([]byte(f.Name()), []byte("_json"))
	if !is {
		return nil
	}
	s := f.ContainingMessage().Fields().ByName(protoreflect.Name(name))
	if textBeside(s) != f {
		return nil
	}
	return s
}

// JSONText reports whether a field is JSON text with no Struct beside it, as a merge patch. It is JSON on both ways,
// too, under its own name; requests may have it as the bytes that it is.
func JSONText(f protoreflect.FieldDescriptor) bool { return isText(f) && structBeside(f) == nil }

// isText reports whether a field is JSON text.
func isText(f protoreflect.FieldDescriptor) bool {
	return f != nil && f.Kind() == protoreflect.BytesKind && !f.IsList() && strings.HasSuffix(string(f.Name()), "_json")
}

// inexact is a request as the service takes it: values as text. If its encoding is that of Structs, or not given, it
// asks for text, and plain says that the answer's is to be put where Structs are.
func inexact(d protoreflect.MessageDescriptor, request []byte) (out []byte, plain bool, err error) {
	r := rewriting{from: jsontext.NewDecoder(bytes.NewReader(request)), structs: true}
	r.asks = d.Fields().ByName("encoding")
	if err := r.message(d, true); err != nil {
		return nil, false, notJSON(err)
	}
	switch _, err := r.from.ReadToken(); {
	case err == nil:
		return nil, false, errors.New("there is more than one JSON value")
	case !errors.Is(err, io.EOF):
		return nil, false, notJSON(err)
	}
	return r.out.Bytes(), r.plain, nil
}

// exact is an answer to a request that inexact made plain.
func exact(d protoreflect.MessageDescriptor, answer []byte) ([]byte, error) {
	r := rewriting{from: jsontext.NewDecoder(bytes.NewReader(answer), jsontext.AllowInvalidUTF8(true))}
	r.out.Grow(len(answer))
	err := r.message(d, false)
	return r.out.Bytes(), err
}

// notJSON says where a text is no JSON.
func notJSON(err error) error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		return fmt.Errorf("it is not JSON at byte %d: %w", s.ByteOffset, s.Err)
	}
	return errors.New("it is not JSON: it ends in the middle")
}

// rewriting copies a message as JSON, and moves values on the way.
type rewriting struct {
	from    *jsontext.Decoder
	out     bytes.Buffer
	structs bool                         // they become text; else text becomes what they are
	asks    protoreflect.FieldDescriptor // the encoding of a request; nil: it has none
	plain   bool
}

const textEncoding = `"VALUE_ENCODING_JSON"`

// asStructs are the ways to write the encoding that is meant when none is given.
var asStructs = map[string]bool{`"VALUE_ENCODING_STRUCT"`: true, "0": true, "null": true}

func (r *rewriting) message(d protoreflect.MessageDescriptor, top bool) error {
	if r.from.PeekKind() != '{' {
		return r.copy()
	}
	if _, err := r.from.ReadToken(); err != nil {
		return err
	}
	r.out.WriteByte('{')
	asked := !top || r.asks == nil
	for n := 0; r.from.PeekKind() != '}'; n++ {
		name, err := r.from.ReadToken()
		if err != nil {
			return err
		}
		if n > 0 {
			r.out.WriteByte(',')
		}
		f := d.Fields().ByJSONName(name.String())
		if f == nil {
			f = d.Fields().ByTextName(name.String())
		}
		if f == nil || f != r.asks {
			err = r.field(name.String(), f)
		} else {
			asked = true
			err = r.encoding(f)
		}
		if err != nil {
			return err
		}
	}
	if !asked {
		if r.out.Len() > 1 {
			r.out.WriteByte(',')
		}
		r.name(r.asks.JSONName())
		r.out.WriteString(textEncoding)
		r.plain = true
	}
	r.out.WriteByte('}')
	_, err := r.from.ReadToken()
	return err
}

func (r *rewriting) name(name string) {
	text, _ := jsontext.AppendQuote(nil, name) // what is not UTF-8 is replaced, and then not known
	r.out.Write(text)
	r.out.WriteByte(':')
}

// encoding copies the encoding that is asked for, and asks for text in place of Structs.
func (r *rewriting) encoding(f protoreflect.FieldDescriptor) error {
	v, err := r.from.ReadValue()
	if err != nil {
		return err
	}
	r.name(f.JSONName())
	if asStructs[string(v)] {
		r.plain = true
		r.out.WriteString(textEncoding)
		return nil
	}
	r.out.Write(v)
	return nil
}

func (r *rewriting) field(name string, f protoreflect.FieldDescriptor) error {
	text, beside, next := textBeside(f), structBeside(f), r.from.PeekKind()
	if isText(f) && (next == '{' || next == '[') {
		text = f
	}
	if JSONText(f) {
		beside = f
	}
	switch {
	case r.structs && text != nil && next != 'n':
		v, err := r.from.ReadValue()
		if err != nil {
			return err
		}
		r.name(text.JSONName())
		r.out.WriteByte('"')
		to := base64.NewEncoder(base64.StdEncoding, &r.out)
		_, _ = to.Write(v) // to memory
		_ = to.Close()
		r.out.WriteByte('"')
		return nil
	case !r.structs && beside != nil && next == '"':
		t, err := r.from.ReadToken()
		if err != nil {
			return err
		}
		v, err := base64.StdEncoding.DecodeString(t.String())
		if err != nil {
			return err
		}
		r.name(beside.JSONName())
		r.out.Write(v)
		return nil
	}
	r.name(name)
	switch {
	case f == nil || f.IsMap() || f.Kind() != protoreflect.MessageKind:
		return r.copy()
	case f.IsList():
		return r.list(f.Message())
	}
	return r.message(f.Message(), false)
}

func (r *rewriting) list(d protoreflect.MessageDescriptor) error {
	if r.from.PeekKind() != '[' {
		return r.copy()
	}
	if _, err := r.from.ReadToken(); err != nil {
		return err
	}
	r.out.WriteByte('[')
	for n := 0; r.from.PeekKind() != ']'; n++ {
		if n > 0 {
			r.out.WriteByte(',')
		}
		if err := r.message(d, false); err != nil {
			return err
		}
	}
	r.out.WriteByte(']')
	_, err := r.from.ReadToken()
	return err
}

func (r *rewriting) copy() error {
	v, err := r.from.ReadValue()
	r.out.Write(v)
	return err
}
