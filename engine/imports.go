package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// An import makes namespaces or agents that do not exist yet, with their history. What comes is
// staged in rows of its own, which no read looks at, each request durable before it is answered, so
// that an import goes on where it was. Meanwhile nobody else can make what it is to make.
//
// When everything is there, its commits are made one after the other, with no other in between, and
// published with the last: until then the mark that bounds every read stands still, so that no read,
// list, replay or watch has to know of imports. What is staged goes with the commits made of it, in one batch:
// after a crash the rest is made before anything else. An import that is dropped leaves nothing.
//
// The alternative is ordinary commits that readers are kept from until the last. It would spare writers
// the wait while commits are made. But a watch of the namespace would have passed them when they appear, reads as of
// a commit between them would change, and every read there will ever be would have to know.

// Import is an import and how far it is.
type Import struct {
	ID      string // chosen by its client, who begins it again under the same
	Targets []ImportTarget
	// Keep: the commits keep their commit_ts, times and ids. The store must be empty, and nothing else
	// is committed before the import ends.
	Keep      bool
	Principal string
	Began     time.Time
	State     ImportState

	Events, Operations, Bytes uint64   // staged
	Source                    CommitTS // of the last event, where it came from
	// First and Last are the commits that it made, all of them when it is done.
	First, Last CommitTS
}

// ImportTarget is what an import makes.
type ImportTarget struct {
	Namespace string
	Agent     string // "": the whole namespace
}

// ImportState is how far an import is.
type ImportState byte

const (
	ImportStaging ImportState = iota // events are added
	ImportMaking                     // its commits are being made, and it can no longer be dropped
	ImportDone
)

func (s ImportState) String() string { return [...]string{"staging", "making", "done"}[s] }

// ImportEvent is a commit, as it was elsewhere.
type ImportEvent struct {
	CommitTS           CommitTS  // rises from one to the next
	CommitTime         time.Time // zero: not known
	TxnID              TxnID     // "": not known
	Principal, TraceID string
	Metadata           map[string]string
	Ops                []EventOp
}

// What the metadata of an imported commit says of the one that it was: the number, the time and the id that it
// had, and the import. Clients cannot set them. Of a commit that is imported once more the first origin stays.
const (
	MetadataImport     = "statehouse.import"
	MetadataImportTS   = "statehouse.import.commit_ts"
	MetadataImportTime = "statehouse.import.commit_time"
	MetadataImportTxn  = "statehouse.import.txn_id"
)

const (
	// importKind is the kind of the system rows of imports, by their ids.
	importKind = "import"

	maxImports     = 16 // under way
	maxImportsDone = 64 // of which is remembered that they are done
	maxImportID    = 64
	// maxFilled is how many commits of which nothing came may be between those that did.
	maxFilled = 1 << 20
)

// staging is an import under way. Only the goroutine that steps uses it, but for what mu guards.
type staging struct {
	Import
	owes   uint64   // keys whose last version staged cannot be the last, see stagedHead
	pruned bool     // values of it were pruned where it comes from
	from   CommitTS // ImportMaking: the last commit before its own
	made   uint64   // events of which commits are made

	mu      sync.Mutex
	told    Import // of what is durable
	err     error
	changed chan struct{} // closed when told or err changes
}

// BeginImport begins an import, or finds it, if it was begun before, wherever it is.
// Errors: ErrInvalid, ErrLimit; ErrPrecondition when a target exists, or another import is to make it.
func (e *Engine) BeginImport(ctx context.Context, asked Import) (got Import, err error) {
	if err := asked.normalize(); err != nil {
		return Import{}, err
	}
	err = e.updateRows(ctx, func(now time.Time, b *pebble.Batch) error {
		x, done, err := e.findImport(b, asked.ID)
		switch {
		case err != nil:
			return err
		case x != nil && !x.sameAs(&asked):
			return words.Failf(ErrInvalid, "import %s was begun for something else", asked.ID).With("field", "import_id")
		case x != nil:
			got = x.Import
			return nil
		case done != nil:
			got = *done
			return nil
		}
		if err := e.canImport(&asked); err != nil {
			return err
		}
		if err := e.forgetImports(b); err != nil {
			return err
		}
		e.rows.used.use(b, featureImports)
		x = &staging{Import: asked, changed: make(chan struct{})}
		x.Began = now
		x.save(b)
		e.chores.imports = append(e.chores.imports, x)
		got = x.Import
		return nil
	})
	return got, err
}

// StageImport adds events to an import of which after are there. Those that are there already are
// passed over, so that a request can be sent again.
func (e *Engine) StageImport(ctx context.Context, id string, after uint64, events []ImportEvent) (got Import, err error) {
	staged := make([]stagedEvent, len(events))
	for i := range events {
		if err := e.checkImported(&events[i]); err != nil {
			return Import{}, err
		}
		staged[i] = stagedEvent{&events[i], events[i].append(nil)}
	}
	err = e.updateRows(ctx, func(now time.Time, b *pebble.Batch) error {
		x, err := e.importIn(b, id, ImportStaging)
		if err != nil {
			return err
		}
		if err := e.refusal(); err != nil {
			return err
		}
		if after > x.Events {
			return words.Failf(ErrInvalid, "import %s has %d events, and these come after %d", id, x.Events, after).With("events", fmt.Sprint(x.Events))
		}
		if have := x.Events - after; have < uint64(len(staged)) {
			if err := x.stage(b, staged[have:], now); err != nil {
				return err
			}
			x.save(b)
		}
		got = x.Import
		return nil
	})
	return got, err
}

// FinishImport makes the commits of an import that has this many events, and calls report with how far
// that is, whenever it is more and at the end. If ctx ends, or the daemon, it goes on.
func (e *Engine) FinishImport(ctx context.Context, id string, events uint64, report func(Import) error) error {
	var x *staging
	var done *Import
	err := e.updateRows(ctx, func(_ time.Time, b *pebble.Batch) (err error) {
		if x, done, err = e.findImport(b, id); err != nil || done != nil {
			return err
		}
		if x == nil {
			return noImport(id)
		}
		if x.State != ImportStaging {
			x.tell(x.told, nil) // what held it up may have passed
			return nil
		}
		if err := e.canFinish(x, events); err != nil {
			return err
		}
		e.beginMaking(b, x)
		return nil
	})
	switch {
	case err != nil:
		return err
	case done != nil:
		return report(*done)
	}
	e.wakeWriter()
	return e.followImport(ctx, x, report)
}

func (e *Engine) followImport(ctx context.Context, x *staging, report func(Import) error) error {
	last := Import{State: ImportStaging}
	for {
		x.mu.Lock()
		told, err, changed := x.told, x.err, x.changed
		x.mu.Unlock()
		if told.State != last.State || told.Last != last.Last {
			if err := report(told); err != nil {
				return err
			}
			last = told
		}
		if err != nil || told.State == ImportDone {
			return err
		}
		if err := e.env.Await(ctx, changed); err != nil {
			return words.Failf(ErrOutcomeUnknown, "the request ended (%v) while the commits of the import were made: that goes on; ask for it again to see it end", err)
		}
	}
}

// AbortImport drops an import whose commits are not being made yet.
func (e *Engine) AbortImport(ctx context.Context, id string) error {
	return e.updateRows(ctx, func(_ time.Time, b *pebble.Batch) error {
		x, err := e.importIn(b, id, ImportStaging)
		if err != nil {
			return err
		}
		setSystem(b, SystemChange{Kind: importKind, Name: id})
		x.dropStaged(b)
		e.chores.imports = slices.DeleteFunc(e.chores.imports, func(other *staging) bool { return other == x })
		return nil
	})
}

// Imports lists the imports under way and the last ones that were done.
func (e *Engine) Imports() ([]Import, error) {
	rows, err := e.SystemRows(importKind, "", 0)
	if err != nil {
		return nil, err
	}
	list := make([]Import, len(rows))
	for i, row := range rows {
		x, err := parseImport(row.Name, row.Body)
		if err != nil {
			return nil, e.noted(err)
		}
		list[i] = x.Import
	}
	return list, nil
}

func (x *Import) normalize() error {
	ok := len(x.ID) > 0 && len(x.ID) <= maxImportID
	for _, c := range []byte(x.ID) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return words.Failf(ErrInvalid, "an import's id is 1 to %d lower-case letters, digits and hyphens", maxImportID).With("field", "import_id")
	}
	x.Targets = slices.Clone(x.Targets)
	for i := range x.Targets {
		t := &x.Targets[i]
		a := AgentName{Namespace: t.Namespace, Agent: t.Agent}
		if t.Agent == "" {
			a.Agent = "-" // any name there may be
		}
		if err := a.Normalize(); err != nil {
			return err
		}
		t.Namespace = a.Namespace
	}
	slices.SortFunc(x.Targets, func(a, b ImportTarget) int { return compareAgents(AgentName(a), AgentName(b)) })
	x.Targets = slices.Compact(x.Targets)
	if len(x.Targets) == 0 {
		return words.Failf(ErrInvalid, "an import names the namespaces or agents that it makes").With("field", "targets")
	}
	if n := len(x.append(nil)); n > MaxSystemBody/2 {
		return words.Failf(ErrInvalid, "the names of the import's %d targets take %d bytes, more than %d: import the whole namespace, or the agents in parts", len(x.Targets), n, MaxSystemBody/2).With("field", "targets")
	}
	return nil
}

func (x *Import) sameAs(o *Import) bool {
	return slices.Equal(x.Targets, o.Targets) && x.Keep == o.Keep
}

// makes reports whether an agent is one that the import makes.
func (x *Import) makes(a AgentName) bool {
	for _, t := range []ImportTarget{{a.Namespace, ""}, ImportTarget(a)} {
		if _, found := slices.BinarySearchFunc(x.Targets, t, func(a, b ImportTarget) int { return compareAgents(AgentName(a), AgentName(b)) }); found {
			return true
		}
	}
	return false
}

// reserved refuses a new agent that an import is to make. The planner asks.
func (c *chores) reserved(a AgentName) error {
	for _, x := range c.imports {
		switch {
		case x.Keep:
			return words.Failf(ErrPrecondition, "precondition failed: import %s keeps the commit numbers of where it comes from, so nothing else is committed until it has ended", x.ID).With("import_id", x.ID)
		case x.makes(a):
			return words.Failf(ErrPrecondition, "precondition failed: agent %q of namespace %q is being made by import %s", a.Agent, a.Namespace, x.ID).With("import_id", x.ID)
		}
	}
	return nil
}

// canImport decides whether an import may begin.
func (e *Engine) canImport(x *Import) error {
	pl := e.planner
	if err := e.refusal(); err != nil {
		return err
	}
	if n := len(e.chores.imports); n >= maxImports {
		return words.Failf(ErrLimit, "%d imports are under way, the limit is %d: finish or abort one", n, maxImports)
	}
	if x.Keep && (pl.head.ts != 0 || len(e.chores.imports) > 0) {
		return words.Failf(ErrPrecondition, "precondition failed: the commits of an import keep their numbers only in a store that has none, and this one is at commit %d, with %d imports under way", pl.head.ts, len(e.chores.imports))
	}
	for _, t := range x.Targets {
		if err := e.canMake(t); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) canMake(t ImportTarget) error {
	exists := words.Failf(ErrPrecondition, "precondition failed: agent %q of namespace %q exists: an import makes what does not exist yet", t.Agent, t.Namespace)
	if t.Agent == "" {
		exists = words.Failf(ErrPrecondition, "precondition failed: namespace %q exists: an import makes what does not exist yet", t.Namespace)
		known, err := e.planner.namespaceKnown(t.Namespace, &commit{})
		switch {
		case err != nil:
			return err
		case known:
			return exists
		}
	} else if head, err := e.planner.agentHead(AgentName(t)); err != nil {
		return err
	} else if head.Last != 0 {
		return exists
	}
	for _, other := range e.chores.imports {
		for _, u := range other.Targets {
			if u.Namespace == t.Namespace && (u.Agent == t.Agent || u.Agent == "" || t.Agent == "") {
				return words.Failf(ErrPrecondition, "precondition failed: import %s is to make the same in namespace %q", other.ID, t.Namespace)
			}
		}
	}
	return nil
}

// canFinish decides whether the commits of an import can be made.
func (e *Engine) canFinish(x *staging, events uint64) error {
	if err := e.refusal(); err != nil {
		return err
	}
	if other := e.chores.making; other != nil {
		return words.Failf(ErrOverloaded, "the commits of import %s are being made; retry when they are", other.ID).RetryAfter(time.Second)
	}
	switch {
	case events != x.Events:
		return words.Failf(ErrInvalid, "import %s has %d events, not %d", x.ID, x.Events, events).With("events", fmt.Sprint(x.Events))
	case x.owes > 0:
		return words.Failf(ErrInvalid, "of %d keys the last version that was sent had lost its value, which no last version does: export once more", x.owes)
	case x.Keep && uint64(x.Source)-x.Events > maxFilled:
		return words.Failf(ErrInvalid, "the %d events of the import are spread over %d commits, too many to keep their numbers: import them with new ones", x.Events, x.Source)
	}
	return nil
}

// findImport finds an import by its id: one that is under way, or what is remembered of one that is done.
func (e *Engine) findImport(b *pebble.Batch, id string) (x *staging, done *Import, err error) {
	for _, x := range e.chores.imports {
		if x.ID == id {
			return x, nil, nil
		}
	}
	body, err := systemReader{b}.System(importKind, id)
	if body == nil || err != nil {
		return nil, nil, err
	}
	if x, err = parseImport(id, body); err != nil {
		return nil, nil, err
	}
	return nil, &x.Import, nil
}

func noImport(id string) error {
	return words.Failf(ErrInvalid, "there is no import %q: it was never begun here, or was dropped", id).With("field", "import_id")
}

// importIn finds an import that is in a state.
func (e *Engine) importIn(b *pebble.Batch, id string, state ImportState) (*staging, error) {
	x, done, err := e.findImport(b, id)
	switch {
	case err != nil:
		return nil, err
	case done != nil, x != nil && x.State != state:
		return nil, words.Failf(ErrPrecondition, "precondition failed: the commits of import %s are made, or being made", id)
	case x == nil:
		return nil, noImport(id)
	}
	return x, nil
}

// forgetImports drops what is remembered of the oldest imports that are done, but for some.
func (e *Engine) forgetImports(b *pebble.Batch) error {
	rows, err := systemReader{b}.SystemRows(importKind, "", 0)
	if err != nil {
		return err
	}
	var done []*staging
	for _, row := range rows {
		x, err := parseImport(row.Name, row.Body)
		if err != nil {
			return err
		}
		if x.State == ImportDone {
			done = append(done, x)
		}
	}
	slices.SortStableFunc(done, func(a, b *staging) int { return a.Began.Compare(b.Began) })
	for _, x := range done[:max(len(done)-maxImportsDone+1, 0)] {
		setSystem(b, SystemChange{Kind: importKind, Name: x.ID})
	}
	return nil
}

// tell tells those who wait how far the import is, or why it does not go on.
func (x *staging) tell(got Import, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told, x.err = got, err
	close(x.changed)
	x.changed = make(chan struct{})
}

// save writes what is remembered of the import.
func (x *staging) save(b *pebble.Batch) {
	setSystem(b, SystemChange{Kind: importKind, Name: x.ID, Body: x.appendRow(nil)})
}

func (x *staging) appendRow(dst []byte) []byte {
	dst = x.append(dst)
	flag := byte(0)
	if x.pruned {
		flag = 1
	}
	return append(binary.AppendUvarint(binary.AppendUvarint(dst, x.owes), uint64(x.from)), flag)
}

func (x *Import) append(dst []byte) []byte {
	flag := byte(0)
	if x.Keep {
		flag = 1
	}
	dst = append(dst, byte(x.State), flag)
	dst = layout.AppendTime(layout.AppendString(dst, x.Principal), x.Began)
	for _, n := range []uint64{x.Events, x.Operations, x.Bytes, uint64(x.Source), uint64(x.First), uint64(x.Last), uint64(len(x.Targets))} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, t := range x.Targets {
		dst = layout.AppendString(layout.AppendString(dst, t.Namespace), t.Agent)
	}
	return dst
}

func parseImport(id string, body []byte) (*staging, error) {
	d := layout.Decoder{Rest: body}
	x := &staging{changed: make(chan struct{})}
	x.ID, x.State = id, ImportState(d.Byte())
	keep := d.Byte()
	x.Principal, x.Began = d.Str(), d.Time()
	x.Events, x.Operations, x.Bytes = d.Uvarint(), d.Uvarint(), d.Uvarint()
	x.Source, x.First, x.Last = CommitTS(d.Uvarint()), CommitTS(d.Uvarint()), CommitTS(d.Uvarint())
	for range d.Count(2) {
		x.Targets = append(x.Targets, ImportTarget{d.Str(), d.Str()})
	}
	x.owes, x.from = d.Uvarint(), CommitTS(d.Uvarint())
	pruned := d.Byte()
	x.Keep, x.pruned = keep == 1, pruned == 1
	if !d.End() || x.State > ImportDone || keep > 1 || pruned > 1 || !bytes.Equal(x.appendRow(nil), body) {
		return nil, layout.CorruptRow(systemKey(importKind, id), "malformed")
	}
	x.told = x.Import
	return x, nil
}
