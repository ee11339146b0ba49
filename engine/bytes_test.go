package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// TestBytesInTheEngine: bytes are a value of their own kind, which no JSON text is taken for; they are
// fingerprinted as they are, and the store says that it has them.
func TestBytesInTheEngine(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	bytesOf := func(key, contentType, data string) engine.Write {
		return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(data), Bytes: true, ContentType: contentType}
	}
	stored := "\x00\x09image/png{}"
	if _, err := transactIn(w, "t", bytesOf("b", "image/png", "{}"), writeOf("j", `{}`)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rec, err := w.now().Get(engine.RecordName{Agent: "a", Key: "b"})
		contentType, data, is := engine.AsBytes(rec.Value)
		if err != nil || !is || contentType != "image/png" || string(data) != "{}" {
			t.Errorf("%q, %v", rec.Value, err)
		}
		for name, write := range map[string]engine.Write{"another type": bytesOf("b", "image/gif", "{}"), "JSON": writeOf("b", "{}")} {
			if _, err := transactIn(w, "t", write, writeOf("j", `{}`)); !errors.Is(err, engine.ErrTxnIDReused) {
				t.Errorf("G6: %s is the same request: %v", name, err)
			}
		}
		if _, err := transactIn(w, "t", bytesOf("b", "image/png", "{}"), writeOf("j", `{}`)); err != nil {
			t.Errorf("G6: the same request: %v", err)
		}
		w.restart()
	}
	if _, err := transactIn(w, "u", writeOf("j", stored)); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("JSON text that begins as bytes do: %v", err)
	}
	for name, write := range map[string]engine.Write{"an increment": increment("b", "/n", "1"), "a merge": merge("b", `{}`)} {
		if _, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprint(len(name))), []engine.Write{write}, engine.Conditions{}); !errors.Is(err, engine.ErrEvaluation) {
			t.Errorf("%s of bytes: %v", name, err)
		}
	}
	into := appendTo("log/", "\xff\xfe")
	into.Bytes = true
	if r, err := transactIn(w, "v", into); err != nil || told(r) != "log/0000000000000001@1" {
		t.Errorf("%s, %v", told(r), err)
	}
	w.close()
	w.verify("at the end")
}
