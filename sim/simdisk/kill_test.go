package simdisk_test

import (
	"errors"
	"reflect"
	"testing"

	"statehouse.dev/statehouse/sim/simdisk"
)

// TestKillLosesNothing: the page cache stays, durable and pending alike.
func TestKillLosesNothing(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Capacity: 1 << 20, Trace: true, Seed: 9})
	must(t, put(d, "a", "synced"))
	must(t, syncDir(d, "/"))
	f, err := d.OpenReadWrite("a", unspecified)
	must(t, err)
	_, err = f.WriteAt([]byte("S"), 0)
	must(t, err)
	must(t, put(d, "b", "pending name"))
	gone, err := d.Create("gone", unspecified)
	must(t, err)
	_, err = gone.Write(make([]byte, 5000))
	must(t, err)
	must(t, d.Remove("gone"))
	_, err = d.Lock("LOCK")
	must(t, err)
	must(t, d.Arm(parse(t, "enospc count=forever")))
	d.OnOp(func(op simdisk.Op) { t.Errorf("hook called for %s", op) })

	next := d.Kill()
	if !d.Dead() || next.Dead() {
		t.Fatal("dead or alive?")
	}
	_, err = f.WriteAt([]byte("the dead write harmlessly"), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, d.Remove("b"))
	must(t, syncDir(d, "/"))

	if got := contents(next); got != "LOCK= a=Synced b=pending name" {
		t.Errorf("the image has %q", got)
	}
	if u, _ := next.GetDiskUsage("/"); u.UsedBytes != 1024 || u.TotalBytes != 1<<20 {
		t.Errorf("the image uses %+v", u)
	}
	if len(next.Trace()) != 0 || len(next.Injected()) != 0 || !reflect.DeepEqual(next.Aftermath(), simdisk.Aftermath{}) {
		t.Errorf("the image remembers %v, %v, %+v", next.Trace(), next.Injected(), next.Aftermath())
	}
	if got := contents(next.Clone().Crash(simdisk.CrashOptions{})); got != "a=synced" {
		t.Errorf("a crash after it leaves %q", got)
	}
	if _, err := next.Lock("LOCK"); err != nil {
		t.Errorf("a lock outlived the process: %v", err)
	}
	must(t, put(next, "c", "no faults, no hooks"))
	if op := next.Trace()[len(next.Trace())-1]; op.Count != 1 {
		t.Errorf("counts go on: %s", op)
	}
}

// TestKillKeepsAFailedSyncFailed: the cache of the machine still calls clean what a
// failed sync did not write, so a sync by the next process does not save it.
func TestKillKeepsAFailedSyncFailed(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, put(d, "a", "old"))
	must(t, syncDir(d, "/"))
	f, err := d.OpenReadWrite("a", unspecified)
	must(t, err)
	_, err = f.Write([]byte("new"))
	must(t, err)
	must(t, d.Arm(parse(t, "sync-error")))
	if f.Sync() == nil {
		t.Fatal("the sync did not fail")
	}
	next := d.Kill()
	f, err = next.OpenReadWrite("a", unspecified)
	must(t, err)
	must(t, f.Sync())
	if live, left := contents(next), contents(next.Crash(simdisk.CrashOptions{})); live != "a=new" || left != "a=old" {
		t.Errorf("reads %q, leaves %q", live, left)
	}
}

func TestKillInsideAnOperation(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	var next *simdisk.Disk
	d.OnOp(func(op simdisk.Op) {
		if op.Kind == simdisk.OpSync {
			next = d.Kill()
		}
	})
	must(t, put(d, "a", "x"))
	if got, left := contents(next), contents(next.Clone().Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})); got != "a=x" || left != "a=x" {
		t.Errorf("got %q, left %q", got, left)
	}
	for what, f := range map[string]func(){
		"kill": func() { d.Kill() }, "crash": func() { d.Crash(simdisk.CrashOptions{}) },
	} {
		err := func() (err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("panicked")
				}
			}()
			f()
			return nil
		}()
		if err == nil {
			t.Errorf("%s of a dead disk did not panic", what)
		}
	}
}
