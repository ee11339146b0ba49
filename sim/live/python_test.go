package live

import (
	"testing"
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/planted"
)

// What users of the Python SDK ask and are told is in order, whatever breaks, with both of its
// clients.
func TestPython(t *testing.T) {
	root, err := planted.Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	program, err := FindPython(t.Context(), root)
	if err != nil {
		t.Skip(err)
	}
	for _, async := range []bool{false, true} {
		p := Python{Dir: root + "/python", Program: program, Async: async}
		t.Run(p.Kind(), func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.For, o.Clients, o.Kills, o.Stops = 4*time.Second, 8, 2, 1
			r, err := RunPython(t.Context(), o, p)
			if err != nil {
				t.Fatal(err)
			}
			report(t, r)
			if s := &r.Stats; r.Vacuous() || s.Cuts < 5 || s.Kills < 3 || !s.Verified || r.Verdict() != verdict.OK {
				t.Errorf("the run proves too little: %+v, verdict %s", *s, r.Verdict())
			}
		})
	}
}
