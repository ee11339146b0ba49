package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/statehousetest"
	"statehouse.dev/statehouse/client/traced"
	"statehouse.dev/statehouse/mcp"
)

// rig is a client of the protocol, whose server stands on a real Statehouse.
type rig struct {
	t       *testing.T
	daemon  *statehousetest.Daemon
	clock   *statehousetest.Clock
	c       *client.Client // past the server
	session *sdk.ClientSession
	updated chan string   // URIs of resources that the client was told of
	acked   chan struct{} // a subscription of the stateless protocol has begun
	version string        // of the protocol; "": the newest
	// watching has the context of each watch that the server has begun.
	watching chan context.Context
	tools    map[string]*sdk.Tool
}

// newRig serves with what o says; its client is the rig's.
func newRig(t *testing.T, o mcp.Options, version ...string) *rig {
	t.Helper()
	clock := statehousetest.NewClock(time.Time{})
	d := statehousetest.Start(t, statehousetest.Options{Clock: clock})
	r := &rig{t: t, daemon: d, clock: clock, watching: make(chan context.Context, 200), version: strings.Join(version, "")}
	var err error
	if r.c, err = d.Dial(client.Config{Trace: r.traced}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.c.Close() })
	o.Client, o.Now, o.Version = r.c, clock.Now, "test"
	r.connect(mcp.New(o))
	return r
}

func (r *rig) traced(ctx context.Context, call traced.Call) (context.Context, func(error)) {
	if call.Method == "Watch" {
		r.watching <- ctx
	}
	return ctx, func(error) {}
}

// connect makes a session with a server, in this process.
func (r *rig) connect(server *sdk.Server) {
	r.t.Helper()
	ours, theirs := sdk.NewInMemoryTransports()
	if _, err := server.Connect(r.t.Context(), theirs, nil); err != nil {
		r.t.Fatal(err)
	}
	r.join(ours)
}

func (r *rig) join(transport sdk.Transport) {
	r.t.Helper()
	r.updated, r.acked = make(chan string, 100), make(chan struct{}, 100)
	peer := sdk.NewClient(&sdk.Implementation{Name: "peer", Version: "7"}, &sdk.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *sdk.ResourceUpdatedNotificationRequest) { r.updated <- req.Params.URI },
	})
	peer.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
			if method == "notifications/subscriptions/acknowledged" {
				r.acked <- struct{}{}
			}
			return next(ctx, method, req)
		}
	})
	session, err := peer.Connect(r.t.Context(), transport, &sdk.ClientSessionOptions{ProtocolVersion: r.version})
	if err != nil {
		r.t.Fatal(err)
	}
	r.session = session
	r.t.Cleanup(func() { _ = session.Close() })
	r.tools = make(map[string]*sdk.Tool)
	for tool, err := range session.Tools(r.t.Context(), nil) {
		if err != nil {
			r.t.Fatal(err)
		}
		r.tools[tool.Name] = tool
	}
}

// do calls a tool, whose answer must match its schema, and returns the text that a model is shown.
func (r *rig) do(tool, arguments string) (text string, refused bool) {
	r.t.Helper()
	result, err := r.session.CallTool(r.t.Context(), &sdk.CallToolParams{Name: tool, Arguments: json.RawMessage(arguments)})
	if err != nil {
		r.t.Fatalf("%s %s: %v", tool, arguments, err)
	}
	text = result.Content[0].(*sdk.TextContent).Text
	if !result.IsError {
		r.conforms(tool, text)
	}
	return text, result.IsError
}

func (r *rig) conforms(tool, text string) {
	r.t.Helper()
	raw, err := json.Marshal(r.tools[tool].OutputSchema)
	if err != nil {
		r.t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		r.t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	var answer any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		r.t.Fatal(err)
	}
	if err := resolved.Validate(answer); err != nil {
		r.t.Errorf("%s answers %s, against its schema: %v", tool, text, err)
	}
}

// ok calls a tool that must do what it is asked, and reads its answer.
func (r *rig) ok(tool, arguments string) answer {
	r.t.Helper()
	text, refused := r.do(tool, arguments)
	if refused {
		r.t.Fatalf("%s %s: %s", tool, arguments, text)
	}
	a := answer{text: text}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// no calls a tool that must refuse, in words that have each of those given.
func (r *rig) no(tool, arguments string, words ...string) {
	r.t.Helper()
	text, refused := r.do(tool, arguments)
	if !refused {
		r.t.Errorf("%s %s is not refused: %s", tool, arguments, text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			r.t.Errorf("%s %s: %q does not say %q", tool, arguments, text, w)
		}
	}
}

// answer is what tests look at in answers of tools.
type answer struct {
	text       string
	Exists     bool
	Version    uint64
	CommitTS   uint64 `json:"commit_ts"`
	ReadTS     uint64 `json:"read_ts"`
	Value      json.RawMessage
	Text       string
	Size       int    `json:"value_size"`
	NextOffset int    `json:"next_offset"`
	NextPage   string `json:"next_page"`
	Note       string
	Keys       []string
	Folders    []string
	Keyed      uint64 `json:"keys_changed"`
	Looked     uint64 `json:"looked_at"`
	Records    []shown
	Versions   []struct {
		Version  uint64
		Deleted  bool
		Metadata map[string]string
		Value    json.RawMessage
	}
	Changes []struct {
		Key, Change   string
		Patch         json.RawMessage
		Before, After *struct {
			Version uint64
			Value   json.RawMessage
		}
	}
	Agents []struct{ Agent string }
}

// shown is a record in a list.
type shown struct {
	Agent, Key string
	Version    uint64
	Value      json.RawMessage
	Size       int `json:"value_size"`
}

func (r *rig) put(agent, key, value string) {
	r.t.Helper()
	if _, err := r.c.Transact(r.t.Context(), client.Batch{Writes: []client.Write{client.Put(agent, key, []byte(value))}}); err != nil {
		r.t.Fatal(err)
	}
}
