package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestEveryMethod: each method of the contract is called with {} and plain JSON, and answers, or
// refuses in its own words; those that are streams say how they are called.
func TestEveryMethod(t *testing.T) {
	r := newRig(t)
	n := 0
	for path, m := range methods() { // each alone: any order
		n++
		got := r.ask(http.MethodPost, path, "{}", asJSON)
		switch {
		case m.IsStreamingClient():
			if got.status != http.StatusNotImplemented || !strings.Contains(got.failure(t).Message, "gRPC") {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		case m.IsStreamingServer():
			if got.status != http.StatusUnsupportedMediaType || !strings.Contains(got.failure(t).Message, "connect+json") {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		case got.status == http.StatusOK:
			if !json.Valid(got.body) || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %s %s", path, got.header.Get("Content-Type"), got.body)
			}
		default:
			if f := got.failure(t); got.status == http.StatusNotFound && f.Code == "unimplemented" || got.status == http.StatusNotImplemented || f.Error.Code == "UNKNOWN" {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d methods", n)
	}
	if got := r.call("NoSuchMethod", "{}"); got.status != http.StatusNotFound {
		t.Errorf("no method: %d %s", got.status, got.body)
	}
}

// TestErrors: an error has its StatehouseError, and the status that fits.
func TestErrors(t *testing.T) {
	r := newRig(t)
	r.put("1", "planner", "plan", `{"step":1}`)
	for _, c := range []struct {
		method, body string
		status       int
		code, want   string
	}{
		{"GetStateAtVersion", `{"agentId":"planner","key":"plan","version":7}`, http.StatusNotFound, "not_found", "VERSION_NOT_FOUND"},
		{"Write", `{"txnId":"none","agentId":"a","key":"k","value":{}}`, http.StatusNotFound, "not_found", "TXN_NOT_FOUND"},
		{"Transact", `{"txnId":"2","operations":[{"agentId":"planner","key":"plan","put":{"value":{}}}],"keyPreconditions":[{"agentId":"planner","key":"plan"}]}`, http.StatusBadRequest, "failed_precondition", "PRECONDITION_FAILED"},
		{"Transact", `{"txnId":"1","operations":[{"agentId":"planner","key":"plan","put":{"value":{}}}]}`, http.StatusBadRequest, "failed_precondition", "TXN_ID_REUSED"},
		{"GetState", `{"agentId":"planner","key":"plan","at":{"commitTs":"9"}}`, http.StatusBadRequest, "", ""},
		{"GetState", `{"agentId":"planner"`, http.StatusBadRequest, "invalid_argument", "INVALID_REQUEST"},
		{"GetState", `{"agentId":"planner","key":"plan","stritc":true}`, http.StatusBadRequest, "invalid_argument", "INVALID_REQUEST"},
		{"GetState", `[]`, http.StatusBadRequest, "invalid_argument", "INVALID_REQUEST"},
		{"GetState", `{"agentId":"` + strings.Repeat("x", 5000) + `","key":"k"}`, http.StatusBadRequest, "invalid_argument", "INVALID_REQUEST"},
	} {
		got := r.call(c.method, c.body)
		f := got.failure(t)
		if got.status != c.status || c.code != "" && (f.Code != c.code || f.Error.Code != c.want) {
			t.Errorf("%s %s: %d %s", c.method, clip(c.body), got.status, got.body)
		}
		if strings.Contains(string(got.body), `"value":"`) {
			t.Errorf("who does not speak Connect is answered its base64: %s", got.body)
		}
		for name := range got.header { // any order: none may be there
			if strings.HasPrefix(name, "Grpc-") {
				t.Errorf("%s of gRPC is in the answer", name)
			}
		}
	}
}

// TestReads: what a POST answers, a GET does.
func TestReads(t *testing.T) {
	r := newRig(t)
	r.put("1", "planner", "plan/a", `{"step":1}`)
	r.put("2", "planner", "plan/a", `{"step":2}`)
	for path, c := range map[string]struct{ method, body string }{ // each alone: any order
		"/v1/state?agent_id=planner&key=plan/a":                              {"GetState", `{"agentId":"planner","key":"plan/a"}`},
		"/v1/state?agent_id=planner&key=plan%2Fa&at.commit_ts=1":             {"GetState", `{"agentId":"planner","key":"plan/a","at":{"commitTs":"1"}}`},
		"/v1/history?agent_id=planner&key=plan/a&encoding=none":              {"GetHistory", `{"agentId":"planner","key":"plan/a","encoding":"VALUE_ENCODING_NONE"}`},
		"/v1/keys?agent_id=planner&limit=5&reverse=true":                     {"ListKeys", `{"agentId":"planner","limit":5,"reverse":true}`},
		"/v1/agents?namespace=default":                                       {"ListAgents", `{"namespace":"default"}`},
		"/v1/diff?agent_id=planner&from.commit_ts=1&encoding=json":           {"Diff", `{"agentId":"planner","from":{"commitTs":1},"encoding":"VALUE_ENCODING_JSON"}`},
		"/v1/state?agent_id=planner&key=plan/a&at.time=2100-01-01T00:00:00Z": {"GetState", `{"agentId":"planner","key":"plan/a","at":{"time":"2100-01-01T00:00:00Z"}}`},
	} {
		got, want := r.ask(http.MethodGet, path, ""), r.call(c.method, c.body)
		if got.status != want.status || string(got.body) != string(want.body) || len(got.body) < 10 {
			t.Errorf("GET %s: %d %s, and POST: %d %s", path, got.status, got.body, want.status, want.body)
		}
	}
	for path, why := range map[string]string{ // each alone: any order
		"/v1/state?agent=planner&key=k":           "agent_id",
		"/v1/state?agent_id=a&agent_id=b&key=k":   "2 times",
		"/v1/state?agent_id=a&key=k&encoding=xml": "struct, json, none, native",
		"/v1/state?agent_id=a&key=k&at=7":         "at.commit_ts",
		"/v1/state?agent_id=a&key=k&at.time=noon": "2026-11-30T10:42:00Z",
		"/v1/keys?agent_id=a&limit=-1":            "whole number",
		"/v1/keys?agent_id=a&reverse=perhaps":     "true or false",
	} {
		got := r.ask(http.MethodGet, path, "")
		if got.status != http.StatusBadRequest || !strings.Contains(got.failure(t).Message, why) {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
	for path := range Reads { // each alone: any order
		if got := r.ask(http.MethodPost, path, "{}", asJSON); got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d %s", path, got.status, got.body)
		}
	}
}

// TestProtocols: clients of Connect and gRPC-Web as they are, in JSON and in protobuf, over HTTP/1
// and HTTP/2.
func TestProtocols(t *testing.T) {
	r := newRig(t)
	r.put("1", "planner", "plan", `{"step":1}`)
	r.put("2", "planner", "plan", `{"step":2}`)
	cleartext := new(http.Protocols)
	cleartext.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: cleartext}}
	defer h2.CloseIdleConnections()
	for name, c := range map[string]struct {
		over *http.Client
		with []connect.ClientOption
	}{ // each alone: any order
		"connect":           {r.client, nil},
		"connect, JSON":     {r.client, []connect.ClientOption{connect.WithProtoJSON()}},
		"connect, HTTP/2":   {h2, nil},
		"gRPC-Web":          {r.client, []connect.ClientOption{connect.WithGRPCWeb()}},
		"gRPC-Web, HTTP/2":  {h2, []connect.ClientOption{connect.WithGRPCWeb()}},
		"gRPC on this port": {h2, []connect.ClientOption{connect.WithGRPC()}},
	} {
		t.Run(name, func(t *testing.T) {
			get := connect.NewClient[pb.GetStateRequest, pb.GetStateResponse](c.over, "http://"+r.addr+service+"GetState", c.with...)
			got, err := get.CallUnary(t.Context(), connect.NewRequest(&pb.GetStateRequest{AgentId: "planner", Key: "plan"}))
			if err != nil || got.Msg.GetVersion() != 2 || got.Msg.GetValue().AsMap()["step"] != 2.0 {
				t.Errorf("%v %v", got, err)
			}
			at := connect.NewClient[pb.GetStateAtVersionRequest, pb.GetStateAtVersionResponse](c.over, "http://"+r.addr+service+"GetStateAtVersion", c.with...)
			_, err = at.CallUnary(t.Context(), connect.NewRequest(&pb.GetStateAtVersionRequest{AgentId: "planner", Key: "plan", Version: 7}))
			var refused *connect.Error
			if !errors.As(err, &refused) || refused.Code() != connect.CodeNotFound || detail(refused).GetCode() != pb.ErrorCode_VERSION_NOT_FOUND {
				t.Errorf("an error: %v", err)
			}
			replay := connect.NewClient[pb.ReplayRequest, pb.ReplayEvent](c.over, "http://"+r.addr+service+"Replay", c.with...)
			stream, err := replay.CallServerStream(t.Context(), connect.NewRequest(&pb.ReplayRequest{AgentId: "planner"}))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			var seen []uint64
			for stream.Receive() {
				seen = append(seen, stream.Msg().GetCommitTs())
			}
			if err := stream.Err(); err != nil || len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
				t.Errorf("replay: %v %v", seen, err)
			}
		})
	}
}

func detail(e *connect.Error) *pb.StatehouseError {
	for _, d := range e.Details() {
		if m, err := d.Value(); err == nil {
			if said, is := m.(*pb.StatehouseError); is {
				return said
			}
		}
	}
	return nil
}

// TestSameGate: who may do what, and how often, is what it is over gRPC.
func TestSameGate(t *testing.T) {
	r := newRig(t, func(o *options) {
		o.server.Token = "sesame"
		o.server.Rate = func(principal string) float64 {
			if principal == "token" {
				return 1
			}
			return 0
		}
	})
	for _, c := range []struct {
		header []string
		status int
		code   string
	}{
		{nil, http.StatusUnauthorized, "UNAUTHENTICATED"},
		{[]string{"Authorization: Bearer wrong"}, http.StatusUnauthorized, "UNAUTHENTICATED"},
		{[]string{"Authorization: Basic sesame"}, http.StatusUnauthorized, "UNAUTHENTICATED"},
	} {
		for _, got := range []said{
			r.call("ListKeys", `{"agentId":"a"}`, c.header...), r.ask(http.MethodGet, "/v1/keys?agent_id=a", "", c.header...),
			r.ask(http.MethodGet, "/v1/watch?agent_id=a", "", c.header...), r.ask(http.MethodGet, "/v1/replay?agent_id=a", "", c.header...),
		} {
			if f := got.failure(t); got.status != c.status || f.Error.Code != c.code {
				t.Errorf("%v: %d %s", c.header, got.status, got.body)
			}
			if got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%v: no WWW-Authenticate", c.header)
			}
		}
	}
	const key = "Authorization: Bearer sesame"
	if got := r.call("ListKeys", `{"agentId":"a"}`, key); got.status != http.StatusOK {
		t.Errorf("with the token: %d %s", got.status, got.body)
	}
	for range 100 {
		got := r.call("ListKeys", `{"agentId":"a"}`, key)
		if got.status == http.StatusOK {
			continue
		}
		if f := got.failure(t); got.status != http.StatusTooManyRequests || f.Error.Code != "OVERLOADED" || got.header.Get("Retry-After") == "" {
			t.Errorf("past the rate: %d %v %s", got.status, got.header, got.body)
		}
		return
	}
	t.Error("no rate holds")
}

// TestManyStreams: a stream that is answered for long holds no room for bodies, of whatever length its
// request was said to be.
func TestManyStreams(t *testing.T) {
	r := newRig(t)
	cleartext := new(http.Protocols)
	cleartext.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: cleartext}}
	defer h2.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := connect.NewClient[pb.WatchRequest, pb.EventBatch](h2, "http://"+r.addr+service+"Watch")
	for range 40 {
		stream, err := watch.CallServerStream(ctx, connect.NewRequest(&pb.WatchRequest{AgentId: "a", AfterTs: new(uint64)}))
		if err != nil {
			t.Fatal(err)
		}
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
	}
	if taken, _ := r.front.bodies.Usage(); taken != 0 {
		t.Errorf("%d bytes are held by streams", taken)
	}
	r.put("1", "a", "k", `{}`)
}

// TestRecorded: what is asked over HTTP is in the capture, as what is asked over gRPC.
func TestRecorded(t *testing.T) {
	r := newRig(t)
	recorded := func() string {
		got := r.ask(http.MethodPost, "/statehouse.v1.CaptureService/GetCaptureStatus", "{}", asJSON)
		var st struct{ Operations string }
		if err := json.Unmarshal(got.body, &st); err != nil {
			t.Fatal(err)
		}
		return st.Operations
	}
	r.put("1", "a", "k", `{}`)
	first := recorded()
	r.call("GetState", `{"agentId":"a","key":"k"}`)
	if second := recorded(); first == "" || second == first {
		t.Errorf("%q operations were recorded, and %q after one more", first, second)
	}
}

// TestDeadline: a client that says how long it waits is refused after that, and not held.
func TestDeadline(t *testing.T) {
	r := newRig(t)
	begin := connect.NewClient[pb.WriteRequest, pb.WriteResponse](r.client, "http://"+r.addr+service+"Write")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, _ := structpb.NewStruct(map[string]any{"a": 1})
	if _, err := begin.CallUnary(ctx, connect.NewRequest(&pb.WriteRequest{TxnId: "t", AgentId: "a", Key: "k", Value: v})); connect.CodeOf(err) != connect.CodeCanceled {
		t.Errorf("a call that was given up: %v", err)
	}
	if got := r.call("Health", "{}", "Connect-Timeout-Ms: abc"); got.status != http.StatusBadRequest {
		t.Errorf("no timeout: %d %s", got.status, got.body)
	}
}
