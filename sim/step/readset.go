package step

import (
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// What a transaction read that its client holds, and its timeout:
//
//	c1 transact t3 put alice/plan {"n":1} reads=4 saw alice/lock@2 listed alice prefix=note last=note9 timeout=5s

// reads reads an optional read set, and an optional timeout.
func (p *parser) reads(in *history.Input) {
	if at, ok := strings.CutPrefix(p.peek(), "reads="); ok {
		p.next()
		in.Reads = &history.Reads{Snapshot: p.uint(at)}
		for p.err == nil && (p.peek() == "saw" || p.peek() == "listed") {
			if p.next() == "saw" {
				name, version := p.at(p.next())
				in.Reads.Keys = append(in.Reads.Keys, history.KeyVersion{Name: p.record(name), Version: version})
			} else {
				in.Reads.Ranges = append(in.Reads.Ranges, p.listed())
			}
		}
	}
	if v, ok := strings.CutPrefix(p.peek(), "timeout="); ok {
		p.next()
		in.Timeout = new(uint64(p.duration(v).Milliseconds()))
	}
}

func (p *parser) listed() (r history.Range) {
	r.Namespace, r.Agent = p.agent(p.next())
	for _, bound := range bounds(&r) {
		if v, ok := strings.CutPrefix(p.peek(), bound.word); ok {
			p.next()
			*bound.text = p.unescape(v)
		}
	}
	return r
}

type bound struct {
	word string
	text *string
}

func bounds(r *history.Range) []bound {
	return []bound{{"prefix=", &r.Prefix}, {"first=", &r.First}, {"last=", &r.Last}}
}

// reads prints a read set and a timeout.
func (p *printer) reads(in *history.Input) {
	if r := in.Reads; r != nil {
		p.option("reads", strconv.FormatUint(r.Snapshot, 10))
		for _, k := range r.Keys {
			p.word("saw")
			p.word(recordText(k.Namespace, k.Agent, k.Key) + "@" + strconv.FormatUint(k.Version, 10))
		}
		for i := range r.Ranges {
			l := r.Ranges[i]
			p.word("listed")
			p.word(agentText(l.Namespace, l.Agent))
			for _, bound := range bounds(&l) {
				if *bound.text != "" {
					p.word(bound.word + escape(*bound.text))
				}
			}
		}
	}
	if in.Timeout != nil {
		p.option("timeout", (time.Duration(*in.Timeout) * time.Millisecond).String())
	}
}
