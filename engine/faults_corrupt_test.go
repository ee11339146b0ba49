package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// TestLyingDisk runs the script on a disk that says it syncs a class of files and
// does not, and cuts the power. No engine can keep what such a disk loses; it must
// not serve a mixture, and where the witness has survived it must say so.
func TestLyingDisk(t *testing.T) {
	simtest.Serial(t)
	var faults []string
	for _, class := range []string{"wal", "manifest", "sstable", "witness", "options", "other"} {
		for nth := 1; nth <= 9; nth += 2 {
			faults = append(faults, fmt.Sprintf("sync-lie file=%s nth=%d count=forever", class, nth))
		}
	}
	for nth := 1; nth <= 25; nth += 6 {
		faults = append(faults, fmt.Sprintf("dirsync-lie file=dir nth=%d count=forever", nth))
	}
	seen := make(map[string]int)
	for i, fault := range faults {
		for m, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.Torn, simdisk.Garbage, simdisk.Random} {
			if !fullSweep() && i%4 != m {
				continue
			}
			lying := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
			arm(t, lying, fault)
			var s script
			clock := &rigClock{}
			ok(t, s.script(newProcess(lying, clock, nil)))
			for _, witnessed := range []bool{false, true} {
				d := crashed(lying, mode, uint64(i))
				if witnessed && !keepWitness(d, lying) {
					continue // there is no directory left to put it in
				}
				what, err := s.afterLies(d, clock, witnessed)
				seen[what]++
				if err != nil {
					t.Errorf("%s, crash (%s), the witness survived is %v: %v", fault, mode, witnessed, err)
				}
			}
		}
	}
	t.Log(seen)
	if seen["noticed"] == 0 || seen["harmless"] == 0 || seen["lost with the witness"] == 0 {
		t.Error("the lies were all of one kind")
	}
}

// afterLies opens what a lying disk has kept and says what that came to.
func (s *script) afterLies(d *simdisk.Disk, clock *rigClock, witnessed bool) (string, error) {
	report, verifyErr := verifyOn(d.Clone())
	p := newProcess(d, clock, nil)
	if err := p.open(); err != nil {
		if !isOneOf(err, engine.ErrDataLoss, engine.ErrStorage) {
			return "noticed", fmt.Errorf("open answered %w", err)
		}
		if verifyErr == nil {
			return "noticed", fmt.Errorf("open answered %w, verify nothing", err)
		}
		return "noticed", nil
	}
	n, err := s.check(p, 0, len(s.attempts))
	if err != nil && isOneOf(err, engine.ErrDataLoss, engine.ErrStorage) {
		return "noticed", nil
	}
	if err != nil {
		return "a mixture", err
	}
	if verifyErr == nil && int(report.Commits) != n {
		return "a mixture", fmt.Errorf("verify found %d commits, open %d", report.Commits, n)
	}
	if n == len(s.attempts) {
		return "harmless", p.Close()
	}
	if witnessed {
		return "silent", fmt.Errorf("%d of %d acknowledged commits are there, and the witness said nothing", n, len(s.attempts))
	}
	return "lost with the witness", p.Close()
}

// keepWitness puts the witness of before a crash, which may well have survived
// it, on what the crash left.
func keepWitness(d, before *simdisk.Disk) bool {
	content, err := before.ReadFile(rigDir + "/witness")
	if err != nil {
		return false
	}
	return writeFile(d, rigDir+"/witness", content) == nil
}

func writeFile(fs vfs.FS, name string, content []byte) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(fs, fs.PathDir(name)))
}

func syncFolder(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func isOneOf(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// TestLyingDiskAfterClose: a clean close leaves a durable witness, so a log that
// has lost its tail by then is always noticed.
func TestLyingDiskAfterClose(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	var s script
	ok(t, s.commits(p, 3))
	arm(t, d, "sync-lie file=wal count=forever")
	ok(t, s.commits(p, 3))
	ok(t, p.Close())
	after := crashed(d, simdisk.DropAll, 0)
	_, err := verifyOn(after.Clone())
	wantKind(t, "verify", err, engine.ErrDataLoss)
	wantKind(t, "open", newProcess(after, p.clock, nil).open(), engine.ErrDataLoss)
	wantKind(t, "open once more", newProcess(after.Clone(), p.clock, nil).open(), engine.ErrDataLoss)
}

// inTables is a store whose rows are all in one table, its script and that table.
// No block of it is large: Pebble looks for the flipped bit of a damaged block by
// trying every one.
func inTables(t *testing.T) (*simdisk.Disk, *script, simdisk.FileStat) {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1, Trace: true})
	s := &script{}
	p := openOn(t, d, &rigClock{})
	ok(t, s.chatter(p, 150))
	ok(t, p.Compact())
	ok(t, p.Close())
	return d, s, newest(t, d, simdisk.ClassSSTable)
}

// readsOf counts what was read of a file so far.
func readsOf(d *simdisk.Disk, path string) (n int) {
	for _, op := range d.Trace() {
		if op.Kind == simdisk.OpRead && op.Path == path {
			n++
		}
	}
	return n
}

// TestReadFaults lets reads of tables fail, and lie, while clients read everything:
// they get what was committed or an error, never that there is nothing. Damage is
// remembered: writes are refused from then on (G8). A read that failed and did not
// lie is not.
func TestReadFaults(t *testing.T) {
	base, s, table := inTables(t)
	want := s.model(len(s.attempts)).dump(s.ids())
	for _, fault := range []string{"bitflip", "bitflip count=2", "read-error", "read-error count=3"} {
		struck, answered := 0, 0
		for nth := 1; nth <= 12; nth++ {
			if !fullSweep() && nth%4 != 1 {
				continue
			}
			d := base.Clone()
			p := openOn(t, d, &rigClock{})
			arm(t, d, fmt.Sprintf("%s file=sstable nth=%d", fault, readsOf(d, table.Path)+nth))
			got, err := readAll(p.Engine, s.ids())
			if len(d.Injected()) > 0 {
				struck++
			}
			switch health := p.Healthy(); {
			case err == nil:
				if diff := got.differs(want); diff != "" {
					t.Errorf("%s nth=%d: %s", fault, nth, diff)
				}
			case errors.Is(err, engine.ErrDataLoss):
				answered++
				wantKind(t, "health", health, engine.ErrDataLoss)
				_, _, _, err := p.Begin(nil)
				wantKind(t, "begin", err, engine.ErrDataLoss)
				wantKind(t, "a commit", s.fork(len(s.attempts)).commit(p, put("ann", "a", 1)), engine.ErrDataLoss)
			case errors.Is(err, engine.ErrStorage):
				answered++
				ok(t, health)
				d.Heal()
				if got, err := readAll(p.Engine, s.ids()); err != nil || got.differs(want) != "" {
					t.Errorf("%s nth=%d, read again: %v", fault, nth, errors.Join(err, errors.New(got.differs(want))))
				}
				ok(t, s.fork(len(s.attempts)).commit(p, put("ann", "a", 1)))
			default:
				t.Errorf("%s nth=%d: %v", fault, nth, err)
			}
			_ = p.Close()
		}
		t.Logf("%s: struck %d times, %d errors", fault, struck, answered)
		if answered == 0 {
			t.Errorf("%s: no reader was told", fault)
		}
	}
}

// TestCorruptTables flips a bit on the medium, and asks for one record in every way
// there is. Each answers what was committed or that there is damage.
func TestCorruptTables(t *testing.T) {
	simtest.Serial(t)
	base, s, table := inTables(t)
	last := s.attempts[len(s.attempts)-1]
	target := s.model(len(s.attempts)).records[last.writes[0].Name]
	newest := target[len(target)-1]
	asks := asksFor(t, newest, last)
	told := 0
	for i, at := 0, int64(5); at < table.Size; i, at = i+1, at+331 {
		for j, a := range asks {
			if !fullSweep() && i%len(asks) != j {
				continue
			}
			d := base.Clone()
			ok(t, d.FlipBit(table.Path, at, i%8))
			p := newProcess(d, &rigClock{}, nil)
			if p.open() != nil {
				continue // said at once
			}
			got, err := a.ask(p)
			switch {
			case err == nil && got != versionText(newest.op.Name, newest.op.Version, newest.op.Tombstone, newest.op.Value):
				t.Errorf("bit at %d: %s answered %q", at, a.what, got)
			case err != nil && !errors.Is(err, engine.ErrDataLoss):
				t.Errorf("bit at %d: %s answered %v", at, a.what, err)
			case err != nil:
				told++
				wantKind(t, "health after "+a.what, p.Healthy(), engine.ErrDataLoss)
			}
			_ = p.Close()
		}
	}
	if told == 0 {
		t.Error("no reader was told")
	}
	t.Logf("%d answers were that there is damage", told)
}

type ask struct {
	what string
	ask  func(p *process) (string, error)
}

// asksFor are the ways to the newest version of a record, which a commit made.
func asksFor(t *testing.T, v modelVersion, by *attempt) []ask {
	n := v.op.Name
	text := func(r engine.Record, err error) (string, error) {
		return versionText(n, r.Version, !r.Exists, r.Value), err
	}
	return []ask{
		{"get", func(p *process) (string, error) {
			snap, err := p.Snapshot(engine.At{})
			if err != nil {
				return "", err
			}
			return text(snap.Get(n))
		}},
		{"version", func(p *process) (string, error) { return text(p.GetVersion(n, v.op.Version)) }},
		{"scan", func(p *process) (string, error) {
			snap, err := p.Snapshot(engine.At{})
			if err != nil {
				return "", err
			}
			rs, _, err := snap.Scan(engine.ScanOptions{Agent: n.AgentName(), Prefix: n.Key, Page: engine.Page{Items: 1}})
			if err != nil || len(rs) == 0 {
				return "", err
			}
			return text(rs[0], nil)
		}},
		{"replay", func(p *process) (string, error) {
			f := engine.Filter{Namespace: n.Namespace, Agent: n.Agent, KeyPrefix: n.Key}
			evs, _, err := p.Replay(f, v.ts-1, v.ts, 0)
			if err != nil || len(evs) == 0 {
				return "", err
			}
			op := evs[0].Ops[0]
			return versionText(op.Name, op.Version, op.Tombstone, op.Value), nil
		}},
		{"in a transaction", func(p *process) (string, error) {
			id, _, _, err := p.Begin(nil)
			if err != nil {
				return "", err
			}
			r, _, err := p.TxnGet(id, n)
			return text(r, err)
		}},
		{"a retry", func(p *process) (string, error) {
			r, err := p.Transact(t.Context(), by.id, by.writes, engine.Conditions{})
			if err != nil || r.CommitTS != v.ts {
				return fmt.Sprint("commit ", r.CommitTS), err
			}
			return versionText(n, v.op.Version, v.op.Tombstone, v.op.Value), nil
		}},
	}
}
