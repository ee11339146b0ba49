package backup

import (
	"context"
	"errors"
	"io"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
)

// RestoreOptions say what to restore, and where.
type RestoreOptions struct {
	From string // a backup
	Dir  string // a directory that does not exist yet, or is empty
	// ToCommit and ToTime end the restore at a commit, or with the last commit of a time; zero: at
	// the end of the backup.
	ToCommit uint64
	ToTime   time.Time
	// System, unless nil, says what changes of the rows of the system: whoever restores revokes access keys.
	System func(engine.SystemReader) ([]engine.SystemChange, error)
	// Unverified leaves out the check of the store that was made.
	Unverified bool
	// Progress is told what is done, and how far it is. May be nil.
	Progress func(what string, done, last uint64)
}

// Restored is a store that was made of a backup.
type Restored struct {
	Store      string    `json:"store_id"`
	Epoch      string    `json:"epoch"`
	Before     string    `json:"epoch_before"`
	CommitTS   uint64    `json:"commit_ts"` // its last commit
	CommitTime time.Time `json:"commit_time"`
	// WithoutRetention names namespaces of which everything is kept from now on: what was to be kept
	// of them is known only as of a later moment.
	WithoutRetention []string `json:"without_retention"`
}

// Restore makes a store of a backup, in a new epoch. The backup is checked before anything is
// written, each commit again as it is written, and the store when it is whole.
func Restore(ctx context.Context, env engine.Env, o RestoreOptions) (Restored, error) {
	if o.ToCommit > 0 && !o.ToTime.IsZero() {
		return Restored{}, failf(engine.ErrInvalid, "a restore ends at a commit or at a time, not both")
	}
	s, err := openSource(&env, o.From)
	if err != nil {
		return Restored{}, err
	}
	tell := func(what string) Progress {
		return func(done, last uint64) {
			if o.Progress != nil {
				o.Progress(what, done, last)
			}
		}
	}
	wanted := until{commit: o.ToCommit, time: o.ToTime}
	report, err := s.verify(ctx, wanted, tell("checking the backup"))
	if err != nil {
		return Restored{}, err
	}
	if o.ToCommit > report.To {
		return Restored{}, failf(engine.ErrInvalid, "the backup ends at commit %d, before commit %d", report.To, o.ToCommit)
	}
	w := restoring{o: &o, env: &env, wanted: wanted, floor: engine.CommitTS(report.outcomesAfter)}
	done, err := w.run(ctx, s, tell("restoring"))
	if err != nil || o.Unverified {
		return done, err
	}
	check := tell("checking the store")
	_, err = engine.Verify(env, o.Dir, func(at, last engine.CommitTS) { check(uint64(at), uint64(last)) })
	return done, err
}

type restoring struct {
	o      *RestoreOptions
	env    *engine.Env
	wanted until
	floor  engine.CommitTS
	r      *engine.Restore
}

func (w *restoring) run(ctx context.Context, s *source, progress Progress) (done Restored, err error) {
	defer func() {
		if w.r != nil {
			err = errors.Join(err, w.r.Close())
		}
	}()
	var last segment.Header
	err = s.each(func(name string, r *segment.Reader) (bool, error) {
		last = r.Header
		if err := w.segment(ctx, r, progress); err != nil {
			return false, about(name, err)
		}
		return w.r.Stopped() || w.wanted.reached(&r.Header), nil
	})
	if err != nil {
		return done, err
	}
	if w.o.System != nil {
		changes, err := w.o.System(w.r)
		if err := errors.Join(err, w.r.AddSystem(changes...)); err != nil {
			return done, err
		}
	}
	epoch, at, err := w.r.Finish()
	return Restored{
		Store: last.Store, Epoch: epoch, Before: last.Epoch(), CommitTS: uint64(w.r.Head()), CommitTime: at,
		WithoutRetention: w.r.Forgotten,
	}, err
}

// addSystem restores rows of the system, which the next segment's replace.
func (w *restoring) addSystem(rows []segment.Row) error {
	changes, err := systemOf(rows)
	return errors.Join(err, w.r.AddSystem(changes...))
}

// segment restores a segment, or its beginning.
func (w *restoring) segment(ctx context.Context, r *segment.Reader, progress Progress) (err error) {
	of := stretchOf(&r.Header)
	if w.r == nil {
		w.r, err = engine.BeginRestore(*w.env, engine.RestoreOptions{
			Dir: w.o.Dir, First: of, OutcomesAfter: w.floor, Until: engine.CommitTS(w.o.ToCommit), By: w.o.ToTime,
		})
	} else {
		err = w.r.Continue(of)
	}
	for err == nil {
		var rows []segment.Row
		var system bool
		if rows, system, err = r.Next(); err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && system {
			err = w.addSystem(rows)
		}
		if err != nil || system {
			continue
		}
		err = w.r.Commits(engineRows(rows))
		progress(uint64(w.r.Head()), r.Header.To)
	}
	return err
}
