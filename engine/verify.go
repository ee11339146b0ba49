package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Report is the result of Verify.
type Report struct {
	StoreID    string   `json:"store_id"`
	Format     int      `json:"format"`
	Commits    CommitTS `json:"commits"`
	Operations uint64   `json:"operations"`
	Records    uint64   `json:"records"`
	Erased     uint64   `json:"erased,omitempty"` // values of records that an erasure took
	Pruned     uint64   `json:"pruned,omitempty"` // values of records that retention took
	Agents     uint64   `json:"agents"`
	Namespaces uint64   `json:"namespaces"`
	Outcomes   uint64   `json:"outcomes"`
	Holds      uint64   `json:"deadlines,omitempty"` // of records that expire, and of leases
	System     uint64   `json:"system_rows,omitempty"`
	Staged     uint64   `json:"staged_rows,omitempty"` // of imports under way
	Witnessed  CommitTS `json:"witnessed"`             // the last commit that the witness saw
	// Lost counts commits that the witness names and the log of a store that ran without
	// syncs does not have: a crash of the machine lost them.
	Lost CommitTS `json:"lost,omitempty"`
	// BaseHash is what the chain began with: the head of the log of format 1 that the store was
	// migrated from.
	BaseHash  string `json:"base_hash,omitempty"`
	ChainHash string `json:"chain_hash"`
	Epoch     string `json:"epoch"`
}

// Verify rebuilds the state from the log and compares it with the records, on a store
// that no process has open. It changes nothing. For every commit in order it checks the
// hash chain, that commit_ts is dense and commit_time never falls, each event and the digests
// of its names and its provenance, and for every operation its record: version, tombstone,
// commit_ts and the value's digest, and that the version before it is older. It also checks that there is no record, event,
// outcome, agent or namespace that no commit made, and that the log reaches the commits
// that the witness names. A nil error means that all of it holds. progress, unless nil, is
// called with the number of commits checked.
//
// Errors: ErrNoStore, ErrUnusable, ErrLocked, ErrFormat, ErrStorage; ErrDataLoss
// for corrupt or missing data.
func Verify(env Env, dir string, progress func(done, total CommitTS)) (Report, error) {
	var r Report
	err := withStopped(env, dir, func(id *identity, db *store, ev *evidence) error {
		r.StoreID, r.Format = id.storeID, id.format
		v := &verifier{db: db, r: &r, progress: progress, witness: env.FS.PathJoin(dir, witnessName)}
		return v.run(ev)
	})
	return r, err
}

// ReadSystem lets read look at the system rows of a store that no process has open. It changes
// nothing. Errors: those of Verify and of read.
func ReadSystem(env Env, dir string, read func(SystemReader) error) error {
	return withStopped(env, dir, func(_ *identity, db *store, _ *evidence) error { return read(systemReader{db.DB}) })
}

// withStopped opens a store that no process has open, for reading.
func withStopped(env Env, dir string, do func(*identity, *store, *evidence) error) error {
	if err := env.validate(); err != nil {
		return err
	}
	id, err := checkStoreDir(env, dir)
	if err != nil {
		return err
	}
	lock, err := lockStore(&env, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	ev, err := readEvidence(env.FS, dir)
	if err != nil {
		return err
	}
	return readStopped(&env, env.FS.PathJoin(dir, storeName), id, &ev, func(db *store) error { return do(id, db, &ev) })
}

// readStopped opens Pebble's store in a directory for reading, with the evidence beside it.
func readStopped(env *Env, storeDir string, id *identity, ev *evidence, do func(*store) error) error {
	var damage error
	log := pebbleLog{env.Log, func(err error) { damage = err }}
	db, err := openToRead(env.FS, storeDir, id, ev, Tuning{MemTableBytes: maxMemTable, ManualCompaction: true}, log)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close(), damage)
}

type verifier struct {
	db       *store
	r        *Report
	progress func(done, total CommitTS)
	witness  string // its path
	head     mark
	meta     meta
	ahead    uint64 // outcomes kept up to the floor: their ids look younger than their commits
	chained  layout.ChainHash
	kept     keptChecks
	held     heldChecks
	imports  importChecks
	// Agents and namespaces that the log implies, counted while its events are walked.
	agents, namespaces uint64
	lastAgent          AgentName
	lastNamespace      string
}

func (v *verifier) run(ev *evidence) error {
	err := checkFeatures(v.db)
	if err != nil {
		return err
	}
	if v.meta, err = readMeta(v.db, v.r.Format); err != nil {
		return err
	}
	v.r.Epoch, v.chained = v.meta.lineage.Current().Name.String(), v.meta.base
	if v.meta.base != (layout.ChainHash{}) {
		v.r.BaseHash = fmt.Sprintf("%x", v.meta.base)
	}
	if v.head, _, err = readHead(v.db); err != nil {
		return err
	}
	if err := v.imports.load(systemReader{v.db.DB}); err != nil {
		return err
	}
	if v.kept.pasts, err = readPasts(systemReader{v.db.DB}); err != nil {
		return err
	}
	if err := v.db.loadActs(); err != nil {
		return err
	}
	if ev.witnessMissing(v.head) {
		return missingWitness(v.witness)
	}
	if v.r.Lost, err = ev.check(v.db, v.head); err != nil {
		return err
	}
	for _, m := range ev.witness.marks {
		v.r.Witnessed = max(v.r.Witnessed, m.ts)
	}
	if err := v.checkLog(); err != nil {
		return err
	}
	return v.checkNothingElse()
}

// checkLog checks the commits in order, each with its events and records.
func (v *verifier) checkLog() error {
	it, err := newRowIter(v.db, []byte{layout.LogTag}, []byte{layout.LogTag + 1})
	if err != nil {
		return err
	}
	var last layout.LogRow
	for ok := it.first(); ok; ok = it.next() {
		ts, good := layout.SplitLogKey(it.key())
		row, good2 := layout.ParseLogRow(it.body)
		switch {
		case !good || !good2:
			it.corrupt()
		case ts != v.r.Commits+1:
			it.err = words.Failf(ErrDataLoss, "commit %d is missing from the log: %d follows %d", v.r.Commits+1, ts, v.r.Commits)
		case row.CommitTime.Before(last.CommitTime):
			it.err = words.Failf(ErrDataLoss, "the commit_time of commit %d is before that of the commit before it", ts)
		default:
			it.err = v.checkCommit(ts, &row)
		}
		if it.err != nil {
			break
		}
		v.r.Commits, last = ts, row
		if v.progress != nil && ts%10_000 == 0 {
			v.progress(ts, v.head.ts)
		}
	}
	v.r.ChainHash = fmt.Sprintf("%x", v.chained)
	return it.close()
}

func (v *verifier) checkCommit(ts CommitTS, row *layout.LogRow) error {
	for i := range row.Parts {
		part := &row.Parts[i]
		if i > 0 && compareAgents(row.Parts[i-1].Agent, part.Agent) >= 0 {
			return words.Failf(ErrDataLoss, "commit %d names its agents out of order", ts)
		}
		if err := v.checkPart(ts, row, part); err != nil {
			return err
		}
	}
	if v.chained = row.Chain(v.chained, ts); v.chained != row.Hash {
		return words.Failf(ErrDataLoss, "the hash chain breaks at commit %d: the log was changed", ts)
	}
	return v.checkOutcome(ts, row)
}

// checkPart compares an agent's part of a commit with the digest that the commit has of it, and
// the clear text in it with the digests that it has of that.
func (v *verifier) checkPart(ts CommitTS, row *layout.LogRow, part *layout.LogPart) error {
	a := part.Agent
	body, err := getRow(v.db, layout.EventKey(a, ts))
	if err != nil {
		return err
	}
	if body == nil {
		return v.checkEventGone(ts, row, a)
	}
	ev, err := checkPart(body, ts, row, part)
	if err == nil && ev.By.State == layout.ProvenanceErased {
		err = v.checkProvenanceGone(ts, a, ev)
	}
	if err != nil {
		return err
	}
	if err := v.checkAct(a, ts, ev); err != nil {
		return err
	}
	for j := range ev.Ops {
		if err := v.checkOp(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: ev.Ops[j].Key}, &ev.Ops[j], ts, row); err != nil {
			return err
		}
	}
	return nil
}

// checkPart is what can be checked of a part without its records. Whether what is gone from it may
// be is another question.
func checkPart(body []byte, ts CommitTS, row *layout.LogRow, part *layout.LogPart) (*layout.EventRow, error) {
	a := part.Agent
	ev, ok := layout.ParseEventRow(body)
	act, ok2 := actOf(&ev, a, ts)
	if !ok || !ok2 || len(ev.Ops) == 0 && act == nil || ev.TxnID != row.TxnID || !ev.CommitTime.Equal(row.CommitTime) {
		return nil, layout.CorruptRow(layout.EventKey(a, ts), "missing, malformed or not of its commit")
	}
	if ev.Digest() != part.Digest {
		return nil, words.Failf(ErrDataLoss, "commit %d has another digest of the event of agent %q: the log was changed", ts, a.Agent)
	}
	if ev.By.State == layout.ProvenanceThere && ev.By.Salt == (layout.Salt{}) {
		return nil, unsalted(ts, a)
	}
	if ev.By.State == layout.ProvenanceThere && layout.DigestOf(ev.By.Append(nil)) != ev.By.Digest {
		return nil, words.Failf(ErrDataLoss, "the metadata of commit %d differs from its digest in the event of agent %q", ts, a.Agent)
	}
	for j := range ev.Ops {
		op := &ev.Ops[j]
		switch {
		case op.Key == "":
			return nil, words.Failf(ErrDataLoss, "operation %d of commit %d on agent %q has lost its name, and no erasure took it", j+1, ts, a.Agent)
		case op.Salt == (layout.Salt{}):
			return nil, unsalted(ts, a)
		case op.Salt.NameDigest(a, op.Key) != op.Name:
			return nil, words.Failf(ErrDataLoss, "operation %d of commit %d on agent %q has another name than its digest says", j+1, ts, a.Agent)
		}
	}
	return &ev, nil
}

// unsalted is about a salt that was not drawn: what its digest is of can be guessed when it is gone.
func unsalted(ts CommitTS, a AgentName) error {
	return words.Failf(ErrDataLoss, "commit %d on agent %q has a salt of zeros, which nobody drew", ts, a.Agent)
}

// checkOp compares an operation of the log with the record it made.
func (v *verifier) checkOp(name RecordName, op *layout.EventRowOp, ts CommitTS, row *layout.LogRow) error {
	v.r.Operations++
	key := layout.AppendVersion(layout.RecordPrefix(name), op.Version)
	body, err := getRow(v.db, key)
	if err != nil {
		return err
	}
	if body == nil {
		return v.checkVersionGone(name, op, ts)
	}
	v.kept.matched++
	rec, ok := layout.ParseRecordRow(body)
	switch {
	case !ok, rec.CommitTS != ts, !rec.CommitTime.Equal(row.CommitTime), rec.Tombstone != op.Tombstone, rec.Gone != op.Gone && (rec.Gone != layout.GonePruned || op.Gone != 0), rec.Hold != op.Held,
		!op.Tombstone && rec.Gone == 0 && (rec.Digest() != op.Digest || len(rec.Value) != op.Size):
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", op.Version, name.Key, name.Agent, ts)
	case !op.Tombstone && rec.Gone != 0:
		if err := v.checkValueGone(name, op.Version, rec.Gone); err != nil {
			return err
		}
	}
	if !rec.Tombstone && rec.Gone == 0 && rec.Salt == (layout.Salt{}) {
		return unsalted(ts, name.AgentName())
	}
	if err := v.checkInherited(name, op.Version); err != nil || op.Version == 1 {
		return err
	}
	key = layout.AppendVersion(layout.RecordPrefix(name), op.Version-1)
	if body, err = getRow(v.db, key); err != nil {
		return err
	}
	if ts <= v.kept.pasts[name.Namespace].dropped {
		if body != nil {
			return words.Failf(ErrDataLoss, "version %d of key %q of agent %q is below what is kept of its namespace and is still there", op.Version-1, name.Key, name.Agent)
		}
		return nil
	}
	if body, err = v.db.recordBody(name, op.Version-1); err != nil {
		return err
	}
	if before, ok := layout.ParseRecordRow(body); !ok || before.CommitTS >= ts {
		return words.Failf(ErrDataLoss, "the versions of key %q of agent %q have a gap before %d", name.Key, name.Agent, op.Version)
	}
	return nil
}

func (v *verifier) checkOutcome(ts CommitTS, row *layout.LogRow) error {
	o, found, err := dbState{v.db}.outcome(row.TxnID)
	switch {
	case err != nil:
		return err
	case ts <= v.meta.floor && found && o.CommitTS == ts && !madeBy(row.TxnID, row.CommitTime):
		v.ahead++
		return nil
	case ts <= v.meta.floor && madeBy(row.TxnID, row.CommitTime.Add(clockSlack)):
		// It was dropped; a row that is there belongs to a later use of the id.
		return nil
	case !found || o.CommitTS != ts:
		return words.Failf(ErrDataLoss, "the outcome of transaction %s (commit %d) is missing or wrong", row.TxnID, ts)
	}
	return nil
}

// checkNothingElse finds rows that no commit made. checkLog matched every operation with
// a record of its own, so equal counts mean equal sets.
func (v *verifier) checkNothingElse() error {
	var events, meta, forks, ranges uint64
	steps := []struct {
		tag   byte
		count *uint64
		check func(key, body []byte) error
	}{
		{layout.RecordTag, &v.r.Records, v.checkRecord},
		{layout.EventTag, &events, v.checkEventOfCommit},
		{forkTag, &forks, v.checkForkRow},
		{rangeTag, &ranges, v.checkRangeRow},
		{layout.OutcomeTag, &v.r.Outcomes, v.nothing},
		{layout.AgentTag, &v.r.Agents, v.checkAgent},
		{layout.NamespaceTag, &v.r.Namespaces, v.checkNamespace},
		{layout.MetaTag, &meta, v.checkMeta},
		{systemTag, &v.r.System, v.checkSystem},
		{layout.HoldTag, &v.r.Holds, v.checkHold},
		{layout.TimerTag, &v.held.timers, v.checkTimer},
		{readyTag, &v.held.ready, v.checkReady},
		{stagedTag, &v.r.Staged, v.checkStaged},
	}
	for _, s := range steps {
		if err := v.countRows(s.tag, s.count, s.check); err != nil {
			return err
		}
	}
	if err := v.checkTags(); err != nil {
		return err
	}
	if err := v.checkHeld(); err != nil {
		return err
	}
	if err := v.imports.done(); err != nil {
		return err
	}
	if made := v.kept.matched + v.kept.base + v.kept.copies; v.r.Records != made {
		return words.Failf(ErrDataLoss, "the state holds %d versions, the log made %d", v.r.Records, made)
	}
	if kept := uint64(v.r.Commits-min(v.meta.floor, v.r.Commits)) + v.ahead; v.r.Outcomes != kept {
		return words.Failf(ErrDataLoss, "%d outcomes are kept, %d should be", v.r.Outcomes, kept)
	}
	if v.agents != v.r.Agents || v.namespaces != v.r.Namespaces {
		return words.Failf(ErrDataLoss, "%d agents and %d namespaces are listed, the log has %d and %d",
			v.r.Agents, v.r.Namespaces, v.agents, v.namespaces)
	}
	return nil
}

func (v *verifier) nothing(_, _ []byte) error { return nil }

func (v *verifier) countRows(tag byte, count *uint64, check func(key, body []byte) error) error {
	it, err := newRowIter(v.db, []byte{tag}, []byte{tag + 1})
	if err != nil {
		return err
	}
	for ok := it.first(); ok; ok = it.next() {
		*count++
		if it.err = check(it.key(), it.body); it.err != nil {
			break
		}
	}
	return it.close()
}

// checkEventOfCommit checks that an event belongs to a commit. It is called in key order,
// agent by agent and oldest first, so the first event of an agent is its first commit.
func (v *verifier) checkEventOfCommit(key, body []byte) error {
	a, ts, ok := layout.SplitEventKey(key)
	if !ok || ts == 0 || ts > v.r.Commits {
		return layout.CorruptRow(key, "an event of no commit")
	}
	row, err := readLogRow(v.db, ts)
	if err != nil {
		return err
	}
	for i := range row.Parts {
		if row.Parts[i].Agent == a {
			first := a != v.lastAgent
			if err := v.checkHead(key, ts, body, first); err != nil || !first {
				return err
			}
			v.lastAgent = a
			return v.checkFirst(a, ts)
		}
	}
	return layout.CorruptRow(key, "an event that its commit does not name")
}

// checkFirst checks the row that lists an agent, given its first commit.
func (v *verifier) checkFirst(a AgentName, ts CommitTS) error {
	v.agents++
	key := layout.AgentPrefix(layout.AgentTag, a)
	body, err := getRow(v.db, key)
	if err != nil {
		return err
	}
	if first, n := binary.Uvarint(body); n <= 0 || CommitTS(first) != ts && (CommitTS(first) > ts || v.kept.pasts[a.Namespace].dropped == 0) {
		return layout.CorruptRow(key, "missing, or not the agent's first commit")
	}
	return nil
}

func (v *verifier) checkAgent(key, _ []byte) error {
	var a AgentName
	if rest, ok := layout.SplitNames(key, layout.AgentTag, &a.Namespace, &a.Agent); !ok || len(rest) != 0 {
		return layout.CorruptRow(key, "malformed")
	}
	if a.Namespace != v.lastNamespace {
		v.lastNamespace = a.Namespace
		v.namespaces++
	}
	return nil
}

func (v *verifier) checkNamespace(key, body []byte) error {
	var ns string
	rest, ok := layout.SplitNames(key, layout.NamespaceTag, &ns)
	first, n := binary.Uvarint(body)
	if !ok || len(rest) != 0 || n <= 0 {
		return layout.CorruptRow(key, "malformed")
	}
	// The rows of its agents were compared with their events above.
	prefix := layout.AppendNames(nil, layout.AgentTag, ns)
	it, err := newRowIter(v.db, prefix, layout.Successor(prefix))
	if err != nil {
		return err
	}
	least := uint64(math.MaxUint64)
	for ok := it.first(); ok; ok = it.next() {
		ts, _ := binary.Uvarint(it.body)
		least = min(least, ts)
	}
	if err := it.close(); err != nil {
		return err
	}
	if least != first {
		return layout.CorruptRow(key, "not the first commit of the namespace")
	}
	return nil
}

// checkMeta refuses unknown meta rows.
func (v *verifier) checkMeta(key, _ []byte) error {
	if !isMetaKey(key) {
		return layout.CorruptRow(key, "a meta row that nobody wrote")
	}
	return nil
}

// checkSystem checks only the form: whoever wrote a system row knows what must be in it.
func (v *verifier) checkSystem(key, body []byte) error {
	if _, _, ok := splitSystemKey(key); !ok || len(body) > MaxSystemBody {
		return layout.CorruptRow(key, "malformed")
	}
	return nil
}

// checkTags refuses rows with unknown tags.
func (v *verifier) checkTags() error {
	lower := []byte{0}
	for _, tag := range []byte{layout.AgentTag, layout.TimerTag, layout.EventTag, forkTag, rangeTag, layout.HoldTag, stagedTag, layout.LogTag, layout.MetaTag, layout.NamespaceTag, layout.RecordTag, systemTag, layout.OutcomeTag, readyTag, math.MaxUint8} { // in byte order
		it, err := newRowIter(v.db, lower, []byte{tag})
		if err != nil {
			return err
		}
		if it.it.First() {
			it.err = layout.CorruptRow(it.key(), "a row that nobody wrote")
		}
		if err := it.close(); err != nil {
			return err
		}
		lower = []byte{tag + 1}
	}
	return nil
}
