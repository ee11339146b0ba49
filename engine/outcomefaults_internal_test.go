package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// TestOutcomesAndReadFaults: outcomes go with the floor that says so, and with the events that only they need, or
// not at all, whatever read fails meanwhile: else a commit that is sent again after a crash is applied twice.
func TestOutcomesAndReadFaults(t *testing.T) {
	simtest.Serial(t)
	type sent struct {
		id TxnID
		w  []Write
	}
	base := &choreRig{t: t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), now: choreStart, outcomes: Limits{TxnOps: 40, OutcomeCount: 9, OutcomeAge: 4 * time.Hour}}
	base.open()
	base.keep(time.Minute, 0)
	var all []sent
	send := func(r *choreRig, s sent) error {
		_, err := r.Transact(context.Background(), s.id, s.w, Conditions{})
		return err
	}
	for i := range 12 {
		base.now = base.now.Add(2 * time.Hour) // more than a clock may differ
		s := sent{layout.NewTxnID(base.now, func(b []byte) { copy(b, fmt.Sprintf("%016d", i)) }), []Write{putOf("a", "k", 0), putOf("b", fmt.Sprint(i%2), 0)}}
		// The log row of each commit has a block of a table to itself, and so has its event: one that was dropped may be
		// followed by one that cannot be read.
		for j := range 24 { // of a namespace without retention, of which nothing is read
			name := RecordName{Namespace: strings.Repeat("n", MaxNamespaceBytes), Agent: fmt.Sprintf("%0*d", MaxAgentBytes, j), Key: "k"}
			s.w = append(s.w, Write{Name: name, Value: []byte(`{}`)})
		}
		for j := range 12 {
			s.w = append(s.w, putOf("a", fmt.Sprintf("%0*d", MaxKeyBytes, j), 0))
		}
		if err := send(base, s); err != nil {
			t.Fatal(err)
		}
		base.chores()
		all = append(all, s)
	}
	if err := base.Flush(); err != nil {
		t.Fatal(err)
	}
	base.close()
	struck, dropped := 0, 0
	outcomes := base.outcomes
	outcomes.OutcomeCount = 3 // so a step drops as many as it may, and not one
	for nth := 1; ; nth++ {
		r := &choreRig{t: t, disk: base.disk.Clone(), now: base.now.Add(6 * time.Hour), outcomes: outcomes, runs: base.runs}
		r.open()
		f, err := simdisk.ParseFault(fmt.Sprintf("read-error file=sstable nth=%d count=1", nth))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.disk.Arm(f); err != nil {
			t.Fatal(err)
		}
		// Each may be refused, and has some dropped. The power fails after the one whose read did: the next would write the
		// floor that this one did not.
		for i := 0; i < 3 && len(r.disk.Injected()) == 0; i++ {
			_ = send(r, sent{layout.NewTxnID(r.now, func(b []byte) { copy(b, fmt.Sprintf("new%013d", i)) }), []Write{putOf("c", "k", 0)}})
		}
		over := len(r.disk.Injected()) == 0
		if !over {
			struck++
		}
		next := r.disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
		_ = r.Close()
		r.disk = next
		if _, err := Verify(r.env, "/srv/statehouse", nil); err != nil {
			t.Errorf("fault %d: %v", nth, err)
		}
		r.open()
		head := r.Published()
		for i, s := range all {
			err := send(r, s)
			if err != nil {
				dropped++
			}
			if r.Published() != head {
				t.Fatalf("fault %d: commit %d, sent again, is applied again (%v)", nth, i+1, err)
			}
		}
		if r.close(); over {
			break
		}
	}
	if t.Logf("%d reads failed, %d answers were refused", struck, dropped); struck < 10 || dropped == 0 {
		t.Errorf("%d reads failed, %d answers were refused: it shows nothing", struck, dropped)
	}
}
