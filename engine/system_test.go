package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

var background = context.Background()

func set(kind, name, body string) engine.SystemChange {
	return engine.SystemChange{Kind: kind, Name: name, Body: []byte(body)}
}

// systemState is every system row, by kind and name.
type systemState map[[2]string]string

// with is s with changes made.
func (s systemState) with(changes []engine.SystemChange) systemState {
	next := maps.Clone(s)
	for _, c := range changes {
		if c.Body == nil {
			delete(next, [2]string{c.Kind, c.Name})
		} else {
			next[[2]string{c.Kind, c.Name}] = string(c.Body)
		}
	}
	return next
}

func systemOf(t *testing.T, r engine.SystemReader) systemState {
	t.Helper()
	s := systemState{}
	for _, kind := range []string{"audit", "key"} {
		rows, err := r.SystemRows(kind, "", 0)
		ok(t, err)
		for _, row := range rows {
			s[[2]string{kind, row.Name}] = string(row.Body)
		}
	}
	return s
}

// systemScript is a run with changes of system rows, alone and in one step with commits.
func systemScript() [][]engine.SystemChange {
	script := [][]engine.SystemChange{
		{set("key", "a", "1"), set("audit", "001", "made a")},
		{set("key", "b", "2"), set("audit", "002", "made b"), set("audit", "003", string(bytes.Repeat([]byte("x"), engine.MaxSystemBody)))},
		{set("key", "a", "3"), {Kind: "audit", Name: "001"}},
		{{Kind: "key", Name: "b"}, set("audit", "004", "")},
	}
	for i := range 6 {
		script = append(script, []engine.SystemChange{set("key", fmt.Sprint("c", i), fmt.Sprint(i)), set("audit", fmt.Sprintf("%03d", 5+i), "c"), {Kind: "audit", Name: fmt.Sprintf("%03d", 2+i)}})
	}
	return script
}

// TestSystemCrashAnywhere crashes a run at every file operation: the next process finds the
// system rows as one of the updates left them, none before the last that was acknowledged and
// none after the last that was asked for, and no update by half (G1, G2).
func TestSystemCrashAnywhere(t *testing.T) {
	states := []systemState{{}}
	type shot struct {
		disk         *simdisk.Disk
		acked, tried int
	}
	var mu sync.Mutex
	var shots []shot
	acked, tried := 0, 0
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	d.OnOp(func(op simdisk.Op) {
		if changes(op) {
			mu.Lock()
			defer mu.Unlock()
			shots = append(shots, shot{d.Clone(), acked, tried})
		}
	})
	p := openOn(t, d, clock)
	s := &script{}
	for i, changes := range systemScript() {
		mu.Lock()
		tried++
		mu.Unlock()
		states = append(states, states[i].with(changes))
		ok(t, p.PutSystem(background, changes...))
		mu.Lock()
		acked++
		mu.Unlock()
		if got := systemOf(t, p); !reflect.DeepEqual(got, states[i+1]) {
			t.Fatalf("after update %d there is %v, want %v", i, got, states[i+1])
		}
		switch i % 3 {
		case 0:
			ok(t, s.commits(p, 2))
		case 1:
			ok(t, p.Flush())
		case 2:
			ok(t, p.Compact())
		}
	}
	ok(t, p.Close())
	d.OnOp(nil)
	for i, shot := range shots {
		for m, mode := range crashModes {
			if (i+m)%stride(len(crashModes)) != 0 {
				continue
			}
			d := crashed(shot.disk, mode, uint64(i))
			p := newProcess(d, clock, nil)
			if err := p.open(); err != nil {
				t.Fatalf("crash (%s) at operation %d: open: %v", mode, i, err)
			}
			got := systemOf(t, p)
			if !slices.ContainsFunc(states[shot.acked:shot.tried+1], func(s systemState) bool { return reflect.DeepEqual(s, got) }) {
				t.Errorf("crash (%s) at operation %d, with %d updates acknowledged and %d asked for, leaves %v", mode, i, shot.acked, shot.tried, got)
			}
			ok(t, p.PutSystem(background, set("key", "after", "1")))
			ok(t, p.Close())
			if r, err := verifyOn(d); err != nil || int(r.System) != len(got.with([]engine.SystemChange{set("key", "after", "1")})) {
				t.Errorf("crash (%s) at operation %d: verify: %v, %d system rows of %d", mode, i, err, r.System, len(got)+1)
			}
		}
	}
	t.Logf("%d operations", len(shots))
}

// TestSystemNoGhosts looks at system rows while the sync that makes a change durable is under
// way: readers see what was before (G4).
func TestSystemNoGhosts(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	ok(t, p.PutSystem(background, set("key", "a", "old"), set("key", "gone", "there")))
	before := systemOf(t, p)
	p.grouping.Store(true)
	done := make(chan error)
	go func() {
		done <- p.PutSystem(background, set("key", "a", "new"), set("key", "b", "new"), engine.SystemChange{Kind: "key", Name: "gone"})
	}()
	<-p.waiting
	if !p.Plan() {
		t.Fatal("the writer has nothing to do")
	}
	if got := systemOf(t, p); !reflect.DeepEqual(got, before) {
		t.Errorf("before the change is durable there is %v, want %v", got, before)
	}
	if got, err := p.System("key", "a"); err != nil || string(got) != "old" {
		t.Errorf("before the change is durable the row is %q, %v", got, err)
	}
	p.Settle()
	ok(t, <-done)
	if got, err := p.System("key", "a"); err != nil || string(got) != "new" {
		t.Errorf("after the change the row is %q, %v", got, err)
	}
	ok(t, p.Close())
}

// TestSystemUpdates puts several updates into one step. Each finds what those before it have
// changed; one that fails changes nothing.
func TestSystemUpdates(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	refused := errors.New("enough")
	var applied int
	count := engine.SystemUpdate{
		Decide: func(_ time.Time, rows engine.SystemReader) ([]engine.SystemChange, error) {
			at, err := rows.SystemRows("n", "", 0)
			if len(at) == 3 {
				return []engine.SystemChange{set("n", "too many", "")}, refused
			}
			return []engine.SystemChange{set("n", fmt.Sprint(len(at)), "")}, err
		},
		Applied: func() { applied++ },
	}
	p.grouping.Store(true)
	errs := make(chan error, 5)
	for range cap(errs) {
		go func() { errs <- p.UpdateSystem(background, count) }()
		<-p.waiting
	}
	p.Step()
	failed := 0
	for range cap(errs) {
		if err := <-errs; errors.Is(err, refused) {
			failed++
		} else {
			ok(t, err)
		}
	}
	rows, err := p.SystemRows("n", "", 0)
	ok(t, err)
	if len(rows) != 3 || failed != 2 || applied != 3 {
		t.Errorf("%d rows, %d refused, %d applied; want 3, 2, 3", len(rows), failed, applied)
	}
	if rows, err = p.SystemRows("n", "0", 1); err != nil || len(rows) != 1 || rows[0].Name != "1" {
		t.Errorf("one row after 0: %v, %v", rows, err)
	}
	ok(t, p.Close())
}

func TestSystemRefusals(t *testing.T) {
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
	for _, c := range []engine.SystemChange{
		set("", "a", ""), set("a", "", ""), set("a\x00b", "c", ""), set("a", "b\x00c", ""), set("a", string(make([]byte, 2000)), ""),
		{Kind: "a", Name: "b", Body: make([]byte, engine.MaxSystemBody+1)},
	} {
		if err := p.PutSystem(background, set("ok", "ok", "ok"), c); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q %q: %v", c.Kind, c.Name, err)
		}
	}
	if body, err := p.System("ok", "ok"); body != nil || err != nil {
		t.Errorf("an update that was refused has changed %q, %v", body, err)
	}
	// Rows of a kind, and of no other whose name begins with it.
	ok(t, p.PutSystem(background, set("a", "1", ""), set("ab", "2", ""), set("b", "3", "")))
	rows, err := p.SystemRows("a", "", 0)
	if err != nil || len(rows) != 1 || rows[0].Name != "1" || rows[0].Body == nil {
		t.Errorf("rows of kind a: %v, %v", rows, err)
	}
	ok(t, p.Close())
	if err := p.PutSystem(background, set("a", "1", "")); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}
