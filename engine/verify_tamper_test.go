package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// Somebody who writes to the store past the engine, with checksums that are right:
// Verify compares the state with the log and finds it. What cannot be told is not
// damage in that sense: a log that was made anew from its first commit on, chain
// and all, with the witness; and the fingerprint in an outcome, which stands for
// preconditions that are kept nowhere.

const tamperDir = "/data"

func tamperEnv(t *testing.T, fs vfs.FS) (Env, *Engine) {
	t.Helper()
	var e *Engine
	ms, drawn := int64(1_800_000_000_000), rand.NewChaCha8([32]byte{1})
	env := Env{
		FS:   fs,
		Now:  func() time.Time { ms++; return time.UnixMilli(ms) },
		Rand: func(b []byte) { _, _ = drawn.Read(b) }, // never fails
		Halt: func(err error) { t.Errorf("halted: %v", err) },
		Await: func(_ context.Context, ready <-chan struct{}) error {
			for {
				select {
				case <-ready:
					return nil
				default:
					if !e.Step() {
						return errors.New("nobody answers")
					}
				}
			}
		},
	}
	e, err := Open(env, Options{Dir: tamperDir, Tuning: Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}})
	if err != nil {
		t.Fatal(err)
	}
	return env, e
}

// tampered are the names in the store that is tampered with.
var (
	ann   = AgentName{Namespace: "default", Agent: "ann"}
	bob   = AgentName{Namespace: "default", Agent: "bob"}
	other = AgentName{Namespace: "other", Agent: "ann"}
	annK  = RecordName{Namespace: "default", Agent: "ann", Key: "k"}
	bobK  = RecordName{Namespace: "default", Agent: "bob", Key: "k"}
)

func tamperID(ts CommitTS) TxnID { return TxnID(fmt.Sprintf("txn-%d", ts)) }

// tamperStore makes a store of six commits.
func tamperStore(t *testing.T, fs vfs.FS) Env {
	t.Helper()
	env, e := tamperEnv(t, fs)
	w := func(a AgentName, key string, n int) Write {
		return Write{Name: RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key}, Value: fmt.Appendf(nil, `{"n":%d}`, n)}
	}
	for i, writes := range [][]Write{
		{w(ann, "k", 1)},
		{w(ann, "k", 2), w(bob, "k", 3), w(other, "k", 4)},
		{{Name: annK, Tombstone: true}},
		{w(ann, "k", 5), w(ann, "l", 6)},
		{w(bob, "k", 7), w(other, "k", 8)},
		{w(ann, "k", 9)},
	} {
		if _, err := e.Transact(t.Context(), tamperID(CommitTS(i+1)), writes, Conditions{Metadata: map[string]string{"step": fmt.Sprint(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return env
}

// A tamper changes rows of an open Pebble store.
type tamper func(t *testing.T, db *pebble.DB)

func drop(key []byte) tamper {
	return func(t *testing.T, db *pebble.DB) {
		if _, closer, err := db.Get(key); err != nil {
			t.Fatalf("there is no row %q to drop", key)
		} else {
			closer.Close()
		}
		if err := db.Delete(key, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

func set(key, body []byte) tamper {
	return func(t *testing.T, db *pebble.DB) {
		if err := db.Set(key, layout.SealRow(key, body), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

// change seals a row anew with another body.
func change(key []byte, f func(body []byte) []byte) tamper {
	return func(t *testing.T, db *pebble.DB) {
		body, err := getRow(&store{DB: db}, key)
		if body == nil || err != nil {
			t.Fatalf("there is no row %q to change: %v", key, err)
		}
		set(key, f(body))(t, db)
	}
}

func all(ts ...tamper) tamper {
	return func(t *testing.T, db *pebble.DB) {
		for _, f := range ts {
			f(t, db)
		}
	}
}

func recordKeyOf(n RecordName, v Version) []byte {
	return layout.AppendVersion(layout.RecordPrefix(n), v)
}

func withRecord(n RecordName, v Version, f func(r *layout.RecordRow)) tamper {
	return change(recordKeyOf(n, v), func(body []byte) []byte {
		r, _ := layout.ParseRecordRow(body)
		f(&r)
		return r.Append(nil)
	})
}

func withEvent(a AgentName, ts CommitTS, f func(r *layout.EventRow)) tamper {
	return change(layout.EventKey(a, ts), func(body []byte) []byte {
		r, _ := layout.ParseEventRow(body)
		f(&r)
		return r.Append(nil)
	})
}

func withLog(ts CommitTS, f func(r *layout.LogRow)) tamper {
	return change(layout.LogKey(ts), func(body []byte) []byte {
		r, _ := layout.ParseLogRow(body)
		f(&r)
		return r.Append(nil)
	})
}

func uvarint(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func first(ts CommitTS) func([]byte) []byte {
	return func([]byte) []byte { return uvarint(uint64(ts)) }
}

func TestVerifyFindsTampering(t *testing.T) {
	agentKey := func(a AgentName) []byte { return layout.AgentPrefix(layout.AgentTag, a) }
	namespaceKey := func(ns string) []byte { return layout.AppendNames(nil, layout.NamespaceTag, ns) }
	loose := &layout.RecordRow{CommitTS: 3, CommitTime: time.UnixMilli(1), Value: []byte(`{}`)}
	for _, c := range []struct {
		what string
		do   tamper
		says string
	}{
		{"a value", withRecord(annK, 4, func(r *layout.RecordRow) { r.Value = []byte(`{"n":10}`) }), `version 4 of key "k" of agent "ann" differs`},
		{"a value, same size", withRecord(annK, 1, func(r *layout.RecordRow) { r.Value = []byte(`{"n":2}`) }), `version 1 of key "k" of agent "ann" differs`},
		{"a record's commit", withRecord(annK, 1, func(r *layout.RecordRow) { r.CommitTS = 2 }), "differs from the log (commit 1)"},
		{"a record's time", withRecord(bobK, 1, func(r *layout.RecordRow) { r.CommitTime = r.CommitTime.Add(1) }), "differs from the log (commit 2)"},
		{"a tombstone taken back", withRecord(annK, 3, func(r *layout.RecordRow) { r.Tombstone, r.Value = false, []byte(`{}`) }), `version 3 of key "k" of agent "ann" differs`},
		{"a record deleted", withRecord(bobK, 2, func(r *layout.RecordRow) { r.Tombstone, r.Value = true, nil }), `version 2 of key "k" of agent "bob" differs`},
		{"newest version gone", drop(recordKeyOf(annK, 5)), "not in the state"},
		{"old version gone", drop(recordKeyOf(annK, 1)), "not in the state"},
		{"version too many", set(recordKeyOf(annK, 6), loose.Append(nil)), "the state holds 11 versions, the log made 10"},
		{"record too many", set(recordKeyOf(RecordName{Namespace: "default", Agent: "ann", Key: "zz"}, 1), loose.Append(nil)), "the state holds 11 versions"},
		{"record of nobody", set(recordKeyOf(RecordName{Namespace: "x", Agent: "y", Key: "z"}, 1), loose.Append(nil)), "the state holds 11 versions"},

		{"event gone", drop(layout.EventKey(ann, 4)), "missing, malformed or not of its commit"},
		{"event of one of three agents gone", drop(layout.EventKey(bob, 2)), "missing, malformed or not of its commit"},
		{"event too many", set(layout.EventKey(bob, 4), (&layout.EventRow{TxnID: "x", Ops: []layout.EventRowOp{{Key: "k", Version: 1}}}).Append(nil)), "an event that its commit does not name"},
		{"event of a commit to come", set(layout.EventKey(bob, 9), (&layout.EventRow{TxnID: "x"}).Append(nil)), "an event of no commit"},
		{"metadata", withEvent(ann, 6, func(r *layout.EventRow) { r.By.Metadata["step"] = "7" }), "the metadata of commit 6 differs from its digest"},
		{"metadata and its digest", withEvent(ann, 6, func(r *layout.EventRow) {
			r.By.Metadata["step"] = "7"
			r.By.Digest = layout.DigestOf(r.By.Append(nil))
		}), `commit 6 has another digest of the event of agent "ann"`},
		{"principal", withEvent(ann, 6, func(r *layout.EventRow) { r.By.Principal = "mallory" }), "the metadata of commit 6 differs from its digest"},
		{"trace", withEvent(ann, 6, func(r *layout.EventRow) { r.By.TraceID = "4bf92f3577b34da6a3ce929d0e0e4736" }), "the metadata of commit 6 differs from its digest"},
		{"salt of the metadata", withEvent(ann, 6, func(r *layout.EventRow) { r.By.Salt[3]++ }), "the metadata of commit 6 differs from its digest"},
		{"metadata erased by nobody", withEvent(ann, 6, func(r *layout.EventRow) {
			r.By = layout.Provenance{State: layout.ProvenanceErased, Digest: r.By.Digest}
		}), "and no erasure took it"},
		{"a name of an event", withEvent(ann, 4, func(r *layout.EventRow) { r.Ops[1].Key = "m" }), "has another name than its digest says"},
		{"salt of a name", withEvent(ann, 4, func(r *layout.EventRow) { r.Ops[1].Salt[0]++ }), "has another name than its digest says"},
		{"names of an event traded", withEvent(ann, 4, func(r *layout.EventRow) { r.Ops[0].Key, r.Ops[1].Key = r.Ops[1].Key, r.Ops[0].Key }), "has another name than its digest says"},
		{"a name erased by nobody", withEvent(ann, 4, func(r *layout.EventRow) { r.Ops[1].Key = "" }), "and no erasure took it"},
		{"a value erased by nobody", all(withRecord(annK, 4, func(r *layout.RecordRow) { r.Gone = layout.GoneErased }),
			withEvent(ann, 4, func(r *layout.EventRow) { r.Ops[0].Gone = layout.GoneErased })), "and no erasure took it"},
		{"a value pruned by nobody", withRecord(annK, 4, func(r *layout.RecordRow) { r.Gone = layout.GonePruned }), "and no retention could prune it"},
		{"no salt of a value", all(withRecord(annK, 4, func(r *layout.RecordRow) { r.Salt = layout.Salt{} })), "differs from the log (commit 4)"},
		{"salt of a value", withRecord(annK, 4, func(r *layout.RecordRow) { r.Salt[15]++ }), "differs from the log (commit 4)"},
		{"transaction id of an event", withEvent(ann, 1, func(r *layout.EventRow) { r.TxnID = "txn-9" }), "not of its commit"},
		{"operations of an event", withEvent(ann, 4, func(r *layout.EventRow) { r.Ops = r.Ops[:1] }), "commit 4 has another digest"},
		{"event and record", all(withRecord(annK, 5, func(r *layout.RecordRow) { r.Value = []byte(`{"n":0}`) }),
			withEvent(ann, 6, func(r *layout.EventRow) { r.Ops[0].Digest = (&layout.RecordRow{Value: []byte(`{"n":0}`)}).Digest() })), "commit 6 has another digest"},
		{"version of an event", withEvent(ann, 6, func(r *layout.EventRow) { r.Ops[0].Version = 4 }), "commit 6 has another digest"},

		{"last commit out of the log", drop(layout.LogKey(6)), "the log ends at commit 5 but the witness saw commit 6"},
		{"a commit out of the log", drop(layout.LogKey(3)), "commit 3 is missing from the log"},
		{"first commit out of the log", drop(layout.LogKey(1)), "commit 1 is missing from the log"},
		{"a commit put in front", set(layout.LogKey(0), (&layout.LogRow{TxnID: "x"}).Append(nil)), "commit 1 is missing from the log: 0 follows 0"},
		{"time of a commit", withLog(6, func(r *layout.LogRow) { r.CommitTime = r.CommitTime.Add(time.Hour) }), "not of its commit"},
		{"transaction id of a commit", withLog(2, func(r *layout.LogRow) { r.TxnID = "txn-9" }), "not of its commit"},
		{"hash of the last commit", withLog(6, func(r *layout.LogRow) { r.Hash[0]++ }), "commit 6 is not the one the witness saw"},
		{"hash of a commit", withLog(3, func(r *layout.LogRow) { r.Hash[31]++ }), "the hash chain breaks at commit 3"},
		{"agent out of a commit", withLog(2, func(r *layout.LogRow) { r.Parts = r.Parts[:2] }), "the hash chain breaks at commit 2"},
		{"agents of a commit traded", withLog(2, func(r *layout.LogRow) {
			r.Parts[0].Digest, r.Parts[1].Digest = r.Parts[1].Digest, r.Parts[0].Digest
		}), "commit 2 has another digest"},
		{"digest of a part", withLog(2, func(r *layout.LogRow) { r.Parts[2].Digest[5]++ }), "commit 2 has another digest"},
		{"name of a part erased by nobody", withLog(2, func(r *layout.LogRow) { r.Parts[0].Agent = AgentName{} }), "missing, malformed or not of its commit"},
		{"agents of a commit out of order", withLog(2, func(r *layout.LogRow) { r.Parts[0], r.Parts[1] = r.Parts[1], r.Parts[0] }), "out of order"},

		{"outcome gone", drop(layout.OutcomeKey(tamperID(2))), "the outcome of transaction txn-2 (commit 2) is missing or wrong"},
		{"outcome of another commit", change(layout.OutcomeKey(tamperID(2)), func([]byte) []byte { return (&layout.OutcomeRow{CommitTS: 3}).Append(nil) }), "the outcome of transaction txn-2"},
		{"outcome too many", set(layout.OutcomeKey("txn-9"), (&layout.OutcomeRow{CommitTS: 3}).Append(nil)), "7 outcomes are kept, 6 should be"},
		{"outcomes said to be dropped", set(floorKey, uvarint(3)), "6 outcomes are kept, 3 should be"},
		{"more outcomes dropped than commits", set(floorKey, uvarint(9)), "6 outcomes are kept, 0 should be"},

		{"agent gone", drop(agentKey(bob)), "not the agent's first commit"},
		{"agent too many", set(agentKey(AgentName{Namespace: "default", Agent: "zoe"}), uvarint(1)), "4 agents and 2 namespaces are listed, the log has 3 and 2"},
		{"agent's first commit", change(agentKey(ann), first(2)), "not the agent's first commit"},
		{"namespace gone", drop(namespaceKey("other")), "1 namespaces"},
		{"namespace too many", set(namespaceKey("third"), uvarint(1)), "not the first commit of the namespace"},
		{"namespace of a commit of another", change(namespaceKey("other"), first(1)), "not the first commit of the namespace"},
		{"namespace said to begin later", change(namespaceKey("other"), first(5)), "not the first commit of the namespace"},
		{"format", change([]byte{layout.MetaTag, 'f'}, func([]byte) []byte { return []byte{1} }), "the store says format [1], its identity file 2"},
		{"format gone", drop([]byte{layout.MetaTag, 'f'}), "the store says format []"},
		{"row of no kind", set([]byte("zebra"), nil), `row "zebra"`},
		{"meta row of no kind", set([]byte("mz"), nil), `row "mz"`},
		{"features gone", drop(featuresKey), `row "mx": missing`},
		{"epoch gone", drop(epochKey), `row "me": missing`},
		{"no epoch", set(epochKey, []byte{0}), `row "me"`},
		{"the chain's beginning", set(baseKey, append(make([]byte, 31), 1)), "the hash chain breaks at commit 1"},
		{"a kind that is reserved", set([]byte("d"), nil), `row "d"`},
		{"a field of an event that nobody knows", change(layout.EventKey(ann, 6), func(b []byte) []byte { return append(b, 2, 1, 'x') }), "malformed"},
		{"a field of a commit that nobody knows", change(layout.LogKey(4), func(b []byte) []byte { return append(b, 2, 1, 'x') }), "malformed"},
		{"a field of a record that nobody knows", change(recordKeyOf(annK, 2), func(b []byte) []byte { return append(b, 2, 1, 'x') }), "differs from the log"},
		{"a checksum", func(t *testing.T, db *pebble.DB) {
			if err := db.Set(layout.LogKey(4), []byte("no row at all"), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}, "checksum mismatch"},
		{"two records' rows", func(t *testing.T, db *pebble.DB) {
			a, b := recordKeyOf(annK, 1), recordKeyOf(annK, 2)
			rowA, rowB := rawRow(t, db, a), rawRow(t, db, b)
			for key, row := range map[string][]byte{string(a): rowB, string(b): rowA} { // order does not matter
				if err := db.Set([]byte(key), row, pebble.Sync); err != nil {
					t.Fatal(err)
				}
			}
		}, "checksum mismatch"},
	} {
		t.Run(c.what, func(t *testing.T) {
			fs := vfs.NewMem()
			env := tamperStore(t, fs)
			if r, err := Verify(env, tamperDir, nil); err != nil || r.Commits != 6 {
				t.Fatalf("before: %+v, %v", r, err)
			}
			rewrite(t, fs, c.do)
			r, err := Verify(env, tamperDir, nil)
			if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("verify answered %v, want %q; it reports %+v", err, c.says, r)
			}
		})
	}
}

// rewrite opens the store past the engine.
func rewrite(t *testing.T, fs vfs.FS, do tamper) {
	t.Helper()
	log := pebbleLog{func(string, ...any) {}, func(err error) { t.Error(err) }}
	o := storeOptions(fs, Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true}, log, nil)
	db, err := pebble.Open(fs.PathJoin(tamperDir, storeName), o)
	if err != nil {
		t.Fatal(err)
	}
	do(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func rawRow(t *testing.T, db *pebble.DB, key []byte) []byte {
	t.Helper()
	row, closer, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return append([]byte(nil), row...)
}

// TestTailNeedsWitness: with the witness changed as well a commit can be taken off
// the end only together with all that it made.
func TestTailNeedsWitness(t *testing.T) {
	fs := vfs.NewMem()
	env := tamperStore(t, fs)
	rewrite(t, fs, drop(layout.LogKey(6)))
	if err := makeWitness(fs, fs.PathJoin(tamperDir, witnessName), mark{}); err != nil {
		t.Fatal(err)
	}
	_, err := Verify(env, tamperDir, nil)
	if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), "an event of no commit") {
		t.Errorf("verify answered %v", err)
	}
}

// TestTamperedAnswers: what the engine itself meets on the way it says, and
// remembers (G8).
func TestTamperedAnswers(t *testing.T) {
	for what, do := range map[string]tamper{ // order does not matter
		"event gone":        drop(layout.EventKey(bob, 5)),
		"commit gone":       drop(layout.LogKey(5)),
		"outcome malformed": change(layout.OutcomeKey(tamperID(5)), func([]byte) []byte { return nil }),
	} {
		fs := vfs.NewMem()
		tamperStore(t, fs)
		rewrite(t, fs, do)
		_, e := tamperEnv(t, fs)
		w := []Write{
			{Name: bobK, Value: []byte(`{"n":7}`)},
			{Name: RecordName{Namespace: "other", Agent: "ann", Key: "k"}, Value: []byte(`{"n":8}`)},
		}
		if _, err := e.Transact(t.Context(), tamperID(5), w, Conditions{}); !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s: a commit sent again answered %v", what, err)
		}
		if err := e.Healthy(); !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s: the health is then %v", what, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMissingVersion: a version that must be there and is not is damage, however
// it is asked for but by its number, which may be of no version at all.
func TestMissingVersion(t *testing.T) {
	fs := vfs.NewMem()
	tamperStore(t, fs)
	rewrite(t, fs, drop(recordKeyOf(annK, 4)))
	for what, read := range map[string]func(e *Engine, s Snapshot) error{ // order does not matter
		"history": func(_ *Engine, s Snapshot) error {
			_, _, err := s.History(annK, 0, false, Page{})
			return err
		},
		"replay": func(e *Engine, _ Snapshot) error {
			_, _, err := e.Replay(Filter{Agent: "ann"}, 0, 6, 0)
			return err
		},
	} {
		_, e := tamperEnv(t, fs)
		s, err := e.Snapshot(At{})
		if err != nil {
			t.Fatal(err)
		}
		if err := read(e, s); !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s answered %v", what, err)
		}
		if err := e.Healthy(); !errors.Is(err, ErrDataLoss) {
			t.Errorf("after %s the health is %v", what, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
