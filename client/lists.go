package client

import (
	"context"
	"iter"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Page makes a list end after one page of it, for a program that hands a list on piece by piece and
// keeps nothing meanwhile. It goes into a query in place of a limit, outside of transactions.
type Page struct {
	Size  int    // at most this many; 0: Config.PageSize
	Token string // Next of the page before; "": from the front
	// Next is where the next page begins: it is set when the iterator yields, or ends without an error. "": there is no
	// more. It is of the query that it came from, and pins the place of the order that is shown.
	Next string
}

// ListQuery selects keys or records of an agent. The zero value selects all that exist
// now, in byte order.
type ListQuery struct {
	Prefix   string
	Reverse  bool // from last to first
	Limit    int  // at most this many; 0: all
	NoValues bool // Scan leaves values out
	At       At
	Page     *Page
}

// HistoryQuery selects versions of a record. The zero value selects all, newest first.
type HistoryQuery struct {
	OldestFirst bool
	Limit       int // at most this many; 0: all
	NoValues    bool
	At          At // versions up to this point
	Page        *Page
}

// pages yields the items of all pages. fetch gets a page, given its size and the token
// that the page before ended with. With one it yields the items of that page.
func pages[T any](c *Client, limit int, one *Page, fetch func(size uint32, token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if limit < 0 {
			yield(none, invalidf("the limit is negative: %d", limit))
			return
		}
		left, token := limit, ""
		if one != nil {
			left, token = one.Size, one.Token
		}
		for {
			size := c.config.PageSize
			if left > 0 {
				size = min(size, left)
			}
			items, next, err := fetch(uint32(size), token)
			if err != nil {
				yield(none, err)
				return
			}
			if one != nil {
				one.Next = next
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			left -= len(items)
			if one != nil || next == "" || limit > 0 && left <= 0 {
				return
			}
			if next == token {
				yield(none, broken("a page that names itself as the next"))
				return
			}
			token = next
		}
	}
}

// ListKeys yields an agent's keys in byte order.
func (c *Client) ListKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error] {
	return c.listKeys(ctx, "", agent, q)
}

func (c *Client) listKeys(ctx context.Context, txnID, agent string, q ListQuery) iter.Seq2[string, error] {
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]string, string, error) {
		req := &pb.ListKeysRequest{
			Namespace: c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token,
			Reverse: q.Reverse, At: state.Point(q.At), TxnId: txnID, MinReadTs: state.Least(q.At), MaxStalenessMs: state.Staleness(q.At),
		}
		resp, err := ask(ctx, c, c.stub.ListKeys, req)
		return resp.GetKeys(), resp.GetNextPageToken(), err
	})
}

// Scan yields an agent's records in byte order of their keys.
func (c *Client) Scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error] {
	return c.scan(ctx, "", agent, q)
}

func (c *Client) scan(ctx context.Context, txnID, agent string, q ListQuery) iter.Seq2[Record, error] {
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]Record, string, error) {
		records, next, _, err := c.scanPage(ctx, txnID, agent, q, size, token)
		return records, next, err
	})
}

func (c *Client) scanPage(ctx context.Context, txnID, agent string, q ListQuery, size uint32, token string) (records []Record, next string, readTS CommitTS, err error) {
	req := &pb.ScanPrefixRequest{
		Namespace: c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Encoding: c.encoding(q.NoValues),
		Limit: size, PageToken: token, Reverse: q.Reverse, At: state.Point(q.At), TxnId: txnID, MinReadTs: state.Least(q.At), MaxStalenessMs: state.Staleness(q.At),
	}
	resp, err := ask(ctx, c, c.stub.ScanPrefix, req)
	if err != nil {
		return nil, "", 0, err
	}
	readTS = CommitTS(resp.GetReadTs())
	records = make([]Record, len(resp.GetEntries()))
	for i, e := range resp.GetEntries() {
		records[i] = state.Entry(RecordName{Namespace: c.config.Namespace, Agent: agent, Key: e.GetKey()}, e, readTS)
	}
	return records, resp.GetNextPageToken(), readTS, nil
}

// History yields the versions of a record, deletes among them.
func (c *Client) History(ctx context.Context, agent, key string, q HistoryQuery) iter.Seq2[HistoryEntry, error] {
	return pages(c, q.Limit, q.Page, func(size uint32, token string) ([]HistoryEntry, string, error) {
		req := &pb.GetHistoryRequest{
			Namespace: c.config.Namespace, AgentId: agent, Key: key, Encoding: c.encoding(q.NoValues),
			Limit: size, PageToken: token, OldestFirst: q.OldestFirst, At: state.Point(q.At), MinReadTs: state.Least(q.At),
		}
		resp, err := ask(ctx, c, c.stub.GetHistory, req)
		if err != nil {
			return nil, "", err
		}
		entries := make([]HistoryEntry, len(resp.GetEntries()))
		for i, e := range resp.GetEntries() {
			entries[i] = state.HistoryEntryOf(e)
		}
		return entries, resp.GetNextPageToken(), nil
	})
}

// ListAgents yields the namespace's agents whose names start with prefix, in byte
// order; with a page only those of the page.
func (c *Client) ListAgents(ctx context.Context, prefix string, page ...*Page) iter.Seq2[Agent, error] {
	var one *Page
	if len(page) > 0 {
		one = page[0]
	}
	return pages(c, 0, one, func(size uint32, token string) ([]Agent, string, error) {
		req := &pb.ListAgentsRequest{Namespace: c.config.Namespace, Prefix: prefix, Limit: size, PageToken: token}
		resp, err := ask(ctx, c, c.stub.ListAgents, req)
		if err != nil {
			return nil, "", err
		}
		agents := make([]Agent, len(resp.GetAgents()))
		for i, a := range resp.GetAgents() {
			agents[i] = state.AgentOf(a)
		}
		return agents, resp.GetNextPageToken(), nil
	})
}

// ListNamespaces yields the namespaces that have agents, in byte order.
func (c *Client) ListNamespaces(ctx context.Context) iter.Seq2[string, error] {
	return pages(c, 0, nil, func(size uint32, token string) ([]string, string, error) {
		resp, err := ask(ctx, c, c.stub.ListNamespaces, &pb.ListNamespacesRequest{Limit: size, PageToken: token})
		return resp.GetNamespaces(), resp.GetNextPageToken(), err
	})
}
