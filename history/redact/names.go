package redact

import (
	"maps"
	"slices"

	"statehouse.dev/statehouse/history"
)

// Domain is what names are of. Those of different domains have nothing in common.
type Domain int

// The domains of names.
const (
	Namespaces Domain = iota
	Agents
	Keys
	MetadataKeys
	domains
)

// Names collects all the names and prefixes of a history, line by line, before its
// first can be replaced. Not safe for concurrent use.
type Names struct {
	seen   [domains]map[string]struct{}
	sealed [domains]*Pseudonyms // once one was asked for
}

// NewNames starts with none.
func NewNames() *Names {
	n := &Names{}
	for d := range n.seen {
		n.seen[d] = make(map[string]struct{})
	}
	return n
}

// Add adds one. Nothing can be added once a pseudonym was asked for.
func (n *Names) Add(d Domain, name string) {
	if n.sealed[d] != nil {
		panic("redact: a name came after the pseudonyms were made")
	}
	n.seen[d][name] = struct{}{}
}

// AddLine adds all that are in a line.
func (n *Names) AddLine(l history.Line) { n.collector().line(&l) }

// AddHistory adds all that are in a history.
func (n *Names) AddHistory(h *history.History) {
	shallow := *h
	n.collector().history(&shallow)
}

func (n *Names) collector() *visitor {
	same := func(s string) string { return s }
	return &visitor{
		name: func(d Domain, s string) string { n.Add(d, s); return s },
		id:   func(_, id string) string { return id }, value: same, text: same, other: same, prose: same, notes: same,
	}
}

// Of is the pseudonym of a name, if it was added.
func (n *Names) Of(d Domain, name string) (string, bool) {
	if n.sealed[d] == nil {
		n.sealed[d] = NewPseudonyms(slices.Collect(maps.Keys(n.seen[d])))
	}
	return n.sealed[d].Of(name)
}

// Set tells sets of names apart: the pseudonyms of two are comparable if this is equal.
func (n *Names) Set(d *Digester) string {
	var all []byte
	for domain := range n.seen {
		for _, name := range slices.Sorted(maps.Keys(n.seen[domain])) {
			all = append(append(all, name...), 0)
		}
		all = append(all, 1)
	}
	return d.sum("names", string(all))
}
