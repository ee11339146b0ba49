package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/structwire"
)

// SetValue reads the one value that a write carries: JSON text, bytes or a Struct. One of more than limit
// bytes stays as it came: it is refused for its size.
func SetValue(w *engine.Write, m proto.Message, text []byte, limit int) error {
	wire, isStruct, err := structwire.Wire(m)
	if err != nil {
		return Invalid("value", err.Error())
	}
	if done, err := setBytes(w, m, isStruct || len(text) > 0); done || err != nil {
		return err
	}
	switch {
	case isStruct && len(text) > 0:
		return Invalid("value", "a write carries value or value_json, not both")
	case !isStruct && len(text) == 0:
		return Invalid("value", "the value is absent: set value or value_json (an empty object is {})")
	case !isStruct:
		w.Value = text
		return nil
	}
	w.SentBytes = max(len(wire), 1)
	if w.SentBytes > limit {
		return nil // the engine refuses it with both sizes; not worth transcoding
	}
	if w.Value, err = structwire.JSON(wire); err != nil {
		return Invalid("value", "the value is refused: "+err.Error())
	}
	return nil
}

// bytesWriter is a write that may carry bytes.
type bytesWriter interface {
	GetValueBytes() []byte // nil: it carries none
	GetContentType() string
}

// setBytes reads the bytes that a write carries, if it does.
func setBytes(w *engine.Write, m proto.Message, another bool) (done bool, err error) {
	b, may := m.(bytesWriter)
	switch {
	case !may || b.GetValueBytes() == nil && b.GetContentType() == "":
		return false, nil
	case b.GetValueBytes() == nil:
		return false, Invalid("content_type", "a content type is of value_bytes, and the write carries none")
	case another:
		return false, Invalid("value_bytes", "a write carries one value: it has value_bytes and another")
	}
	w.Value, w.Bytes, w.ContentType = b.GetValueBytes(), true, b.GetContentType()
	return true, nil
}

// Values puts stored values into the fields that a reader asked for.
type Values struct {
	encoding pb.ValueEncoding
	strict   bool // a Struct is exact or refused
}

// valueRequest is what requests that are answered with values have in common.
type valueRequest interface {
	GetEncoding() pb.ValueEncoding
	GetStrict() bool
}

// ValuesFor says how a request wants values.
func ValuesFor(req valueRequest) (Values, error) {
	e := req.GetEncoding()
	if _, known := pb.ValueEncoding_name[int32(e)]; !known {
		return Values{}, Invalid("encoding", fmt.Sprintf("the encoding %d is not known", e))
	}
	return Values{e, req.GetStrict()}, nil
}

// None reports whether it wants no values.
func (v Values) None() bool { return v.encoding == pb.ValueEncoding_VALUE_ENCODING_NONE }

// Structs reports whether it wants Structs.
func (v Values) Structs() bool {
	return v.encoding == pb.ValueEncoding_VALUE_ENCODING_STRUCT
}

// Growth is about how many times its stored bytes a value takes on its way into a
// message. A number of two bytes is one of eleven in a Struct; most values are text.
func (v Values) Growth() int64 {
	if v.Structs() {
		return 4
	}
	return 2
}

// Set fills m's fields for a Struct, for bytes, or its JSON field through text, with key's value.
func (v Values) Set(m proto.Message, fields structwire.Fields, text *[]byte, key string, value []byte) error {
	if contentType, data, is := engine.AsBytes(value); is && !v.None() {
		if v.encoding == pb.ValueEncoding_VALUE_ENCODING_NATIVE {
			setNative(m, contentType, data)
			return nil
		}
		value = asObject(contentType, data)
	}
	switch v.encoding {
	case pb.ValueEncoding_VALUE_ENCODING_JSON, pb.ValueEncoding_VALUE_ENCODING_NATIVE:
		*text = value
	case pb.ValueEncoding_VALUE_ENCODING_STRUCT:
		inexact, err := structwire.Set(m, fields, value)
		if err != nil {
			return Fail(engine.ErrDataLoss, fmt.Sprintf("the stored value of key %q is not JSON: %v", key, err))
		}
		if v.strict && inexact.Count > 0 {
			return Fail(errNotRepresentable, fmt.Sprintf(
				"a Struct cannot carry the value of key %q exactly: the number %s at byte %d is none that a double can hold; ask for VALUE_ENCODING_JSON",
				key, inexact.First, inexact.Offset))
		}
	}
	return nil
}

// setNative fills the fields for bytes, which have the same names in all answers.
func setNative(m proto.Message, contentType string, data []byte) {
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	r.Set(fields.ByName("value_bytes"), protoreflect.ValueOfBytes(data))
	r.Set(fields.ByName("content_type"), protoreflect.ValueOfString(contentType))
}

// asObject is how readers that know no bytes have them. An object that was written as JSON and looks
// like it is JSON all the same: what is stored tells them apart, and so does VALUE_ENCODING_NATIVE.
func asObject(contentType string, data []byte) []byte {
	text := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+len(contentType)+64)
	text = base64.StdEncoding.AppendEncode(append(text, `{"$bytes":"`...), data)
	text = append(text, `","$content_type":`...)
	quoted, _ := json.Marshal(contentType) // a string
	return append(append(text, quoted...), '}')
}

// Timestamp is a time on the wire; nil for none.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// TimeOf reads a time that a client sent.
func TimeOf(field string, t *timestamppb.Timestamp) (*time.Time, error) {
	if t == nil {
		return nil, nil
	}
	if err := t.CheckValid(); err != nil {
		return nil, Invalid(field, field+" is not a valid time: "+err.Error())
	}
	at := t.AsTime()
	return &at, nil
}

// AtOf reads the point of the order that a client named.
func AtOf(a *pb.At) (engine.At, error) {
	switch p := a.GetPoint().(type) {
	case *pb.At_CommitTs:
		ts := engine.CommitTS(p.CommitTs)
		return engine.At{CommitTS: &ts}, nil
	case *pb.At_Time:
		t, err := TimeOf("at", p.Time)
		if t == nil && err == nil {
			err = Invalid("at", "at has no time")
		}
		return engine.At{Time: t}, err
	}
	return engine.At{}, nil
}

// Conditions are those of a commit that a client sent.
func Conditions(metadata map[string]string, keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) engine.Conditions {
	c := engine.Conditions{Metadata: metadata}
	for _, k := range keys {
		if k.GetLease() != "" && k.GetKey() == "" {
			c.Leases = append(c.Leases, engine.LeasePrecondition{
				Agent: engine.AgentName{Namespace: k.GetNamespace(), Agent: k.GetAgentId()}, Lease: k.GetLease(), Token: engine.Version(k.GetExpectedVersion()),
			})
			continue
		}
		c.Keys = append(c.Keys, engine.KeyPrecondition{
			Name:     engine.RecordName{Namespace: k.GetNamespace(), Agent: k.GetAgentId(), Key: k.GetKey()},
			Expected: engine.Version(k.GetExpectedVersion()),
		})
	}
	for _, h := range heads {
		c.Heads = append(c.Heads, engine.HeadPrecondition{
			Agent:    engine.AgentName{Namespace: h.GetNamespace(), Agent: h.GetAgentId()},
			Expected: engine.CommitTS(h.GetExpectedHead()),
		})
	}
	return c
}

// ReadSet is what a client says that its transaction read; nil: it says nothing.
func ReadSet(m *pb.ReadSet) *engine.ReadSet {
	if m == nil {
		return nil
	}
	r := &engine.ReadSet{Snapshot: engine.CommitTS(m.GetSnapshotTs())}
	for _, k := range m.GetKeys() {
		r.Keys = append(r.Keys, engine.ReadKey{
			Name: engine.RecordName{Namespace: k.GetNamespace(), Agent: k.GetAgentId(), Key: k.GetKey()}, Seen: engine.Version(k.GetVersion()),
		})
	}
	for _, l := range m.GetRanges() {
		r.Ranges = append(r.Ranges, engine.ReadRange{
			Agent: engine.AgentName{Namespace: l.GetNamespace(), Agent: l.GetAgentId()}, Prefix: l.GetPrefix(), First: l.GetFirst(), Last: l.GetLast(),
		})
	}
	return r
}

// Timeout is an optional number of milliseconds. Past the longest Duration is past every
// maximum.
func Timeout(ms *uint64) *time.Duration {
	if ms == nil {
		return nil
	}
	return new(time.Duration(min(*ms, uint64(1<<62)/uint64(time.Millisecond))) * time.Millisecond)
}

// KeyVersions are the versions that a commit gave keys of users.
func KeyVersions(vs []engine.KeyVersion) []*pb.KeyVersion {
	out := make([]*pb.KeyVersion, 0, len(vs))
	for _, v := range vs {
		if kind, _ := engine.SplitHidden(v.Name.Key); kind == "" {
			out = append(out, &pb.KeyVersion{Namespace: v.Name.Namespace, AgentId: v.Name.Agent, Key: v.Name.Key, Version: uint64(v.Version)})
		}
	}
	return out
}

// ExpectedVersion is an optional version.
func ExpectedVersion(v *uint64) *engine.Version {
	if v == nil {
		return nil
	}
	e := engine.Version(*v)
	return &e
}
