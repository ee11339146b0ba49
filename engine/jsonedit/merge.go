package jsonedit

// Merge applies a merge patch to a document (RFC 7396). Neither need be an object. Members of the
// document stay where they are, new ones come after them in the order of the patch.
func Merge(document, patch []byte) []byte {
	return appendMerged(make([]byte, 0, len(document)+len(patch)), document, patch)
}

// appendMerged appends the document with a patch applied. A document of no bytes is one that is not there.
func appendMerged(dst, document, patch []byte) []byte {
	if patch[0] != '{' {
		return append(dst, patch...)
	}
	changes := make(map[string]*change)
	var order []*change
	children(patch, 0, func(m member) bool {
		c := &change{member: m}
		changes[string(m.name(patch))] = c
		order = append(order, c)
		return true
	})
	dst = append(dst, '{')
	first := true
	next := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
	}
	if len(document) > 0 && document[0] == '{' {
		children(document, 0, func(m member) bool {
			c := changes[string(m.name(document))]
			switch {
			case c == nil:
				next()
				dst = append(dst, document[m.start:m.end]...)
			case patch[c.value] != 'n':
				next()
				dst = append(dst, document[m.start:m.value]...)
				dst = appendMerged(dst, document[m.value:m.end], patch[c.value:c.end])
				c.done = true
			}
			return true
		})
	}
	for _, c := range order {
		if !c.done && patch[c.value] != 'n' {
			next()
			dst = append(dst, patch[c.start:c.value]...)
			dst = appendMerged(dst, nil, patch[c.value:c.end])
		}
	}
	return append(dst, '}')
}

// A change is a member of a patch.
type change struct {
	member
	done bool // the document has it
}
