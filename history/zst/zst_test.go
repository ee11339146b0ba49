package zst

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestThereAndBack(t *testing.T) {
	text := strings.Repeat(`{"op":{"id":1}}`+"\n", 10_000)
	for name, smaller := range map[string]bool{"a.jsonl": false, "a.jsonl.zst": true} {
		var b bytes.Buffer
		w, err := NewWriter(name, &b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if (b.Len() < len(text)/10) != smaller {
			t.Errorf("%s has %d bytes of %d", name, b.Len(), len(text))
		}
		whole := b.Bytes()
		for cut, want := range map[int]bool{len(whole): true, len(whole) / 2: false} {
			r, err := NewReader(bytes.NewReader(whole[:cut]))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if same := err == nil && string(got) == text; same != want {
				t.Errorf("%s, %d bytes of it: right %v, want %v (%v)", name, cut, same, want, err)
			}
			_ = r.Close()
		}
	}
	for _, short := range []string{"", "x", "\x28\xb5"} {
		if r, err := NewReader(strings.NewReader(short)); err != nil {
			t.Error(err)
		} else if got, err := io.ReadAll(r); err != nil || string(got) != short {
			t.Errorf("%q becomes %q, %v", short, got, err)
		}
	}
}
