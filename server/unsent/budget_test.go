package unsent

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// whoseKey is where the tests' contexts have the principal's name.
type whoseKey struct{}

// loneBudget is a budget of 16 MiB with connections that are nothing else, each of which
// has not read n bytes for long.
func loneBudget(unread ...int64) (b *Budget, list []*conn) {
	env := engine.MemoryEnv(nil, func(string, ...any) {})
	b = New(16<<20, 16, &env, func(ctx context.Context) string { name, _ := ctx.Value(whoseKey{}).(string); return name })
	for _, n := range unread {
		c := &conn{Addr: &net.TCPAddr{}, budget: b}
		c.close = c.ended
		b.conns[c] = struct{}{}
		h, _ := b.tryTake(c, nil, n, priorityDone)
		h.since = h.since.Add(-2 * StalledAfter)
		list = append(list, c)
	}
	return b, list
}

// TestRoomThatComesMeanwhile: whoever does not read may go, or be closed for another
// request, at any moment while a request looks for room. It is not refused when that has
// made room, and closes nobody else for it.
func TestRoomThatComesMeanwhile(t *testing.T) {
	asks := map[string]func(*Budget) error{ // each for itself: any order
		"before it is served": func(b *Budget) error { return b.full(prioritySmall) },
		"its answer": func(b *Budget) error {
			_, err := b.take(&conn{budget: b}, nil, LeastAnswer, prioritySmall)
			return err
		},
	}
	const moments = 4 // more than the clock is looked at
	for what, ask := range asks {
		for moment := range moments {
			for _, unread := range [][]int64{{15 << 20}, {10 << 20, 5 << 20}} {
				b, list := loneBudget(unread...)
				now, looks := b.now, 0
				b.now = func() time.Time {
					if looks++; looks == moment+1 {
						list[0].close()
					}
					return now()
				}
				if err := ask(b); err != nil {
					t.Errorf("%s, at look %d at the clock: %v", what, moment, err)
				}
				if !list[0].gone || len(list) > 1 && list[1].gone {
					t.Errorf("%s, at look %d at the clock, of %v: not the first, or not only that, was closed", what, moment, unread)
				}
			}
		}
	}
}

// TestRefusedPagesTakeNoRoom: while pages are refused, small answers that have room have
// it at any time.
func TestRefusedPagesTakeNoRoom(t *testing.T) {
	b, _ := loneBudget()
	l := &conn{budget: b}
	if _, held := b.tryTake(l, nil, b.ceiling(priorityPage), priorityPage); held != 0 {
		t.Fatal("nothing was held")
	}
	done := make(chan struct{})
	var pages sync.WaitGroup
	for range 4 {
		pages.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if h, _ := b.tryTake(l, nil, 4<<20, priorityPage); h != nil {
						t.Error("a page was let in")
					}
				}
			}
		})
	}
	for range 20_000 {
		h, held := b.tryTake(l, nil, LeastAnswer, prioritySmall)
		if h == nil {
			t.Errorf("a small answer was refused, with %d bytes held of %d", held, b.ceiling(prioritySmall))
			break
		}
		h.release()
	}
	close(done)
	pages.Wait()
}

// TestNothingOutlivesItsConnection: what a connection holds is given back when it ends, and
// what is counted for it later is, too: its request goes on for a while.
func TestNothingOutlivesItsConnection(t *testing.T) {
	b, list := loneBudget(1<<20, 2<<20)
	if n := b.Usage().Unsent(); n != 3<<20 {
		t.Errorf("%d bytes are counted", n)
	}
	for _, c := range list {
		c.ended()
		if h, _ := b.tryTake(c, nil, 1<<20, priorityPage); h == nil {
			t.Error("a page was refused")
		}
		if h, _ := b.tryTake(c, &Stream{budget: b, conn: c}, 100, priorityDone); h == nil {
			t.Error("a small message was refused")
		}
	}
	if u := b.Usage(); u.Common != 0 || u.Shares != 0 || len(b.conns) != 0 {
		t.Errorf("%+v, %d connections", u, len(b.conns))
	}
}

// TestTurnsOfConnections: who has asked for a thousand answers at once is not served all of
// them before one who asks for one, be it over as many connections as it likes where it has a
// name.
func TestTurnsOfConnections(t *testing.T) {
	env := engine.MemoryEnv(nil, func(string, ...any) {})
	waits := make(chan struct{})
	env.Await = func(_ context.Context, in <-chan struct{}) error {
		waits <- struct{}{}
		<-in
		return nil
	}
	known := context.WithValue(t.Context(), whoseKey{}, "known")
	for _, flood := range []func(b *Budget, i int) (context.Context, *conn){
		func(b *Budget, _ int) (context.Context, *conn) { return t.Context(), &conn{budget: b, name: "flood"} },
		func(b *Budget, i int) (context.Context, *conn) { return known, &conn{budget: b, name: fmt.Sprint(i)} },
	} {
		b := New(2*PageCost, 1, &env, func(ctx context.Context) string { name, _ := ctx.Value(whoseKey{}).(string); return name })
		order := make(chan string, 1001)
		ask := func(ctx context.Context, c *conn, what string, n int64) {
			got, err := b.turn(ctx, c, n)
			if err != nil {
				t.Error(err)
			}
			order <- what
			b.making.Release(got)
		}
		held, _ := b.turn(t.Context(), &conn{budget: b}, PageCost)
		for i := range 1000 {
			ctx, c := flood(b, i)
			go ask(ctx, c, "flood", PageCost)
			<-waits
		}
		go ask(t.Context(), &conn{budget: b, name: "one"}, "one", ValueCost)
		<-waits
		b.making.Release(held)
		for i := 0; <-order != "one"; i++ {
			if i > 10 { // one waits for it already; a few may have run before it could
				t.Fatal("one who asks for one answer waits for all of the others'")
			}
		}
	}
}
