package step

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

var clientName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// maxID is the largest id that a step can give its call.
const maxID = 1 << 30

// parseCall reads a call; see scenarios/README.md.
func parseCall(words []string) (Step, error) {
	s := Step{Verb: Call, Wait: true}
	var at bool
	if s.Client, s.Node, at = strings.Cut(words[0], "@"); at && !nodeName.MatchString(s.Node) {
		return s, fmt.Errorf("%q is no node", s.Node)
	}
	p := &parser{words: words[1:]}
	if !clientName.MatchString(s.Client) {
		return s, fmt.Errorf("%q is neither a verb nor a client", s.Client)
	}
	if id, ok := strings.CutPrefix(p.peek(), "#"); ok {
		p.next()
		if s.ID = int(p.uint(id)); p.err == nil && (s.ID < 1 || s.ID > maxID) {
			p.fail("#%s is no id of a call: they are from 1 to %d", id, maxID)
		}
	}
	word := p.next()
	kind, ok := history.KindOfWord(word)
	switch {
	case word == "raw":
		p.rawCall(&s)
		kind = s.Kind
	case !ok:
		return s, fmt.Errorf("%q is no verb, and %q nothing that a client can call", s.Client, word)
	default:
		s.Kind = kind
		p.input(kind, &s.In)
	}
	for p.err == nil && len(p.words) > 0 {
		word := p.next()
		if name, ok := strings.CutPrefix(word, "via="); ok && clientName.MatchString(name) {
			s.Session = name
			continue
		}
		if name, ok := strings.CutPrefix(word, "token="); ok && clientName.MatchString(name) {
			s.Token = name
			continue
		}
		switch word {
		case "&":
			s.Wait = false
		case "struct":
			s.In.Doubles = true
		case "=>":
			if s.Expect = p.next(); p.err == nil {
				p.err = checkAnswer(kind, s.Expect)
			}
		default:
			p.fail("%q is too much", word)
		}
	}
	return s, p.err
}

type parser struct {
	words []string
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		p.fail("something is missing at its end")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *parser) uint(s string) uint64 {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		p.fail("%q is not a number", s)
	}
	return v
}

func (p *parser) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.fail("%q is not a duration", s)
	}
	return d
}

func (p *parser) unescape(s string) string {
	out, err := url.QueryUnescape(s)
	if err != nil {
		p.fail("name %q: %v", s, err)
	}
	return out
}

// agent reads [namespace:]agent.
func (p *parser) agent(s string) (ns, agent string) {
	ns = "default"
	if before, after, ok := strings.Cut(s, ":"); ok {
		ns, s = p.unescape(before), after
	}
	return ns, p.unescape(s)
}

// record reads [namespace:]agent/key.
func (p *parser) record(s string) history.Name {
	a, k, ok := strings.Cut(s, "/")
	if !ok {
		p.fail("%q is not agent/key", s)
	}
	ns, agent := p.agent(a)
	return history.Name{Namespace: ns, Agent: agent, Key: p.unescape(k)}
}

// at reads what stands before and after the last @.
func (p *parser) at(s string) (string, uint64) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		p.fail("%q has no @version", s)
		return s, 0
	}
	return s[:i], p.uint(s[i+1:])
}

func (p *parser) value() string {
	if history.IsBytes(p.peek()) {
		return p.bytesOf(p.next())
	}
	v := spaced(p.next())
	if !json.Valid([]byte(v)) {
		p.fail("%q is not JSON without white space", v)
	}
	return v
}

// expect reads an optional expect=V.
func (p *parser) expect() *uint64 {
	if v, ok := strings.CutPrefix(p.peek(), "expect="); ok {
		p.next()
		n := p.uint(v)
		return &n
	}
	return nil
}

// endsInput reports whether a word is about the call, not about what it asks for.
func endsInput(word string) bool {
	return word == "&" || word == "=>" || word == "struct" || strings.HasPrefix(word, "token=") || strings.HasPrefix(word, "via=")
}

// input reads what a call asks for.
func (p *parser) input(kind history.Kind, in *history.Input) {
	for _, arg := range kind.Info().Args {
		switch arg {
		case history.TxnArg:
			in.TxnID = p.next()
		case history.TimeoutArg:
			if v, ok := strings.CutPrefix(p.peek(), "timeout="); ok {
				p.next()
				in.Limit = uint64(p.duration(v).Milliseconds())
			}
		case history.RecordArg:
			n := p.record(p.next())
			in.Namespace, in.Agent, in.Key = n.Namespace, n.Agent, n.Key
		case history.ValueArg:
			in.Value = p.value()
		case history.ExpectedArg:
			in.Expected = p.expect()
		case history.ChangesArg:
			p.transact(in)
		case history.ReadsArg:
			p.reads(in)
		case history.RecordsArg:
			for strings.Contains(p.peek(), "/") {
				in.Names = append(in.Names, p.record(p.next()))
			}
		case history.AgentArg:
			in.Namespace, in.Agent = p.agent(p.next())
		case history.ScopeArg:
			word := p.next()
			in.AllAgents = strings.HasSuffix(word, ":*") // an agent of that name is escaped
			if in.Namespace, in.Agent = p.agent(word); in.AllAgents {
				in.Agent = ""
			}
		case history.NamespaceArg:
			in.Namespace = p.unescape(p.next())
		case history.RenewalsArg:
			p.renewals(in)
		case history.OptionsArg:
			for p.err == nil && len(p.words) > 0 && !endsInput(p.peek()) {
				p.option(in)
			}
		}
	}
}

func (p *parser) transact(in *history.Input) {
	for p.err == nil {
		switch p.peek() {
		case "put":
			p.next()
			w := history.Write{Name: p.record(p.next()), Value: p.value()}
			p.arguments(&w, history.Arguments{})
			in.Writes = append(in.Writes, w)
		case "del":
			p.next()
			in.Writes = append(in.Writes, history.Write{Name: p.record(p.next()), Delete: true, Expected: p.expect()})
		case "if":
			p.next()
			name, version := p.at(p.next())
			in.Keys = append(in.Keys, history.KeyCondition{Name: p.record(name), Expected: version})
		case "holds":
			p.next()
			name, token := p.at(p.next())
			n := p.record(name)
			lease := n.Key
			n.Key = ""
			in.Keys = append(in.Keys, history.KeyCondition{Name: n, Expected: token, Lease: lease})
		case "head":
			p.next()
			name, ts := p.at(p.next())
			ns, agent := p.agent(name)
			in.Heads = append(in.Heads, history.HeadCondition{Namespace: ns, Agent: agent, Expected: ts})
		case "meta":
			p.next()
			k, v, _ := strings.Cut(p.next(), "=")
			if in.Metadata == nil {
				in.Metadata = make(map[string]string)
			}
			in.Metadata[p.unescape(k)] = p.unescape(v)
		case "native":
			p.next()
			in.Native = true
		default:
			op, evaluated := opOfWord(p.peek())
			if !evaluated {
				return
			}
			p.next()
			in.Writes = append(in.Writes, p.evaluated(op))
		}
	}
}

func (p *parser) option(in *history.Input) {
	word := p.next()
	key, value, _ := strings.Cut(word, "=")
	number := func() *uint64 { n := p.uint(value); return &n }
	since := func() int64 { return Epoch.Add(p.duration(value)).UnixNano() }
	switch key {
	case "version":
		in.KeyVersion = p.uint(value)
	case "txn":
		in.TxnID = value
	case "at":
		in.At = number()
	case "time":
		in.AtTime = since()
	case "prefix":
		in.Prefix = p.unescape(value)
	case "limit":
		in.Limit = p.uint(value)
	case "reverse":
		in.Reverse = true
	case "oldest":
		in.OldestFirst = true
	case "novalues":
		in.NoValues = true
	case "from":
		in.From = number()
	case "to":
		in.To = number()
	case "fromtime":
		in.FromTime = since()
	case "totime":
		in.ToTime = since()
	case "page":
		in.PageOf = int(p.uint(strings.TrimPrefix(value, "#")))
	default:
		if !p.moreOptions(in, key, value) {
			p.fail("unknown option %q", word)
		}
	}
}
