package bounds

import (
	"reflect"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// fixed are the options of production that are sizes, and no world sets, with why.
var fixed = map[string]string{
	"MaxTxnTimeout": "no program asks for an hour",
	"FinishedTxns":  "it must outlast copies of requests: one of a commit that was refused, and forgotten, is applied",
	"DiskReserve":   "small, as simulated disks are: Capacity and the steps of the disk are what varies",
	"MemTableBytes": "Pebble's own: a world flushes before it is full",
	"CacheBytes":    "Pebble's own", "OpenFiles": "Pebble's own",
	"UnsentBytes": "of gRPC's transport, which a world does not have", "Connections": "of the transport", "KeptBack": "of the transport", "RequestBytes": "of the transport",
	"StreamBytes":    "reached where ChunkBytes is, whichever is less",
	"AheadBytes":     "as above",
	"StreamsReading": "one handler runs at a time, and none waits while it reads", "WatchesReading": "likewise",
	"Probes": "what they let in waits for nothing, and one handler runs at a time", "HealthWatches": "gRPC's own service",
	"PageSize": "of the client: a driver draws it", "Timeout": "of the client: real time", "AttemptTimeout": "of the client: real time",
	"ImportCommits": "an import has few commits, and is to take several steps for them",
	"AgentLeases":   "no world holds many leases: a test of the engine does",
	"FiredHolds":    "a world has few deadlines at once: a test of the engine has many",
	"PieceRows":     "small, so that chores take several steps over what little a world has",
	"DeletedKeys":   "of few keys a world has: so deletes of very many are met",
	"LookedRows":    "tests of the engine and the server draw it, down to one row",
	"LookedBytes":   "as LookedRows",
	"ErasedKeys":    "no world erases yet, and the planner's caches allow for it: the least there is",
}

// TestEveryBoundIsDrawn: a size, number or time among production's options is set by a field of
// Config, whose probe counts how often runs come by it, or is named above. A new one is neither.
func TestEveryBoundIsDrawn(t *testing.T) {
	found := make(map[string]bool)
	for _, options := range []any{engine.Limits{}, engine.Tuning{}, server.Config{}, server.Tuning{}, client.Config{}} {
		typ := reflect.TypeOf(options)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if k := f.Type.Kind(); f.Type != reflect.TypeFor[time.Duration]() && (k < reflect.Int || k > reflect.Float64) {
				continue
			}
			found[f.Name] = true
			if probe, why := probes[f.Name], fixed[f.Name]; (probe == "") == (why == "") {
				t.Errorf("%s.%s: probe %q, fixed for %q: want one of them", typ, f.Name, probe, why)
			}
		}
	}
	for name, probe := range probes {
		if !found[name] {
			t.Errorf("%s (%s) sets no option of production", name, probe)
		}
	}
	for name := range fixed {
		if !found[name] {
			t.Errorf("%s is no option of production", name)
		}
	}
}

// TestBoundsAreSet: each bound of a configuration reaches the daemon's.
func TestBoundsAreSet(t *testing.T) {
	var set Bounds
	b := reflect.ValueOf(&set).Elem()
	for i := range b.NumField() {
		b.Field(i).SetInt(int64(1000 + i))
	}
	var s server.Config
	for _, to := range []any{&s, &s.Tuning, &s.Engine.Limits, &s.Engine.Tuning} {
		set.Set(to)
	}
	for i := range b.NumField() {
		name, got := b.Type().Field(i).Name, int64(0)
		for _, options := range []any{s, s.Tuning, s.Engine.Limits, s.Engine.Tuning} {
			if f := reflect.ValueOf(options).FieldByName(name); f.IsValid() {
				got = f.Int()
			}
		}
		if got != int64(1000+i) {
			t.Errorf("%s is %d, want %d", name, got, 1000+i)
		}
	}
}
