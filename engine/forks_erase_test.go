package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

func (p *process) fork(t *testing.T, id, agent, parent string, at engine.At) engine.CommitTS {
	t.Helper()
	return p.transact(t, id, nil, forkOf(agent, parent, at)).CommitTS
}

// TestEraseReachesForks: what is erased of an agent is shown by no fork, nor by a fork of one, and
// nothing is erased while that is not asked for.
func TestEraseReachesForks(t *testing.T) {
	for _, key := range []string{"", "k"} {
		d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
		p := openOn(t, d, clock)
		for i := range 3 {
			p.transact(t, fmt.Sprint("one-", i), map[string]string{"who": "alice"}, secret("a", "k", i), secret("a", "other", i))
		}
		p.fork(t, "f1", "b", "a", engine.At{})
		p.transact(t, "own", nil, secret("b", "mine", 1))
		p.fork(t, "f2", "c", "b", engine.At{})
		p.transact(t, "own2", nil, secret("c", "k", 7))
		x := engine.Erasure{Agent: "a", Key: key}
		nothing := func(engine.ErasureProgress) error { return nil }
		if err := p.Erase(context.Background(), x, nothing); !errors.Is(err, engine.ErrPrecondition) {
			t.Fatalf("an agent with forks is erased: %v", err)
		}
		x.Forks = true
		would, err := p.PreviewErasure(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		if did := p.erase(t, x); did.Values != would.Values || did.Keys != would.Keys {
			t.Errorf("erased %+v, of %+v", did, would)
		}
		for _, agent := range []string{"a", "b", "c"} {
			for v := range engine.Version(3) {
				if rec, err := p.GetVersion(name(agent, "k"), v+1); !errors.Is(err, engine.ErrErased) {
					t.Errorf("version %d of %q: %+v, %v", v+1, agent, rec, err)
				}
			}
			rec, err := p.at(t).Get(name(agent, "k"))
			if err != nil || rec.Exists {
				t.Errorf("k of %q is %+v, %v", agent, rec, err)
			}
			rec, err = p.at(t).Get(name(agent, "other"))
			if err != nil || rec.Exists != (key != "") {
				t.Errorf("other of %q is %+v, %v", agent, rec, err)
			}
		}
		if err := p.CompactAll(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if files := found(t, d, "hunter-a-k"); len(files) > 0 {
			t.Errorf("values are found: %v", files)
		}
		if _, err := verifyOn(d); err != nil {
			t.Errorf("verify: %v", err)
		}
	}
}

// TestErasedInTheStepOfAFork: an erasure that is begun in the very step in which its agent is forked, or a fork of it,
// reaches no fork that nobody knew of: it is refused.
func TestErasedInTheStepOfAFork(t *testing.T) {
	for _, parent := range []string{"a", "f"} {
		d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
		p := openOn(t, d, &rigClock{})
		p.transact(t, "1", nil, put("a", "k", 1))
		p.fork(t, "f", "f", "a", engine.At{})
		p.transact(t, "2", nil, put("a", "since", 1)) // which f does not have
		var forked, erased error
		var wg sync.WaitGroup
		p.grouping.Store(true)
		wg.Go(func() {
			_, forked = p.Transact(context.Background(), "late", []engine.Write{forkOf("late", parent, engine.At{})}, engine.Conditions{})
		})
		<-p.waiting
		wg.Go(func() {
			erased = p.Erase(context.Background(), engine.Erasure{Agent: "a", Key: "since"}, func(engine.ErasureProgress) error { return nil })
		})
		<-p.waiting
		p.grouping.Store(false)
		p.Step()
		wg.Wait()
		if forked != nil || !errors.Is(erased, engine.ErrPrecondition) {
			t.Errorf("a fork of %s is answered %v, and the erasure of its parent %v", parent, forked, erased)
		}
		p.verified(t, d)
	}
}

func (p *process) at(t *testing.T) engine.Snapshot {
	t.Helper()
	s, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
