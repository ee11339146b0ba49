package engine

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A migration writes the store anew, beside the old one, in the format of this build:
//
//  1. The old store is read commit by commit, each held against the old hash chain and the
//     witness, and written into store.new, with a witness.new. Nothing of the old is touched.
//  2. The new store is verified.
//  3. The identity file is replaced by one of the new format. From here on the new store is
//     the store.
//  4. The old store is removed, and store.new and witness.new take the places of store and
//     witness, in this order: while there is a witness.new, there is something left to do.
//
// Interrupted before 3 it begins again, after 3 it is finished. Until it has been finished the
// store is not opened. commit_ts, times, versions, ids, outcomes, metadata and the order of
// everything stay as they were. The new chain begins with the head of the old one.

const (
	newStoreName   = "store.new"
	newWitnessName = "witness.new"
)

// MigrateOptions says how to migrate. The zero value of a field means its default.
type MigrateOptions struct {
	// AcceptMissingWitness is as in Options.
	AcceptMissingWitness bool
	// Progress, unless nil, is called with the number of commits written, and then verified.
	Progress func(step string, done, total CommitTS)
	Tuning   Tuning
}

// Migration is what Migrate has done.
type Migration struct {
	StoreID string `json:"store_id"`
	From    int    `json:"from_format"`
	To      int    `json:"to_format"`
	// Finished: an earlier call was interrupted when the new store was in force already.
	Finished bool `json:"finished,omitempty"`
	// Store is what Verify says of the new store, unless it was there already.
	Store *Report `json:"store,omitempty"`
}

// Migrate rewrites the store in dir, which no process has open, in the format of this build. Of a
// store that has it already only StoreID, From and To are reported. Errors are those of Verify,
// and ErrDiskFull if there is not enough space for a second store. env.Halt is called, and must not
// return, when writing fails on the way: nothing is lost then, and Migrate can be called again.
func Migrate(env Env, dir string, o MigrateOptions) (m Migration, err error) {
	if err := env.validate(); err != nil {
		return m, err
	}
	if err := checkDir(env.FS, dir); err != nil {
		return m, err
	}
	lock, err := lockStore(&env, dir)
	if err != nil {
		return m, err
	}
	defer lock.Close()
	fs := env.FS
	if err := refuseMember(fs, dir); err != nil {
		return m, err
	}
	id, err := readIdentity(fs, fs.PathJoin(dir, identityName))
	if err != nil {
		return m, openFailure(err, "the identity file cannot be read")
	}
	if id == nil {
		return m, words.Failf(ErrNoStore, "%s has no file %s: there is no store to migrate", dir, identityName)
	}
	m = Migration{StoreID: id.storeID, From: id.format, To: FormatVersion}
	if id.format == FormatVersion {
		if m.Finished, err = unfinished(fs, dir); m.Finished && err == nil {
			err = finishMigration(fs, dir)
		}
		return m, openFailureOf(err, dir)
	}
	if o.Progress == nil {
		o.Progress = func(string, CommitTS, CommitTS) {}
	}
	o.Tuning.setDefaults()
	o.Tuning.MemTableBytes = cmp.Or(o.Tuning.MemTableBytes, maxMemTable)
	g := &migration{env: env, o: o, dir: dir, id: id}
	if m.Store, err = g.run(); err != nil {
		return m, err
	}
	now := identity{format: FormatVersion, storeID: id.storeID}
	if err := writeFileAtomic(fs, fs.PathJoin(dir, identityName), now.encode()); err != nil {
		return m, words.Failf(ErrStorage, "the identity file cannot be written: %v", err)
	}
	return m, openFailureOf(finishMigration(fs, dir), dir)
}

func openFailureOf(err error, dir string) error {
	if err == nil {
		return nil
	}
	return openFailure(err, "the migration of %s cannot be finished", dir)
}

// unfinished reports whether the new store is in force, but not in its place.
func unfinished(fs vfs.FS, dir string) (bool, error) {
	_, err := fs.Stat(fs.PathJoin(dir, newWitnessName))
	if isNotExist(err) {
		return false, nil
	}
	return err == nil, err
}

// finishMigration gives the new store its place. Every step may be the last before a crash.
func finishMigration(fs vfs.FS, dir string) error {
	store, renewed := fs.PathJoin(dir, storeName), fs.PathJoin(dir, newStoreName)
	switch _, err := fs.Stat(renewed); {
	case err == nil:
		if err := errors.Join(fs.RemoveAll(store), syncDir(fs, dir)); err != nil {
			return err
		}
		if err := errors.Join(fs.Rename(renewed, store), syncDir(fs, dir)); err != nil {
			return err
		}
	case !isNotExist(err):
		return err
	}
	if err := removeUnsynced(fs, dir); err != nil && !isNotExist(err) { // it names a hash of the old chain
		return err
	}
	return errors.Join(fs.Rename(fs.PathJoin(dir, newWitnessName), fs.PathJoin(dir, witnessName)), syncDir(fs, dir))
}

// migration is steps 1 and 2.
type migration struct {
	env      Env
	o        MigrateOptions
	dir      string
	id       *identity
	evidence evidence
	old, to  *store
	marks    []mark   // what the evidence says
	lost     CommitTS // commits that a store without syncs has lost, as far as the witness knew
	head     CommitTS // of the old log
	at       mark     // how far the old chain was checked
	hash     layout.ChainHash
	rows     rowWriter
	batch    *pebble.Batch
	events   uint64 // of the log, as the records
	records  uint64
	owner    owner
	damage   error
}

func (g *migration) run() (r *Report, err error) {
	fs := g.env.FS
	storeDir := fs.PathJoin(g.dir, storeName)
	if g.evidence, err = readEvidence(fs, g.dir); err != nil {
		return nil, err
	}
	if err := g.makeRoom(storeDir); err != nil {
		return nil, err
	}
	log := pebbleLog{g.env.Log, func(err error) { g.damage = err }}
	g.old, err = openToRead(fs, storeDir, g.id, &g.evidence, Tuning{MemTableBytes: maxMemTable, ManualCompaction: true}, log)
	if err != nil {
		return nil, err
	}
	err = g.rewrite()
	if err := errors.Join(err, g.old.Close(), g.damage); err != nil {
		return nil, err
	}
	if err := makeWitness(fs, fs.PathJoin(g.dir, newWitnessName), mark{g.at.ts, g.hash}); err != nil {
		return nil, openFailure(err, "the new witness cannot be made")
	}
	return g.verify()
}

func (g *migration) progress(step string) func(done, total CommitTS) {
	return func(done, total CommitTS) { g.o.Progress(step, done, total) }
}

// makeRoom removes what an interrupted migration has left and looks whether there is space.
func (g *migration) makeRoom(storeDir string) error {
	fs := g.env.FS
	witness := fs.PathJoin(g.dir, newWitnessName)
	if err := fs.Remove(witness); err != nil && !isNotExist(err) {
		return openFailure(err, "%s cannot be removed", witness)
	}
	renewed := fs.PathJoin(g.dir, newStoreName)
	if err := errors.Join(fs.RemoveAll(renewed), syncDir(fs, g.dir)); err != nil {
		return openFailure(err, "%s, which an interrupted migration has left, cannot be removed", renewed)
	}
	size, err := sizeOfDir(fs, storeDir)
	if err != nil {
		return openFailure(err, "%s cannot be looked at", storeDir)
	}
	// A commit of format 2 is up to a third larger, and merging tables takes as much again as
	// is merged.
	need := 2*size + 8*maxMemTable
	usage, err := fs.GetDiskUsage(g.dir)
	if err == nil && usage.AvailBytes < need {
		return words.Failf(ErrDiskFull, "%s has %d MiB free, and a migration needs %d MiB: it writes the store anew and removes the old one after that", g.dir, usage.AvailBytes>>20, need>>20)
	}
	return nil
}

func sizeOfDir(fs vfs.FS, dir string) (size uint64, err error) {
	names, err := fs.List(dir)
	if isNotExist(err) {
		return 0, nil // openToRead reports it
	}
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return 0, err
		}
		size += uint64(info.Size())
	}
	return size, err
}

// verify verifies the new store in its place.
func (g *migration) verify() (*Report, error) {
	fs := g.env.FS
	r := &Report{StoreID: g.id.storeID, Format: FormatVersion}
	path := fs.PathJoin(g.dir, newWitnessName)
	content, err := readWitness(fs, path)
	if err != nil {
		return nil, openFailure(err, "the new witness cannot be read")
	}
	ev := &evidence{witness: content}
	err = readStopped(&g.env, fs.PathJoin(g.dir, newStoreName), g.id, ev, func(db *store) error {
		v := &verifier{db: db, r: r, progress: g.progress("verifying"), witness: path}
		return v.run(ev)
	})
	if err != nil {
		return nil, fmt.Errorf("the new store: %w", err)
	}
	if r.Commits != g.head || r.Records != g.records {
		return nil, words.Failf(ErrDataLoss, "the new store has %d commits and %d versions, the old one %d and %d", r.Commits, r.Records, g.head, g.records)
	}
	r.Lost = g.lost
	return r, nil
}
