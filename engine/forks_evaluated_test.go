package engine_test

import (
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// of gives writes of agent a to another.
func of(agent string, writes ...engine.Write) []engine.Write {
	for i := range writes {
		writes[i].Name.Agent = agent
	}
	return writes
}

// mustTell commits writes and compares what came of them.
func mustTell(t *testing.T, w *world, want string, writes ...engine.Write) {
	t.Helper()
	r, err := w.transact(engine.Conditions{}, writes...)
	if err != nil || told(r) != want {
		t.Fatalf("%s, %v, not %s", told(r), err, want)
	}
}

// TestForkEvaluates: what is evaluated in a fork goes by what it inherited, and by nothing that its parent
// did since: at once, after a restart, and when the fork is whole.
func TestForkEvaluates(t *testing.T) {
	for _, how := range []string{"at once", "after a restart", "after a crash", "whole"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, 1, engine.Limits{})
			mustTell(t, w, `log/0000000000000001@1 log/0000000000000002@1 n@1={"n":7}`, appendTo("log/", `{"m":1}`), appendTo("log/", `{"m":2}`), increment("n", "/n", "7"))
			mustTell(t, w, `log/0000000000000003@1`, appendTo("log/", `{"m":3}`))
			mustTell(t, w, ``, deleteOf("log/0000000000000003"), writeOf("x", `{"a":1}`), deleteOf("x"), writeOf("there", `{"t":0}`))
			mustTell(t, w, `@0`, forkOf("b", "a", engine.At{}))
			mustTell(t, w, `log/0000000000000004@1 n@2={"n":107}`, appendTo("log/", `{"m":4}`), increment("n", "/n", "100"))
			switch how {
			case "after a restart":
				w.restart()
			case "after a crash":
				w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
				w.start()
			case "whole":
				w.forget(time.Minute)
			}
			mustTell(t, w, `log/0000000000000004@1`, of("b", appendTo("log/", `{}`))...)
			mustTell(t, w, `n@2={"n":8}`, of("b", increment("n", "/n", "1"))...)
			mustTell(t, w, `there@1!={"t":0} n@3={"n":9}`, of("b", ifAbsent("there", `{"t":1}`), increment("n", "/n", "1"))...)
			mustTell(t, w, `x@2`, of("b", ifAbsent("x", `{"a":2}`))...)
			mustTell(t, w, `there@2={"t":0,"u":1}`, of("b", merge("there", `{"u":1}`))...)
			mustTell(t, w, `log/0000000000000005@1`, appendTo("log/", `{}`))
			mustTell(t, w, `@0`, forkOf("c", "b", engine.At{}))
			mustTell(t, w, `log/0000000000000005@1 n@4={"n":10}`, of("c", appendTo("log/", `{}`), increment("n", "/n", "1"))...)
			w.close()
			w.verify("at the end")
		})
	}
}

// forget has the store keep nothing that is older.
func (w *world) forget(age time.Duration) {
	w.t.Helper()
	if _, err := w.SetRetention(w.t.(*testing.T).Context(), engine.Retention{MaxAge: age, MaxVersions: 1}); err != nil {
		w.t.Fatalf("%v", err)
	}
	w.until(w.clock.Add(2 * age))
}

// TestForkKeepsNoGuess: that there was nothing under a name, which the writer learnt before the agent
// became a fork, is not what it goes by then. The names are such that one begins with the other.
func TestForkKeepsNoGuess(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	for i := range 3 {
		mustTell(t, w, fmt.Sprintf("s%016d@1", i+1), appendTo("s", `{}`))
	}
	mustTell(t, w, ``, writeOf("n", `{"n":"one"}`))
	// Both are looked up in b, and nothing is written there.
	for _, prefix := range []string{"s", "sf", "s\x7ff", "sff"} {
		if _, err := w.transact(engine.Conditions{}, append(of("b", appendTo(prefix, `{}`)), increment("n", "/n", "1"))...); err == nil {
			t.Fatal("a string is incremented")
		}
	}
	mustTell(t, w, `@0`, forkOf("b", "a", engine.At{}))
	mustTell(t, w, `s0000000000000004@1`, of("b", appendTo("s", `{}`))...)
	mustTell(t, w, `sf0000000000000001@1`, of("b", appendTo("sf", `{}`))...)
	w.close()
	w.verify("at the end")
}
