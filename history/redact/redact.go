// Package redact makes histories fit to be given away: values become digests with a
// key, names become pseudonyms. What a checker needs stays: which values are equal,
// which names are equal, how they are ordered and which is a prefix of which, versions,
// places in the log, times and outcomes.
//
// What stays besides, and can tell something: how long values are, the shape of the trie
// of the names (see [Pseudonyms]), numbers, and the configuration in the header.
package redact

import (
	"fmt"

	"statehouse.dev/statehouse/history"
)

// Redactor redacts a history, whole or line by line.
type Redactor struct {
	// Digester is always needed: ids have no other pseudonyms.
	Digester *Digester
	// Values: values, those of metadata too, become digests.
	Values bool
	// Names become pseudonyms, and ids of transactions and clients besides. All must be
	// in it before the first line is redacted. Nil: names stay as they are.
	Names *Names
	// KeepNotes: notes and gaps keep their text, since who recorded knows that there is
	// nothing of clients in it. What is told of refusals never stays.
	KeepNotes bool
}

// Header redacts a header, without its base.
func (r *Redactor) Header(h *history.Header) {
	if !r.Values && r.Names == nil {
		return
	}
	h.Command = "" // it may name anything
	values := r.Values || h.Redaction == "digest" || h.Redaction == "digest+names"
	names := r.Names != nil || h.Redaction == "names" || h.Redaction == "digest+names"
	switch {
	case values && names:
		h.Redaction = "digest+names"
	case values:
		h.Redaction = "digest"
	case names:
		h.Redaction = "names"
	}
}

// Line redacts a line. What it points to is replaced, not changed. After an error it is
// not fit to be given away.
func (r *Redactor) Line(l *history.Line) (err error) {
	r.replacer(&err).line(l)
	return err
}

// History redacts a whole history, in the same way.
func (r *Redactor) History(h *history.History) (err error) {
	r.Header(&h.Header)
	r.replacer(&err).history(h)
	return err
}

func (r *Redactor) replacer(err *error) *visitor {
	same := func(s string) string { return s }
	v := &visitor{
		name: func(_ Domain, s string) string { return s }, id: func(_, id string) string { return id },
		value: same, text: same, other: same, prose: same, notes: same,
	}
	if !r.Values && r.Names == nil {
		return v
	}
	v.other = r.Digester.Text
	v.prose = func(string) string { return "" }
	if !r.KeepNotes {
		v.notes = v.prose
	}
	if r.Values {
		v.value, v.text = r.Digester.Value, r.Digester.Text
	}
	if r.Names != nil {
		v.id = r.Digester.ID
		v.name = func(d Domain, s string) string {
			pseudonym, known := r.Names.Of(d, s)
			if !known && *err == nil {
				*err = fmt.Errorf("the name %q was not there when the pseudonyms were made", s)
			}
			return pseudonym
		}
	}
	return v
}
