package redact

import (
	"regexp"
	"testing"
)

func TestDigests(t *testing.T) {
	d := New([]byte("key"))
	one := d.Value(`{"b": 1, "a": [1.0]}`)
	if !regexp.MustCompile(`^digest:[0-9a-f]{32}:17$`).MatchString(one) {
		t.Errorf("the form of %s", one)
	}
	for text, same := range map[string]bool{ // any order
		`{"a":[1.0],"b":1}`: true, `{"a":[1],"b":1}`: false, `{"a":[1.0],"b":2}`: false, `{"a":[1.0]}`: false,
	} {
		if (d.Value(text) == one) != same {
			t.Errorf("%s: is it the same? want %v", text, same)
		}
	}
	if New([]byte("kez")).Value(`{"a":[1.0],"b":1}`) == one || New([]byte("kez")).KeyID() == d.KeyID() {
		t.Error("another key makes the same digest")
	}
	if again := New([]byte("key")); again.Value(`{"a":[1.0],"b":1}`) != one || again.KeyID() != d.KeyID() {
		t.Error("the same key makes another digest")
	}
	if d.Value("") != "" || d.ID("txn", "") != "" {
		t.Error("nothing becomes something")
	}
	if twice := d.Value(one); twice != one {
		t.Errorf("a digest becomes %s", twice)
	}
	if d.Value("digest:xyz:3") == "digest:xyz:3" || d.Value("digest:"+one[7:39]) == "digest:"+one[7:39] {
		t.Error("what looks like a digest is left as it is")
	}
	if d.Text("{}") == d.Text("{} ") || d.Text("{}") != d.Value("{ }") {
		t.Error("of text every byte counts")
	}
	if d.ID("txn", "a")[4:] == d.ID("client", "a")[7:] || d.ID("txn", "a") == d.ID("txn", "b") {
		t.Error("ids are confused")
	}
}
