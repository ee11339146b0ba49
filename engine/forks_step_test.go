package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// inOneStep has requests planned in one step, in their order.
func (p *process) inOneStep(t *testing.T, requests ...[]engine.Write) []error {
	t.Helper()
	errs := make([]error, len(requests))
	var wg sync.WaitGroup
	p.grouping.Store(true)
	for i, ws := range requests {
		wg.Go(func() {
			_, errs[i] = p.Transact(context.Background(), engine.TxnID(fmt.Sprintf("step-%d-%d", p.Published(), i)), ws, engine.Conditions{})
		})
		<-p.waiting
	}
	p.grouping.Store(false)
	for p.Step() {
	}
	wg.Wait()
	return errs
}

// TestForkInOneStep: a fork has what was committed before it in its step, and what is committed
// after it in that step finds what it inherited.
func TestForkInOneStep(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.transact(t, "1", nil, put("a", "k", 1))
	zero := engine.Version(0)
	unless := put("b", "k", 9)
	unless.Expected = &zero
	errs := p.inOneStep(t, []engine.Write{put("a", "k", 2)}, []engine.Write{forkOf("b", "a", engine.At{})}, []engine.Write{put("a", "k", 3)},
		[]engine.Write{unless}, []engine.Write{put("b", "k", 4)}, []engine.Write{forkOf("c", "b", engine.At{})})
	for i, err := range errs {
		if (i == 3) != errors.Is(err, engine.ErrPrecondition) || i != 3 && err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	at := p.at(t)
	rec, err := at.Get(name("b", "k"))
	if err != nil || rec.Version != 3 || string(rec.Value) != string(put("b", "k", 4).Value) {
		t.Errorf("the fork has %d %s, %v", rec.Version, rec.Value, err)
	}
	if rec, err = p.GetVersion(name("b", "k"), 2); err != nil || string(rec.Value) != string(put("a", "k", 2).Value) {
		t.Errorf("the fork inherited %s, %v", rec.Value, err)
	}
	if rec, err = at.Get(name("c", "k")); err != nil || rec.Version != 3 {
		t.Errorf("the fork of the fork has %d, %v", rec.Version, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestForkOfWhatWasLookedFor: that a key of the fork was looked for before there was a fork, by a
// reader and by the writer, is forgotten.
func TestForkOfWhatWasLookedFor(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	p.transact(t, "1", nil, put("a", "k", 1), put("a", "m/0000000000000007", 1))
	if rec, err := p.at(t).Get(name("b", "k")); err != nil || rec.Exists {
		t.Fatal(rec, err)
	}
	one := engine.Version(1)
	w := put("b", "k", 1)
	w.Expected = &one
	if _, err := p.Transact(context.Background(), "2", []engine.Write{w}, engine.Conditions{}); !errors.Is(err, engine.ErrPrecondition) {
		t.Fatal(err)
	}
	p.fork(t, "f", "b", "a", engine.At{})
	if rec, err := p.at(t).Get(name("b", "k")); err != nil || rec.Version != 1 {
		t.Errorf("%+v, %v", rec, err)
	}
	if r := p.transact(t, "3", nil, put("b", "k", 2)); r.Versions[0].Version != 2 {
		t.Errorf("%+v", r)
	}
	if r := p.transact(t, "4", nil, engine.Write{Name: name("b", "m/"), Value: []byte(`{}`), Eval: engine.Append{}}); r.Versions[0].Name.Key != "m/0000000000000008" {
		t.Errorf("%+v", r)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestForkOfManyIsCopied: what takes many pieces to copy is whole only after the last.
func TestForkOfManyIsCopied(t *testing.T) {
	simtest.Serial(t)
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	const keys = 2000
	var ws []engine.Write
	for i := range keys {
		ws = append(ws, put("a", fmt.Sprintf("k/%04d", i), i))
	}
	p.transact(t, "1", nil, ws...)
	p.fork(t, "f", "b", "a", engine.At{})
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxVersions: 1}); err != nil {
		t.Fatal(err)
	}
	p.transact(t, "2", nil, ws...)
	for p.Tick(); p.Step(); {
		recs, _, err := p.at(t).Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: "b"}})
		if err != nil || len(recs) != keys {
			t.Fatalf("%d records, %v", len(recs), err)
		}
	}
	for _, key := range []string{"k/0000", "k/1999"} {
		if rec, err := p.GetVersion(name("a", key), 1); !errors.Is(err, engine.ErrOutOfRange) {
			t.Errorf("the parent's version 1 is %+v, %v", rec, err)
		}
		if _, err := p.GetVersion(name("b", key), 1); err != nil {
			t.Error(err)
		}
	}
	p.verified(t, d)
}
