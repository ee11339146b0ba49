package mcp

import (
	"context"
	"fmt"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"statehouse.dev/statehouse/client"
)

// maxSubscriptions is how many resources a session can subscribe to: each is a watch of the daemon.
const maxSubscriptions = 100

// watches are the watches that the subscriptions of a server need: one for each resource that somebody
// subscribes to. A watch begins before its first subscriber is told that it is subscribed, so no commit after that is
// missed; it ends with its last.
type watches struct {
	door *door

	mu sync.Mutex
	of map[string]*watch // by URI
	by map[*sdk.ServerSession]map[string]bool
}

type watch struct {
	subscribers map[*sdk.ServerSession]bool
	stop        context.CancelFunc
}

func (w *watches) subscribe(ctx context.Context, req *sdk.SubscribeRequest) error {
	uri := req.Params.URI
	c, n, at, err := w.door.named(uri)
	if err == nil && at != (client.At{}) {
		err = fmt.Errorf("%s is of the past, which does not change", uri)
	}
	if err != nil {
		return wrong(err)
	}
	// The place after which the watch begins. It also says whether the caller may read it.
	rec, err := c.Get(ctx, n.Agent, n.Key)
	if err != nil {
		return w.door.failure(ctx, err)
	}
	return w.add(req.Session, uri, c, n, rec.ReadTS)
}

func (w *watches) add(s *sdk.ServerSession, uri string, c *client.Client, n client.RecordName, after client.CommitTS) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	uris, known := w.by[s]
	switch {
	case uris[uri]:
		return nil
	case len(uris) >= maxSubscriptions:
		return wrong(fmt.Errorf("there are %d subscriptions already, and no more are allowed: unsubscribe from some", maxSubscriptions))
	}
	if w.by == nil {
		w.by, w.of = make(map[*sdk.ServerSession]map[string]bool), make(map[string]*watch)
	}
	if !known {
		w.by[s] = make(map[string]bool)
		go func() { // a client need not unsubscribe before it goes
			_ = s.Wait()
			w.forget(s)
		}()
	}
	w.by[s][uri] = true
	if w.of[uri] == nil {
		// A watch is of the subscription, and not of the request that made it.
		ctx, stop := context.WithCancel(context.Background())
		w.of[uri] = &watch{subscribers: make(map[*sdk.ServerSession]bool), stop: stop}
		go w.follow(ctx, uri, c, n, after)
	}
	w.of[uri].subscribers[s] = true
	return nil
}

// follow tells the subscribers of every commit that changes a record, until it is stopped. A commit is told once,
// and several that come together may be told as one.
func (w *watches) follow(ctx context.Context, uri string, c *client.Client, n client.RecordName, after client.CommitTS) {
	for ev, err := range c.Watch(ctx, client.WatchQuery{Agent: n.Agent, Prefix: n.Key, After: after, NoValues: true}) {
		if err != nil {
			w.lost(ctx, uri, err)
			return
		}
		for _, o := range ev.Operations {
			if o.Key == n.Key {
				// It fails only if a session has gone meanwhile.
				_ = w.door.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: uri})
				break
			}
		}
	}
}

// lost ends a watch that cannot go on, such as one whose key was revoked. Its subscribers are told that
// the record may have changed: reading it they learn what is wrong.
func (w *watches) lost(ctx context.Context, uri string, err error) {
	if ctx.Err() != nil {
		return // it was stopped
	}
	if w.door.Log != nil {
		w.door.Log.Warn("a subscription has ended", "uri", uri, "error", err)
	}
	_ = w.door.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: uri})
	w.mu.Lock()
	defer w.mu.Unlock()
	if of := w.of[uri]; of != nil {
		for s := range of.subscribers { // each is taken out: any order
			delete(w.by[s], uri)
		}
		of.stop()
		delete(w.of, uri)
	}
}

func (w *watches) unsubscribe(_ context.Context, req *sdk.UnsubscribeRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(req.Session, req.Params.URI)
	return nil
}

// drop ends a subscription, and with the last its watch. w is locked.
func (w *watches) drop(s *sdk.ServerSession, uri string) {
	delete(w.by[s], uri)
	of := w.of[uri]
	if of == nil {
		return
	}
	if delete(of.subscribers, s); len(of.subscribers) == 0 {
		of.stop()
		delete(w.of, uri)
	}
}

// forget ends what a session that has ended had subscribed to.
func (w *watches) forget(s *sdk.ServerSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uri := range w.by[s] { // each is dropped: any order
		w.drop(s, uri)
	}
	delete(w.by, s)
}
