package step

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// What agents ask besides reads and writes, in a transact:
//
//	c1 transact t1 append alice/log- {"n":1} ttl=5s incr alice/used /tokens 3 max=10 holds alice/worker@7
//
// Each operation is a word, what it is about, what it needs, and options.

// opWords are the words of operations that the daemon evaluates.
var opWords = []struct {
	word string
	op   history.Op
}{
	{"append", history.Append},
	{"new", history.IfAbsent},
	{"incr", history.Increment},
	{"merge", history.Merge},
	{"clear", history.DeletePrefix},
	{"vanish", history.DeleteAgent},
	{"restore", history.Restore},
	{"fork", history.Fork},
	{"acquire", history.Acquire},
	{"release", history.Release},
	{"claim", history.Claim},
	{"complete", history.Complete},
}

func opOfWord(word string) (history.Op, bool) {
	for _, w := range opWords {
		if w.word == word {
			return w.op, true
		}
	}
	return "", false
}

func wordOfOp(op history.Op) string {
	for _, w := range opWords {
		if w.op == op {
			return w.word
		}
	}
	return string(op)
}

// evaluated reads an operation after its word.
func (p *parser) evaluated(op history.Op) history.Write {
	w := history.Write{Op: op}
	var with history.Arguments
	switch op {
	case history.Append, history.IfAbsent, history.Merge:
		w.Name, w.Value = p.record(p.next()), p.value()
	case history.Increment:
		w.Name, with.Pointer, with.Delta = p.record(p.next()), p.unescape(p.next()), p.unescape(p.next())
	case history.DeleteAgent, history.Fork:
		w.Namespace, w.Agent = p.agent(p.next())
	case history.Release, history.Complete:
		name, token := p.at(p.next())
		w.Name, with.Token = p.record(name), token
	case history.Claim:
		word := p.next()
		if rest, all := strings.CutPrefix(word, "*/"); all { // of the namespace default
			with.AllAgents = true
			w.Name = history.Name{Namespace: "default", Key: p.unescape(rest)}
		} else if ns, rest, all := strings.Cut(word, ":*/"); all {
			with.AllAgents = true
			w.Name = history.Name{Namespace: p.unescape(ns), Key: p.unescape(rest)}
		} else {
			w.Name = p.record(word)
		}
	default:
		w.Name = p.record(p.next())
	}
	p.arguments(&w, with)
	return w
}

// arguments reads the options of an operation, and the version that it expects.
func (p *parser) arguments(w *history.Write, with history.Arguments) {
	for p.err == nil {
		key, value, _ := strings.Cut(p.peek(), "=")
		if value == "" {
			break
		}
		number := func() *uint64 { return new(p.uint(value)) }
		millis := func() uint64 { return uint64(p.duration(value).Milliseconds()) }
		since := func() int64 { return Epoch.Add(p.duration(value)).UnixNano() }
		switch key {
		case "ttl":
			with.TTL = millis()
		case "due":
			with.DueAt = since()
		case "duein":
			with.DueIn = new(millis())
		case "min":
			with.Min = p.unescape(value)
		case "max":
			with.Max = p.unescape(value)
		case "holder":
			with.Holder = p.unescape(value)
		case "limit":
			with.Limit = p.uint(value)
		case "from":
			with.Namespace, with.Agent = p.agent(value)
		case "at":
			with.At = number()
		case "time":
			with.AtTime = since()
		case "expect":
			w.Expected = number()
		default:
			key = ""
		}
		if key == "" {
			break // it is not the operation's
		}
		p.next()
	}
	if with != (history.Arguments{}) || w.Op == history.Restore { // of a restore, none is now
		w.With = &with
	}
}

// write prints an operation of a transact.
func (p *printer) write(w *history.Write) {
	with, name := w.Arguments(), recordText(w.Namespace, w.Agent, w.Key)
	switch {
	case w.Op != "":
		p.word(wordOfOp(w.Op))
	case w.Delete:
		p.word("del")
	default:
		p.word("put")
	}
	switch w.Op {
	case history.DeleteAgent, history.Fork:
		name = agentText(w.Namespace, w.Agent)
	case history.Release, history.Complete:
		name += "@" + strconv.FormatUint(with.Token, 10)
	case history.Claim:
		if with.AllAgents {
			name = escape(w.Namespace) + ":*/" + escape(w.Key)
		}
	}
	p.word(name)
	switch w.Op {
	case "", history.Append, history.IfAbsent, history.Merge:
		if !w.Delete {
			p.word(OneWord(w.Value))
		}
	case history.Increment:
		p.word(pointerText(with.Pointer))
		p.word(escape(with.Delta))
	}
	p.arguments(w, &with)
}

func (p *printer) arguments(w *history.Write, with *history.Arguments) {
	text := func(k, v string) {
		if v != "" {
			p.option(k, escape(v))
		}
	}
	if with.Agent != "" {
		p.option("from", agentText(with.Namespace, with.Agent))
	}
	p.pointer("at", with.At)
	p.time("time", with.AtTime)
	text("min", with.Min)
	text("max", with.Max)
	text("holder", with.Holder)
	p.millis("ttl", with.TTL)
	p.time("due", with.DueAt)
	if with.DueIn != nil {
		p.option("duein", (time.Duration(*with.DueIn) * time.Millisecond).String())
	}
	p.number("limit", with.Limit)
	p.pointer("expect", w.Expected)
}

func (p *printer) millis(k string, ms uint64) {
	if ms != 0 {
		p.option(k, (time.Duration(ms) * time.Millisecond).String())
	}
}

// pointerText is a JSON Pointer as a word.
func pointerText(pointer string) string { return strings.ReplaceAll(escape(pointer), "%2F", "/") }

// renewals reads leases with their tokens, each with the time for which it is to be held.
func (p *parser) renewals(in *history.Input) {
	for p.err == nil && strings.Contains(p.peek(), "/") {
		name, token := p.at(p.next())
		n := p.record(name)
		r := history.Renewal{Namespace: n.Namespace, Agent: n.Agent, Lease: n.Key, Token: token}
		if v, ok := strings.CutPrefix(p.peek(), "ttl="); ok {
			p.next()
			r.TTL = uint64(p.duration(v).Milliseconds())
		}
		in.Renewals = append(in.Renewals, r)
	}
}

func (p *printer) renewals(in *history.Input) {
	for _, r := range in.Renewals {
		p.word(recordText(r.Namespace, r.Agent, r.Lease) + "@" + strconv.FormatUint(r.Token, 10))
		p.millis("ttl", r.TTL)
	}
}

// moreOptions reads an option of what is no base request; not ok: there is no such option.
func (p *parser) moreOptions(in *history.Input, key, value string) bool {
	versus := func() *history.Point {
		if in.Versus == nil {
			in.Versus = &history.Point{}
		}
		return in.Versus
	}
	switch key {
	case "native":
		in.Native = true
	case "minread":
		in.MinRead = p.uint(value)
	case "stale":
		in.MaxStale = uint64(p.duration(value).Milliseconds())
	case "delimiter":
		in.Delimiter = p.unescape(value)
	case "allops":
		in.AllOperations = true
	case "lineage":
		in.Lineage = true
	case "lease":
		in.Lease = p.unescape(value)
	case "due":
		in.Due = true
	case "ttl":
		in.TTL = uint64(p.duration(value).Milliseconds())
	case "where", "unless", "meta", "nometa":
		in.Where = append(in.Where, p.filter(key, value))
	case "bychange":
		in.ByChange = true
	case "withmeta":
		in.WithMetadata = true
	case "vs":
		versus().Namespace, in.Versus.Agent = p.agent(value)
	case "vsat":
		versus().At = new(p.uint(value))
	case "vstime":
		versus().AtTime = Epoch.Add(p.duration(value)).UnixNano()
	default:
		return false
	}
	return true
}

func (p *printer) moreOptions(in *history.Input) {
	text := func(k, v string) {
		if v != "" {
			p.option(k, escape(v))
		}
	}
	p.flag("native", in.Native)
	p.number("minread", in.MinRead)
	p.millis("stale", in.MaxStale)
	text("delimiter", in.Delimiter)
	p.flag("allops", in.AllOperations)
	p.flag("lineage", in.Lineage)
	text("lease", in.Lease)
	p.flag("due", in.Due)
	p.millis("ttl", in.TTL)
	for i := range in.Where {
		p.filter(&in.Where[i])
	}
	p.flag("bychange", in.ByChange)
	p.flag("withmeta", in.WithMetadata)
	if v := in.Versus; v != nil {
		if v.Agent != "" {
			p.option("vs", agentText(v.Namespace, v.Agent))
		}
		p.pointer("vsat", v.At)
		p.time("vstime", v.AtTime)
	}
}

// filter reads /pointer:<=:3, or the key of metadata in the pointer's place.
func (p *parser) filter(key, text string) history.Filter {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		p.fail("%q is no condition, such as /n:<=:3 or /n:exists", text)
		return history.Filter{}
	}
	f := history.Filter{Is: p.unescape(parts[1]), Not: key == "unless" || key == "nometa"}
	if place := p.unescape(parts[0]); strings.HasSuffix(key, "meta") {
		f.Metadata = place
	} else {
		f.Pointer = place
	}
	if len(parts) == 3 {
		f.Value = p.unescape(parts[2])
	}
	return f
}

func (p *printer) filter(f *history.Filter) {
	key, place := "where", pointerText(f.Pointer)
	if f.Metadata != "" {
		key, place = "meta", escape(f.Metadata)
	}
	if f.Not {
		key = map[string]string{"where": "unless", "meta": "nometa"}[key]
	}
	text := place + ":" + plainSign(f.Is)
	if f.Value != "" {
		text += ":" + escape(f.Value)
	}
	p.option(key, text)
}

// plainSign is a comparison as people write it, which no other part of a condition can be taken for.
func plainSign(is string) string {
	if strings.Trim(is, "=!<>") == "" {
		return is
	}
	return escape(is)
}

// bytesWord is a value of bytes as a word, and bytesOf the other way round.
func bytesWord(value string) string {
	return strings.NewReplacer("%2F", "/", "%3B", ";", "%2C", ",").Replace(url.PathEscape(value))
}

func (p *parser) bytesOf(word string) string {
	value, err := url.PathUnescape(word)
	if _, _, ok := history.AsBytes(value); err != nil || !ok {
		p.fail("%q is no bytes:type;base64,…", word)
	}
	return value
}

// isValueWord reports whether what is expected is a value.
func isValueWord(word string) bool { return strings.HasPrefix(word, "{") || history.IsBytes(word) }

// checkValueWord reports why no value is written so.
func checkValueWord(word string) error {
	if strings.HasPrefix(word, "{") && !json.Valid([]byte(word)) {
		return fmt.Errorf("%q is not JSON without white space", word)
	}
	return nil
}
