package redact

import (
	"slices"
	"strings"
)

// labels are the digits of pseudonyms, in byte order.
const labels = "0123456789abcdefghijklmnopqrstuvwxyz"

// Pseudonyms stand in place of names and prefixes of one domain. For all a and b of
// them:
//
//	a == b iff Of(a) == Of(b)
//	a < b iff Of(a) < Of(b)
//	a is a prefix of b iff Of(a) is a prefix of Of(b)
//
// which is all that lists, scans and watches depend on. The empty string stays empty.
//
// They are the paths through the compressed trie of all names: a node's children, in
// the order of their first byte, are numbered with as many digits as the last of them
// needs. Two names part where their first different byte is, at children of one node,
// whose numbers are different, equally long and in the order of those bytes. What is
// given away is the shape of that trie.
type Pseudonyms struct{ of map[string]string }

// NewPseudonyms makes them for all the names of a domain: which one a name gets depends
// on all the others.
func NewPseudonyms(names []string) *Pseudonyms {
	sorted := append(slices.Clone(names), "")
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	p := &Pseudonyms{make(map[string]string, len(sorted))}
	// A node is the names below it and the path to it. They are worked off one by one,
	// and not by recursion: a trie may be as deep as its longest name.
	type node struct {
		names []string
		path  string
	}
	for nodes := []node{{sorted, ""}}; len(nodes) > 0; {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		depth := common(n.names[0], n.names[len(n.names)-1])
		if len(n.names[0]) == depth {
			p.of[n.names[0]] = n.path
			n.names = n.names[1:]
		}
		children := split(n.names, depth)
		width := digits(len(children))
		for i, child := range children {
			nodes = append(nodes, node{child, n.path + label(i, width)})
		}
	}
	return p
}

// Of is the pseudonym of a name, if it was among those that these are of.
func (p *Pseudonyms) Of(name string) (string, bool) {
	pseudonym, known := p.of[name]
	return pseudonym, known
}

// common is how many bytes two names begin with alike. Of sorted names the first and
// the last have in common what all have.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// split parts sorted names by their byte at depth, which all have.
func split(names []string, depth int) (children [][]string) {
	for len(names) > 0 {
		n := 1
		for n < len(names) && names[n][depth] == names[0][depth] {
			n++
		}
		children, names = append(children, names[:n]), names[n:]
	}
	return children
}

// digits is how many of them the largest of n numbers from 0 has.
func digits(n int) int {
	width := 1
	for most := len(labels); n > most; most *= len(labels) {
		width++
	}
	return width
}

func label(n, width int) string {
	var b strings.Builder
	for unit := power(width - 1); unit > 0; unit /= len(labels) {
		b.WriteByte(labels[n/unit%len(labels)])
	}
	return b.String()
}

func power(n int) int {
	unit := 1
	for range n {
		unit *= len(labels)
	}
	return unit
}
