package engine

import (
	"bytes"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Folders are what keys have in common up to a delimiter. Listing them costs a seek each: a
// list goes past what is in one.

// MaxDelimiterBytes bounds a delimiter.
const MaxDelimiterBytes = 64

// Listed is a key, or a folder: the keys that begin with Name, which ends in the delimiter.
type Listed struct {
	Name   string
	Folder bool
}

// Folders lists the keys that exist under o.Prefix and have no delimiter after it, and, in one
// order with them, the folders of those that have. o.After is the last name of the page before, a
// key or a folder. more reports whether there are more after this page.
func (s Snapshot) Folders(o ScanOptions, delimiter string) (list []Listed, more bool, err error) {
	if err := o.normalize(); err != nil {
		return nil, false, err
	}
	if err := words.CheckName("delimiter", delimiter, MaxDelimiterBytes); err != nil {
		return nil, false, err
	}
	o.KeysOnly = true
	after := folderOf(o.After, o.Prefix, delimiter)
	if after != "" {
		o.After = "" // no key that was listed
	}
	c, err := s.cursor(&o)
	if err != nil {
		return nil, false, err
	}
	if after != "" {
		c.leave(after)
	}
	size := 0
	for c.next() {
		l := Listed{Name: c.rec.Name.Key}
		if folder := folderOf(l.Name, o.Prefix, delimiter); folder != "" {
			l = Listed{folder, true}
			c.leave(folder)
		}
		next := len(l.Name) + rowOverhead
		if more = o.Page.full(len(list), size, next); more {
			break
		}
		list, size = append(list, l), size+next
	}
	return list, more, s.e.inRange(o.Agent.Namespace, s.ts, c.rows.close())
}

// folderOf is the folder that a key is in, under a prefix; "": none.
func folderOf(key, prefix, delimiter string) string {
	if at := strings.Index(strings.TrimPrefix(key, prefix), delimiter); at >= 0 {
		return key[:len(prefix)+at+len(delimiter)]
	}
	return ""
}

// leave makes the next key one that does not begin with prefix.
func (c *scanCursor) leave(prefix string) {
	c.beyond = append(bytes.Clone(c.base), prefix...)
	if !c.o.Reverse {
		c.beyond = layout.Successor(c.beyond)
	}
}
