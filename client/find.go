package client

import (
	"context"
	"encoding/json"
	"iter"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Comparison says how what is at a place compares with a condition's value.
type Comparison string

const (
	Equal          Comparison = "="
	NotEqual       Comparison = "!="
	Less           Comparison = "<"
	LessOrEqual    Comparison = "<="
	Greater        Comparison = ">"
	GreaterOrEqual Comparison = ">="
	In             Comparison = "in"     // is equal to an element of the value, which is a list
	Exists         Comparison = "exists" // is there, whatever it is
)

var comparisons = map[Comparison]pb.Comparison{
	Equal: pb.Comparison_COMPARISON_EQUAL, NotEqual: pb.Comparison_COMPARISON_NOT_EQUAL,
	Less: pb.Comparison_COMPARISON_LESS, LessOrEqual: pb.Comparison_COMPARISON_LESS_OR_EQUAL,
	Greater: pb.Comparison_COMPARISON_GREATER, GreaterOrEqual: pb.Comparison_COMPARISON_GREATER_OR_EQUAL,
	In: pb.Comparison_COMPARISON_IN, Exists: pb.Comparison_COMPARISON_EXISTS,
}

// Condition selects records. What is not there meets none, also not NotEqual; values of different
// types are not equal, and neither less nor greater. Numbers compare exactly.
type Condition struct {
	Pointer    string // a JSON Pointer (RFC 6901) into the value; "": the value itself
	Metadata   string // in place of a pointer: a key of the metadata of the record's last commit
	Comparison Comparison
	Value      json.RawMessage // JSON text, which a metadata's is, too: a string
	Not        bool            // the condition must not hold, also because nothing is there
}

// FindQuery selects records by what is in them. There is no index: the daemon looks at every
// record in scope.
type FindQuery struct {
	Agent        string
	AllAgents    bool   // of the namespace; Agent is then empty
	Prefix       string // of keys
	Where        []Condition
	Changed      bool // the record that was changed last first, of one agent; otherwise by agent and key
	Limit        int  // at most this many; 0: all
	NoValues     bool
	WithMetadata bool
	At           At
	Page         *Page
	// Looked, unless nil, is called after each page with the number of records that were looked
	// at for it.
	Looked func(scanned uint64)
}

// Found is a record that was found.
type Found struct {
	Record
	Metadata map[string]string // of its last commit, with FindQuery.WithMetadata
}

func conditions(where []Condition) ([]*pb.Condition, error) {
	out := make([]*pb.Condition, len(where))
	for i, c := range where {
		comparison, known := comparisons[c.Comparison]
		if !known {
			return nil, invalidf("there is no comparison %q", c.Comparison)
		}
		out[i] = &pb.Condition{Pointer: c.Pointer, Metadata: c.Metadata, Comparison: comparison, Value: string(c.Value), Negate: c.Not}
	}
	return out, nil
}

// Find yields the records that all conditions select.
func (c *Client) Find(ctx context.Context, q FindQuery) iter.Seq2[Found, error] {
	order := pb.FindOrder_FIND_ORDER_KEY
	if q.Changed {
		order = pb.FindOrder_FIND_ORDER_CHANGED
	}
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]Found, string, error) {
		where, err := conditions(q.Where)
		if err != nil {
			return nil, "", err
		}
		resp, err := ask(ctx, c, c.stub.Find, &pb.FindRequest{
			Namespace: c.config.Namespace, AgentId: q.Agent, AllAgents: q.AllAgents, Prefix: q.Prefix, Where: where,
			At: state.Point(q.At), MinReadTs: state.Least(q.At), MaxStalenessMs: state.Staleness(q.At), Encoding: c.encoding(q.NoValues), Order: order,
			Limit: size, PageToken: token, WithMetadata: q.WithMetadata,
		})
		if err != nil {
			return nil, "", err
		}
		if q.Looked != nil {
			q.Looked(resp.GetScanned())
		}
		found := make([]Found, len(resp.GetEntries()))
		for i, e := range resp.GetEntries() {
			n := RecordName{Namespace: e.GetNamespace(), Agent: e.GetAgentId(), Key: e.GetKey()}
			found[i] = Found{Metadata: e.GetMetadata(), Record: state.Entry(n, e, CommitTS(resp.GetReadTs()))}
		}
		return found, resp.GetNextPageToken(), nil
	})
}

// Listed is a key, or a folder: keys that begin with Name, which ends in the delimiter.
type Listed struct {
	Name   string
	Folder bool
}

// List yields an agent's keys as ListKeys does, but those that have the delimiter after the prefix
// as the folders that they are in.
func (c *Client) List(ctx context.Context, agent, delimiter string, q ListQuery) iter.Seq2[Listed, error] {
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]Listed, string, error) {
		if delimiter == "" {
			return nil, "", invalidf("the delimiter is empty")
		}
		resp, err := ask(ctx, c, c.stub.ListKeys, &pb.ListKeysRequest{
			Namespace: c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token,
			Reverse: q.Reverse, At: state.Point(q.At), MinReadTs: state.Least(q.At), MaxStalenessMs: state.Staleness(q.At), Delimiter: delimiter,
		})
		return inOneOrder(resp.GetKeys(), resp.GetFolders(), q.Reverse), resp.GetNextPageToken(), err
	})
}

// inOneOrder merges keys and folders, which come in order among themselves.
func inOneOrder(keys, folders []string, reverse bool) []Listed {
	list := make([]Listed, 0, len(keys)+len(folders))
	for len(keys) > 0 || len(folders) > 0 {
		if len(folders) == 0 || len(keys) > 0 && (keys[0] < folders[0]) != reverse {
			list, keys = append(list, Listed{Name: keys[0]}), keys[1:]
		} else {
			list, folders = append(list, Listed{folders[0], true}), folders[1:]
		}
	}
	return list
}
