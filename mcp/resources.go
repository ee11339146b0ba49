package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
)

const (
	templateNow  = scheme + "{namespace}/{agent}/{key}"
	templateThen = templateNow + "{?as_of}"
	jsonType     = "application/json"
	perList      = 100 // resources in an answer
	perComplete  = 100 // what the protocol allows
)

func (d *door) addResources() {
	d.server.AddResourceTemplate(&sdk.ResourceTemplate{
		Name: "record", Title: "Record", URITemplate: templateNow, MIMEType: jsonType,
		Description: "The value of a record. The names are percent-encoded. A subscription is told of every commit that changes it.",
	}, d.read)
	d.server.AddResourceTemplate(&sdk.ResourceTemplate{
		Name: "record-as-of", Title: "Record as of the past", URITemplate: templateThen, MIMEType: jsonType,
		Description: "The value that a record had at a moment: a commit_ts, a time, or a time ago such as 5m.",
	}, d.read)
	d.server.AddReceivingMiddleware(d.listing, offered)
}

// offered refuses what is not among the capabilities of the server, to which the SDK would answer with empty lists.
func offered(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
		switch method {
		case "prompts/list", "prompts/get", "logging/setLevel":
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this server has no " + method}
		}
		return next(ctx, method, req)
	}
}

// named is the client and the record for a URI, if the server reaches it.
func (d *door) named(uri string) (*client.Client, client.RecordName, client.At, error) {
	n, asOf, err := parseURI(uri)
	if err != nil {
		return nil, n, client.At{}, err
	}
	if d.Confined && n.Namespace != d.Client.Namespace() || d.Agent != "" && n.Agent != d.Agent {
		return nil, n, client.At{}, fmt.Errorf("%s is outside of what this server reaches", uri)
	}
	at, err := d.at(asOf)
	return d.in(n.Namespace), n, at, err
}

// wrong is the protocol's error for parameters that cannot be.
func wrong(err error) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
}

// failure is the protocol's error for a call of the daemon that failed.
func (d *door) failure(ctx context.Context, err error) error {
	code := int64(jsonrpc.CodeInternalError)
	if errors.Is(err, client.ErrInvalid) || errors.Is(err, client.ErrEpochChanged) {
		code = jsonrpc.CodeInvalidParams
	}
	return &jsonrpc.Error{Code: code, Message: d.explain(ctx, err)}
}

// read hands out a record whole: who reads a resource has chosen it, and is no model that an answer could drown.
func (d *door) read(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	uri := req.Params.URI
	c, n, at, err := d.named(uri)
	if err != nil {
		return nil, wrong(err)
	}
	over, err := d.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer over()
	rec, err := c.Get(ctx, n.Agent, n.Key, at)
	switch {
	case err != nil:
		return nil, d.failure(ctx, err)
	case !rec.Exists:
		return nil, sdk.ResourceNotFoundError(uri)
	}
	contents := &sdk.ResourceContents{URI: uri, MIMEType: jsonType, Text: string(rec.Value), Meta: sdk.Meta{
		"statehouse/version": uint64(rec.Version), "statehouse/commit_ts": uint64(rec.CommitTS), "statehouse/read_ts": uint64(rec.ReadTS),
	}}
	if b := rec.Bytes; b != nil {
		contents.MIMEType, contents.Text, contents.Blob = b.ContentType, "", slices.Concat([]byte{}, b.Data)
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{contents}}, nil
}

// listing answers lists of resources: the records that the server reaches, in order of agents and keys. The SDK
// knows lists of a server's own only; what it makes of an empty one is filled in.
func (d *door) listing(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		req, is := r.(*sdk.ListResourcesRequest)
		if method != "resources/list" || !is {
			return next(ctx, method, r)
		}
		cursor, own := "", *req
		own.Params = &sdk.ListResourcesParams{}
		if req.Params != nil {
			cursor, own.Params.Meta = req.Params.Cursor, req.Params.Meta
		}
		result, err := next(ctx, method, &own)
		list, is := result.(*sdk.ListResourcesResult)
		if err != nil || !is {
			return result, err
		}
		page := &client.Page{Size: perList, Token: cursor}
		q := client.FindQuery{Agent: d.Agent, AllAgents: d.Agent == "", NoValues: true, Page: page}
		for f, err := range d.Client.Find(ctx, q) {
			if err != nil {
				return nil, d.failure(ctx, err)
			}
			list.Resources = append(list.Resources, &sdk.Resource{
				URI: uriOf(f.RecordName), Name: f.Agent + "/" + f.Key, MIMEType: jsonType,
				Description: fmt.Sprintf("version %d, of commit %d", f.Version, f.CommitTS),
			})
		}
		list.NextCursor = page.Next
		return list, nil
	}
}

// complete offers names for the variables of a template.
func (d *door) complete(ctx context.Context, req *sdk.CompleteRequest) (*sdk.CompleteResult, error) {
	var names []string
	begins := req.Params.Argument.Value
	given := func(name string) (value string) {
		if req.Params.Context != nil {
			value = req.Params.Context.Arguments[name]
		}
		return value
	}
	var err error
	if ref := req.Params.Ref; ref.Type == "ref/resource" && (ref.URI == templateNow || ref.URI == templateThen) {
		names, err = d.names(ctx, req.Params.Argument.Name, begins, given)
	}
	if err != nil {
		return nil, d.failure(ctx, err)
	}
	details := sdk.CompletionResultDetails{Values: names, HasMore: len(names) > perComplete}
	details.Values = append([]string{}, names[:min(len(names), perComplete)]...)
	return &sdk.CompleteResult{Completion: details}, nil
}

// names are those of a kind that begin with a text: one more than is shown, if there are more.
func (d *door) names(ctx context.Context, kind, begins string, given func(string) string) (names []string, err error) {
	c, agent := d.of(place{given("namespace"), given("agent")})
	switch {
	case kind == "namespace" && d.Confined, kind == "agent" && d.Agent != "":
		if only := map[string]string{"namespace": c.Namespace(), "agent": d.Agent}[kind]; strings.HasPrefix(only, begins) {
			names = []string{only}
		}
	case kind == "namespace":
		for name, err := range c.ListNamespaces(ctx) {
			if err != nil || len(names) > perComplete {
				return names, err
			}
			if strings.HasPrefix(name, begins) {
				names = append(names, name)
			}
		}
	case kind == "agent":
		for a, err := range c.ListAgents(ctx, begins, &client.Page{Size: perComplete + 1}) {
			if err != nil {
				return nil, err
			}
			names = append(names, a.Agent)
		}
	case kind == "key" && agent != "":
		for key, err := range c.ListKeys(ctx, agent, client.ListQuery{Prefix: begins, Limit: perComplete + 1}) {
			if err != nil {
				return nil, err
			}
			names = append(names, key)
		}
	}
	return names, nil
}
