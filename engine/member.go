package engine

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// A store may be one of several that a cluster keeps equal. What this package knows of that: such a store is
// changed by its cluster alone, and who makes commits durable is somebody else.

// MemberFile is the file in a data directory that says of which cluster it is. Whoever makes the directory a
// member's writes it; here it keeps everything else from opening the store to change it, which would then not be
// what the others have any more.
const MemberFile = "CLUSTER"

// What a copy of a store that is closed consists of, in the directory of either.
const (
	IdentityFile = identityName // written last: without it there is no store
	WitnessFile  = witnessName
	StoreDir     = storeName
)

// refuseMember refuses the directory of a cluster's member.
func refuseMember(fs vfs.FS, dir string) error {
	switch _, err := fs.Stat(fs.PathJoin(dir, MemberFile)); {
	case isNotExist(err):
		return nil
	case err != nil:
		return openFailure(err, "%s cannot be looked at", dir)
	}
	return words.Failf(ErrUnusable, "%s is of a member of a cluster, and only its daemon, as that member, may change it: start it with --peer-listen-addr", dir)
}

// Refuses is why this store refuses all writes now, as on a full disk; nil: it does not. Another's may not.
func (e *Engine) Refuses() error { return e.refusal() }

// Chain is the hash chain's value at a commit that is published. Two stores that have it in common have all
// commits up to there in common.
func (e *Engine) Chain(ts CommitTS) (hash [32]byte, at time.Time, err error) {
	if last := e.Published(); ts > last {
		return hash, at, words.Failf(ErrInvalid, "commit %d has not happened here yet; the last is %d", ts, last)
	}
	if ts == 0 {
		return e.meta.base, at, nil
	}
	row, err := readLogRow(e.db, ts)
	return row.Hash, row.CommitTime, e.noted(err)
}
