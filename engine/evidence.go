package engine

import (
	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// evidence is what the files beside the store say about the log's end. Pebble alone
// opens an earlier state without an error if the end of its log is missing.
type evidence struct {
	witness  witnessContent
	unsynced *mark // since then the store ran without syncs; nil: everything was synced
}

func readEvidence(fs vfs.FS, dir string) (ev evidence, err error) {
	if ev.witness, err = readWitness(fs, fs.PathJoin(dir, witnessName)); err != nil {
		return ev, openFailure(err, "the witness cannot be read")
	}
	if ev.unsynced, err = readUnsynced(fs, dir); err != nil {
		return ev, openFailure(err, "the mark of a store that runs without syncs cannot be read")
	}
	return ev, nil
}

// view returns the file system through which a store with this evidence must be read.
func (ev *evidence) view(fs vfs.FS) vfs.FS {
	if ev.unsynced != nil {
		return prefixFS{fs}
	}
	return fs
}

// witnessMissing reports whether the witness file is missing or has no valid slot. The
// file is made before the identity file, and at least one of its slots is always valid.
// Older builds left it blank until the first commit, so a blank file beside an empty log
// is accepted.
func (ev *evidence) witnessMissing(head mark) bool {
	return !ev.witness.exists || len(ev.witness.marks) == 0 && !(ev.witness.blank && head.ts == 0)
}

// check refuses a log that ends before a commit that the witness names, or that has
// another hash there: acknowledged commits are lost or changed. A store that ran without
// syncs may have lost the newest commits in a crash of the machine: lost is how many, as
// far as the witness knew.
func (ev *evidence) check(r *store, head mark) (lost CommitTS, err error) {
	if m := ev.unsynced; m != nil {
		if m.ts > head.ts {
			return 0, words.Failf(ErrDataLoss, "the log ends at commit %d, but everything up to commit %d was synced before the store ran without syncs: acknowledged commits are lost", head.ts, m.ts)
		}
		if err := checkMark(r, *m); err != nil {
			return 0, err
		}
	}
	for _, m := range ev.witness.marks {
		switch {
		case m.ts > head.ts && ev.unsynced == nil:
			return 0, words.Failf(ErrDataLoss, "the log ends at commit %d but the witness saw commit %d: acknowledged commits are lost", head.ts, m.ts).
				With("log_head", head.ts.String()).With("witness_head", m.ts.String())
		case m.ts > head.ts:
			lost = max(lost, m.ts-head.ts)
		default:
			if err := checkMark(r, m); err != nil {
				return 0, err
			}
		}
	}
	return lost, nil
}

// checkMark compares the log with a mark.
func checkMark(r *store, m mark) error {
	if m.ts == 0 {
		return nil
	}
	row, err := readLogRow(r, m.ts)
	if err != nil {
		return err
	}
	if row.Hash != m.hash {
		return words.Failf(ErrDataLoss, "commit %d is not the one the witness saw: the log was changed", m.ts)
	}
	return nil
}

func missingWitness(path string) *Failure {
	return words.Failf(ErrDataLoss, "%s is missing or spoilt: whether the log has lost its end cannot be told; restore a backup, or accept that for one start with --accept-missing-witness", path)
}

// sawCommits reports whether the witness names any commit.
func (ev *evidence) sawCommits() bool {
	for _, m := range ev.witness.marks {
		if m.ts > 0 {
			return true
		}
	}
	return false
}

// settle brings the files beside an open store up to date. Everything that was found in
// the store is durable by now, since Pebble writes it to tables while it opens. A witness
// that names lost commits must be replaced before the mark that excuses it is removed.
func (e *Engine) settle(ev *evidence, head mark, lost CommitTS) error {
	fs, dir := e.env.FS, e.opts.Dir
	path := fs.PathJoin(dir, witnessName)
	if lost > 0 && !e.opts.Replicated { // whose log has them still
		e.env.Log("the machine went down while the store ran without syncs: acknowledged commits are lost", "lost_commits", uint64(lost), "last_commit_ts", uint64(head.ts))
	}
	if e.opts.AcceptMissingWitness && ev.witnessMissing(head) {
		e.env.Log("the witness is gone, as accepted: the end of the log is taken for the end, whatever was lost behind it", "last_commit_ts", uint64(head.ts))
	} else if e.opts.AcceptMissingWitness {
		e.env.Log("the witness is there: a missing one need not be accepted; do not ask for that again, it would hide a loss")
	}
	if lost > 0 || ev.witness.synced == 0 {
		if err := makeWitness(fs, path, head); err != nil {
			return openFailure(err, "the witness cannot be made")
		}
		ev.witness = witnessContent{turn: 2, synced: 2}
	}
	var err error
	if e.witness, err = openWitness(fs, path, ev.witness, head, e.opts.Tuning.WitnessEvery); err != nil {
		return openFailure(err, "the witness cannot be opened")
	}
	if e.opts.NoSync {
		err = writeUnsynced(fs, dir, head)
	} else if ev.unsynced != nil {
		err = removeUnsynced(fs, dir)
	}
	if err != nil {
		return openFailure(err, "the mark of a store that runs without syncs cannot be changed")
	}
	return nil
}
