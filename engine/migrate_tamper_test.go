package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// goldenFS has the kept store of format 1 in tamperDir.
func goldenFS(t *testing.T) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	if copied, err := vfs.Clone(vfs.Default, fs, "testdata/format-1", tamperDir); err != nil || !copied {
		t.Fatal(copied, err)
	}
	return fs
}

func migrateFS(t *testing.T, fs vfs.FS, o MigrateOptions) (Migration, Report, error) {
	t.Helper()
	n := byte(0)
	env := Env{FS: fs, Rand: func(b []byte) {
		for i := range b {
			n++
			b[i] = n
		}
	}, Halt: func(err error) { t.Errorf("halted: %v", err) }}
	env.Now, env.Await = withOSTime(env).Now, withOSTime(env).Await
	o.Tuning = Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}
	m, err := Migrate(env, tamperDir, o)
	if err != nil {
		return m, Report{}, err
	}
	r, err := Verify(env, tamperDir, nil)
	return m, r, err
}

// Names in the kept store, and what is known of its first commits.
var (
	jsonAgent = AgentName{Namespace: "default", Agent: "json"}
	jsonKey   = RecordName{Namespace: "default", Agent: "json", Key: "value/00"}
)

// TestMigrateFindsTampering: what verify of the build that wrote format 1 would have found in a
// store is not carried over into a chain that says nothing of it.
func TestMigrateFindsTampering(t *testing.T) {
	last := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1]++; return b }
	first := func(b []byte) []byte { b = bytes.Clone(b); b[0]++; return b }
	for _, c := range []struct {
		what string
		do   tamper
		says string
	}{
		{"a value", change(recordKeyOf(jsonKey, 1), func(b []byte) []byte { return append(b[:len(b)-1], ' ', '}') }), "version 1 of key"},
		{"a record gone", drop(recordKeyOf(jsonKey, 1)), "version 1 of key"},
		{"a record too many", set(recordKeyOf(jsonKey, 2), []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '1'}), "that no commit made"},
		{"an event", change(layout.EventKey(jsonAgent, 2), last), ""},
		{"an event gone", drop(layout.EventKey(jsonAgent, 2)), "missing, malformed or not of its commit"},
		{"an event too many", set(layout.EventKey(jsonAgent, 900), []byte{0}), "that no commit made"},
		{"a hash", change(layout.LogKey(3), first), "the hash chain breaks at commit 3"},
		{"a commit gone", drop(layout.LogKey(4)), "commit 4 is missing"},
		{"an outcome gone", drop(layout.OutcomeKey("client-3")), "the outcome of transaction client-3"},
		{"an agent gone", drop(layout.AgentPrefix(layout.AgentTag, jsonAgent)), "not the agent's first commit"},
		{"a namespace gone", drop(layout.AppendNames(nil, layout.NamespaceTag, "team-b")), "namespaces"},
		{"the format", set(formatKey, []byte{2}), "the store says format [2], its identity file 1"},
		{"the head", func(t *testing.T, db *pebble.DB) {
			head, _, err := readHead1(db)
			if err != nil {
				t.Fatal(err)
			}
			drop(layout.LogKey(head))(t, db)
		}, "acknowledged commits are lost"},
	} {
		fs := goldenFS(t)
		rewrite(t, fs, c.do)
		_, _, err := migrateFS(t, fs, MigrateOptions{})
		if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
		if id, err := readIdentity(fs, fs.PathJoin(tamperDir, identityName)); err != nil || id.format != format1 {
			t.Errorf("%s: the identity is %+v, %v", c.what, id, err)
		}
	}
}

func readHead1(db *pebble.DB) (ts CommitTS, hash layout.ChainHash, err error) {
	it, err := newRowIter(&store{DB: db}, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return 0, hash, err
	}
	if it.last() {
		row, _ := parseLogRow1(it.body)
		hash = row.hash
		ts, _ = layout.SplitLogKey(it.key())
	}
	return ts, hash, it.close()
}

// TestMigrateKeepsDroppedOutcomes: outcomes that were dropped stay dropped, those that are kept
// stay kept.
func TestMigrateKeepsDroppedOutcomes(t *testing.T) {
	fs := goldenFS(t)
	rewrite(t, fs, all(drop(layout.OutcomeKey("client-1")), drop(layout.OutcomeKey("client-2")), set(floorKey, uvarint(2))))
	m, r, err := migrateFS(t, fs, MigrateOptions{})
	if err != nil || r.Outcomes != uint64(r.Commits)-2 || m.Store.Outcomes != r.Outcomes {
		t.Fatalf("%+v, %+v, %v", m, r, err)
	}
}

// TestMigrateUnsynced: of a store that ran without syncs what is there is migrated, and what a
// crash took is counted, unless it was synced before.
func TestMigrateUnsynced(t *testing.T) {
	for _, synced := range []CommitTS{2, 0} { // commits below the head
		fs := goldenFS(t)
		var head CommitTS
		rewrite(t, fs, func(t *testing.T, db *pebble.DB) { head, _, _ = readHead1(db) })
		rewrite(t, fs, func(t *testing.T, db *pebble.DB) {
			body, err := getRow(&store{DB: db}, layout.LogKey(head-synced))
			if err != nil {
				t.Fatal(err)
			}
			row, _ := parseLogRow1(body)
			if err := writeUnsynced(fs, tamperDir, mark{head - synced, row.hash}); err != nil {
				t.Fatal(err)
			}
		})
		rewrite(t, fs, dropCommit1(head))
		m, r, err := migrateFS(t, fs, MigrateOptions{})
		if synced == 0 {
			if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), "acknowledged commits are lost") {
				t.Errorf("what was synced is gone: %v", err)
			}
			continue
		}
		if err != nil || m.Store.Lost != 1 || r.Lost != 0 || r.Commits != head-1 || r.Witnessed != head-1 {
			t.Errorf("%+v, %+v, %v", m.Store, r, err)
		}
		if left, err := readUnsynced(fs, tamperDir); left != nil || err != nil {
			t.Errorf("the mark is left: %v, %v", left, err)
		}
	}
}

// dropCommit1 takes a commit of format 1 off the log with all that it made.
func dropCommit1(ts CommitTS) tamper {
	return func(t *testing.T, db *pebble.DB) {
		body, err := getRow(&store{DB: db}, layout.LogKey(ts))
		if err != nil {
			t.Fatal(err)
		}
		row, _ := parseLogRow1(body)
		for _, a := range row.agents {
			body, _ := getRow(&store{DB: db}, layout.EventKey(a, ts))
			ev, _ := parseEventRow1(body)
			for _, op := range ev.ops {
				drop(recordKeyOf(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: op.key}, op.version))(t, db)
			}
			drop(layout.EventKey(a, ts))(t, db)
		}
		drop(layout.LogKey(ts))(t, db)
		drop(layout.OutcomeKey(row.txnID))(t, db)
	}
}

// TestMigrateWithoutWitness: it is accepted when the operator says so.
func TestMigrateWithoutWitness(t *testing.T) {
	fs := goldenFS(t)
	if err := fs.Remove(fs.PathJoin(tamperDir, witnessName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := migrateFS(t, fs, MigrateOptions{}); !errors.Is(err, ErrDataLoss) {
		t.Errorf("without a witness: %v", err)
	}
	if _, r, err := migrateFS(t, fs, MigrateOptions{AcceptMissingWitness: true}); err != nil || r.Witnessed != r.Commits {
		t.Errorf("as accepted: %+v, %v", r, err)
	}
}

// TestMigrateEmpty: a store without commits has no old head to begin with.
func TestMigrateEmpty(t *testing.T) {
	fs := vfs.NewMem()
	_, e := tamperEnv(t, fs)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite(t, fs, all(set(formatKey, []byte{format1}), drop(featuresKey), drop(epochKey)))
	old := identity{format: format1, storeID: e.identity.storeID}
	if err := writeFileAtomic(fs, fs.PathJoin(tamperDir, identityName), old.encode()); err != nil {
		t.Fatal(err)
	}
	if _, r, err := migrateFS(t, fs, MigrateOptions{}); err != nil || r.Commits != 0 || r.BaseHash != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestMigrateSpace: a disk without room for a second store is told so, and nothing is begun.
func TestMigrateSpace(t *testing.T) {
	fs := smallFS{goldenFS(t), 20 << 20}
	_, _, err := migrateFS(t, fs, MigrateOptions{})
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "has 20 MiB free, and a migration needs 32 MiB") {
		t.Errorf("on a small disk: %v", err)
	}
	if _, err := fs.Stat(fs.PathJoin(tamperDir, newStoreName)); !isNotExist(err) {
		t.Errorf("store.new: %v", err)
	}
}

type smallFS struct {
	vfs.FS
	avail uint64
}

func (s smallFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: s.avail, TotalBytes: 2 * s.avail}, nil
}
