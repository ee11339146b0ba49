package engine_test

import (
	"context"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// TestDiskUsageOfTheLog: what was committed takes space before any of it is in a table.
func TestDiskUsageOfTheLog(t *testing.T) {
	env := engine.MemoryEnv(func(err error) { t.Error(err) }, nil)
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
	defer e.Close()
	const size = 100_000
	value := []byte(`{"text":"` + strings.Repeat("x", size) + `"}`)
	w := engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: value}
	if _, err := e.Transact(t.Context(), "one", []engine.Write{w}, engine.Conditions{}); err != nil {
		t.Fatal(err)
	}
	u, err := e.DiskUsage()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range u.Parts {
		if part.Name == "write-ahead log" && part.Bytes < size {
			t.Errorf("the write-ahead log takes %d bytes, and a value of %d is in it alone", part.Bytes, size)
		}
	}
}
