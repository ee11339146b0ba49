package step

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// This file is the notation of calls, one line each:
//
//	c1 #7 transact t3 put alice/plan {"n":1} expect=0 if alice/lock@2 &
//
// A client, optionally the call's id, what it asks for, and & when it is only
// sent, not carried through. Names are escaped as in a URL's query.

func (s Step) callString() string {
	p := printer{}
	if p.word(s.Client); s.Node != "" {
		p.words[0] += "@" + s.Node
	}
	if s.ID != 0 {
		p.word(fmt.Sprintf("#%d", s.ID))
	}
	if s.Method != "" {
		p.word("raw")
		p.word(s.Method)
		p.word(s.Message)
	} else {
		p.word(s.Kind.Info().Word)
		p.input(s.Kind, &s.In)
	}
	p.flag("struct", s.In.Doubles)
	if s.Token != "" {
		p.option("token", s.Token)
	}
	if s.Session != "" {
		p.option("via", s.Session)
	}
	if !s.Wait {
		p.word("&")
	}
	if s.Expect != "" {
		p.word("=>")
		p.word(s.Expect)
	}
	return strings.Join(p.words, " ")
}

type printer struct{ words []string }

func (p *printer) word(w string)      { p.words = append(p.words, w) }
func (p *printer) option(k, v string) { p.word(k + "=" + v) }
func (p *printer) number(k string, v uint64) {
	if v != 0 {
		p.option(k, strconv.FormatUint(v, 10))
	}
}

func (p *printer) pointer(k string, v *uint64) {
	if v != nil {
		p.option(k, strconv.FormatUint(*v, 10))
	}
}

func (p *printer) flag(k string, on bool) {
	if on {
		p.word(k)
	}
}

func (p *printer) time(k string, ns int64) {
	if ns != 0 {
		p.option(k, time.Duration(ns-Epoch.UnixNano()).String())
	}
}

// input prints what a call asks for.
func (p *printer) input(kind history.Kind, in *history.Input) {
	for _, arg := range kind.Info().Args {
		switch arg {
		case history.TxnArg:
			p.word(in.TxnID)
		case history.TimeoutArg:
			if in.Limit != 0 {
				p.option("timeout", (time.Duration(in.Limit) * time.Millisecond).String())
			}
		case history.RecordArg:
			p.word(recordText(in.Namespace, in.Agent, in.Key))
		case history.ValueArg:
			p.word(OneWord(in.Value))
		case history.ExpectedArg:
			p.pointer("expect", in.Expected)
		case history.ChangesArg:
			p.transact(in)
		case history.ReadsArg:
			p.reads(in)
		case history.RecordsArg:
			for _, n := range in.Names {
				p.word(recordText(n.Namespace, n.Agent, n.Key))
			}
		case history.AgentArg:
			p.word(agentText(in.Namespace, in.Agent))
		case history.ScopeArg:
			if in.AllAgents {
				p.word(escape(in.Namespace) + ":*")
			} else {
				p.word(agentText(in.Namespace, in.Agent))
			}
		case history.NamespaceArg:
			p.word(escape(in.Namespace))
		case history.RenewalsArg:
			p.renewals(in)
		case history.OptionsArg:
			p.options(in)
		}
	}
}

func (p *printer) transact(in *history.Input) {
	for i := range in.Writes {
		p.write(&in.Writes[i])
	}
	for _, k := range in.Keys {
		if k.Lease != "" {
			p.word("holds")
			p.word(recordText(k.Namespace, k.Agent, k.Lease) + "@" + strconv.FormatUint(k.Expected, 10))
			continue
		}
		p.word("if")
		p.word(recordText(k.Namespace, k.Agent, k.Key) + "@" + strconv.FormatUint(k.Expected, 10))
	}
	for _, h := range in.Heads {
		p.word("head")
		p.word(agentText(h.Namespace, h.Agent) + "@" + strconv.FormatUint(h.Expected, 10))
	}
	for _, k := range slices.Sorted(maps.Keys(in.Metadata)) {
		p.word("meta")
		p.word(escape(k) + "=" + escape(in.Metadata[k]))
	}
	p.flag("native", in.Native)
}

func (p *printer) options(in *history.Input) {
	p.number("version", in.KeyVersion)
	if in.TxnID != "" {
		p.option("txn", in.TxnID)
	}
	p.pointer("at", in.At)
	p.time("time", in.AtTime)
	if in.Prefix != "" {
		p.option("prefix", escape(in.Prefix))
	}
	p.number("limit", in.Limit)
	p.flag("reverse", in.Reverse)
	p.flag("oldest", in.OldestFirst)
	p.flag("novalues", in.NoValues)
	p.pointer("from", in.From)
	p.pointer("to", in.To)
	p.time("fromtime", in.FromTime)
	p.time("totime", in.ToTime)
	p.moreOptions(in)
	if in.PageOf != 0 {
		p.option("page", fmt.Sprintf("#%d", in.PageOf))
	}
}

func escape(s string) string { return url.QueryEscape(s) }

func agentText(ns, agent string) string {
	if ns == "default" {
		return escape(agent)
	}
	return escape(ns) + ":" + escape(agent)
}

func recordText(ns, agent, key string) string { return agentText(ns, agent) + "/" + escape(key) }

// OneWord is a JSON value as the notation has it: a value ends at white space. What of it
// is between the parts of the value is written as names have it, with a percent sign; a
// space in a string is written as the escape that means the same.
func OneWord(value string) string {
	if history.IsBytes(value) {
		return bytesWord(value)
	}
	return blanks(value, func(b byte) string { return fmt.Sprintf("%%%02X", b) })
}

// Dense is a JSON value without white space.
func Dense(value string) string { return blanks(value, func(byte) string { return "" }) }

func blanks(value string, between func(byte) string) string {
	if !strings.ContainsAny(value, " \t\n\r") {
		return value
	}
	var out strings.Builder
	inString := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case strings.IndexByte(" \t\n\r", c) >= 0 && !inString:
			out.WriteString(between(c))
		case c == ' ':
			out.WriteString(`\u0020`)
		case c == '\\' && inString && i+1 < len(value):
			out.WriteString(value[i : i+2])
			i++
		default:
			inString = inString != (c == '"')
			out.WriteByte(c)
		}
	}
	return out.String()
}

// spaced is the value that OneWord made a word of.
func spaced(word string) string {
	if !strings.Contains(word, "%") {
		return word
	}
	var out strings.Builder
	inString := false
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '%' && !inString && i+2 < len(word):
			b, err := strconv.ParseUint(word[i+1:i+3], 16, 8)
			if err != nil {
				return word // no value, which is found out
			}
			out.WriteByte(byte(b))
			i += 2
		case c == '\\' && inString && i+1 < len(word):
			out.WriteString(word[i : i+2])
			i++
		default:
			inString = inString != (c == '"')
			out.WriteByte(c)
		}
	}
	return out.String()
}
