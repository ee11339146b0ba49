package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
	"statehouse.dev/statehouse/server/backup"
)

// TestBackupsUnderLoad backs up a store while clients commit to it, full backups and incremental ones, restores
// each, and compares it with the model at the commit at which it ended. In the full sweep there are 50
// backups, each also restored to 4 random moments.
func TestBackupsUnderLoad(t *testing.T) {
	backups, moments := 6, 1
	if fullSweep() {
		backups, moments = 50, 4
	}
	l := newLoad(t)
	defer l.stop()
	restored := 0
	dir, end := "", 0
	for i := range backups {
		if i%3 == 0 { // a full one, and two that go on with it
			dir, end = fmt.Sprintf("/backups/%d", i), 0
		}
		for int(l.e.Published()) < end+60 {
			time.Sleep(time.Millisecond)
		}
		x, err := l.e.Export(engine.CommitTS(end))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w, err := backup.Write(t.Context(), x, &b, nil)
		if err := errors.Join(err, x.Close()); err != nil {
			t.Fatal(err)
		}
		l.put(dir+"/"+segment.Name(w.After+1), b.Bytes())
		end = int(w.To)
		l.pause.Lock()
		for j := range 1 + moments {
			to := end
			if j > 0 {
				to = 1 + int(w.After)/2 + j*int(w.Commits)/(moments+2)
			}
			into := fmt.Sprintf("/restored/%d-%d", i, j)
			if _, err := backup.Restore(t.Context(), l.env, backup.RestoreOptions{From: dir, Dir: into, ToCommit: uint64(to)}); err != nil {
				t.Fatal(err)
			}
			l.compare(into, to)
			restored++
		}
		l.pause.Unlock()
	}
	t.Logf("%d backups, %d restores, %d commits", backups, restored, l.e.Published())
}

// load is an engine that several clients commit to, each to keys of its own, and what it has committed.
type load struct {
	t    *testing.T
	env  engine.Env
	e    *engine.Engine
	stop func()

	pause sync.RWMutex // held while nothing is to be committed: else stores grow faster than they are restored

	mu   sync.Mutex
	made map[engine.CommitTS][]engine.Write
}

func newLoad(t *testing.T) *load {
	l := &load{t: t, made: make(map[engine.CommitTS][]engine.Write)}
	l.env = engine.MemoryEnv(func(err error) { t.Errorf("halted: %v", err) }, func(string, ...any) {})
	var err error
	if l.e, err = engine.Open(l.env, engine.Options{Dir: home, Limits: engine.Limits{OutcomeAge: time.Millisecond, OutcomeCount: 50}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var clients, running sync.WaitGroup
	loop, end := context.WithCancel(context.Background())
	running.Go(func() { l.e.Run(loop) })
	for c := range 4 {
		clients.Go(func() { l.client(ctx, c) })
	}
	l.stop = func() {
		cancel()
		clients.Wait()
		end()
		running.Wait()
		if err := l.e.Close(); err != nil {
			t.Error(err)
		}
	}
	return l
}

func (l *load) client(ctx context.Context, c int) {
	for n := 0; ctx.Err() == nil; n++ {
		var writes []engine.Write
		for i := range 1 + n%3 {
			w := engine.Write{Name: engine.RecordName{Namespace: fmt.Sprint("ns-", i%2), Agent: fmt.Sprint("agent-", c), Key: fmt.Sprint("key-", (n+i)%7)}, Tombstone: (n+i)%11 == 0}
			if !w.Tombstone {
				w.Value = fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, n, n%500, 0)
			}
			writes = append(writes, w)
		}
		l.pause.RLock()
		res, err := l.e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("client-%d-%d", c, n)), writes, engine.Conditions{})
		l.pause.RUnlock()
		if err != nil {
			l.t.Error(err)
			return
		}
		l.mu.Lock()
		l.made[res.CommitTS] = writes
		l.mu.Unlock()
		time.Sleep(500 * time.Microsecond)
	}
}

// at is the state after a commit.
func (l *load) at(ts engine.CommitTS) map[engine.RecordName]string {
	state := make(map[engine.RecordName]string)
	for at := engine.CommitTS(1); at <= ts; at++ {
		l.mu.Lock()
		writes, known := l.made[at]
		l.mu.Unlock()
		if !known { // answered, and not taken down yet
			time.Sleep(time.Millisecond)
			at--
			continue
		}
		for _, w := range writes {
			state[w.Name] = string(w.Value)
		}
	}
	return state
}

func (l *load) put(path string, data []byte) {
	l.t.Helper()
	fs := l.env.FS
	err := fs.MkdirAll(fs.PathDir(path), 0o700)
	if err == nil {
		f, cerr := fs.Create(path, "test")
		if err = cerr; err == nil {
			_, err = f.Write(data)
			err = errors.Join(err, f.Sync(), f.Close())
		}
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *load) compare(dir string, ts int) {
	l.t.Helper()
	e, err := engine.Open(l.env, engine.Options{Dir: dir, MustExist: true, Tuning: tuning})
	if err != nil {
		l.t.Fatal(err)
	}
	defer e.Close()
	if int(e.Published()) != ts {
		l.t.Fatalf("the store ends at commit %d, want %d", e.Published(), ts)
	}
	snap, err := e.Snapshot(engine.At{})
	if err != nil {
		l.t.Fatal(err)
	}
	got := make(map[engine.RecordName]string)
	want := l.at(engine.CommitTS(ts))
	for name := range maps.Clone(want) { // each on its own: order cannot matter
		rec, err := snap.Get(name)
		if err != nil {
			l.t.Fatal(err)
		}
		got[name] = string(rec.Value)
	}
	if !maps.Equal(got, want) {
		l.t.Fatalf("the store at commit %d is %v, want %v", ts, got, want)
	}
}
