package mcp_test

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/mcp"
)

// TestAgentsPageByPage: the agents of a namespace are listed to the last one, and each page says how to go on.
func TestAgentsPageByPage(t *testing.T) {
	r := newRig(t, mcp.Options{})
	for _, a := range []string{"a", "b", "c"} {
		r.put(a, "k", `{}`)
	}
	first := r.ok("agents", `{"limit":2}`)
	if first.NextPage == "" || !strings.Contains(first.Note, "next_page") || !strings.Contains(first.text, `"b"`) || strings.Contains(first.text, `"c"`) {
		t.Fatalf("the first page: %s", first.text)
	}
	if last := r.ok("agents", `{"limit":2,"page":"`+first.NextPage+`"}`); last.NextPage != "" || last.Note != "" || !strings.Contains(last.text, `"c"`) {
		t.Errorf("the last page: %s", last.text)
	}
}

// TestNamespacesAreOffered: all that there are, and to a server of one namespace only that.
func TestNamespacesAreOffered(t *testing.T) {
	for _, confined := range []bool{false, true} {
		r := newRig(t, mcp.Options{Confined: confined})
		r.put("a", "k", `{}`)
		if !confined {
			r.ok("commit", `{"namespace":"delta","agent":"a","reason":"r","puts":[{"key":"k","value":{}}]}`)
		}
		for begins, want := range map[string][]string{"": {"default", "delta"}, "def": {"default"}, "x": nil} { // each by itself: order cannot matter
			if confined {
				want = slices.DeleteFunc(slices.Clone(want), func(n string) bool { return n == "delta" })
			}
			result, err := r.session.Complete(t.Context(), &sdk.CompleteParams{
				Ref:      &sdk.CompleteReference{Type: "ref/resource", URI: "statehouse://{namespace}/{agent}/{key}"},
				Argument: sdk.CompleteParamsArgument{Name: "namespace", Value: begins},
			})
			if err != nil || !slices.Equal(result.Completion.Values, want) {
				t.Errorf("confined: %t; %q: %+v, %v, want %v", confined, begins, result, err, want)
			}
		}
	}
}
