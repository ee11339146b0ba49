package member_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/cluster/member"
	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

const dir = "/data"

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func options() engine.Options {
	return engine.Options{Dir: dir, Tuning: engine.Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20, ManualCompaction: true}, Limits: engine.Limits{DiskReserve: 1 << 20}}
}

func envOn(t *testing.T, disk *simdisk.Disk, await func(<-chan struct{}) error) engine.Env {
	rng := rand.NewChaCha8([32]byte{1})
	return engine.Env{
		FS: disk, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Rand: func(b []byte) { _, _ = rng.Read(b) },
		Await: func(_ context.Context, ready <-chan struct{}) error { return await(ready) },
		Halt:  func(err error) { t.Errorf("halted: %v", err) },
	}
}

// lone drives the only member of a cluster by hand.
type lone struct {
	node *node.Node
	cut  bool // what is stored stays unanswered, and is not applied
}

var errCut = errors.New("the machine is off")

func (l *lone) await(ready <-chan struct{}) error {
	for {
		select {
		case <-ready:
			return nil
		default:
		}
		_, appends, err := l.node.Work()
		if err == nil {
			err = l.node.Store(appends)
		}
		if err != nil || l.cut && len(appends) > 0 {
			return errors.Join(err, errCut)
		}
		l.node.Stored(appends)
		l.node.Tick()
	}
}

func (l *lone) commit(t *testing.T, e *engine.Engine, n int) error {
	_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", n)), []engine.Write{{Name: engine.RecordName{Agent: "a", Key: fmt.Sprint(n % 5)}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}}, engine.Conditions{})
	return err
}

// left is the disk of a member that has founded a cluster of so many and was alone in it, as its machine went off: the
// commits are in its log, and the last of them, if not all, not in its store.
func left(t *testing.T, members ...string) *simdisk.Disk {
	t.Helper()
	disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	l := &lone{}
	env := envOn(t, disk, l.await)
	id, err := founding.Found(env, options(), members, members[0])
	ok(t, err)
	o := options()
	o.Replicated = true
	e, err := engine.Open(env, o)
	ok(t, err)
	l.node, err = node.Open(node.Config{ID: 1, Members: id.Founders()[:1], Engine: e, FS: disk, Dir: dir + "/raft", Rand: env.Rand, Halt: env.Halt})
	ok(t, err)
	for !l.node.Leads() {
		l.node.Tick()
		_, appends, err := l.node.Work()
		ok(t, errors.Join(err, l.node.Store(appends)))
		l.node.Stored(appends)
	}
	for n := range 20 {
		ok(t, l.commit(t, e, n))
	}
	l.cut = true
	if err := l.commit(t, e, 20); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	off := disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	ok(t, errors.Join(l.node.Close(), e.Close()))
	return off
}

// alone holds that a disk has the store of one machine, with all that was in the log, and that it founds a cluster.
func alone(t *testing.T, disk *simdisk.Disk, what string) {
	t.Helper()
	env := envOn(t, disk, func(<-chan struct{}) error { return errCut })
	r, err := engine.Verify(env, dir, nil)
	if err != nil || r.Commits != 21 || r.Lost != 0 {
		t.Fatalf("%s: %+v, %v", what, r, err)
	}
	if id, err := founding.Read(disk, dir); id != nil || err != nil {
		t.Errorf("%s: it is %v, %v", what, id, err)
	}
	names, err := disk.List(dir)
	ok(t, err)
	for _, name := range names {
		switch name {
		case "STATEHOUSE", "store", "witness", "LOCK", "ballast":
		default:
			t.Errorf("%s: %s is left over", what, name)
		}
	}
	e, err := engine.Open(env, options())
	ok(t, err)
	rows, err := e.SystemRows("raft", "", 0)
	if err != nil || len(rows) > 0 {
		t.Errorf("%s: the store has %v of a log, %v", what, rows, err)
	}
	ok(t, e.Close())
	id, err := founding.Found(env, options(), []string{"x:1"}, "x:1")
	ok(t, err)
	m, err := member.Examine(env, options())
	if err != nil || m.Identity.Cluster != id.Cluster || m.Commits != 21 || m.Status.Applied != 1 {
		t.Errorf("%s: a cluster that is founded on it is %+v, %v", what, m, err)
	}
}

// TestLeave: a member's directory becomes that of one machine, with what was in the log and not in the store; not while
// others may have more, and not while it is open.
func TestLeave(t *testing.T) {
	disk := left(t, "a:1", "b:1", "c:1")
	env := envOn(t, disk, func(<-chan struct{}) error { return errCut })
	m, err := member.Examine(env, options())
	ok(t, err)
	if m.Others() != 0 || m.Commits > 20 || m.Status.Last <= m.Status.Applied || m.Status.LastTerm == 0 {
		t.Errorf("it stands at %+v", m)
	}
	o := options()
	o.Replicated = true
	e, err := engine.Open(env, o)
	ok(t, err)
	if _, err := member.Leave(env, options(), true); !errors.Is(err, engine.ErrLocked) {
		t.Errorf("while it is open: %v", err)
	}
	ok(t, e.Close())
	if _, err := member.Leave(env, options(), false); err != nil {
		t.Error(err)
	}
	alone(t, disk, "a member that left")
	if _, err := member.Leave(envOn(t, simdisk.NewDisk(simdisk.DiskOptions{}), nil), options(), true); !errors.Is(err, engine.ErrUnusable) {
		t.Errorf("a directory that is none's: %v", err)
	}
}

// TestLeaveNewest: where others vote, whoever asks must know that they have no more.
func TestLeaveNewest(t *testing.T) {
	disk := simdisk.NewDisk(simdisk.DiskOptions{Seed: 2})
	env := envOn(t, disk, func(<-chan struct{}) error { return errCut })
	_, err := founding.Found(env, options(), []string{"a:1", "b:1", "c:1"}, "b:1")
	ok(t, err)
	_, err = member.Examine(env, options()) // its log is made
	ok(t, err)
	m, err := member.Leave(env, options(), false)
	if !errors.Is(err, member.ErrNotNewest) || m.Others() != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if id, err := founding.Read(disk, dir); err != nil || id == nil || id.Leaving {
		t.Errorf("it is %+v, %v", id, err)
	}
	if _, err := member.Leave(env, options(), true); err != nil {
		t.Error(err)
	}
	if id, err := founding.Read(disk, dir); id != nil || err != nil {
		t.Errorf("it is %+v, %v", id, err)
	}
}

// TestLeaveInterrupted turns the machine off at many operations of the disk. What is there after is still a member's, or
// says that it leaves, or is the store of one machine; and leaving again ends in the same.
func TestLeaveInterrupted(t *testing.T) {
	simtest.Serial(t)
	began := left(t, "a:1")
	none := func(<-chan struct{}) error { return errCut }
	run := func(at int, o simdisk.CrashOptions) (after *simdisk.Disk, ops int) {
		disk := began.Clone()
		var mu sync.Mutex // Pebble has goroutines of its own
		disk.OnOp(func(op simdisk.Op) {
			if op.Kind == simdisk.OpRead || op.Kind == simdisk.OpOpen {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ops++; ops == at {
				after = disk.Crash(o)
			}
		})
		_, err := member.Leave(envOn(t, disk, none), options(), false)
		ok(t, err)
		mu.Lock()
		defer mu.Unlock()
		return after, ops
	}
	_, all := run(0, simdisk.CrashOptions{})
	stride := 3
	if testing.Short() {
		stride = 29
	}
	seen := map[string]int{}
	for at := 1; at <= all; at += stride {
		for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll} {
			what := fmt.Sprintf("off at operation %d of %d, %v", at, all, mode)
			disk, _ := run(at, simdisk.CrashOptions{Mode: mode, Seed: uint64(at)})
			if disk == nil {
				continue
			}
			id, err := founding.Read(disk, dir)
			ok(t, err)
			switch env := envOn(t, disk, none); {
			case id == nil:
				seen["left"]++
			case id.Leaving:
				seen["leaves"]++
				if _, err := engine.Open(env, options()); !errors.Is(err, engine.ErrUnusable) {
					t.Errorf("%s: one machine opens it: %v", what, err)
				}
			default:
				seen["member"]++
			}
			if id != nil {
				if _, err := member.Leave(envOn(t, disk, none), options(), false); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			alone(t, disk, what)
		}
	}
	if len(seen) != 3 {
		t.Errorf("of the ends of %d operations there were %v", all, seen)
	}
}
