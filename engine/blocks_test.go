package engine_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// TestDamagedLargeValue: a bit of a value of 1 MiB is wrong. Each way to it answers
// that there is damage (G8), in our words, and without a search that takes half a
// minute (G9): all of them together stay far below one.
func TestDamagedLargeValue(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	s := &script{}
	big := putBig("ann", "big", 1<<20-100)
	ok(t, s.commit(p, big))
	ok(t, s.chatter(p, 20))
	ok(t, p.Compact())
	ok(t, p.Close())
	table := newest(t, d, simdisk.ClassSSTable)
	content, err := d.ReadFile(table.Path)
	ok(t, err)
	at := bytes.Index(content, big.Value[len(big.Value)-64:])
	if at < 0 {
		t.Fatal("the value is not in the table")
	}
	ok(t, d.FlipBit(table.Path, int64(at)-700_000, 3))

	started := time.Now()
	newest := modelVersion{ts: 1, op: engine.EventOp{Name: big.Name, Version: 1, Value: big.Value}}
	for _, a := range asksFor(t, newest, s.attempts[0])[:5] {
		p := newProcess(d.Clone(), &rigClock{}, nil)
		ok(t, p.open())
		_, err := a.ask(p)
		if !errors.Is(err, engine.ErrDataLoss) {
			t.Errorf("%s answered %v", a.what, err)
		} else if text := err.Error(); strings.Contains(text, rigDir) || strings.Contains(text, "pebble") || strings.Contains(text, "carrier") {
			t.Errorf("%s answered in words that are not ours: %q", a.what, text)
		}
		wantKind(t, "health after "+a.what, p.Healthy(), engine.ErrDataLoss)
		_ = p.Close()
	}
	if _, err := verifyOn(d.Clone()); !errors.Is(err, engine.ErrDataLoss) {
		t.Errorf("verify answered %v", err)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("G9: it took %v", took)
	}
}
