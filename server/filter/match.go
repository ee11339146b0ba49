package filter

import (
	"statehouse.dev/statehouse/engine/jsontext"
)

// OnValues reports whether there are conditions on values.
func (f *Filter) OnValues() bool { return f.root != nil }

// OnMetadata reports whether there are conditions on metadata.
func (f *Filter) OnMetadata() bool { return len(f.metadata) > 0 }

// Value reports whether a stored value meets the conditions on values. nil is one that is not
// there any more.
func (f *Filter) Value(text []byte) bool {
	if f.root == nil {
		return true
	}
	if len(text) == 0 || text[0] != '{' {
		return false
	}
	w := walk{text: text, f: f}
	w.value(f.root, 0)
	if w.refused {
		return false
	}
	for i := range f.values {
		if w.met&(1<<i) == 0 && !f.values[i].negate { // nothing is there
			return false
		}
	}
	return true
}

// Metadata reports whether the metadata of a commit meet the conditions on them.
func (f *Filter) Metadata(m map[string]string) bool {
	for i := range f.metadata {
		c := &f.metadata[i]
		text, there := m[c.key]
		if (there && c.meetsText(text)) == c.negate {
			return false
		}
	}
	return true
}

// A walk goes through one value, along the filter's tree.
type walk struct {
	text    []byte
	f       *Filter
	met     uint32 // the conditions whose places were found, a bit each; they hold, or the walk is over
	refused bool   // a condition does not hold
}

// over reports whether the answer is known.
func (w *walk) over() bool {
	return w.refused || int(w.met) == 1<<len(w.f.values)-1
}

// value looks at the value that begins at text[i], which is the place of n, and returns its end,
// unless the walk is over.
func (w *walk) value(n *node, i int) int {
	if len(n.conditions) > 0 && !w.ask(n, i) || w.over() {
		return i
	}
	if len(n.children) == 0 {
		return jsontext.Skip(w.text, i)
	}
	switch w.text[i] {
	case '{':
		return w.object(n, i+1)
	case '[':
		return w.array(n, i+1)
	}
	return jsontext.Skip(w.text, i)
}

// ask asks the conditions of n about the value at text[i]. It reports whether all of them hold.
func (w *walk) ask(n *node, i int) bool {
	end := 0
	for _, at := range n.conditions {
		c := &w.f.values[at]
		if end == 0 && c.comparison != Exists {
			end = jsontext.Skip(w.text, i)
		}
		if (c.comparison == Exists || c.meets(w.text[i:end])) == c.negate {
			w.refused = true
			return false
		}
		w.met |= 1 << at
	}
	return true
}

// object goes through the members of an object, up to the last one that is asked about.
func (w *walk) object(n *node, i int) int {
	for left := len(n.children); w.text[i] != '}'; {
		if w.text[i] == ',' {
			i++
		}
		end := jsontext.SkipString(w.text, i)
		next := n.named(w.text[i:end])
		if next == nil {
			i = jsontext.Skip(w.text, end+1)
			continue
		}
		if i = w.value(next, end+1); w.over() {
			return i
		}
		if left--; left == 0 { // names are not repeated
			return jsontext.Leave(w.text, i)
		}
	}
	return i + 1
}

// named is the child of a name, which has its quotes.
func (n *node) named(raw []byte) *node {
	for i := range n.children {
		if c := &n.children[i]; len(raw) >= len(c.name)+2 && jsontext.CompareString(raw, c.name) == 0 {
			return c.node
		}
	}
	return nil
}

// array goes through the elements of an array, up to the last one that is asked about.
func (w *walk) array(n *node, i int) int {
	last := -1
	for _, c := range n.children {
		last = max(last, c.index)
	}
	for at := 0; w.text[i] != ']'; at++ {
		if at > last {
			return jsontext.Leave(w.text, i)
		}
		if w.text[i] == ',' {
			i++
		}
		next := n.indexed(at)
		if next == nil {
			i = jsontext.Skip(w.text, i)
			continue
		}
		if i = w.value(next, i); w.over() {
			return i
		}
	}
	return i + 1
}

func (n *node) indexed(at int) *node {
	for i := range n.children {
		if n.children[i].index == at {
			return n.children[i].node
		}
	}
	return nil
}

// meets reports whether a value meets a condition, regardless of negate.
func (c *condition) meets(text []byte) bool {
	kind := jsontext.KindOf(text[0])
	switch c.comparison {
	case Equal, In:
		return c.isOneOf(text, kind)
	case NotEqual:
		return !c.isOneOf(text, kind)
	}
	o := &c.operands[0]
	if o.kind != kind {
		return false
	}
	order := 0
	if kind == jsontext.Number {
		order = jsontext.CompareNumbers(text, o.json)
	} else {
		order = jsontext.CompareString(text, o.text)
	}
	switch c.comparison {
	case Less:
		return order < 0
	case LessOrEqual:
		return order <= 0
	case Greater:
		return order > 0
	}
	return order >= 0
}

func (c *condition) isOneOf(text []byte, kind jsontext.Kind) bool {
	for i := range c.operands {
		if o := &c.operands[i]; o.kind == kind && o.equals(text) {
			return true
		}
	}
	return false
}

// equals reports whether a value of the operand's kind equals it.
func (o *operand) equals(text []byte) bool {
	if o.kind == jsontext.String {
		return jsontext.CompareString(text, o.text) == 0
	}
	return jsontext.Equal(text, o.json, jsontext.SameNumber)
}

// meetsText is meets for metadata.
func (c *condition) meetsText(text string) bool {
	if c.comparison == Exists {
		return true
	}
	for i := range c.operands {
		if c.operands[i].text == text {
			return c.comparison != NotEqual
		}
	}
	return c.comparison == NotEqual
}
