package programs

import (
	"context"
	"errors"
	"fmt"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// client makes a thread that commits n times and looks at each answer.
func (w *world) client(who, n int) func() {
	writes := make([]engine.Write, n)
	for i := range writes {
		writes[i] = write(name(w.rand.IntN(2), w.rand.IntN(2)), 100*who+i)
	}
	return func() {
		for i, wr := range writes {
			id := engine.TxnID(fmt.Sprintf("t%d-%d", who, i))
			r, err := w.e.Transact(context.Background(), id, []engine.Write{wr}, engine.Conditions{})
			w.must("commit", err)
			w.acked(id, wr, r)
		}
	}
}

// reader makes a thread that reads a record while others write it: what it finds may be old
// by the time it has it, and no later read may get it.
func (w *world) reader(n engine.RecordName) func() {
	return func() {
		s, err := w.e.Snapshot(engine.At{})
		w.must("snapshot", err)
		_, err = s.Get(n)
		w.must("read", err)
	}
}

func commits(w *world) {
	w.open(engine.Options{})
	threads, total := []func(){w.ticks()}, 0
	for i := range 1 + w.few(3) {
		n := w.few(2)
		threads, total = append(threads, w.client(i, n)), total+n
	}
	if w.rand.IntN(2) == 0 {
		threads = append(threads, w.reader(name(w.rand.IntN(2), w.rand.IntN(2))))
	}
	w.while(func() { together(threads...) })
	if n := len(w.log()); n != total {
		turns.Fail("G1: %d commits were acknowledged; the log has %d", total, n)
	}
}

// watches: a lost wake-up leaves a watch asleep, and the run is a deadlock.
func watches(w *world) {
	w.open(engine.Options{})
	var threads []func()
	committed := make(map[string]int) // by agent
	for i := range w.few(2) {
		for j := range w.few(2) {
			n := name(w.rand.IntN(2), j)
			committed[n.Agent]++
			id := engine.TxnID(fmt.Sprintf("t%d-%d", i, j))
			threads = append(threads, func() {
				r, err := w.e.Transact(context.Background(), id, []engine.Write{write(n, i)}, engine.Conditions{})
				w.must("commit", err)
				w.acked(id, write(n, i), r)
			})
		}
	}
	all := committed["a0"] + committed["a1"]
	for range w.few(2) {
		switch f := (engine.Filter{Namespace: engine.DefaultNamespace, AllAgents: true}); w.rand.IntN(4) {
		case 0:
			threads = append(threads, w.watch(engine.Filter{Whole: true}, all))
		case 1:
			threads = append(threads, w.watch(f, all))
		case 2:
			threads = append(threads, w.watch(engine.Filter{Agent: "a0"}, committed["a0"]))
		default:
			threads = append(threads, w.watch(engine.Filter{Agent: "a1"}, committed["a1"]))
		}
	}
	if w.rand.IntN(6) == 0 {
		ctx, cancel := w.cancelled()
		threads = append(threads, cancel, func() {
			watch, err := w.e.Watch(engine.Filter{Agent: "a0"})
			w.must("watch", err)
			defer watch.Close()
			for err == nil {
				watch.Published()
				err = watch.Wait(ctx)
			}
			if !errors.Is(err, context.Canceled) {
				turns.Fail("a watch that was given up ended with %v", err)
			}
		})
	}
	w.while(func() { together(threads...) })
	w.log()
}

// watch makes a thread that follows the log until it has seen n commits.
func (w *world) watch(f engine.Filter, n int) func() {
	return func() {
		watch, err := w.e.Watch(f)
		w.must("watch", err)
		defer watch.Close()
		cursor, seen := engine.Cursor(0), 0
		for {
			published := watch.Published()
			for cursor < published {
				events, next, err := w.e.Replay(f, cursor, published, 0)
				w.must("replay", err)
				for i := range events {
					if ts := events[i].CommitTS; ts <= cursor || ts > published || ts > w.e.Published() {
						turns.Fail("G5: a watch past %d, with %d published, was given commit %d", cursor, w.e.Published(), ts)
					}
					cursor = events[i].CommitTS
				}
				seen += len(events)
				cursor = next
			}
			if seen == n {
				return
			}
			w.must("wait", watch.Wait(context.Background()))
		}
	}
}

// closes: the loop ends, and the engine closes, while requests wait for their answers. Each
// is answered, and truly.
func closes(w *world) {
	waiting, n, done := 0, 1+w.rand.IntN(3), 0
	await := w.env.Await
	w.env.Await = func(ctx context.Context, ready <-chan struct{}) error {
		waiting++
		defer func() { waiting-- }()
		return await(ctx, ready)
	}
	w.open(engine.Options{})
	errs := make([]error, n)
	ctx, stop := context.WithCancel(context.Background())
	var loop, all turns.WaitGroup
	if w.rand.IntN(3) > 0 {
		loop.Go(func() { w.e.Run(ctx) })
	}
	for i := range n {
		all.Go(func() {
			_, errs[i] = w.e.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", i)), []engine.Write{write(name(i, 0), i)}, engine.Conditions{})
			done++
		})
	}
	turns.Until(func() bool { return waiting+done == n })
	stop()
	loop.Wait()
	w.must("close", w.e.Close())
	all.Wait()
	w.undone = nil
	w.open(engine.Options{})
	for i, err := range errs {
		o, oerr := w.e.Outcome(engine.TxnID(fmt.Sprint("t", i)))
		w.must("outcome", oerr)
		if (err == nil) != (o.State == engine.TxnCommitted) || err != nil && !errors.Is(err, engine.ErrStopped) {
			turns.Fail("G1: commit %d of a closing engine was answered with %v; after a start its state is %v", i, err, o.State)
		}
	}
}
