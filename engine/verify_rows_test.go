package engine

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/sim/simtest"
)

// richStore makes a store with rows of every kind that acts, forks and holds make. Its chores get so many steps:
// of an act and of a copy there are some keys by then.
func richStore(t *testing.T, fs vfs.FS, steps int) Env {
	t.Helper()
	env, e, ms := openSmall(t, fs, 2)
	for range 2 {
		do(t, e, putOf("f0", "a", 0), putOf("f0", "b", 0), putOf("f0", "c", 0))
	}
	do(t, e, Write{Name: RecordName{Namespace: "default", Agent: "f0", Key: "c"}, Tombstone: true})
	for i := range deepFork + 1 {
		child := fmt.Sprint("f", i+1)
		do(t, e, evalOf(child, "", Fork{Parent: fmt.Sprint("f", i)}))
		do(t, e, putOf(child, "a", 0), putOf(child, "own", 0))
	}
	do(t, e, putOf("t", "goes", time.Second), putOf("t", "stays", time.Hour), putOf("t", "refreshed", time.Hour))
	l := do(t, e, evalOf("l", "lapses", Acquire{Holder: "x", TTL: time.Second}), evalOf("l", "held", Acquire{TTL: time.Hour}),
		evalOf("l", "renewed", Acquire{TTL: time.Minute}), evalOf("l", "released", Acquire{TTL: time.Minute}))
	do(t, e, evalOf("l", "released", Release{Token: l.Results[3].Version}))
	for key, in := range map[string]time.Duration{"one": time.Second, "two": time.Second, "three": time.Second, "later": time.Hour} { // order cannot matter
		w := putOf("w", key, 0)
		w.Eval = PutDue{In: in}
		do(t, e, w)
	}
	*ms += 2000
	claimed := do(t, e, evalOf("w", "", Claim{TTL: time.Hour, Limit: 2})).Results[0].Claimed
	if len(claimed) != 2 {
		t.Fatalf("claimed %+v", claimed)
	}
	do(t, e, evalOf("w", claimed[1].Record.Name.Key, Complete{Token: claimed[1].Lease.Token}))
	if _, err := e.RenewLeases(t.Context(), []Renewal{{AgentName{Namespace: "default", Agent: "l"}, "renewed", l.Results[2].Version, 2 * time.Hour}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.RefreshExpiry(t.Context(), []RecordName{{Namespace: "default", Agent: "t", Key: "refreshed"}}, 2*time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	do(t, e, putOf("m", "x1", 0), putOf("m", "x2", 0), putOf("m", "x3", time.Hour), putOf("m", "x4", 0))
	do(t, e, putOf("m", "x1", 0), putOf("m", "x5", 0), putOf("m", "x6", 0), putOf("m", "y", 0))
	do(t, e, evalOf("m", "x", DeletePrefix{}))
	for range steps {
		e.Tick()
		e.Step()
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return env
}

func bodyOf(t *testing.T, db *pebble.DB, key []byte) []byte {
	t.Helper()
	body, err := getRow(&store{DB: db}, key)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestVerifyMissesNoRow: of a store with all kinds of rows none can be removed or say something else, with a checksum
// that is right, and Verify does not find it. But the fingerprint of a request is kept in its outcome only.
func TestVerifyMissesNoRow(t *testing.T) {
	simtest.Serial(t)
	const each = 127 // of the bytes of most rows one of so many is changed; of those of holds, forks and acts one of three
	dense := func(key []byte) bool {
		return bytes.Contains([]byte{layout.HoldTag, layout.TimerTag, readyTag, forkTag, rangeTag}, key[:1]) || bytes.HasPrefix(key, layout.AgentPrefix(layout.RecordTag, AgentName{Namespace: "default", Agent: "m"}))
	}
	for _, steps := range []int{0, 1, 100} {
		disk := vfs.NewCrashableMem()
		env := richStore(t, disk, steps)
		r, err := Verify(env, tamperDir, nil)
		if err != nil {
			t.Fatalf("before: %+v, %v", r, err)
		}
		var rows, bodies [][]byte
		rewrite(t, disk, func(t *testing.T, db *pebble.DB) {
			it, err := db.NewIter(nil)
			if err != nil {
				t.Fatal(err)
			}
			for ok := it.First(); ok; ok = it.Next() {
				rows, bodies = append(rows, bytes.Clone(it.Key())), append(bodies, bytes.Clone(bodyOf(t, db, it.Key())))
			}
			if err := it.Close(); err != nil {
				t.Fatal(err)
			}
		})
		// Nothing says when a deadline was moved last, and how far an act has come it may say by any key before the next one.
		untold := func(key, was, is []byte) bool {
			switch key[0] {
			case layout.HoldTag:
				a, _ := layout.ParseHold(was)
				b, ok := layout.ParseHold(is)
				a.Moved = b.Moved
				return ok && a == b
			case rangeTag:
				a, _ := parseRangeAct(key, was)
				b, ok := parseRangeAct(key, is)
				return ok && a.at == b.at && a.prefix == b.prefix && a.time.Equal(b.time) && a.done != b.done
			}
			return false
		}
		try := func(what string, key []byte, do tamper) {
			fs := disk.CrashClone(vfs.CrashCloneCfg{})
			env.FS = fs
			rewrite(t, fs, do)
			if _, err := Verify(env, tamperDir, nil); err == nil {
				t.Errorf("after %d steps: row %q %s, and nothing is found", steps, key, what)
			}
		}
		passed := steps
		for i, key := range rows {
			if steps == 0 || i%4 == 0 {
				try("is removed", key, drop(key))
			}
			for at := range bodies[i] {
				if passed++; key[0] != layout.OutcomeTag && (passed%each == 0 || steps == 1 && dense(key) && passed%3 == 0) {
					is := bytes.Clone(bodies[i])
					if is[at]++; !untold(key, bodies[i], is) {
						try(fmt.Sprintf("is changed at %d", at), key, set(key, is))
					}
				}
			}
		}
	}
}
