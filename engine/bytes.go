package engine

import (
	"strconv"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A value is JSON text, or bytes of a content type. What is stored says which: JSON text begins
// with {, and bytes with a mark that no text begins with. So digests, sizes and copies are of one thing, and only
// whoever looks into a value asks which it is.
//
//	00 · string content type · the bytes, to the end

const bytesMark = 0x00

// MaxContentTypeBytes bounds a content type.
const MaxContentTypeBytes = 256

// DefaultContentType is what an empty content type means.
const DefaultContentType = "application/octet-stream"

// AsBytes splits a stored value that is bytes. They are part of it, and not to be changed.
func AsBytes(value []byte) (contentType string, data []byte, is bool) {
	if !isBytes(value) {
		return "", nil, false
	}
	d := layout.Decoder{Rest: value[1:]}
	contentType = d.Str()
	return contentType, d.Rest, !d.Failed
}

func isBytes(value []byte) bool { return len(value) > 0 && value[0] == bytesMark }

// checkBytes checks a value that is bytes, and puts it into the form that is stored.
func (e *Engine) checkBytes(w *Write) error {
	if limit := e.opts.Limits.ValueBytes; len(w.Value) > limit {
		e.reached.ValueBytes.Add(1)
		return words.Failf(ErrInvalid, "value of key %q is %d bytes, more than the limit of %d", w.Name.Key, len(w.Value), limit).
			With("field", "value").With(limitDetail, strconv.Itoa(limit))
	}
	if w.ContentType == "" {
		w.ContentType = DefaultContentType
	}
	if err := words.CheckName("content_type", w.ContentType, MaxContentTypeBytes); err != nil {
		return err
	}
	stored := make([]byte, 1, len(w.Value)+len(w.ContentType)+4)
	stored[0] = bytesMark
	w.Value = append(layout.AppendString(stored, w.ContentType), w.Value...)
	w.Bytes, w.normal = false, true
	return nil
}
