package engine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// System rows are what the daemon keeps about itself: access keys, the audit log, retention.
// They have no commit_ts and no event and are not in the hash chain; no agent can name one.
// The writer's step makes them durable, in the batch that it writes anyway, so that changes
// have one order and a change that reads what it rests on needs no lock.
//
//	s kind 00 name 00 -> body, opaque

const systemTag = 's'

// MaxSystemBody is the most that a system row holds.
const MaxSystemBody = 64 << 10

// Bounds of what waits for the writer: updates, and changes of one of them.
const (
	queuedSystem  = 1024
	systemChanges = 4096
)

// SystemRow is a row and its name. Within a kind, rows are in byte order of their names.
type SystemRow struct {
	Name string
	Body []byte
}

// SystemChange sets a system row, or deletes it if Body is nil.
type SystemChange struct {
	Kind, Name string
	Body       []byte
}

// SystemReader reads system rows.
type SystemReader interface {
	// System returns the body of a row; nil if there is none.
	System(kind, name string) ([]byte, error)
	// SystemRows returns the rows of a kind whose names are after the given one, at most
	// limit of them unless that is 0.
	SystemRows(kind, after string, limit int) ([]SystemRow, error)
}

// SystemUpdate is a change of system rows that depends on what they are.
type SystemUpdate struct {
	// Decide is called by the writer and says what is to change. What it reads are the rows
	// as the update finds them, with those before it in place. An error of it changes nothing.
	// It must do nothing but decide.
	Decide func(now time.Time, rows SystemReader) ([]SystemChange, error)
	// Applied, unless nil, is called by the writer when the changes are durable, before any
	// later commit or update is planned and before the update is answered; also when whoever
	// asked for the update no longer waits. It must not wait.
	Applied func()
	// rows, in place of Decide, changes other rows, too. With an error it has changed nothing. It may
	// move what the writer has planned: a step that cannot be made durable halts.
	rows func(now time.Time, b *pebble.Batch) error
}

// PutSystem makes changes durable, all or none of them. When ctx ends first the outcome is
// unknown. Errors: ErrInvalid, ErrLimit, ErrStopped, ErrDataLoss, ErrStorage, ErrOutcomeUnknown.
//
// Space that is short is no reason to refuse: the rows are few and bounded, and an operator
// must be able to revoke a key whatever agents have filled.
func (e *Engine) PutSystem(ctx context.Context, changes ...SystemChange) error {
	return e.UpdateSystem(ctx, SystemUpdate{Decide: func(time.Time, SystemReader) ([]SystemChange, error) { return changes, nil }})
}

// UpdateSystem is PutSystem of what u decides.
func (e *Engine) UpdateSystem(ctx context.Context, u SystemUpdate) error {
	a, err := e.askWriter(&systemAsk{SystemUpdate: u})
	if err != nil {
		return err
	}
	return e.awaitSystem(ctx, a)
}

func (e *Engine) awaitSystem(ctx context.Context, a *systemAsk) error {
	e.stepSoon()
	if err := e.env.Await(ctx, a.ticket.done); err != nil {
		return words.Failf(ErrOutcomeUnknown, "the request ended (%v) while its change was being made: look whether it was", err)
	}
	return a.ticket.err
}

// AskSystem is UpdateSystem that does not wait. The update is made with the next step.
func (e *Engine) AskSystem(u SystemUpdate) error {
	_, err := e.askWriter(&systemAsk{SystemUpdate: u})
	if err == nil {
		e.wakeWriter()
	}
	return err
}

// System implements SystemReader: what is durable.
func (e *Engine) System(kind, name string) ([]byte, error) {
	e.system.mu.RLock()
	defer e.system.mu.RUnlock()
	body, err := e.durableSystem().System(kind, name)
	return body, e.noted(err)
}

// SystemRows implements SystemReader: what is durable.
func (e *Engine) SystemRows(kind, after string, limit int) ([]SystemRow, error) {
	e.system.mu.RLock()
	defer e.system.mu.RUnlock()
	rows, err := e.durableSystem().SystemRows(kind, after, limit)
	return rows, e.noted(err)
}

var _ SystemReader = (*Engine)(nil)

// OnSystem has f called when changes of rows of a kind are durable, whoever made them: an update here, or a
// step that was planned on another machine. It is called by the writer, before any later commit or update is
// planned and before the update is answered, and must not wait. It is asked for before the engine steps.
func (e *Engine) OnSystem(kind string, f func()) {
	if e.system.told == nil {
		e.system.told = make(map[string][]func())
	}
	e.system.told[kind] = append(e.system.told[kind], f)
}

// systemRows is what the engine has of system rows beside the rows.
type systemRows struct {
	queue []*systemAsk        // under Engine.mu
	told  map[string][]func() // by kinds

	// durable is the store as it was before a step whose changes are not durable yet: Pebble
	// shows those at once, and a crash could still take them back (G4). nil: there is no such step.
	mu      sync.RWMutex
	durable *pebble.Snapshot
}

// systemAsk is an update that waits for the writer, or moves of deadlines.
type systemAsk struct {
	SystemUpdate
	moves  []move
	permit func() error // of moves; nil: nothing to ask
	ticket *ticket
	err    error
}

// systemStep is what a step does to system rows.
type systemStep struct {
	asks  []*systemAsk
	batch *pebble.Batch // indexed, so that an update sees those before it; nil: nothing changes, or join was called
	kinds kinds         // of the rows that updates change

	changes bool
}

// kinds are those of system rows that a step changes, each once.
type kinds []string

func (k *kinds) add(kind string) {
	if !slices.Contains(*k, kind) {
		*k = append(*k, kind)
	}
}

func (e *Engine) askWriter(a *systemAsk) (*systemAsk, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch err := e.Healthy(); {
	case err != nil:
		return nil, err
	case e.stopped:
		return nil, words.Failf(ErrStopped, "the daemon is stopping; nothing was changed: retry when it is back")
	case len(e.system.queue) >= queuedSystem:
		return nil, words.Failf(ErrLimit, "limit reached: %d changes of the daemon's own rows wait for the writer, at most %d may; retry",
			len(e.system.queue), queuedSystem)
	case e.following.Load():
		return nil, words.Failf(ErrNotLeader, "%s; nothing was changed", deposed)
	}
	a.ticket = newTicket()
	e.system.queue = append(e.system.queue, a)
	return a, nil
}

func (e *Engine) takeSystem() []*systemAsk {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.system.queue
	e.system.queue = nil
	return taken
}

// planSystem decides the updates of a step.
func (e *Engine) planSystem(asks []*systemAsk, now time.Time) systemStep {
	s := systemStep{asks: asks}
	if len(asks) == 0 {
		return s
	}
	b := e.db.NewIndexedBatch()
	for _, a := range asks {
		if a.moves != nil {
			a.err = e.noted(e.planMoves(a, now, b))
			continue
		}
		if a.rows != nil {
			a.err = e.noted(a.rows(now, b))
			continue
		}
		changes, err := a.Decide(now, systemReader{b})
		if err == nil {
			err = checkSystem(changes)
		}
		if a.err = e.noted(err); err != nil {
			continue
		}
		for _, c := range changes {
			s.kinds.add(c.Kind)
			setSystem(b, c)
		}
	}
	if b.Empty() {
		_ = b.Close()
		return s
	}
	s.batch, s.changes = b, true
	return s
}

func checkSystem(changes []SystemChange) error {
	if len(changes) > systemChanges {
		return words.Failf(ErrInvalid, "%d changes of system rows at once, more than the limit of %d", len(changes), systemChanges)
	}
	for _, c := range changes {
		if c.Kind == "" || c.Name == "" || strings.ContainsRune(c.Kind+c.Name, 0) || len(c.Kind)+len(c.Name) > maxSystemName {
			return words.Failf(ErrInvalid, "no system row can be named %q, %q", c.Kind, c.Name)
		}
		if len(c.Body) > MaxSystemBody {
			return words.Failf(ErrInvalid, "a system row of %d bytes is more than the limit of %d", len(c.Body), MaxSystemBody)
		}
	}
	return nil
}

const maxSystemName = 1024 // kind and name

func systemKey(kind, name string) []byte {
	return layout.AppendNames(make([]byte, 0, 3+len(kind)+len(name)), systemTag, kind, name)
}

// setSystem adds a change to a batch, which cannot fail.
func setSystem(b *pebble.Batch, c SystemChange) {
	key := systemKey(c.Kind, c.Name)
	if c.Body == nil {
		_ = b.Delete(key, nil)
		return
	}
	_ = b.Set(key, layout.SealRow(key, bytes.Clone(c.Body)), nil)
}

// join adds the step's changes to its batch.
func (s *systemStep) join(batch *pebble.Batch) {
	if s.batch != nil {
		_ = batch.Apply(s.batch, nil) // in memory
		_ = s.batch.Close()
		s.batch = nil
	}
}

// hold shows readers the store as it is, until settled. The writer calls it before it applies changes, or
// rows of holds that commits change.
func (r *systemRows) hold(db *store) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.durable = db.NewSnapshot()
}

// publish calls f, which publishes the step's commits, and shows readers what hold held back
// in the same moment.
func (r *systemRows) publish(f func()) {
	if r.durable == nil { // only the writer changes it
		f()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.release()
}

// release ends what hold began. The caller holds mu.
func (r *systemRows) release() {
	if r.durable != nil {
		_ = r.durable.Close()
		r.durable = nil
	}
}

// settled ends what hold began. If the changes are durable, whoever keeps something made of
// them is told.
func (r *systemRows) settled(s *systemStep, durable bool) {
	if r.durable != nil {
		r.mu.Lock()
		r.release()
		r.mu.Unlock()
	}
	if !durable {
		return
	}
	r.tell(s.kinds)
	for _, a := range s.asks {
		if a.err == nil && a.Applied != nil {
			a.Applied()
		}
	}
}

// tell tells of kinds of rows that have changed.
func (r *systemRows) tell(ks kinds) {
	for _, kind := range ks {
		for _, f := range r.told[kind] {
			f()
		}
	}
}

// answer answers the updates of a step, or with err those of one that failed.
func (s *systemStep) answer(err error) {
	for _, a := range s.asks {
		if err == nil {
			a.ticket.answer(CommitResult{}, a.err)
		} else {
			a.ticket.answer(CommitResult{}, err)
		}
	}
}

// durableSystem reads what is durable. The caller holds mu.
func (e *Engine) durableSystem() systemReader {
	if s := e.system.durable; s != nil {
		return systemReader{s}
	}
	return systemReader{e.db.DB}
}

// systemReader reads system rows of the store, or of a view of it. What it reads is not
// counted in Reads: no request of an agent asks for it.
type systemReader struct{ r pebble.Reader }

func (s systemReader) System(kind, name string) ([]byte, error) {
	return s.row(systemKey(kind, name))
}

// row returns the body of a row; nil if there is none.
func (s systemReader) row(key []byte) ([]byte, error) {
	row, closer, err := s.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storageError(err)
	}
	defer closer.Close()
	body, err := layout.OpenRow(key, row)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(body)), body...), nil
}

func (s systemReader) SystemRows(kind, after string, limit int) ([]SystemRow, error) {
	prefix := layout.AppendNames(nil, systemTag, kind)
	it, err := s.r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: layout.Successor(prefix)})
	if err != nil {
		return nil, storageError(err)
	}
	defer it.Close()
	from := prefix
	if after != "" {
		from = append(systemKey(kind, after), 0) // the next possible key
	}
	var rows []SystemRow
	for ok := it.SeekGE(from); ok && (limit == 0 || len(rows) < limit); ok = it.Next() {
		_, name, valid := splitSystemKey(it.Key())
		row, err := it.ValueAndErr()
		if err != nil {
			return nil, storageError(err)
		}
		body, err := layout.OpenRow(it.Key(), row)
		if err != nil {
			return nil, err
		}
		if !valid {
			return nil, layout.CorruptRow(it.Key(), "malformed")
		}
		rows = append(rows, SystemRow{name, append(make([]byte, 0, len(body)), body...)})
	}
	if err := it.Error(); err != nil {
		return nil, storageError(err)
	}
	return rows, nil
}

func splitSystemKey(key []byte) (kind, name string, ok bool) {
	rest, ok := layout.SplitNames(key, systemTag, &kind, &name)
	return kind, name, ok && len(rest) == 0
}
