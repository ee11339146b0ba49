package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestActsArePaced: while others commit, an act on many keys is carried out no faster than what pieces that give way
// may write, yet it goes on, also after the clock was set back; when nobody waits it is carried out at once.
func TestActsArePaced(t *testing.T) {
	const keys = 256
	_, e, ms := openSmall(t, vfs.NewMem(), 512)
	defer e.Close()
	now := time.UnixMilli(*ms)
	e.env.Now = func() time.Time { now = now.Add(20 * time.Microsecond); return now } // steps take no time beside pauses
	deleted := func(agent string) *rangeAct {
		for i := range keys {
			do(t, e, putOf(agent, fmt.Sprintf("%s%03d", strings.Repeat("k", 400), i), 0))
		}
		do(t, e, evalOf(agent, "", DeletePrefix{}))
		g := e.db.acts.get(AgentName{Namespace: "default", Agent: agent})
		if g == nil {
			t.Fatal("the delete is no act")
		}
		return g
	}
	others := func(g *rangeAct) (still *rangeAct) {
		do(t, e, putOf("other", "k", 0))
		return e.db.acts.get(g.agent)
	}

	g := deleted("a")
	began, pieces := now, 0
	for last := ""; g != nil; g = others(g) {
		if g.done != last {
			last, pieces = g.done, pieces+1
		}
		if now.Sub(began) > time.Minute {
			t.Fatalf("after a minute it is carried out up to %.10q", g.done)
		}
	}
	const written = keys * 400 * 3 / 4 // bytes between the first piece and the last, at least
	if took := now.Sub(began); took < written*time.Second/pacedBytes || took > time.Second || pieces < 4 {
		t.Errorf("more than %d bytes were written in %v, in %d pieces", written, took, pieces)
	}

	g = deleted("b")
	for g.done == "" {
		g = others(g)
	}
	now = now.Add(-time.Hour)
	for done, n := g.done, 0; g != nil && g.done == done; n++ {
		if g = others(g); n > 20 {
			t.Fatal("when the clock is set back it waits until it is where it was")
		}
	}

	deleted("c")
	before := now
	e.Tick()
	for e.Step() {
	}
	if g := e.db.acts.first(); g != nil || now.Sub(before) > written*time.Second/pacedBytes/2 {
		t.Errorf("when nobody waits it takes %v, and is carried out up to %v", now.Sub(before), g)
	}
}
