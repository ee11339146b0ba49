package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
	"statehouse.dev/statehouse/server/backup"
	"statehouse.dev/statehouse/sim/simdisk"
)

// rig is an engine on a simulated disk, what was committed to it, and the state after each commit.
type rig struct {
	t     testing.TB
	disk  *simdisk.Disk
	env   engine.Env
	e     *engine.Engine
	rng   *rand.Rand
	ids   int
	model []map[engine.RecordName]string // by commit_ts; "" stands for a tombstone
	times []time.Time
	ms    *atomic.Int64
	seed  uint64
	txns  []engine.TxnID // by commit_ts
}

const home = "/srv/store"

func newRig(t testing.TB, seed uint64) *rig {
	r := &rig{t: t, seed: seed, ms: new(atomic.Int64), disk: simdisk.NewDisk(simdisk.DiskOptions{}), rng: rand.New(rand.NewPCG(seed, 1)), model: []map[engine.RecordName]string{{}}, times: []time.Time{{}}, txns: []engine.TxnID{""}}
	r.env = r.envOn(r.disk)
	r.open()
	return r
}

func (r *rig) envOn(d *simdisk.Disk) engine.Env {
	rng := rand.New(rand.NewPCG(r.seed, uint64(r.ms.Load())))
	return engine.Env{
		FS:  d,
		Now: func() time.Time { return time.UnixMilli(1_800_000_000_000 + r.ms.Add(7)).UTC() },
		Rand: func(p []byte) {
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
		},
		Await: func(ctx context.Context, ready <-chan struct{}) error {
			for {
				select {
				case <-ready:
					return nil
				default:
				}
				if !r.e.Step() {
					return errors.New("nothing to do, and nobody answers")
				}
			}
		},
		Log:  func(string, ...any) {},
		Halt: func(err error) { r.t.Helper(); r.t.Log("halted:", err) },
	}
}

var tuning = engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.e, err = engine.Open(r.env, engine.Options{Dir: home, Tuning: tuning, Limits: engine.Limits{OutcomeAge: time.Second, OutcomeCount: 20}}); err != nil {
		r.t.Fatal(err)
	}
}

// commit makes n random commits.
func (r *rig) commit(n int) {
	r.t.Helper()
	for range n {
		r.ids++
		next := maps.Clone(r.model[len(r.model)-1])
		var writes []engine.Write
		for range 1 + r.rng.IntN(4) {
			name := engine.RecordName{
				Namespace: []string{"default", "other"}[r.rng.IntN(2)], Agent: fmt.Sprintf("agent-%d", r.rng.IntN(3)), Key: fmt.Sprintf("key-%d", r.rng.IntN(5)),
			}
			w := engine.Write{Name: name, Tombstone: r.rng.IntN(5) == 0}
			if !w.Tombstone {
				w.Value = fmt.Appendf(nil, `{"n":%d,"pad":%q}`, r.ids, bytes.Repeat([]byte("x"), r.rng.IntN(300)))
			}
			writes = append(writes, w)
			next[name] = string(w.Value)
		}
		id := engine.TxnID(fmt.Sprintf("txn-%d", r.ids))
		res, err := r.e.Transact(context.Background(), id, writes, engine.Conditions{Metadata: map[string]string{"n": fmt.Sprint(r.ids)}})
		if err != nil {
			r.t.Fatal(err)
		}
		if int(res.CommitTS) != len(r.model) {
			r.t.Fatalf("commit %d, want %d", res.CommitTS, len(r.model))
		}
		r.model, r.times, r.txns = append(r.model, next), append(r.times, res.CommitTime), append(r.txns, id)
	}
}

func (r *rig) write(out io.Writer, after int) backup.Written {
	r.t.Helper()
	x, err := r.e.Export(engine.CommitTS(after))
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := backup.Write(context.Background(), x, out, nil)
	if err := errors.Join(err, x.Close()); err != nil {
		r.t.Fatal(err)
	}
	return w
}

// save backs up what was committed after a commit into a file of a directory.
func (r *rig) save(dir string, after int) int {
	r.t.Helper()
	var b bytes.Buffer
	w := r.write(&b, after)
	put(r.t, r.disk, dir+"/"+segment.Name(uint64(after)+1), b.Bytes())
	return int(w.To)
}

func put(t testing.TB, d *simdisk.Disk, path string, data []byte) {
	t.Helper()
	dir := d.PathDir(path)
	if err := d.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := d.Create(path, "test")
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	for _, at := range []string{dir, d.PathDir(dir)} {
		if err == nil {
			f, err = d.OpenDir(at)
		}
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compare opens a restored store and compares it with the model at a commit.
func (r *rig) compare(dir string, ts int) {
	r.t.Helper()
	was := r.e
	defer func() { r.e = was }()
	e, err := engine.Open(r.env, engine.Options{Dir: dir, Tuning: tuning, MustExist: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.e = e
	defer e.Close()
	if got := int(e.Published()); got != ts {
		r.t.Fatalf("the store ends at commit %d, want %d", got, ts)
	}
	for _, at := range []int{ts, r.rng.IntN(ts + 1)} {
		r.compareAt(e, at)
	}
	o, err := e.Outcome(r.txns[ts])
	if err != nil || o.State != engine.TxnCommitted && int(o.Result.CommitTS) != ts && o.State != engine.TxnTooOld {
		r.t.Fatalf("the outcome of commit %d: %v, %v", ts, o, err)
	}
	// It goes on counting from there.
	res, err := e.Transact(context.Background(), "after-the-restore", []engine.Write{{Name: engine.RecordName{Agent: "new", Key: "k"}, Value: []byte("{}")}}, engine.Conditions{})
	if err != nil || int(res.CommitTS) != ts+1 {
		r.t.Fatalf("the next commit: %v, %v", res, err)
	}
}

func (r *rig) compareAt(e *engine.Engine, ts int) {
	r.t.Helper()
	at := engine.CommitTS(ts)
	snap, err := e.Snapshot(engine.At{CommitTS: &at})
	if err != nil {
		r.t.Fatal(err)
	}
	for name := range r.model[len(r.model)-1] { // each on its own: order cannot matter
		rec, err := snap.Get(name)
		if err != nil {
			r.t.Fatal(err)
		}
		want, written := r.model[ts][name]
		if got := string(rec.Value); got != want || rec.Exists != (written && want != "") {
			r.t.Fatalf("%v at commit %d is %q, want %q", name, ts, got, want)
		}
	}
}

func (r *rig) restore(o backup.RestoreOptions) (backup.Restored, error) {
	return backup.Restore(context.Background(), r.env, o)
}

// fullSweep asks for every case instead of a sample.
func fullSweep() bool { return os.Getenv("STATEHOUSE_SWEEP") == "full" }
