package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// forkedStore is a store in tables, with a fork that has nothing of its own yet.
func forkedStore(t *testing.T, keys int) *simdisk.Disk {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	for i := range keys {
		p.transact(t, fmt.Sprint("1-", i), nil, putBig("a", fmt.Sprintf("k%02d", i), 3000))
	}
	p.fork(t, "f", "b", "a", engine.At{})
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestForksAndReadFaults: what cannot be read for a moment is not taken for what is not there. So nothing is erased
// of which a fork has something, and a fork is not said to be whole that is not.
func TestForksAndReadFaults(t *testing.T) {
	simtest.Serial(t)
	const keys = 40
	base := forkedStore(t, keys)
	refused, failed := 0, 0
	for nth := 1; nth <= 60; nth++ {
		d, clock := base.Clone(), &rigClock{}
		clock.ms.Store(1_000_000)
		p := newProcess(d, clock, nil)
		ok(t, p.open())
		arm(t, d, fmt.Sprintf("read-error file=sstable nth=%d count=1", nth))
		if nth%2 == 0 {
			err := p.Erase(context.Background(), engine.Erasure{Agent: "a", Key: "k07"}, func(engine.ErasureProgress) error { return nil })
			switch {
			case errors.Is(err, engine.ErrPrecondition):
				refused++
			case err == nil:
				t.Errorf("fault %d: it is erased, and a fork has it", nth)
			default:
				failed++
			}
		} else {
			_, _ = p.SetRetention(context.Background(), engine.Retention{MaxVersions: 1})
			for i := range keys {
				_, _ = p.Transact(context.Background(), engine.TxnID(fmt.Sprint("2-", i)), []engine.Write{putBig("a", fmt.Sprintf("k%02d", i), 3000)}, engine.Conditions{})
			}
			p.chores()
			failed += len(d.Injected())
		}
		_ = p.Close()
		d.Heal()
		p = newProcess(d, clock, nil)
		ok(t, p.open())
		p.chores()
		for i := range keys {
			if rec, err := p.GetVersion(name("b", fmt.Sprintf("k%02d", i)), 1); err != nil || len(rec.Value) < 3000 {
				t.Errorf("fault %d: of the fork k%02d has %d bytes, %v", nth, i, len(rec.Value), err)
			}
		}
		ok(t, p.Close())
		if _, err := verifyOn(d); err != nil {
			t.Errorf("fault %d: %v", nth, err)
		}
	}
	if t.Logf("%d refused, %d failed", refused, failed); refused == 0 || failed < 5 {
		t.Errorf("%d were refused, %d failed: it shows nothing", refused, failed)
	}
	p := openOn(t, base.Clone(), &rigClock{})
	if _, err := p.Inheritors(context.Background(), engine.Erasure{Agent: "a\x00b"}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("the forks of what is no agent: %v", err)
	}
	ok(t, p.Close())
}
