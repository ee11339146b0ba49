package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Erasure takes values, their salts and what commits say of themselves out of all of the past
// of a key, an agent or a namespace, for good. The chain goes on verifying, since it covers
// digests that nothing can be compared with once the salts are gone.
//
// It is commits of its own, each with a principal and a reason like any other: each erases some
// keys by a tombstone, so that their versions go on, and when it is published what was before it
// is taken out. Both are done in pieces by the writer (chores.go), key by key in their order, and
// a mark of what is done is part of each piece. The daemon goes on with an erasure after a restart.
//
// A key that is made while an agent or a namespace is being erased is not erased: so an erasure ends.

// Erasure says what is to be erased.
type Erasure struct {
	Namespace string
	Agent     string // "": the whole namespace
	Key       string // "": the whole agent
	Principal string // who asks
	Reason    string
	// Forks has what forks inherited of it erased as well. Else an erasure of what was inherited is
	// refused.
	Forks bool
}

// ErasureProgress is how far an erasure has come.
type ErasureProgress struct {
	Keys, Values, Bytes uint64   // erased; bytes of values
	CommitTS            CommitTS // the erasure's last commit
	Done                bool
}

func (x *Erasure) normalize() error {
	switch {
	case x.Agent == "" && x.Key != "":
		return words.Failf(ErrInvalid, "a key is erased of an agent: agent_id is empty").With("field", "agent_id")
	case len(x.Reason) > maxReasonBytes:
		return words.Failf(ErrInvalid, "the reason is %d bytes long, more than %d", len(x.Reason), maxReasonBytes).With("field", "reason")
	}
	if x.Namespace == "" {
		x.Namespace = DefaultNamespace
	}
	if err := words.CheckName("namespace", x.Namespace, MaxNamespaceBytes); err != nil {
		return err
	}
	if err := words.CheckText("reason", x.Reason); err != nil {
		return err
	}
	if x.Agent != "" {
		if err := words.CheckName("agent_id", x.Agent, MaxAgentBytes); err != nil {
			return err
		}
	}
	if x.Key != "" {
		return words.CheckName("key", x.Key, MaxKeyBytes)
	}
	return nil
}

const maxReasonBytes = 4 << 10

// prefix is what the keys of the records to be erased begin with.
func (x *Erasure) prefix() []byte {
	switch {
	case x.Key != "":
		return layout.RecordPrefix(RecordName{Namespace: x.Namespace, Agent: x.Agent, Key: x.Key})
	case x.Agent != "":
		return layout.AgentPrefix(layout.RecordTag, AgentName{Namespace: x.Namespace, Agent: x.Agent})
	}
	return layout.AppendNames(nil, layout.RecordTag, x.Namespace)
}

// erasureKind is the kind of the system rows of erasures under way, by their ids, which are in
// the order in which they were asked for.
const erasureKind = "erasure"

// MetadataReason is the key under which the reason of an erasure stands in the metadata of its commits.
const MetadataReason = "reason"

// An erasure is one that is under way.
type erasure struct {
	id string
	Erasure
	began CommitTS // keys that were made after it stay
	erasureMark

	mu      sync.Mutex
	told    ErasureProgress // of what is durable
	err     error
	changed chan struct{} // closed when told or err changes
}

// erasureMark is how far an erasure has come. It is durable, but for at: after a restart a commit's
// keys are looked at anew.
type erasureMark struct {
	// cursor is the prefix of the last key that was looked at; nil: of none.
	cursor []byte
	// commit erased keys of which what was before it is still to be taken out; 0: nothing is.
	commit CommitTS
	done   ErasureProgress
	at     strip // within commit
}

// strip is a place among the versions that a commit of an erasure is to take out.
type strip struct {
	op int
	v  Version // versions below it are left; 0: all are
}

func (x *erasure) append(dst []byte) []byte {
	for _, s := range []string{x.Namespace, x.Agent, x.Key, x.Principal, x.Reason, string(x.cursor)} {
		dst = layout.AppendString(dst, s)
	}
	for _, n := range []uint64{uint64(x.began), uint64(x.commit), x.done.Keys, x.done.Values, x.done.Bytes, uint64(x.done.CommitTS)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func parseErasure(id string, body []byte) (*erasure, error) {
	d := layout.Decoder{Rest: body}
	x := &erasure{id: id, changed: make(chan struct{})}
	x.Erasure = Erasure{Namespace: d.Str(), Agent: d.Str(), Key: d.Str(), Principal: d.Str(), Reason: d.Str(), Forks: true}
	if cursor := d.Str(); cursor != "" {
		x.cursor = []byte(cursor)
	}
	x.began, x.commit = CommitTS(d.Uvarint()), CommitTS(d.Uvarint())
	x.done = ErasureProgress{Keys: d.Uvarint(), Values: d.Uvarint(), Bytes: d.Uvarint(), CommitTS: CommitTS(d.Uvarint())}
	x.told = x.done
	if !d.End() {
		return nil, layout.CorruptRow(systemKey(erasureKind, id), "malformed")
	}
	return x, nil
}

func (c *chores) loadErasures(r SystemReader) error {
	rows, err := r.SystemRows(erasureKind, "", 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		x, err := parseErasure(row.Name, row.Body)
		if err != nil {
			return err
		}
		c.erasures = append(c.erasures, x)
	}
	return nil
}

// maxErasures is how many may be under way.
const maxErasures = 64

// eraseOne erases, but for forks, see Erase. looked is the commit up to which forks were looked for.
func (e *Engine) eraseOne(ctx context.Context, asked Erasure, looked CommitTS, report func(ErasureProgress) error) error {
	x, err := e.beginErasure(ctx, asked, looked)
	if err != nil {
		return err
	}
	var last ErasureProgress
	for {
		x.mu.Lock()
		told, err, changed := x.told, x.err, x.changed
		x.mu.Unlock()
		if told != last {
			if err := report(told); err != nil {
				return err
			}
			last = told
		}
		if err != nil || told.Done {
			return err
		}
		if err := e.env.Await(ctx, changed); err != nil {
			return words.Failf(ErrOutcomeUnknown, "the request ended (%v) while the erasure was under way: it goes on; ask for it again to see it end", err)
		}
	}
}

// beginErasure makes an erasure durable, or finds the one of the same that is under way.
func (e *Engine) beginErasure(ctx context.Context, asked Erasure, looked CommitTS) (*erasure, error) {
	var x *erasure
	id := string(layout.NewTxnID(e.now(), e.env.Rand))
	err := e.UpdateSystem(ctx, SystemUpdate{
		Decide: func(time.Time, SystemReader) ([]SystemChange, error) {
			for _, other := range e.chores.erasures {
				if other.sameAs(&asked) {
					x = other
					return nil, nil
				}
			}
			if a := (AgentName{Namespace: asked.Namespace, Agent: asked.Agent}); !asked.Forks && a.Agent != "" && e.forkedSince(a, looked) {
				return nil, words.Failf(ErrPrecondition, "precondition failed: agent %q was forked just now: look again what is to be erased", a.Agent).
					With("namespace", a.Namespace).With("agent_id", a.Agent).With("reason", "forks")
			}
			if n := len(e.chores.erasures); n >= maxErasures {
				return nil, words.Failf(ErrLimit, "%d erasures are under way, the limit is %d: retry when one has ended", n, maxErasures)
			}
			x = &erasure{id: id, Erasure: asked, began: e.planner.head.ts, changed: make(chan struct{})}
			return []SystemChange{{Kind: erasureKind, Name: id, Body: x.append(nil)}}, nil
		},
		Applied: func() {
			x.mu.Lock()
			x.err = nil
			x.mu.Unlock()
			for _, other := range e.chores.erasures {
				if other == x {
					return
				}
			}
			e.chores.erasures = append(e.chores.erasures, x)
			e.chores.eager = true
		},
	})
	return x, err
}

func (x *erasure) sameAs(o *Erasure) bool {
	return x.Namespace == o.Namespace && x.Agent == o.Agent && x.Key == o.Key
}

// end tells those who wait that the erasure does not go on. It stays, and is tried again.
func (x *erasure) end(err error) { x.tell(x.done, err) }

func (x *erasure) tell(p ErasureProgress, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told, x.err = p, err
	close(x.changed)
	x.changed = make(chan struct{})
}

// PreviewErasure counts what Erase would erase.
func (e *Engine) PreviewErasure(ctx context.Context, asked Erasure) (p ErasureProgress, err error) {
	if err := asked.normalize(); err != nil {
		return p, err
	}
	agents := []AgentName{{Namespace: asked.Namespace, Agent: asked.Agent}}
	if asked.Forks {
		forks, err := e.Inheritors(ctx, asked)
		if err != nil {
			return p, err
		}
		agents = append(agents, forks...)
	}
	for _, a := range agents {
		asked.Agent = a.Agent
		if err := e.previewErasure(ctx, &asked, &p); err != nil {
			return p, e.noted(err)
		}
	}
	p.Done = true
	return p, nil
}

func (e *Engine) previewErasure(ctx context.Context, asked *Erasure, p *ErasureProgress) error {
	prefix := asked.prefix()
	it, err := e.db.recordRows(AgentName{Namespace: asked.Namespace, Agent: asked.Agent}, prefix, layout.Successor(prefix))
	if err != nil {
		return err
	}
	it.ctx = ctx
	var last []byte
	for ok := it.first(); ok; ok = it.next() {
		_, row, good := recordAt(it)
		if !good {
			break
		}
		if row.CommitTS > e.Published() || row.Tombstone || row.Gone == layout.GoneErased {
			continue
		}
		key := it.key()[:len(it.key())-layout.NumberSize]
		if !bytes.Equal(key, last) {
			last = bytes.Clone(key)
			p.Keys++
		}
		if row.Gone == 0 {
			p.Values++
			p.Bytes += uint64(len(row.Value))
		}
	}
	return it.close()
}
