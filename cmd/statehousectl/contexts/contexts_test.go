package contexts

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSaveAndLoad: what is kept is read back, and only the owner can read it.
func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "statehouse", "contexts.yaml")
	empty, err := Load(path)
	if err != nil || len(empty.Contexts) != 0 || empty.Current != "" {
		t.Fatalf("%+v, %v", empty, err)
	}
	want := &Set{Current: "b", Contexts: map[string]Context{
		"a": {Address: "localhost:1"},
		"b": {"https://db:2", "n", "0123456", "", true, "/ca", "/cert", "/key", true},
	}}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if names := got.Names(); !reflect.DeepEqual(names, []string{"a", "b"}) {
		t.Error(names)
	}
	if s := got.Contexts["a"].Settings(); len(s) != 1 || s["address"] != "localhost:1" {
		t.Error(s)
	}
	if s := got.Contexts["b"].Settings(); len(s) != 8 || s["token"] != "0123456" || s["tls"] != "true" || s["tls-key"] != "/key" {
		t.Error(s)
	}
}

// TestRefused: a file that others can read, and one that is not as it should be. No error
// tells a token.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{ // each for itself: any order
		"contexts: {a: {}}":                                    "has no address",
		"contexts: {'a b': {address: x}}":                      "the name of a context is",
		"contexts: {a: {address: x, tokn: s3cret}}":            "tokn",
		"contexts: {a: {address: x, tls: s3cret}}":             "(hidden)",
		"contexts: {a: [s3cret, x]}":                           "holds no contexts",
		"contexts: {a: {address: x, token: {s3cret: s3cret}}}": "holds no contexts",
	} {
		path := filepath.Join(t.TempDir(), "contexts.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "others on this machine can get at") {
			t.Errorf("%s, with mode 0640: %v", text, err)
		}
	}
}

// TestPath: as the XDG specification has it.
func TestPath(t *testing.T) {
	for _, c := range []struct{ xdg, home, want string }{
		{"/x", "/h", "/x/statehouse/contexts.yaml"}, {"", "/h", "/h/.config/statehouse/contexts.yaml"},
		{"relative", "/h", "/h/.config/statehouse/contexts.yaml"}, {"", "", ""},
	} {
		got, err := Path(func(name string) string { return map[string]string{"XDG_CONFIG_HOME": c.xdg, "HOME": c.home}[name] })
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}
