package web

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
)

// TestDocument: the OpenAPI document has every method that can be called with JSON, and names
// nothing that it does not describe.
func TestDocument(t *testing.T) {
	r := newRig(t)
	got := r.ask(http.MethodGet, "/openapi.json", "")
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(got.body, &doc); err != nil || got.status != http.StatusOK || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%d %v", got.status, err)
	}
	want := 0
	for path, m := range methods() { // each alone: any order
		if m.IsStreamingClient() || m.IsStreamingServer() {
			continue
		}
		want++
		if doc.Paths[path]["post"] == nil {
			t.Errorf("%s is not in the document", path)
		}
	}
	for path := range Reads { // each alone: any order
		if want++; doc.Paths[path]["get"] == nil {
			t.Errorf("%s is not in the document", path)
		}
	}
	for path := range Streams { // each alone: any order
		if want++; doc.Paths[path]["get"] == nil {
			t.Errorf("%s is not in the document", path)
		}
	}
	if len(doc.Paths) != want {
		t.Errorf("the document has %d paths, of %d", len(doc.Paths), want)
	}
	refs := regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllSubmatch(got.body, -1)
	for _, ref := range refs {
		if doc.Components[string(ref[1])][string(ref[2])] == nil {
			t.Errorf("%s is named and not described", ref[0])
		}
	}
	if len(refs) < 100 {
		t.Errorf("only %d references", len(refs))
	}
}
