package engine

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What an import stages, and how it is checked before anything is made of it.
//
//	i id 00 e number                        -> event
//	i id 00 k namespace 00 agent 00 key 00  -> the key's version that was staged last
const stagedTag = 'i'

const (
	stagedEventTag = 'e'
	stagedHeadTag  = 'k'
)

func stagedPrefix(id string, tag byte) []byte {
	return append(layout.AppendNames(make([]byte, 0, len(id)+16), stagedTag, id), tag)
}

// stagedKey is the key of an import's event: 1, 2, 3…
func stagedKey(id string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(stagedPrefix(id, stagedEventTag), number)
}

func stagedHeadKey(id string, n RecordName) []byte {
	key := stagedPrefix(id, stagedHeadTag)
	for _, name := range []string{n.Namespace, n.Agent, n.Key} {
		key = append(append(key, name...), layout.Terminator)
	}
	return key
}

func splitStagedKey(key []byte) (id string, tag byte, rest []byte, ok bool) {
	rest, ok = layout.SplitNames(key, stagedTag, &id)
	if !ok || len(rest) == 0 {
		return "", 0, nil, false
	}
	return id, rest[0], rest[1:], true
}

// dropStaged drops all that was staged of the import.
func (x *staging) dropStaged(b *pebble.Batch) {
	prefix := layout.AppendNames(nil, stagedTag, x.ID)
	_ = b.DeleteRange(prefix, layout.Successor(prefix), nil)
}

// stagedHead is what an import knows of a key: the last version, and what a later one must be. A
// value that was erased stands below the tombstone of an erasure, and one that was pruned below
// another version: verify insists on it. So an import that ends before them is not finished.
type stagedHead struct {
	version Version
	owes    owed
}

type owed byte

const (
	owesNothing owed = iota
	owesVersion
	owesErasure
)

// after is the head when another version has been staged.
func (h stagedHead) after(op *EventOp) stagedHead {
	next := stagedHead{version: op.Version}
	switch {
	case op.Tombstone && op.Erased:
	case op.Erased || h.owes == owesErasure:
		next.owes = owesErasure
	case op.Pruned:
		next.owes = owesVersion
	}
	return next
}

func (h stagedHead) append(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(h.version)), byte(h.owes))
}

func readStagedHead(r pebble.Reader, key []byte) (h stagedHead, err error) {
	row, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return h, nil
	}
	if err != nil {
		return h, storageError(err)
	}
	defer closer.Close()
	body, err := layout.OpenRow(key, row)
	if err != nil {
		return h, err
	}
	d := layout.Decoder{Rest: body}
	if h = (stagedHead{Version(d.Uvarint()), owed(d.Byte())}); !d.End() || h.owes > owesErasure {
		err = layout.CorruptRow(key, "malformed")
	}
	return h, err
}

// stagedEvent is an event, and its row.
type stagedEvent struct {
	ev   *ImportEvent
	body []byte
}

// stage adds events to an import, all or none of them. Versions are checked here: when the commits are
// made nothing may be wrong any more.
func (x *staging) stage(b *pebble.Batch, events []stagedEvent, now time.Time) error {
	heads := make(map[string]stagedHead)
	var keys []string // of heads, in the order in which they came
	source, owes, pruned := x.Source, x.owes, x.pruned
	for _, s := range events {
		if s.ev.CommitTS <= source {
			return words.Failf(ErrInvalid, "commit %d comes after commit %d: the events of an import are in order", s.ev.CommitTS, source).With("field", "events")
		}
		if x.Keep && s.ev.CommitTime.After(now.Add(clockSlack)) {
			return words.Failf(ErrInvalid, "commit %d was made at %s, in the future by the daemon's clock: time would stand still until then; import it with new times", s.ev.CommitTS, clockText(s.ev.CommitTime)).With("field", "events")
		}
		source = s.ev.CommitTS
		for i := range s.ev.Ops {
			op := &s.ev.Ops[i]
			if !x.makes(op.Name.AgentName()) {
				return words.Failf(ErrInvalid, "commit %d is about agent %q of namespace %q, which the import did not say that it makes", s.ev.CommitTS, op.Name.Agent, op.Name.Namespace).With("field", "events")
			}
			key := string(stagedHeadKey(x.ID, op.Name))
			h, known := heads[key]
			if !known {
				var err error
				if h, err = readStagedHead(b, []byte(key)); err != nil {
					return err
				}
				keys = append(keys, key)
			}
			if op.Version != h.version+1 {
				return words.Failf(ErrInvalid, "commit %d makes version %d of key %q of agent %q, and the one before was %d: versions are 1, 2, 3…", s.ev.CommitTS, op.Version, op.Name.Key, op.Name.Agent, h.version).With("field", "events")
			}
			next := h.after(op)
			owes += boolTo64(next.owes != owesNothing) - boolTo64(h.owes != owesNothing)
			pruned = pruned || op.Pruned
			heads[key] = next
		}
	}
	for _, s := range events {
		x.Events++
		x.Operations += uint64(len(s.ev.Ops))
		x.Bytes += uint64(len(s.body))
		key := stagedKey(x.ID, x.Events)
		_ = b.Set(key, layout.SealRow(key, s.body), nil)
	}
	for _, key := range keys {
		_ = b.Set([]byte(key), layout.SealRow([]byte(key), heads[key].append(nil)), nil)
	}
	x.Source, x.owes, x.pruned = source, owes, pruned
	return nil
}

func boolTo64(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// checkImported checks what can be checked of an event alone.
func (e *Engine) checkImported(ev *ImportEvent) error {
	l := &e.opts.Limits
	if ev.CommitTS == 0 || len(ev.Ops) == 0 {
		return words.Failf(ErrInvalid, "an event of an import has a commit_ts and operations").With("field", "events")
	}
	if ev.TxnID != "" {
		if err := words.CheckTxnID(ev.TxnID); err != nil {
			return err
		}
	}
	if err := errors.Join(words.CheckSource("principal", ev.Principal, MaxPrincipalBytes), words.CheckSource("trace id", ev.TraceID, MaxTraceIDBytes)); err != nil {
		return err
	}
	// What an import adds to metadata may have been added to it before.
	if err := l.checkMetadata(withoutOrigin(ev.Metadata), &e.reached); err != nil {
		return err
	}
	if len(ev.Ops) > l.TxnOps {
		return limitErr(&e.reached.TxnOps, "operations of a transaction", len(ev.Ops), l.TxnOps)
	}
	total := 0
	seen := make(map[RecordName]bool, len(ev.Ops))
	for i := range ev.Ops {
		op := &ev.Ops[i]
		if err := e.checkImportedOp(op); err != nil {
			return err
		}
		if seen[op.Name] {
			return words.Failf(ErrInvalid, "commit %d has key %q of agent %q twice", ev.CommitTS, op.Name.Key, op.Name.Agent).With("field", "events")
		}
		seen[op.Name] = true
		total += len(op.Name.Key) + len(op.Value)
	}
	if total > l.TxnBytes {
		return limitErr(&e.reached.TxnBytes, "bytes of a transaction", total, l.TxnBytes)
	}
	return nil
}

func (e *Engine) checkImportedOp(op *EventOp) error {
	w := Write{Name: op.Name, Value: op.Value, Tombstone: op.Tombstone || op.Erased || op.Pruned}
	if w.Tombstone && len(op.Value) > 0 || op.Pruned && (op.Erased || op.Tombstone) || op.Version == 0 {
		return words.Failf(ErrInvalid, "version %d of key %q of agent %q has a value and has lost it, or none, or has lost it twice", op.Version, op.Name.Key, op.Name.Agent).With("field", "events")
	}
	if err := e.checkWrite(&w); err != nil {
		return err
	}
	op.Name, op.Value = w.Name, w.Value
	return nil
}

// withoutOrigin is metadata without what an import has added to it.
func withoutOrigin(m map[string]string) map[string]string {
	if m[MetadataImport] == "" {
		return m
	}
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(k, _ string) bool { return ofOrigin(k) })
	return m
}

// ofOrigin reports whether only an import sets a key of metadata.
func ofOrigin(key string) bool {
	return key == MetadataImport || strings.HasPrefix(key, MetadataImport+".")
}

func checkNoOrigin(m map[string]string) error {
	for _, k := range []string{MetadataImport, MetadataImportTS, MetadataImportTime, MetadataImportTxn} {
		if _, found := m[k]; found {
			return words.Failf(ErrInvalid, "metadata %q says where an import comes from, and only an import sets it", k).With("field", "metadata")
		}
	}
	return nil
}

// append encodes an event. There is one encoding of it.
func (ev *ImportEvent) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(ev.CommitTS))
	if ev.CommitTime.IsZero() {
		dst = append(dst, 0)
	} else {
		dst = layout.AppendTime(append(dst, 1), ev.CommitTime)
	}
	for _, s := range []string{string(ev.TxnID), ev.Principal, ev.TraceID} {
		dst = layout.AppendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(ev.Metadata)))
	for _, k := range slices.Sorted(maps.Keys(ev.Metadata)) {
		dst = layout.AppendString(layout.AppendString(dst, k), ev.Metadata[k])
	}
	dst = binary.AppendUvarint(dst, uint64(len(ev.Ops)))
	for i := range ev.Ops {
		op := &ev.Ops[i]
		dst = append(dst, layout.FlagsOf(op.Tombstone, goneOf(op)))
		dst = binary.AppendUvarint(dst, uint64(op.Version))
		for _, s := range []string{op.Name.Namespace, op.Name.Agent, op.Name.Key} {
			dst = layout.AppendString(dst, s)
		}
		if !op.Tombstone && goneOf(op) == 0 {
			dst = append(binary.AppendUvarint(dst, uint64(len(op.Value))), op.Value...)
		}
	}
	return dst
}

// goneOf says why an operation's value is not there.
func goneOf(op *EventOp) layout.Gone {
	switch {
	case op.Erased:
		return layout.GoneErased
	case op.Pruned:
		return layout.GonePruned
	}
	return 0
}

// parseImportEvent parses body; values alias it.
func parseImportEvent(body []byte) (ev ImportEvent, ok bool) {
	d := layout.Decoder{Rest: body}
	ev.CommitTS = CommitTS(d.Uvarint())
	if d.Byte() == 1 {
		ev.CommitTime = d.Time()
	}
	ev.TxnID, ev.Principal, ev.TraceID = TxnID(d.Str()), d.Str(), d.Str()
	ev.Metadata = d.Metadata()
	n := d.Count(5)
	ev.Ops = make([]EventOp, n)
	ok = n > 0
	for i := range ev.Ops {
		op := &ev.Ops[i]
		var g layout.Gone
		var good bool
		op.Tombstone, g, good = layout.ParseFlags(d.Byte())
		op.Erased, op.Pruned, op.Version = g == layout.GoneErased, g == layout.GonePruned, Version(d.Uvarint())
		op.Name = RecordName{Namespace: d.Str(), Agent: d.Str(), Key: d.Str()}
		if !op.Tombstone && g == 0 {
			op.Value = d.Raw()
		}
		ok = ok && good
	}
	return ev, ok && d.End()
}
