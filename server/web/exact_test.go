package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"pgregory.net/rapid"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestValuesAsWritten: a value comes back as the text that it was, whichever way it is read: numbers
// that no double is, the order of members, and no digit more.
func TestValuesAsWritten(t *testing.T) {
	r := newRig(t)
	const value = `{"z":9007199254740993,"a":[1.0,-0,1e300,{"deep":0.1000}],"text":"\u00e9 \"quoted\" valueJson"}`
	r.put("1", "a", "k", value)
	got := r.call("Transact", `{"txnId":"2","operations":[{"agentId":"a","key":"k2","put":{"value":`+value+`}}]}`)
	if got.status != http.StatusOK {
		t.Fatal(string(got.body))
	}
	stored := r.call("GetState", `{"agentId":"a","key":"k","encoding":"VALUE_ENCODING_JSON"}`)
	var as struct{ ValueJSON []byte }
	if err := json.Unmarshal(stored.body, &as); err != nil || len(as.ValueJSON) == 0 {
		t.Fatalf("%s %v", stored.body, err)
	}
	for _, n := range []string{"9007199254740993", "1e300", `"z"`} {
		if !strings.Contains(string(as.ValueJSON), n) {
			t.Errorf("%s is not stored: %s", n, as.ValueJSON)
		}
	}
	want := `"value":` + string(as.ValueJSON)
	for name, got := range map[string]said{ // each alone: any order
		"GetState":           r.call("GetState", `{"agentId":"a","key":"k"}`),
		"of encoding 0":      r.call("GetState", `{"agentId":"a","key":"k","encoding":0}`),
		"of encoding STRUCT": r.call("GetState", `{"agentId":"a","key":"k","encoding":"VALUE_ENCODING_STRUCT"}`),
		"at a version":       r.call("GetStateAtVersion", `{"agentId":"a","key":"k","version":1}`),
		"GET":                r.ask(http.MethodGet, "/v1/state?agent_id=a&key=k", ""),
		"BatchGetState":      r.call("BatchGetState", `{"names":[{"agentId":"a","key":"k"}]}`),
		"ScanPrefix":         r.call("ScanPrefix", `{"agentId":"a"}`),
		"GetHistory":         r.call("GetHistory", `{"agentId":"a","key":"k"}`),
		"Find":               r.call("Find", `{"agentId":"a"}`),
		"Diff":               r.call("Diff", `{"agentId":"a"}`),
		"replay":             r.ask(http.MethodGet, "/v1/replay?agent_id=a", ""),
	} {
		if got.status != http.StatusOK || !strings.Contains(string(got.body), want) || strings.Contains(string(got.body), `"valueJson":`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	watch := r.open("/v1/watch?agent_id=a&after_ts=0")
	defer watch.Body.Close()
	until(t, watch.Body, want)
	for encoding, field := range map[string]string{"VALUE_ENCODING_JSON": `"valueJson":"`, "VALUE_ENCODING_NATIVE": `"valueJson":"`, "VALUE_ENCODING_NONE": `"exists":true`} { // each alone: any order
		got := r.call("GetState", fmt.Sprintf(`{"agentId":"a","key":"k","encoding":%q}`, encoding))
		if !strings.Contains(string(got.body), field) || strings.Contains(string(got.body), `"value":`) {
			t.Errorf("%s: %s", encoding, got.body)
		}
	}
}

// TestPatchesAreJSON: a merge patch is JSON in a request, or the bytes that the contract has; what it came to, and
// the patch of a difference, is exact.
func TestPatchesAreJSON(t *testing.T) {
	r := newRig(t)
	r.put("1", "a", "k", `{"n":9007199254740993,"plan":{"step":1,"old":true}}`)
	for i, patch := range []string{
		`"mergeJson":{"plan":{"step":2,"old":null},"big":9007199254740995}`,
		`"merge_json":{"plan":{"step":3}}`,
		`"mergeJson":"` + base64.StdEncoding.EncodeToString([]byte(`{"plan":{"step":4}}`)) + `"`,
	} {
		if got := r.call("Transact", fmt.Sprintf(`{"txnId":"m%d","operations":[{"agentId":"a","key":"k",%s}]}`, i, patch)); got.status != http.StatusOK {
			t.Fatalf("%s: %s", patch, got.body)
		}
	}
	const want = `"value":{"n":9007199254740993,"plan":{"step":4},"big":9007199254740995}`
	if got := r.call("GetState", `{"agentId":"a","key":"k"}`); !strings.Contains(string(got.body), want) {
		t.Errorf("%s", got.body)
	}
	if got := r.call("Diff", `{"agentId":"a","from":{"commitTs":"2"},"to":{"commitTs":"3"}}`); !strings.Contains(string(got.body), `"patchJson":[{"op":"replace","path":"/plan/step","value":3}]`) {
		t.Errorf("%s", got.body)
	}
	if got := r.call("Diff", `{"agentId":"a","from":{"commitTs":"2"},"to":{"commitTs":"3"},"encoding":"VALUE_ENCODING_JSON"}`); !strings.Contains(string(got.body), `"patchJson":"`) {
		t.Errorf("bytes that were asked for: %s", got.body)
	}
	if got := r.call("Transact", `{"txnId":"v","operations":[{"agentId":"a","key":"v","put":{"valueJson":{"as":"it is"}}}]}`); got.status != http.StatusOK {
		t.Errorf("text that is JSON: %s", got.body)
	}
	for _, patch := range []string{`7`, `"ew"`, `"no base64!"`, `[1]`, `{"a":1,"a":2}`, `null`} {
		if got := r.call("Transact", `{"txnId":"x","operations":[{"agentId":"a","key":"k","mergeJson":`+patch+`}]}`); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", patch, got.status, got.body)
		}
	}
}

// TestRefusedValues: what is no value, or is given twice, is refused and not guessed.
func TestRefusedValues(t *testing.T) {
	r := newRig(t)
	for _, body := range []string{
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"a":1},"valueJson":"e30="}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"a":1},"value":{"a":2}}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"a":1,"a":2}}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"a":1}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{"a":01}}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":null}}]}`,
		`{"txnId":"1","operations":{"agentId":"a","key":"k","put":{"value":{}}}}`,
		`{"txnId":"1","txn_id":"2","operations":[{"agentId":"a","key":"k","put":{"value":{}}}]}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{}}}]} {}`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{}}}]}, and more`,
		`{"txnId":"1","operations":[{"agentId":"a","key":"k","put":{"value":{}}}]}}`,
		"", "{", "null", "7", "{\"txnId\":\"\xff\"}",
	} {
		got := r.call("Transact", body)
		if f := got.failure(t); got.status != http.StatusBadRequest || f.Error.Code != "INVALID_REQUEST" {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if n := r.service.Engine().Published(); n != 0 {
		t.Errorf("%d commits were made", n)
	}
}

// TestRewriting: whatever the value, it reaches the service as its text, and comes back as it.
func TestRewriting(t *testing.T) {
	texts := rapid.Custom(func(t *rapid.T) string {
		m := rapid.MapOf(rapid.String(), rapid.OneOf(rapid.Just[any](nil), rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "s") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.Uint64().Draw(t, "n") }),
			rapid.Custom(func(t *rapid.T) any {
				return []any{rapid.Bool().Draw(t, "b"), map[string]any{"value": 1, "valueJson": "x"}}
			}))).Draw(t, "m")
		text, err := json.Marshal(m)
		if err != nil {
			t.Skip(err)
		}
		return string(text)
	})
	rapid.Check(t, func(t *rapid.T) {
		value := texts.Draw(t, "value")
		request := fmt.Sprintf(`{"txnId":"t", "operations": [ {"key":"value","put":{ "value" : %s }}, {"delete":true} ],"metadata":{"value":"m"}}`, value)
		out, plain, err := inexact((*pb.TransactRequest)(nil).ProtoReflect().Descriptor(), []byte(request))
		var m pb.TransactRequest
		if err == nil {
			err = protojson.Unmarshal(out, &m)
		}
		if err != nil || !plain || string(m.GetOperations()[0].GetPut().GetValueJson()) != value || m.GetMetadata()["value"] != "m" || m.GetEncoding() != pb.ValueEncoding_VALUE_ENCODING_JSON {
			t.Fatalf("%s became %s: %v", request, out, err)
		}
		answer, err := exact((*pb.BatchGetStateResponse)(nil).ProtoReflect().Descriptor(), jsonOf(&pb.BatchGetStateResponse{States: []*pb.GetStateResponse{{ValueJson: []byte(value), Exists: true}, {}}, ReadTs: 7}))
		if want := `{"states":[{"exists":true,"value":` + value + `},{}],"readTs":"7"}`; err != nil || string(answer) != want {
			t.Fatalf("%s is not %s: %v", answer, want, err)
		}
	})
}
