package deserved

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"statehouse.dev/statehouse/history"
)

// Rules of the contract that no configuration changes.
const (
	namespaceBytes   = 128
	agentBytes       = 256
	keyBytes         = 1024
	txnIDBytes       = 128
	metadataKeyBytes = 128
	valueDepth       = 28
)

// fields lists the fields of a request that break a rule, by the names that a refusal gives
// them.
func (l *Limits) fields(kind history.Kind, in *history.Input) (list []string) {
	bad := func(field string, is bool) {
		if is {
			list = append(list, field)
		}
	}
	switch kind {
	case history.StageWrite, history.StageDelete, history.Commit, history.Transact, history.GetTxn:
		bad("txn_id", !isTxnID(in.TxnID))
	case history.Get, history.BatchGet, history.ListKeys, history.Scan:
		bad("txn_id", in.TxnID != "" && !isTxnID(in.TxnID))
		bad("at", in.TxnID != "" && (in.At != nil || in.AtTime != 0))
	}
	switch kind {
	case history.StageWrite, history.StageDelete, history.Get, history.GetVersion, history.KeyHistory:
		list = append(list, badName(in.Name(), true)...)
	case history.ListKeys, history.Scan:
		list = append(list, badName(in.Name(), false)...)
		bad("prefix", strings.Contains(in.Prefix, "\x00") || len(in.Prefix) > keyBytes)
	case history.ListAgents:
		bad("namespace", !IsNamespace(in.Namespace))
	case history.Replay, history.Watch:
		bad("namespace", !IsNamespace(in.Namespace))
		bad("agent_id", in.AllAgents && in.Agent != "" || !in.AllAgents && !isText(in.Agent, agentBytes))
	case history.BatchGet:
		bad("names", l.BatchNames > 0 && len(in.Names) > l.BatchNames)
		for _, n := range in.Names {
			list = append(list, badName(n, true)...)
		}
	}
	if kind == history.StageWrite {
		bad("value", !l.isValue(in.Value, in.Doubles))
	}
	if kind == history.Transact || kind == history.Commit {
		list = append(list, l.badCommit(kind, in)...)
	}
	return list
}

func (l *Limits) badCommit(kind history.Kind, in *history.Input) (list []string) {
	for i := range in.Writes {
		w := &in.Writes[i]
		keyed := w.Op != history.DeleteAgent && w.Op != history.Fork && w.Op != history.Claim && w.Op != history.Restore
		with, named := w.Arguments(), w.Name
		if w.Op == history.Claim && with.AllAgents && named.Agent == "" {
			named.Agent = "any"
		}
		list = append(list, badName(named, keyed)...)
		if w.Op == history.Fork && with.Namespace == w.Namespace && with.Agent == w.Agent {
			list = append(list, "agent_id") // it cannot be a fork of itself
		}
		if w.Op == history.Fork && with.Namespace != w.Namespace {
			list = append(list, "fork.namespace") // whose readers are others
		}
		if hasValue := w.Op == "" || w.Op == history.Append || w.Op == history.IfAbsent || w.Op == history.Merge; hasValue && !w.Delete && !l.isValue(w.Value, in.Doubles) {
			list = append(list, "value")
		}
	}
	for _, k := range in.Keys {
		list = append(list, badName(k.Name, k.Lease == "")...)
	}
	for _, h := range in.Heads {
		list = append(list, badName(history.Name{Namespace: h.Namespace, Agent: h.Agent}, false)...)
	}
	size := 0
	for k, v := range in.Metadata { // names the same field, whatever the order
		size += len(k) + len(v)
		if !isText(k, metadataKeyBytes) {
			list = append(list, "metadata key")
		}
		if !utf8.ValidString(v) {
			list = append(list, "metadata")
		}
	}
	if l.MetadataBytes > 0 && size > l.MetadataBytes {
		list = append(list, "metadata")
	}
	list = append(list, badReads(in.Reads)...)
	if kind == history.Transact && len(in.Writes)+len(in.Keys)+len(in.Heads) == 0 && in.Reads == nil {
		list = append(list, "operations")
	}
	return list
}

func badName(n history.Name, record bool) (list []string) {
	if !IsNamespace(n.Namespace) {
		list = append(list, "namespace")
	}
	if !isText(n.Agent, agentBytes) {
		list = append(list, "agent_id")
	}
	if record && !isText(n.Key, keyBytes) {
		list = append(list, "key")
	}
	return list
}

// IsNamespace reports whether a namespace keeps the rules.
func IsNamespace(s string) bool { return s == "" || isText(s, namespaceBytes) }

func isText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 })
}

func isTxnID(s string) bool {
	return s != "" && len(s) <= txnIDBytes && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// valueSize is how many bytes a value is, as the daemon counts it. One that was sent as a Struct is
// as long as that, or as its text where that is longer, whose length is known about.
func valueSize(text string, asStruct bool) (least, most int) {
	if contentType, data, is := history.AsBytes(text); is {
		return len(data), len(data) + len(contentType) + 4 // with its type before it
	}
	var s structpb.Struct
	if !asStruct || s.UnmarshalJSON([]byte(text)) != nil {
		return len(text), len(text)
	}
	wire := proto.Size(&s)
	return wire, max(wire, 2*len(text))
}

func compact(text string) []byte {
	var out bytes.Buffer
	if json.Compact(&out, []byte(text)) != nil {
		return []byte(text)
	}
	return out.Bytes()
}

// isValue reports whether a text is a value: bytes, or one JSON object, not too long, too deep or with a
// number that no double is near, and with no name twice in an object.
func (l *Limits) isValue(text string, asStruct bool) bool {
	size, _ := valueSize(text, asStruct)
	if contentType, data, is := history.AsBytes(text); is && contentType != "" {
		return l.ValueBytes == 0 || size <= l.ValueBytes
	} else if is {
		text = string(data) // sent as JSON, and no text
	}
	if text == "" || l.ValueBytes > 0 && size > l.ValueBytes || !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var open []*object
	for first := true; ; first = false {
		t, err := d.Token()
		if err == io.EOF {
			return true
		}
		if err != nil || first && t != json.Delim('{') {
			return false
		}
		if t == json.Delim('}') || t == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].names != nil && !open[n-1].next(t) {
			return false
		}
		switch t := t.(type) {
		case json.Delim:
			if len(open) == valueDepth {
				return false
			}
			o := &object{}
			if t == '{' {
				o.names = make(map[string]bool)
			}
			open = append(open, o)
		case json.Number:
			if _, err := strconv.ParseFloat(t.String(), 64); err != nil {
				return false
			}
		}
	}
}

// object is a JSON object or array that is being read. names are those of its members so far;
// nil for an array.
type object struct {
	names map[string]bool
	named bool // the next token is a value
}

// next takes a token of an object, and reports whether it may stand there.
func (o *object) next(t json.Token) bool {
	if o.named {
		o.named = false
		return true
	}
	name, _ := t.(string)
	again := o.names[name]
	o.names[name], o.named = true, true
	return !again
}
