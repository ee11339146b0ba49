package filter

import (
	"fmt"

	"statehouse.dev/statehouse/engine/jsonedit"
	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/engine/jsontext"
)

// Limits of one filter.
const (
	MaxConditions = 32
	MaxBytes      = 16 << 10 // of pointers, metadata keys and operands together
	MaxListed     = 256      // operands of In
	MaxDepth      = jsonform.MaxValueDepth
)

// Comparison says how what is at a place compares with the operand.
type Comparison int

const (
	Equal Comparison = iota
	NotEqual
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	In     // is equal to one of the operand's elements
	Exists // is there, whatever it is; the operand is not looked at
)

func (c Comparison) String() string {
	return [...]string{"=", "!=", "<", "<=", ">", ">=", "in", "exists"}[c]
}

// ordered reports whether c asks for an order.
func (c Comparison) ordered() bool { return c >= Less && c <= GreaterOrEqual }

// Condition is one condition of a filter.
type Condition struct {
	Pointer    string // into the value; "": the value itself
	Metadata   string // in place of a pointer: a key of the metadata
	Comparison Comparison
	Operand    string // JSON text
	Negate     bool
}

// A Filter is conditions that must all hold. It may be used by several goroutines.
type Filter struct {
	root     *node       // of the conditions on values; nil: there is none
	values   []condition // at most MaxConditions
	metadata []condition
}

// A condition that was checked.
type condition struct {
	key        string // of metadata
	comparison Comparison
	operands   []operand // one, but of In and Exists
	negate     bool
}

// operand is JSON text. text is what a string stands for.
type operand struct {
	json []byte
	kind jsontext.Kind
	text string
}

// node is a place in values: where the parts of a pointer lead.
type node struct {
	children   []child
	conditions []int // of Filter.values, which ask about this place
}

type child struct {
	name  string
	index int // of an element of an array; -1: name is none
	*node
}

// New compiles conditions. What it refuses is said in the words of a client.
func New(conditions []Condition) (*Filter, error) {
	if len(conditions) > MaxConditions {
		return nil, fmt.Errorf("the filter has %d conditions, more than %d", len(conditions), MaxConditions)
	}
	size := 0
	for i := range conditions {
		size += len(conditions[i].Pointer) + len(conditions[i].Metadata) + len(conditions[i].Operand)
	}
	if size > MaxBytes {
		return nil, fmt.Errorf("the conditions are %d bytes together, more than %d", size, MaxBytes)
	}
	f := &Filter{}
	for i := range conditions {
		if err := f.add(&conditions[i]); err != nil {
			return nil, fmt.Errorf("condition %d: %w", i+1, err)
		}
	}
	return f, nil
}

func (f *Filter) add(c *Condition) error {
	if c.Comparison < Equal || c.Comparison > Exists {
		return fmt.Errorf("comparison %d is not one that there is", c.Comparison)
	}
	if c.Metadata != "" && c.Pointer != "" {
		return fmt.Errorf("it has a pointer and a metadata key: it asks about one of them")
	}
	operands, err := operandsOf(c)
	if err != nil {
		return err
	}
	checked := condition{c.Metadata, c.Comparison, operands, c.Negate}
	if c.Metadata != "" {
		f.metadata = append(f.metadata, checked)
		return checked.checkMetadata()
	}
	names, err := parsePointer(c.Pointer)
	if err != nil {
		return err
	}
	if f.root == nil {
		f.root = &node{}
	}
	at := f.root
	for _, name := range names {
		at = at.child(name)
	}
	at.conditions = append(at.conditions, len(f.values))
	f.values = append(f.values, checked)
	return nil
}

// checkMetadata refuses what metadata, which are strings without an order, can never be.
func (c *condition) checkMetadata() error {
	if c.comparison.ordered() {
		return fmt.Errorf("metadata are compared by =, !=, in and exists, not by %v", c.comparison)
	}
	for i := range c.operands {
		if c.operands[i].kind != jsontext.String {
			return fmt.Errorf("metadata are strings, which %.80s is not: is it meant to be in quotes?", c.operands[i].json)
		}
	}
	return nil
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c.node
		}
	}
	n.children = append(n.children, child{name, arrayIndex(name), &node{}})
	return n.children[len(n.children)-1].node
}

// parsePointer reads a pointer into a value.
func parsePointer(text string) (jsonedit.Pointer, error) {
	names, err := jsonedit.ParsePointer(text)
	if err == nil && len(names) > MaxDepth {
		err = fmt.Errorf("the pointer has %d parts, and no value is nested more than %d deep", len(names), MaxDepth)
	}
	return names, err
}

// arrayIndex is the index that a name is in an array; -1: none.
func arrayIndex(name string) int {
	if name == "" || len(name) > 9 || len(name) > 1 && name[0] == '0' {
		return -1
	}
	n := 0
	for _, c := range []byte(name) {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// operandsOf checks the operand of a condition.
func operandsOf(c *Condition) ([]operand, error) {
	if c.Comparison == Exists {
		return nil, nil
	}
	text, err := parse(c.Operand)
	if err != nil {
		return nil, err
	}
	list := [][]byte{text}
	if c.Comparison == In {
		if text[0] != '[' {
			return nil, fmt.Errorf("in wants a list, such as [1,2], not %.80s", text)
		}
		if list = jsontext.Elements(text); len(list) > MaxListed {
			return nil, fmt.Errorf("in has %d values, more than %d", len(list), MaxListed)
		}
	}
	operands := make([]operand, len(list))
	for i, one := range list {
		o := operand{json: one, kind: jsontext.KindOf(one[0])}
		switch {
		case o.kind == jsontext.String:
			o.text = jsontext.Text(one)
		case o.kind != jsontext.Number && c.Comparison.ordered():
			return nil, fmt.Errorf("numbers and strings have an order, which %v asks for, and %.80s is neither", c.Comparison, one)
		}
		operands[i] = o
	}
	return operands, nil
}

// parse checks JSON text of any kind, as values are checked, which are objects.
func parse(text string) ([]byte, error) {
	const open, end = `{"":`, `}`
	checked, err := jsonform.CheckValue([]byte(open+text+end), MaxBytes+len(open+end))
	if err != nil {
		return nil, fmt.Errorf("%.80q is not JSON text: is it a string that is meant to be in quotes?", text)
	}
	one := checked[len(open) : len(checked)-len(end)]
	if jsontext.Skip(checked, len(open)) != len(open)+len(one) {
		return nil, fmt.Errorf("%.80q is more than one JSON text", text) // such as 1,"a":2
	}
	return one, nil
}
