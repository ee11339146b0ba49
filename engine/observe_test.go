package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// steppedByRequests opens a store whose requests make the writer's step themselves when they wait.
func steppedByRequests(t *testing.T, env engine.Env) *engine.Engine {
	t.Helper()
	await := env.Await
	var e *engine.Engine
	env.Await = func(ctx context.Context, ready <-chan struct{}) error {
		e.Step()
		return await(ctx, ready)
	}
	e, err := engine.Open(env, engine.Options{Dir: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestObserver: each proposal is told of once, each step once, and a commit learns how long its own
// phases took. The clock moves a microsecond each time that it is read, so phases are never empty.
func TestObserver(t *testing.T) {
	var now atomic.Int64 // Pebble syncs on a goroutine of its own
	var mu sync.Mutex
	var waits, syncs []time.Duration
	var steps []engine.StepTimes
	env := engine.MemoryEnv(func(err error) { t.Error(err) }, nil)
	env.Observe = &engine.Observer{
		Clock:   func() time.Duration { return time.Duration(now.Add(int64(time.Microsecond))) },
		Waited:  func(d time.Duration) { waits = append(waits, d) },
		Stepped: func(s engine.StepTimes) { steps = append(steps, s) },
		Synced: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			syncs = append(syncs, d)
		},
	}
	e := steppedByRequests(t, env)
	waits, steps = nil, nil
	mu.Lock()
	syncs = nil
	mu.Unlock()
	write := func(id string, expected *engine.Version) (engine.Phases, error) {
		var phases engine.Phases
		_, err := e.Transact(t.Context(), engine.TxnID(id), []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`), Expected: expected}}, engine.Conditions{Phases: &phases})
		return phases, err
	}
	phases, err := write("one", nil)
	if err != nil {
		t.Fatal(err)
	}
	if min(phases.Queue, phases.Plan, phases.Apply, phases.Sync) <= 0 {
		t.Errorf("a commit took %+v", phases)
	}
	mu.Lock()
	synced := len(syncs)
	mu.Unlock()
	if len(waits) != 1 || len(steps) != 1 || synced == 0 || waits[0] != phases.Queue {
		t.Errorf("told of waits %v, steps %+v, %d syncs", waits, steps, synced)
	}
	if s := steps[0]; s.Proposals != 1 || s.Commits != 1 || s.Plan != phases.Plan || s.Sync != phases.Sync || s.Answer <= 0 {
		t.Errorf("a step took %+v", s)
	}
	if _, err := write("two", new(engine.Version)); err == nil {
		t.Error("the key is there")
	}
	if s := steps[1]; len(steps) != 2 || s.Proposals != 1 || s.Commits != 0 {
		t.Errorf("a step of refusals: %+v", steps)
	}
	if st := e.StoreStats(); st.QueueAge != 0 || len(st.Levels) != 7 || st.LogWritten == 0 || st.MemTables == 0 {
		t.Errorf("%+v", st)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// TestOpenTxns lists what is open, the oldest first, by who began it.
func TestOpenTxns(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	env := engine.MemoryEnv(func(err error) { t.Error(err) }, nil)
	env.Now = func() time.Time { return now }
	e, err := engine.Open(env, engine.Options{Dir: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var ids []engine.TxnID
	for i := range 3 {
		id, _, _, err := e.BeginFor(fmt.Sprint("agent ", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		now = now.Add(time.Second)
	}
	if err := e.Stage(ids[1], engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Abort(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	open := e.OpenTxns()
	if len(open) != 2 || open[0].ID != ids[1] || open[1].ID != ids[2] || open[0].Principal != "agent 1" || open[0].Ops != 1 || open[0].Bytes == 0 {
		t.Errorf("%+v", open)
	}
	if age := e.OldestTxn(); age != 2*time.Second {
		t.Errorf("the oldest is %v old", age)
	}
	now = now.Add(time.Hour)
	if open := e.OpenTxns(); len(open) != 0 || e.OldestTxn() != 0 {
		t.Errorf("after their timeout: %+v", open)
	}
}
