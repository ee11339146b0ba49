package engine

import (
	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// importChecks is what verify knows of imports under way.
type importChecks struct {
	under  []*staging
	events map[string]uint64 // staged, by import
}

// checkStaged checks that what is staged is of an import under way, whole and in its order.
func (v *verifier) checkStaged(key, body []byte) error {
	c := &v.imports
	id, tag, rest, ok := splitStagedKey(key)
	var x *staging
	for _, under := range c.under {
		if under.ID == id {
			x = under
		}
	}
	switch {
	case !ok || x == nil:
		return layout.CorruptRow(key, "staged by no import")
	case tag == stagedHeadTag:
		d := layout.Decoder{Rest: body}
		if d.Uvarint() == 0 || d.Byte() > byte(owesErasure) || !d.End() {
			return layout.CorruptRow(key, "malformed")
		}
		return nil
	case tag != stagedEventTag || len(rest) != layout.NumberSize:
		return layout.CorruptRow(key, "malformed")
	}
	n := stagedNumber(key)
	if _, ok := parseImportEvent(body); !ok {
		return layout.CorruptRow(key, "malformed")
	}
	if c.events[id] == 0 && x.State == ImportMaking {
		c.events[id] = n - 1 // those before are commits
	}
	if c.events[id]++; n != c.events[id] {
		return layout.CorruptRow(key, "an event before it is missing")
	}
	return nil
}

func (c *importChecks) load(r SystemReader) error {
	c.events = make(map[string]uint64)
	var all chores
	if err := all.loadImports(r); err != nil {
		return err
	}
	c.under = all.imports
	return nil
}

// done checks that all is there that imports say they have.
func (c *importChecks) done() error {
	for _, x := range c.under {
		if c.events[x.ID] != x.Events {
			return words.Failf(ErrDataLoss, "import %s has staged %d events, and %d are there", x.ID, x.Events, c.events[x.ID])
		}
	}
	return nil
}

// making reports whether an agent's commits are being made by an import.
func (c *importChecks) making(a AgentName) bool {
	for _, x := range c.under {
		if x.State == ImportMaking && x.makes(a) {
			return true
		}
	}
	return false
}
