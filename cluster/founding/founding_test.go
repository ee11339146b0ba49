package founding_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"statehouse.dev/statehouse/cluster/founding"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
)

const dir = "/data"

var members = []string{"a:1", "b:1", "c:1"}

func env(fs vfs.FS) engine.Env {
	rng := rand.NewChaCha8([32]byte{1})
	return engine.Env{
		FS: fs, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Rand: func(b []byte) { _, _ = rng.Read(b) },
		Await: func(context.Context, <-chan struct{}) error { return nil }, Halt: func(error) {},
	}
}

func options() engine.Options {
	return engine.Options{Dir: dir, Tuning: engine.Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20, ManualCompaction: true}, Limits: engine.Limits{DiskReserve: 1}}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// founded is a directory that has founded a cluster, on a store with a few commits.
func founded(t *testing.T) (vfs.FS, *founding.Identity) {
	t.Helper()
	fs := vfs.NewMem()
	var e *engine.Engine
	stepping := env(fs)
	stepping.Await = func(_ context.Context, answered <-chan struct{}) error { // who waits steps
		e.Step()
		<-answered
		return nil
	}
	var err error
	e, err = engine.Open(stepping, options())
	ok(t, err)
	for i := range 20 {
		_, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", i)), []engine.Write{{Name: engine.RecordName{Agent: "a", Key: fmt.Sprint(i)}, Value: []byte(`{"n":1}`)}}, engine.Conditions{})
		ok(t, err)
	}
	ok(t, e.Close())
	id, err := founding.Found(env(fs), options(), members, "a:1")
	ok(t, err)
	return fs, id
}

// keeper is a Source that asks the first member.
type keeper struct {
	*founding.Initial
	addr string
	torn bool // each file breaks off once in its middle
	of   map[string]bool
}

func newKeeper(t *testing.T, fs vfs.FS, id *founding.Identity, addr string) *keeper {
	t.Helper()
	i, err := founding.OpenInitial(fs, dir, id)
	if err != nil || i == nil {
		t.Fatal(err, "no store is laid by")
	}
	return &keeper{Initial: i, addr: addr, of: map[string]bool{}}
}

func (k *keeper) Join(_ context.Context, directory string) (*clusterpb.JoinResponse, error) {
	return k.Claim(k.addr, directory)
}

func (k *keeper) Fetch(_ context.Context, _ *clusterpb.JoinResponse, name string, offset uint64) (io.ReadCloser, error) {
	f, err := k.Open(name, offset)
	if err != nil || !k.torn || k.of[name] {
		return f, err
	}
	k.of[name] = true
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, 7), f}, nil
}

func (k *keeper) Copy(context.Context, *clusterpb.JoinResponse, string) error {
	return errors.New("nobody was added")
}

// chain is where a store's log ends.
func chain(t *testing.T, fs vfs.FS, at string) string {
	t.Helper()
	r, err := engine.Verify(env(fs), at, nil)
	ok(t, err)
	return fmt.Sprint(r.StoreID, r.Commits, r.ChainHash)
}

// TestJoin: who joins has the store of who founded, though every file breaks off on the way, and says who it is.
func TestJoin(t *testing.T) {
	fs, id := founded(t)
	k := newKeeper(t, fs, id, "b:1")
	k.torn = true
	to := vfs.NewMem()
	got, err := founding.Join(context.Background(), env(to), dir, k)
	ok(t, err)
	read, err := founding.Read(to, dir)
	ok(t, err)
	for _, is := range []*founding.Identity{got, read} {
		if is == nil || is.Cluster != id.Cluster || is.ID != 2 || is.Addr() != "b:1" || len(is.Members) != 3 {
			t.Errorf("it is %+v", is)
		}
	}
	if a, b := chain(t, fs, dir), chain(t, to, dir); a != b {
		t.Errorf("the store is %s, and was %s", b, a)
	}
	if _, err := founding.Join(context.Background(), env(to), dir, k); !errors.Is(err, engine.ErrUnusable) {
		t.Errorf("a member joins again: %v", err)
	}
}

// TestJoinInterrupted ends the machine at every disk operation of a join. What is there after is no member yet, or
// one that is whole; and the same directory joins again.
func TestJoinInterrupted(t *testing.T) {
	fs, id := founded(t)
	want := chain(t, fs, dir)
	whole := 0
	for at := 1; ; at++ {
		disk := vfs.NewCrashableMem()
		n := 0
		var after vfs.FS
		broken := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if n++; n == at {
				after = disk.CrashClone(vfs.CrashCloneCfg{})
			}
			if n >= at {
				return errors.New("the machine is off")
			}
			return nil
		}))
		k := newKeeper(t, fs, id, "c:1")
		if _, err := founding.Join(context.Background(), env(broken), dir, k); err == nil {
			if at < 50 {
				t.Errorf("a join has %d disk operations", at)
			}
			break
		} else if after == nil {
			t.Fatal(err)
		}
		got, err := founding.Read(after, dir)
		ok(t, err)
		if got != nil {
			whole++
		} else if _, err = founding.Join(context.Background(), env(after), dir, k); err != nil && !errors.Is(err, founding.ErrTaken) {
			t.Fatalf("operation %d: %v", at, err)
		} else if errors.Is(err, founding.ErrTaken) {
			t.Fatalf("operation %d: the directory is not known any more", at)
		}
		if got := chain(t, after, dir); got != want {
			t.Fatalf("operation %d: the store is %s, and was %s", at, got, want)
		}
		ok(t, fs.Remove("/data/initial/claims"))
	}
	if whole == 0 {
		t.Error("no directory was whole before the end")
	}
}

// TestClaims: a member is given to one directory, whatever asks later, also of a keeper that was started again.
func TestClaims(t *testing.T) {
	fs, id := founded(t)
	for range 2 {
		k := newKeeper(t, fs, id, "")
		for range 2 {
			r, err := k.Claim("b:1", "one")
			ok(t, err)
			if r.GetId() != 2 || r.GetKeeper() != 1 || len(r.GetFiles()) < 5 {
				t.Errorf("member 2 is given %v", r)
			}
		}
		if _, err := k.Claim("b:1", "other"); !errors.Is(err, founding.ErrTaken) {
			t.Errorf("member 2 is given to a second directory: %v", err)
		}
		for _, addr := range []string{"a:1", "d:1", ""} {
			if _, err := k.Claim(addr, "other"); err == nil {
				t.Errorf("%q is given a member", addr)
			}
		}
	}
	k := newKeeper(t, fs, id, "")
	for _, name := range []string{"../CLUSTER", "CLUSTER", "store/../../CLUSTER", "claims", ""} {
		if _, err := k.Open(name, 0); err == nil {
			t.Errorf("%q is sent", name)
		}
	}
	ok(t, k.Remove())
	if i, err := founding.OpenInitial(fs, dir, id); i != nil || err != nil {
		t.Errorf("the copy is there after it was removed: %v, %v", i, err)
	}
}

// TestJoinRefuses: what comes is held to what was announced, and nothing is written elsewhere.
func TestJoinRefuses(t *testing.T) {
	fs, id := founded(t)
	for what, change := range map[string]func(*clusterpb.JoinResponse){ // in any order
		"another digest":       func(r *clusterpb.JoinResponse) { r.Files[0].Sha256 = bytes.Repeat([]byte{1}, 32) },
		"another size":         func(r *clusterpb.JoinResponse) { r.Files[0].Size-- },
		"a name of elsewhere":  func(r *clusterpb.JoinResponse) { r.Files[0].Name = "store/../../elsewhere" },
		"no member":            func(r *clusterpb.JoinResponse) { r.Id = 0 },
		"a store with a hole":  func(r *clusterpb.JoinResponse) { r.Files = r.Files[1:] },
		"a name with two ends": func(r *clusterpb.JoinResponse) { r.ClusterId = "x\nid 3" },
	} {
		to := vfs.NewMem()
		k := newKeeper(t, fs, id, "b:1")
		if _, err := founding.Join(context.Background(), env(to), dir, changed{k, change}); err == nil {
			t.Errorf("%s is taken", what)
		}
		if got, err := founding.Read(to, dir); got != nil || err != nil {
			t.Errorf("%s makes a member: %v, %v", what, got, err)
		}
		ok(t, fs.Remove("/data/initial/claims"))
	}
	full := vfs.NewMem()
	ok(t, full.MkdirAll(dir, 0o700))
	f, err := full.Create(dir+"/diary", vfs.WriteCategoryUnspecified)
	ok(t, err)
	ok(t, f.Close())
	if _, err := founding.Join(context.Background(), env(full), dir, newKeeper(t, fs, id, "b:1")); !errors.Is(err, engine.ErrUnusable) || !strings.Contains(err.Error(), "diary") {
		t.Errorf("a directory with something in it joins: %v", err)
	}
}

type changed struct {
	*keeper
	change func(*clusterpb.JoinResponse)
}

func (c changed) Join(ctx context.Context, directory string) (*clusterpb.JoinResponse, error) {
	r, err := c.keeper.Join(ctx, directory)
	if err == nil {
		copied := &clusterpb.JoinResponse{ClusterId: r.ClusterId, Id: r.Id, Members: r.Members, Keeper: r.Keeper}
		for _, f := range r.Files {
			copied.Files = append(copied.Files, &clusterpb.StoreFile{Name: f.Name, Size: f.Size, Sha256: f.Sha256})
		}
		c.change(copied)
		return copied, nil
	}
	return r, err
}

// TestIdentities: a file that says who a directory is is as it was written, or refused.
func TestIdentities(t *testing.T) {
	fs, id := founded(t)
	got, err := founding.Read(fs, dir)
	if err != nil || got.ID != 1 || got.Cluster != id.Cluster {
		t.Fatalf("%+v, %v", got, err)
	}
	f, err := fs.Open("/data/CLUSTER")
	ok(t, err)
	text, err := io.ReadAll(f)
	ok(t, err)
	for i := range text {
		other := bytes.Clone(text)
		other[i] ^= 1
		w, err := fs.Create("/data/CLUSTER", vfs.WriteCategoryUnspecified)
		ok(t, err)
		_, err = w.Write(other)
		ok(t, errors.Join(err, w.Close()))
		if got, err := founding.Read(fs, dir); err == nil {
			t.Errorf("with another byte %d it is %+v", i, got)
		}
	}
}
