package sim

import (
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/step"
)

// request is what a call sends, and what it asks in the world's names.
type request struct {
	method *step.Method
	wire   []byte
	in     history.Input
	id     string // of the transaction, as it goes over the wire
	// refuse says why the daemon must refuse the request; empty: its answer is judged. What
	// must be refused is not in the history, so that no effect of it has a reason.
	refuse string
	// stranger: for it comes with nothing that is good; denied: with a key that may not do it.
	stranger, denied bool
	bad              []string // fields that break a rule, which a history cannot show
	strict           bool     // Structs are to be exact
	epochs           []string // that it names
}

// recorded reports whether the history has what is asked for.
func (r *request) recorded() bool { return r.method.Kind != "" && r.refuse == "" }

// space is the namespace as it was sent: a page token knows the default one by name from the one
// that is left out.
func (r *request) space() string {
	m := r.method.NewRequest()
	if n, ok := m.(interface{ GetNamespace() string }); ok && proto.Unmarshal(r.wire, m) == nil {
		return n.GetNamespace()
	}
	return ""
}

// peek is requestOf of a call that is not sent yet: an id that it would give a transaction is
// that of another moment.
func (w *World) peek(s *step.Step) (request, error) {
	last := w.names.last
	w.names.last = ""
	r, err := w.requestOf(s)
	if made := w.names.last; made != "" {
		delete(w.names.name, w.names.wire[made])
		delete(w.names.wire, made)
	}
	w.names.last = last
	return r, err
}

// requestOf is what a step's call sends. It fails when the step speaks of a transaction or a
// page that there is not.
func (w *World) requestOf(s *step.Step) (r request, err error) {
	if s.Method != "" {
		r, err = w.rawRequest(s)
	} else {
		r.method, r.in = step.MethodOf(s.Kind), s.In
		var wire history.Input
		var token string
		if wire, token, err = w.toWire(s.Kind, s.In); err != nil {
			return r, err
		}
		r.id = wire.TxnID
		m := record.Request(s.Kind, &wire, token)
		if s.In.Doubles {
			speakStruct(m.ProtoReflect())
			speakText(m.ProtoReflect())
			told, _ := record.Input(s.Kind, m) // as doubles have them
			r.in.Value, r.in.Writes = told.Value, told.Writes
			hideText(m.ProtoReflect())
		}
		r.wire, err = marshal(m)
	}
	if err == nil && s.Token != "" && w.config.Token {
		err = w.authorise(s.Token, &r)
	}
	return r, err
}

// named are the names that fresh gives transactions, and pageOf what stands for the token of
// a call's answer.
var (
	named  = regexp.MustCompile(`^t[0-9]+$`)
	pageOf = regexp.MustCompile(`^#[0-9]+$`)
)

// rawRequest is what a raw call sends.
func (w *World) rawRequest(s *step.Step) (r request, err error) {
	r.method = step.MethodNamed(s.Method)
	m, wire, err := s.Request()
	if err != nil {
		return r, err
	}
	if m == nil {
		if m = r.method.NewRequest(); proto.Unmarshal(wire, m) != nil {
			r.wire, r.refuse, r.bad = wire, "it is no message of its type", []string{"request"}
			return r, nil
		}
	}
	r.bad = badFields(m.ProtoReflect())
	page, err := w.rename(r.method, m)
	if err == nil {
		r.wire, err = marshal(m)
	}
	if err != nil || r.method.Kind == "" {
		return r, err
	}
	if f := m.ProtoReflect().Descriptor().Fields().ByName("strict"); f != nil {
		r.strict = m.ProtoReflect().Get(f).Bool()
	}
	r.epochs = epochsOf(m.ProtoReflect())
	structs := speakText(m.ProtoReflect())
	var token string
	r.in, token = record.Input(r.method.Kind, m)
	if r.method.Kind == history.Transact || r.method.Kind == history.StageWrite {
		r.in.Doubles = structs && r.refuse == ""
	}
	r.id = r.in.TxnID
	r.in.TxnID, r.in.PageOf = w.names.fromWire(r.in.TxnID), page
	if token != "" && page == 0 {
		r.refuse, r.bad = "no answer gave its page token", append(r.bad, "page_token")
	}
	return r, nil
}

// epochsOf lists the epochs that a request names: of a cursor, and of what its transaction read.
func epochsOf(m protoreflect.Message) (list []string) {
	if f := m.Descriptor().Fields().ByName("epoch"); f != nil && m.Has(f) {
		list = append(list, m.Get(f).String())
	}
	if f := m.Descriptor().Fields().ByName("reads"); f != nil && f.Message() != nil && !f.IsList() && m.Has(f) {
		list = append(list, epochsOf(m.Get(f).Message())...)
	}
	return list
}

// badFields lists the fields of a request that break a rule which a history cannot show: it has
// one value, one point in time and one way to show values.
func badFields(m protoreflect.Message) (list []string) {
	fields := m.Descriptor().Fields()
	has := func(name protoreflect.Name) bool { f := fields.ByName(name); return f != nil && m.Has(f) }
	if value := has("value") || has("value_json"); has("value") && has("value_json") {
		list = append(list, "value", "delete")
	} else if value && has("delete") {
		list = append(list, "delete")
	}
	if has("at") && has("txn_id") {
		list = append(list, "at")
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case !m.Has(f) || f.IsMap():
		case f.Enum() != nil:
			if f.Enum().Values().ByNumber(m.Get(f).Enum()) == nil {
				list = append(list, string(f.Name()))
			}
		case f.IsList() && f.Message() != nil:
			for k := range m.Get(f).List().Len() {
				list = append(list, badFields(m.Get(f).List().Get(k).Message())...)
			}
		case f.Message() != nil:
			if !validTimes(m.Get(f).Message().Interface()) {
				list = append(list, string(f.Name()))
			}
		}
	}
	return list
}

// validTimes reports whether a field has no time, or one that there is.
func validTimes(m proto.Message) bool {
	switch m := m.(type) {
	case *timestamppb.Timestamp:
		return m.IsValid()
	case *pb.At:
		at, isTime := m.GetPoint().(*pb.At_Time)
		return !isTime || at.Time.IsValid()
	}
	return true
}

// rename puts ids in place of a transaction's name, and a token in place of the call that was
// answered with it, whose number it returns.
func (w *World) rename(method *step.Method, m proto.Message) (page int, err error) {
	fields := m.ProtoReflect().Descriptor().Fields()
	if f := fields.ByName("txn_id"); f != nil {
		if name := m.ProtoReflect().Get(f).String(); named.MatchString(name) {
			wire, _, err := w.toWire(method.Kind, history.Input{TxnID: name})
			if err != nil {
				return 0, err
			}
			m.ProtoReflect().Set(f, protoreflect.ValueOfString(wire.TxnID))
		}
	}
	if f := fields.ByName("page_token"); f != nil {
		if given := m.ProtoReflect().Get(f).String(); pageOf.MatchString(given) {
			page, _ = strconv.Atoi(given[1:])
			_, token, err := w.toWire(method.Kind, history.Input{PageOf: page})
			if err != nil {
				return 0, err
			}
			m.ProtoReflect().Set(f, protoreflect.ValueOfString(token))
		}
	}
	return page, nil
}

// Text is a call as steps have it: an ordinary one if that asks the same, else a raw one.
// txn_id names a transaction of the world, and page_token is "#" and the number of a call.
func Text(client string, method *step.Method, m proto.Message) step.Step {
	raw := step.Step{Verb: step.Call, Client: client, Kind: method.Kind, Method: method.Word, Message: step.RawText(m)}
	if method.Kind == "" || method != step.MethodOf(method.Kind) {
		return raw
	}
	text := proto.Clone(m)
	structs := speakText(text.ProtoReflect())
	in, token := record.Input(method.Kind, text)
	in.Doubles = in.Doubles || structs
	if of, ok := strings.CutPrefix(token, "#"); ok {
		in.PageOf, _ = strconv.Atoi(of)
	}
	again := record.Request(method.Kind, &in, token)
	if in.Doubles {
		speakStruct(again.ProtoReflect())
	}
	ordinary := step.Step{Verb: step.Call, Client: client, Kind: method.Kind, In: in}
	if !proto.Equal(m, again) {
		return raw
	}
	if read, err := step.Parse(ordinary.String()); err != nil || read.String() != ordinary.String() {
		return raw // its notation has no word for that
	}
	return ordinary
}
