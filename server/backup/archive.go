package backup

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
)

// Target is where an archive is kept.
type Target interface {
	// List names what is there, in order.
	List() ([]string, error)
	Open(name string) (io.ReadCloser, error)
	// Put makes an object of what write writes: whole and durable, or not at all. It fails with
	// ErrExists, whoever else puts one of that name at the same moment, unless it makes it.
	Put(name string, write func(io.Writer) error) error
}

// ErrExists: there is an object of that name.
var ErrExists = errors.New("exists")

// ArchiveOptions say when a segment is shipped.
type ArchiveOptions struct {
	// Every is how long a commit may be missing in the archive, while that can be reached. It is
	// shipped when half of it has passed.
	Every time.Duration
	// Commits ships a segment earlier, when it has so many.
	Commits uint64
}

// ArchiveStatus is how an archive fares.
type ArchiveStatus struct {
	Archived engine.CommitTS // everything up to here is there
	Behind   uint64          // commits that are not
	Lag      time.Duration   // since the first of them was seen
	Problem  error           // of the last try; nil: it ended well
}

// Archiver ships segments to an archive as commits are made. It never makes a commit wait.
//
// An archive is a backup to which segments are added, each named by its first commit. Of two daemons
// that believe they have the same store, copies of one directory, only one can put the next segment:
// the other finds that it is there, and archives no more.
type Archiver struct {
	e   *engine.Engine
	env *engine.Env
	to  Target
	o   ArchiveOptions

	// Of the goroutine that steps.
	opened bool // archived is known
	over   bool // the archive is another's: nothing is put into it any more
	tries  int  // that failed, one after the other
	wait   time.Time

	mu       sync.Mutex
	archived engine.CommitTS
	since    time.Time // when the first commit that is not archived was seen; zero: all are
	problem  error
}

// NewArchiver archives what e commits.
func NewArchiver(e *engine.Engine, env *engine.Env, to Target, o ArchiveOptions) *Archiver {
	return &Archiver{e: e, env: env, to: to, o: o}
}

// Open finds out where the archive ends. It fails with ErrUnusable when that is of another store, or of
// a past that this one does not have. Any other failure may pass: Step tries again.
func (a *Archiver) Open() error {
	last, err := a.last()
	if err == nil && last != nil {
		err = a.fits(last)
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened = true; last != nil {
		a.archived = engine.CommitTS(last.To)
	}
	return nil
}

// last is the header of the last segment; nil: there is none.
func (a *Archiver) last() (*segment.Header, error) {
	names, err := a.to.List()
	if err != nil {
		return nil, failf(engine.ErrStorage, "the archive cannot be listed: %v", err)
	}
	last := ""
	for _, n := range names {
		if segment.IsName(n) {
			last = max(last, n)
		}
	}
	if last == "" {
		return nil, nil
	}
	f, err := a.to.Open(last)
	if err != nil {
		return nil, failf(engine.ErrStorage, "the archive cannot be read: %v", err)
	}
	defer f.Close()
	r, err := segment.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, about("segment "+last+" of the archive", err)
	}
	r.Close()
	return &r.Header, nil
}

// fits reports whether the store can go on with an archive that ends so.
func (a *Archiver) fits(last *segment.Header) error {
	store := a.e.Status().StoreID
	epoch, _ := a.e.Epoch()
	switch {
	case last.Store != store:
		return failf(engine.ErrUnusable, "the archive is of the store %s, and this is %s: choose another one", last.Store, store)
	case last.Epoch() != epoch:
		return failf(engine.ErrUnusable, "the archive is of the epoch %s, and the store, which was restored, is in %s: choose another one", last.Epoch(), epoch)
	case engine.CommitTS(last.To) > a.e.Published():
		return failf(engine.ErrUnusable, "the archive ends at commit %d, and the store at commit %d: it has lost commits, or is a copy of the one that is archived; restore from the archive, or choose another one", last.To, a.e.Published())
	}
	x, err := a.e.Export(engine.CommitTS(last.To))
	if err != nil {
		return err
	}
	of := x.Of()
	if err := x.Close(); err != nil {
		return err
	}
	if of.AfterHash != last.ToHash {
		return failf(engine.ErrUnusable, "commit %d of the archive is not that of this store: it is a copy of the one that is archived, or was put back to an earlier state; choose another archive", last.To)
	}
	return nil
}

// Step ships a segment if it is time. It may take long; nothing waits for it.
func (a *Archiver) Step(ctx context.Context) {
	now := a.env.Now()
	missing, since := a.look(now)
	if a.over || missing == 0 || now.Before(a.wait) {
		return
	}
	if missing < a.o.Commits && now.Sub(since) < a.o.Every/2 {
		return
	}
	a.settle(a.ship(ctx))
}

// Finish ships what is left.
func (a *Archiver) Finish(ctx context.Context) {
	if missing, _ := a.look(a.env.Now()); missing > 0 && !a.over {
		a.settle(a.ship(ctx))
	}
}

// look counts the commits that are not in the archive.
func (a *Archiver) look(now time.Time) (missing uint64, since time.Time) {
	head := a.e.Published()
	a.mu.Lock()
	defer a.mu.Unlock()
	if head <= a.archived {
		a.since = time.Time{}
		return 0, now
	}
	if a.since.IsZero() {
		a.since = now
	}
	return uint64(head - a.archived), a.since
}

// ship puts what was committed since the last segment.
func (a *Archiver) ship(ctx context.Context) error {
	if !a.opened {
		if err := a.Open(); err != nil {
			return err
		}
	}
	began := a.env.Now()
	x, err := a.e.Export(a.archived)
	if err != nil {
		return err
	}
	of := x.Of()
	if of.To > of.After {
		err = a.to.Put(segment.Name(uint64(of.After)+1), func(w io.Writer) error {
			_, err := Write(ctx, x, w, nil)
			return err
		})
	}
	if err = errors.Join(err, x.Close()); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.archived = of.To; a.e.Published() > of.To {
		a.since = began // the next one was made after that
	} else {
		a.since = time.Time{}
	}
	return nil
}

const longestWait = time.Minute

// settle takes down how a try ended.
func (a *Archiver) settle(err error) {
	switch {
	case err == nil:
		a.tries = 0
	case errors.Is(err, ErrExists):
		a.over = true
		err = failf(engine.ErrUnusable, "what follows commit %d is in the archive already, and this daemon has not put it there: another one writes to it; nothing more is archived", a.archived)
	case errors.Is(err, engine.ErrOutOfRange):
		a.over = true
		err = failf(engine.ErrUnusable, "the archive cannot go on: %v; start the daemon with another archive, which begins with the whole store", err)
	case errors.Is(err, engine.ErrUnusable):
		a.over = true
	default:
		// What was put may be there all the same: look again.
		a.opened = false
		a.wait = a.env.Now().Add(min(time.Second<<min(a.tries, 10), longestWait))
		a.tries++
	}
	if err != nil {
		a.env.Log("the archive does not get what was committed", "error", err.Error(), "for_good", a.over)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.problem = err
}

// Status reports how the archive fares.
func (a *Archiver) Status() ArchiveStatus {
	missing, since := a.look(a.env.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	s := ArchiveStatus{Archived: a.archived, Behind: missing, Problem: a.problem}
	if missing > 0 {
		s.Lag = a.env.Now().Sub(since)
	}
	return s
}
