package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/admin"
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/backup"
)

// restorable is a daemon that can be stopped, and started again on the store of a backup, at the same
// address.
type restorable struct {
	t     *testing.T
	env   engine.Env
	dir   string
	addr  string
	stop  func()
	times int
}

func newRestorable(t *testing.T) *restorable {
	d := &restorable{t: t, dir: "data", addr: "127.0.0.1:0"}
	d.env = engine.MemoryEnv(func(err error) { t.Errorf("halted: %v", err) }, func(string, ...any) {})
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *restorable) start() {
	d.t.Helper()
	service, err := server.Assemble(d.env, server.Config{Engine: engine.Options{Dir: d.dir}})
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, nil, l) }()
	d.stop = func() {
		cancel()
		if err := errors.Join(<-done, service.Close()); err != nil {
			d.t.Error(err)
		}
	}
}

// restore puts the store back to a commit.
func (d *restorable) restore(segment []byte, to uint64) {
	d.t.Helper()
	d.stop()
	d.times++
	d.dir = fmt.Sprintf("data-%d", d.times)
	path := fmt.Sprintf("backup-%d", d.times)
	f, err := d.env.FS.Create(path, "test")
	if err == nil {
		_, err = f.Write(segment)
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		_, err = backup.Restore(context.Background(), d.env, backup.RestoreOptions{From: path, Dir: d.dir, ToCommit: to})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.start()
}

func (d *restorable) dial() *client.Client {
	d.t.Helper()
	c, err := client.Dial(client.Config{Address: d.addr})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

func put(t *testing.T, c *client.Client, key string, n int) client.Commit {
	t.Helper()
	done, err := c.Transact(t.Context(), client.Batch{Writes: []client.Write{{RecordName: client.RecordName{Agent: "a", Key: key}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}}})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestCursorsAfterRestore restores a store to commit 10 of 15 and commits 10 others: what was learnt after
// commit 10 is refused, by all who still have it, and never taken for what has its number now.
func TestCursorsAfterRestore(t *testing.T) {
	d := newRestorable(t)
	c := d.dial()
	for i := range 15 {
		put(t, c, fmt.Sprint("k", i), i)
	}
	var whole bytes.Buffer
	if err := admin.New(c).Backup(t.Context(), 0, "", &whole, nil); err != nil {
		t.Fatal(err)
	}
	first := func(q client.WatchQuery) (client.Event, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for ev, err := range c.Watch(ctx, q) {
			return ev, err
		}
		return client.Event{}, errors.New("the watch ended")
	}
	before, err := first(client.WatchQuery{Agent: "a", After: 12})
	if err != nil || before.Epoch == "" || before.CommitTS != 13 {
		t.Fatalf("%+v, %v", before, err)
	}
	raw := pbClient(t, d.addr)
	page, err := raw.ListKeys(t.Context(), &pb.ListKeysRequest{AgentId: "a", Limit: 2})
	if err != nil || page.NextPageToken == "" {
		t.Fatal(page, err)
	}
	txn, err := c.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := txn.Get(t.Context(), "a", "k14"); err != nil || rec.Version != 1 {
		t.Fatal(rec, err)
	}
	if err := txn.Write(t.Context(), "a", "mine", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}

	d.restore(whole.Bytes(), 10)
	for i := range 10 {
		put(t, c, "k14", 100+i)
		if i == 0 { // the key has the version that was read, and another value
			if _, err := txn.Commit(t.Context()); !errors.Is(err, client.ErrEpochChanged) {
				t.Errorf("a transaction of before: %v", err)
			}
		}
	}
	status, err := raw.GetStatus(t.Context(), &pb.GetStatusRequest{})
	if err != nil || status.Epoch == before.Epoch || status.EpochBeganTs != 10 {
		t.Fatal(status, err)
	}
	for what, q := range map[string]client.WatchQuery{ // each on its own: order cannot matter
		"a cursor of before":          {Agent: "a", After: before.CommitTS, Epoch: before.Epoch},
		"a cursor without an epoch":   {Agent: "a", After: 13},
		"a cursor of another store":   {Agent: "a", After: 5, Epoch: "0123456789ab"},
		"one that is past the end":    {Agent: "a", After: 25, Epoch: before.Epoch},
		"the first that is not there": {Agent: "a", After: 11, Epoch: before.Epoch},
	} {
		if ev, err := first(q); !errors.Is(err, client.ErrEpochChanged) {
			t.Errorf("%s: %+v, %v", what, ev, err)
		}
	}
	for what, q := range map[string]client.WatchQuery{ // each on its own: order cannot matter
		"the last that both have":   {Agent: "a", After: 10, Epoch: before.Epoch},
		"an early one of no epoch":  {Agent: "a", After: 10},
		"one of now":                {Agent: "a", After: 13, Epoch: status.Epoch},
		"one of now, of the future": {Agent: "a", After: 19, Epoch: status.Epoch},
	} {
		if ev, err := first(q); err != nil || ev.CommitTS != q.After+1 || ev.Epoch != status.Epoch {
			t.Errorf("%s: %+v, %v", what, ev, err)
		}
	}
	replayed := func(q client.ReplayQuery) (n int, err error) {
		for ev, err := range c.Replay(t.Context(), q) {
			if err != nil {
				return n, err
			}
			if n++; ev.Epoch != status.Epoch {
				t.Errorf("%+v", ev)
			}
		}
		return n, nil
	}
	if n, err := replayed(client.ReplayQuery{Agent: "a", From: 14, Epoch: before.Epoch}); !errors.Is(err, client.ErrEpochChanged) {
		t.Errorf("replay after a cursor of before: %d, %v", n, err)
	}
	if n, err := replayed(client.ReplayQuery{Agent: "a", From: 14}); n != 7 || err != nil { // the old contract
		t.Errorf("replay: %d, %v", n, err)
	}
	if n, err := replayed(client.ReplayQuery{Agent: "a", From: 11, Epoch: before.Epoch}); n != 10 || err != nil {
		t.Errorf("replay after the last that both have: %d, %v", n, err)
	}
	if _, err := raw.ListKeys(t.Context(), &pb.ListKeysRequest{AgentId: "a", Limit: 2, PageToken: page.NextPageToken}); !errors.Is(client.Failure(t.Context(), err), client.ErrEpochChanged) {
		t.Errorf("a page token of before: %v", err)
	}
	var more bytes.Buffer
	if err := admin.New(c).Backup(t.Context(), 15, before.Epoch, &more, nil); !errors.Is(err, client.ErrEpochChanged) {
		t.Errorf("an incremental backup of before: %v", err)
	}
	// The next transaction is of the new epoch.
	if _, err := c.RunTxn(t.Context(), func(txn *client.Txn) error {
		if _, err := txn.Get(t.Context(), "a", "k14"); err != nil {
			return err
		}
		return txn.Write(t.Context(), "a", "mine", []byte(`{}`))
	}); err != nil {
		t.Error(err)
	}
}

// TestWatchOverRestore ends a watch that has seen more than the store has any more.
func TestWatchOverRestore(t *testing.T) {
	d := newRestorable(t)
	c := d.dial()
	for i := range 5 {
		put(t, c, "k", i)
	}
	var whole bytes.Buffer
	if err := admin.New(c).Backup(t.Context(), 0, "", &whole, nil); err != nil {
		t.Fatal(err)
	}
	watch := func(after client.CommitTS) (next func() (client.Event, error)) {
		got, errs := make(chan client.Event), make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		t.Cleanup(cancel)
		go func() {
			for ev, err := range c.Watch(ctx, client.WatchQuery{Agent: "a", After: after}) {
				if err != nil {
					errs <- err
					return
				}
				got <- ev
			}
		}()
		return func() (client.Event, error) {
			select {
			case ev := <-got:
				return ev, nil
			case err := <-errs:
				return client.Event{}, err
			}
		}
	}
	ahead, behind := watch(4), watch(1)
	if ev, err := ahead(); err != nil || ev.CommitTS != 5 {
		t.Fatal(ev, err)
	}
	if ev, err := behind(); err != nil || ev.CommitTS != 2 { // and is not asked for more
		t.Fatal(ev, err)
	}
	d.restore(whole.Bytes(), 3)
	put(t, d.dial(), "k", 100)
	if ev, err := ahead(); !errors.Is(err, client.ErrEpochChanged) {
		t.Errorf("%+v, %v", ev, err)
	}
}

func pbClient(t *testing.T, addr string) pb.StatehouseServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewStatehouseServiceClient(conn)
}
