package client_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// TestPages: page by page every list is the one that it is as a whole, of the moment of its first page.
func TestPages(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	for i := range 7 {
		put(t, c, "a", fmt.Sprintf("k%d", i), `{"n":1}`)
		put(t, c, fmt.Sprintf("agent%d", i), "k", `{"n":1}`)
		put(t, c, "a", "k0", fmt.Sprintf(`{"n":%d}`, i))
	}
	ctx := t.Context()
	for name, list := range map[string]func(p *client.Page) iter.Seq2[string, error]{ // each for itself: any order
		"keys": func(p *client.Page) iter.Seq2[string, error] { return c.ListKeys(ctx, "a", client.ListQuery{Page: p}) },
		"scan": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.Scan(ctx, "a", client.ListQuery{Page: p}), func(r client.Record) string { return r.Key })
		},
		"folders": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.List(ctx, "a", "k", client.ListQuery{Page: p}), func(l client.Listed) string { return l.Name })
		},
		"history": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.History(ctx, "a", "k0", client.HistoryQuery{Page: p}), func(e client.HistoryEntry) string { return e.Version.String() })
		},
		"agents": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.ListAgents(ctx, "agent", p), func(a client.Agent) string { return a.Agent })
		},
		"find": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.Find(ctx, client.FindQuery{AllAgents: true, Page: p}), func(f client.Found) string { return f.Agent + f.Key })
		},
		"diff": func(p *client.Page) iter.Seq2[string, error] {
			return named(c.Diff(ctx, "a", client.DiffQuery{From: client.AtCommit(0), Page: p}), func(d client.KeyDiff) string { return d.Key })
		},
	} {
		whole, err := drain(list(&client.Page{}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var parts []string
		page, count := &client.Page{Size: 3}, 0
		for {
			part, err := drain(list(page))
			if err != nil || len(part) > 3 || count > 9 {
				t.Fatalf("%s: page %d: %v, %v", name, count, part, err)
			}
			put(t, c, "a", "k"+name, `{"n":1}`) // after the moment that is listed
			parts, count = append(parts, part...), count+1
			if page.Next == "" {
				break
			}
			page = &client.Page{Size: 3, Token: page.Next}
		}
		if !slices.Equal(parts, whole) || name != "folders" && count < 3 {
			t.Errorf("%s in %d pages: %v, want %v", name, count, parts, whole)
		}
	}
	_, err := c.RunTxn(ctx, func(tx *client.Txn) error {
		_, err := drain(tx.ListKeys(ctx, "a", client.ListQuery{Page: &client.Page{}}))
		return err
	})
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a page in a transaction: %v", err)
	}
}

func named[T any](seq iter.Seq2[T, error], name func(T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for v, err := range seq {
			if !yield(name(v), err) {
				return
			}
		}
	}
}
