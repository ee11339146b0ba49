package engine

import (
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// Chores are what the writer does beside commits: it drops what retention no longer keeps and
// takes out what is to be erased. Each step does a piece of them that is bounded, in the batch
// that it writes anyway, so that nobody waits for a chore and what has been done of one is
// durable with the mark that says so: after a crash it goes on at the mark. When nothing is
// committed Tick has steps made for chores alone. What is due follows from commit_time and from
// the log, never from a clock.
type chores struct {
	spaces   []*space // in byte order of the namespaces
	erasures []*erasure
	imports  []*staging // in the order in which they were begun
	making   *staging   // the import whose commits are being made; nil: none. Nothing else is planned then
	eager    bool       // a step may be made for chores alone
	took     uint64     // values since the store was opened
	others   bool       // the step that is planned is also others', who wait for the piece
	resume   time.Time  // before it a piece that gives way is none
}

// any reports whether there may be anything to do but what acts leave to be done.
func (c *chores) any() bool { return len(c.spaces)+len(c.erasures) > 0 || c.making != nil }

// hasChores reports whether there may be anything to do.
func (e *Engine) hasChores() bool {
	return e.chores.any() || e.db.acts.first() != nil || e.db.forks.deepest() != nil
}

// pieceBytes bounds a piece in bytes of rows read and written, as Tuning.PieceRows does in rows: about a
// millisecond.
const pieceBytes = 1 << 20

// How long a piece that gives way may take: a fourth of the time that the last sync took, but as long as it takes to
// begin one, and no longer than others do.
const (
	leastPieceTime = 40 * time.Microsecond
	mostPieceTime  = time.Millisecond
)

// pacedBytes is how much pieces that give way write in a second. What they write is flushed and compacted, too, and
// then others wait longer for the disk: they do not notice what is as little as this.
const pacedBytes = 2 << 20

// longestPause is more than there is after a piece of pieceBytes.
const longestPause = time.Second

// A piece is what a step does of the chores.
type piece struct {
	e     *Engine
	batch *pebble.Batch
	rows  rowWriter
	left  int // rows that it may look at yet
	bytes int // and bytes
	more  bool
	// gaveWay: others wait for it, so it is a short one, and no step is made for chores alone before a Tick.
	gaveWay bool
	until   time.Time // zero: it may take as long as it takes
	looks   int       // rows until the next look at the clock
	held    bool      // the commits of the step are not published with it

	// Events that it rewrites, in the order in which it came to them: one may lose several values.
	events []*rewritten
	marked []*space
	// settled is called when the piece is durable, before anything of the step is published.
	settled []func()
}

type rewritten struct {
	agent AgentName
	ts    CommitTS
	row   layout.EventRow
}

// planChores plans a piece and returns nil if there is nothing to do. Commits that it makes are
// planned behind those of the step.
func (e *Engine) planChores(now time.Time) *piece {
	c := &e.chores
	if !e.hasChores() {
		c.eager = false
		return nil
	}
	if err := e.refusal(); err != nil {
		c.eager = false
		c.refuse(err)
		return nil
	}
	if e.planner.heldUp() {
		return nil
	}
	w := &piece{e: e, batch: e.db.NewBatch(), left: e.opts.Tuning.PieceRows, bytes: pieceBytes}
	undo := c.saved()
	err := w.do(now)
	if c.eager = err == nil && w.more && !w.gaveWay; err != nil {
		_ = w.batch.Close()
		undo()
		c.refuse(e.noted(err))
		e.env.Log("a chore failed", "error", err.Error())
		return nil
	}
	if w.batch.Empty() && len(w.settled) == 0 {
		_ = w.batch.Close()
		return nil
	}
	return w
}

// saved returns what puts the marks back to where they are now, for a piece that fails.
func (c *chores) saved() (undo func()) {
	spaces := make([]space, len(c.spaces))
	for i, s := range c.spaces {
		spaces[i] = *s
	}
	var mark erasureMark
	if len(c.erasures) > 0 {
		mark = c.erasures[0].erasureMark
	}
	return func() {
		for i := range spaces {
			s := c.spaces[i]
			s.past, s.due, s.swept = spaces[i].past, spaces[i].due, sweep{}
		}
		if len(c.erasures) > 0 {
			c.erasures[0].erasureMark = mark
		}
	}
}

func (w *piece) do(now time.Time) error {
	c := &w.e.chores
	if c.making != nil {
		if err := w.makeImport(c.making, now); err != nil {
			return err
		}
		w.writeMarked()
		return nil
	}
	shown := w.e.planner.shown()
	for _, s := range c.spaces {
		if err := w.moveFloor(s, shown); err != nil {
			return err
		}
	}
	// One kind of work a piece: each looks at the store, which does not show what another has put
	// into the batch.
	if g := w.e.db.acts.first(); g != nil { // first: all else takes rows to be there
		if err := w.carryOut(g); err != nil {
			return err
		}
	} else if f := w.dueCopy(); f != nil {
		if err := w.copyFork(f); err != nil {
			return err
		}
	} else if len(c.erasures) > 0 {
		if err := w.erase(c.erasures[0], now); err != nil {
			return err
		}
	} else if f := w.dueStrip(); f != nil {
		if err := w.strip(f); err != nil {
			return err
		}
	} else if err := w.retain(shown); err != nil {
		return err
	} else {
		w.more = w.more || w.dueCopy() != nil || w.dueStrip() != nil // what retention waits for now
	}
	for _, ev := range w.events {
		key := layout.EventKey(ev.agent, ev.ts)
		w.rows.set(w.batch, key, ev.row.Append(w.rows.body[:0]))
	}
	w.writeMarked()
	w.more = w.more || w.full() || len(c.erasures) > 0
	return nil
}

func (w *piece) writeMarked() {
	for _, s := range w.marked {
		w.setSystem(pastKind, s.namespace, s.past.append(nil))
	}
}

func (w *piece) retain(shown CommitTS) error {
	for _, s := range w.e.chores.spaces {
		if err := w.drop(s); err != nil {
			return err
		}
	}
	if !w.batch.Empty() {
		w.more = true
		return nil
	}
	for _, s := range w.e.chores.spaces {
		if err := w.prune(s, shown); err != nil {
			return err
		}
	}
	return nil
}

// full reports whether the piece is as large as it may be. What is left makes the next.
func (w *piece) full() bool {
	if w.left <= 0 || w.bytes <= 0 || w.late() {
		w.more = true
		return true
	}
	return false
}

// rowsPerLook is how many rows are looked at between looks at the clock, and at least in a piece.
const rowsPerLook = 16

// giveWay makes the piece a short one if others wait for it, or none if the last one is not long enough ago. It is for
// what is in nobody's way, and done when there is time.
func (w *piece) giveWay() (goOn bool) {
	c := &w.e.chores
	if !c.others {
		return true
	}
	w.gaveWay = true
	now := w.e.now()
	if pause := c.resume.Sub(now); pause > 0 && pause <= longestPause { // if it is longer, the clock was set back
		w.more = true
		return false
	}
	most := min(max(time.Duration(w.e.lastSync.Load())/4, leastPieceTime), mostPieceTime)
	w.until, w.looks = now.Add(most), rowsPerLook
	return true
}

// gave says when the next piece that gives way is due.
func (w *piece) gave() {
	if w.gaveWay {
		w.e.chores.resume = w.e.now().Add(time.Second * time.Duration(w.batch.Len()) / pacedBytes)
	}
}

func (w *piece) late() bool {
	if w.until.IsZero() || w.looks > 0 {
		return false
	}
	w.looks = rowsPerLook
	return w.e.now().After(w.until)
}

func (w *piece) looked(rows, bytes int) {
	w.left, w.bytes, w.looks = w.left-rows, w.bytes-bytes, w.looks-rows
}

// mark makes the step write how far a namespace's retention has come.
func (w *piece) mark(s *space) {
	if !slices.Contains(w.marked, s) {
		w.marked = append(w.marked, s)
	}
}

func (w *piece) setSystem(kind, name string, body []byte) {
	setSystem(w.batch, SystemChange{Kind: kind, Name: name, Body: body})
}

// event returns an agent's event of a commit to be rewritten; nil if there is none.
func (w *piece) event(a AgentName, ts CommitTS) (*layout.EventRow, error) {
	for _, ev := range w.events {
		if ev.agent == a && ev.ts == ts {
			return &ev.row, nil
		}
	}
	row, found, err := w.findEvent(a, ts)
	if err != nil || !found {
		return nil, err
	}
	w.events = append(w.events, &rewritten{a, ts, row})
	return &w.events[len(w.events)-1].row, nil
}

func (w *piece) findEvent(a AgentName, ts CommitTS) (row layout.EventRow, found bool, err error) {
	key := layout.EventKey(a, ts)
	body, err := getRow(w.e.db, key)
	if body == nil || err != nil {
		return row, false, err
	}
	w.looked(1, len(body))
	row, ok := layout.ParseEventRow(body)
	if !ok {
		return row, false, layout.CorruptRow(key, "malformed")
	}
	return row, true, nil
}

// join adds the piece to the step's batch. From when that is applied to settle readers have the store as
// it was.
func (w *piece) join(batch *pebble.Batch) {
	_ = batch.Apply(w.batch, nil) // in memory
	_ = w.batch.Close()
}

// settle shows readers what the piece did, when the step is durable.
func (w *piece) settle() {
	w.e.publishFloors() // first: of what was dropped below them a reader is to know why it is not there
	w.e.db.releaseReaders()
	for _, f := range w.settled {
		f()
	}
}

// refuse tells those who wait for chores why they do not go on.
func (c *chores) refuse(err error) {
	for _, x := range c.erasures {
		x.end(err)
	}
	if x := c.making; x != nil {
		x.tell(x.told, err)
	}
}
