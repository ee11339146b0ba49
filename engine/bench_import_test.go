package engine_test

import (
	"context"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// BenchmarkImport makes the commits of an import, each of one operation: what others wait for.
func BenchmarkImport(b *testing.B) {
	env, closeEnv := engine.OSEnv(func(err error) { b.Error(err) }, func(string, ...any) {})
	defer closeEnv()
	e, err := engine.Open(env, engine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	_, err = e.BeginImport(ctx, engine.Import{ID: "bench", Targets: []engine.ImportTarget{{Namespace: "bench"}}})
	versions := make(map[engine.RecordName]engine.Version)
	for i := 0; i < b.N && err == nil; i += 1000 {
		var events []engine.ImportEvent
		for j := i; j < min(i+1000, b.N); j++ {
			n := engine.RecordName{Namespace: "bench", Agent: fmt.Sprint("agent-", j%50), Key: fmt.Sprint("key-", j%5000)}
			versions[n]++
			events = append(events, engine.ImportEvent{CommitTS: engine.CommitTS(j + 1), Ops: []engine.EventOp{{Name: n, Version: versions[n], Value: fmt.Appendf(nil, `{"text":"%0200d"}`, j)}}})
		}
		_, err = e.StageImport(ctx, "bench", uint64(i), events)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	if err := e.FinishImport(ctx, "bench", uint64(b.N), func(engine.Import) error { return nil }); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	cancel()
	<-done
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}
