package engine

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"statehouse.dev/statehouse/engine/words"
)

// A commit_ts alone does not name a commit: a store that is restored from a backup counts on
// from the commit that it was restored to, and gives the numbers after it to other commits.
// So each restore begins an epoch, and a commit_ts together with its epoch names one commit.

// An epoch is a random name and the last commit that it shares with the epoch before.
type epoch struct {
	name  epochName
	began CommitTS // 0: the store was made then
}

type epochName [6]byte

func (n epochName) String() string { return hex.EncodeToString(n[:]) }

// lineage is the epochs of a store, the oldest first. It has at least one.
type lineage []epoch

func newEpoch(fill func([]byte), began CommitTS) epoch {
	e := epoch{began: began}
	fill(e.name[:])
	return e
}

func (l lineage) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, e := range l {
		dst = append(dst, e.name[:]...)
		dst = binary.AppendUvarint(dst, uint64(e.began))
	}
	return dst
}

func parseLineage(body []byte) (l lineage, ok bool) {
	d := decoder{rest: body}
	for range d.count(len(epochName{}) + 1) {
		var e epoch
		copy(e.name[:], d.bytes(len(e.name)))
		e.began = CommitTS(d.uvarint())
		l = append(l, e)
	}
	return l, d.end() && len(l) > 0 && l[0].began == 0
}

func (l lineage) current() epoch { return l[len(l)-1] }

// shared returns the last commit that an epoch shares with this lineage: the earliest at which
// a later one began; of the current epoch all.
func (l lineage) shared(name string) (upTo CommitTS, known bool) {
	upTo = math.MaxUint64
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].name.String() == name {
			return upTo, true
		}
		upTo = min(upTo, l[i].began)
	}
	return 0, false
}

// Epoch is the store's epoch, 12 hex digits, and the commit after which it began: 0 if the
// store was never restored.
func (e *Engine) Epoch() (name string, began CommitTS) {
	c := e.meta.lineage.current()
	return c.name.String(), c.began
}

// CheckEpoch refuses a commit_ts, cursor or page that was learnt in another epoch and means
// another commit in this one, with ErrEpoch. Of an earlier epoch everything up to the commit
// at which it ended is the same. An empty epoch is that of a client that saved none: whatever
// all epochs share is right for it.
func (e *Engine) CheckEpoch(name string, ts CommitTS) error {
	l := e.meta.lineage
	if name == "" {
		name = l[0].name.String()
	}
	if upTo, known := l.shared(name); known && ts <= upTo {
		return nil
	}
	c := l.current()
	return words.Failf(ErrEpoch, "the store was restored as of commit %d and began epoch %s there: commit %d of epoch %q is another one here, or none; "+
		"read the state anew and go on from what it says", c.began, c.name, ts, name).
		With("epoch", c.name.String()).With("began_ts", c.began.String())
}

// BeginEpoch begins a new epoch in a store that no process has open, at its last commit: what
// is done with a store that was restored before anything is committed to it.
func BeginEpoch(env Env, dir string) (name string, began CommitTS, err error) {
	e, err := Open(env, Options{Dir: dir, MustExist: true, Tuning: Tuning{ManualCompaction: true}})
	if err != nil {
		return "", 0, err
	}
	next := newEpoch(env.Rand, e.Published())
	body := append(e.meta.lineage, next).append(nil)
	err = storageOrNil(e.db.Set(epochKey, sealRow(epochKey, body), pebble.Sync))
	return next.name.String(), next.began, errors.Join(err, e.Close())
}

// Epoch is one of a store's lineage: the commit after which it began, which it shares with the
// one before.
type Epoch struct {
	Name  string // 12 hexadecimal digits
	Began CommitTS
}

func (l lineage) epochs() []Epoch {
	out := make([]Epoch, len(l))
	for i, e := range l {
		out[i] = Epoch{e.name.String(), e.began}
	}
	return out
}

// lineageOf undoes epochs.
func lineageOf(epochs []Epoch) (l lineage, ok bool) {
	for _, was := range epochs {
		e := epoch{began: was.Began}
		if n, err := hex.Decode(e.name[:], []byte(was.Name)[:min(len(was.Name), 2*len(e.name))]); err != nil || n != len(e.name) || e.name.String() != was.Name {
			return nil, false
		}
		l = append(l, e)
	}
	return l, len(l) > 0 && l[0].began == 0
}

// restored is the lineage of a store that is restored up to a commit, of one with this lineage.
// Epochs that began later have nothing to do with it, but for the first.
func (l lineage) restored(upTo CommitTS, next epoch) lineage {
	var out lineage
	for i, e := range l {
		if i == 0 || e.began <= upTo {
			out = append(out, e)
		}
	}
	return append(out, next)
}
