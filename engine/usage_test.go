package engine_test

import (
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// TestDiskUsageOfTheLog: what was committed takes space before any of it is in a table.
func TestDiskUsageOfTheLog(t *testing.T) {
	e := steppedByRequests(t, engine.MemoryEnv(func(err error) { t.Error(err) }, nil))
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
	at := slices.IndexFunc(u.Parts, func(p engine.DiskPart) bool { return p.Name == "write-ahead log" })
	if at < 0 || u.Parts[at].Bytes < size {
		t.Errorf("a value of %d bytes is in the write-ahead log alone, and these take space: %+v", size, u.Parts)
	}
}
