package sim

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestGenerate(t *testing.T) {
	from, n := 1, 20
	if v := os.Getenv("SEED"); v != "" {
		from, _ = strconv.Atoi(v)
		n = 1
	}
	if v := os.Getenv("N"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	for i := range n {
		seed := uint64(from + i)
		start := time.Now()
		var o Options
		if os.Getenv("TRACE") != "" {
			o.Trace = t.Logf
		}
		r := Generate(seed, o)
		if os.Getenv("QUIET") == "" {
			t.Logf("seed %d %s: %v steps %d ops %d acked %d log %d deaths %v sum %x refusals %d verdict %v detected %v", seed, r.Class, time.Since(start).Round(time.Millisecond), r.Stats.Steps, r.Stats.Operations, r.Stats.Acked, len(r.History.Log), r.Stats.Deaths, r.Sum, r.Stats.Refusals, r.Judged.Verdict, r.Detected)
			t.Logf("   %v %v", r.Stats.Faults, r.Stats.Probes)
		}
		for _, v := range r.Violations {
			t.Errorf("seed %d %s: %s %s: %s %s %s", seed, r.Class, v.Promise, v.Check, v.Sentence, v.Expected, v.Got)
		}
	}
}
