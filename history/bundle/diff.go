package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
)

// Difference is the first one between two logs.
type Difference struct {
	CommitTS uint64         `json:"commit_ts"`
	What     string         `json:"what"`     // state, missing, transaction, operation, value, metadata, time
	Sentence string         `json:"sentence"` // A is the first of the two, B the second
	A        *history.Event `json:"a,omitempty"`
	B        *history.Event `json:"b,omitempty"`
}

// Compared tells how much was the same.
type Compared struct {
	From   uint64 `json:"from"` // what both hold
	To     uint64 `json:"to"`
	Events int    `json:"events"` // that are the same
}

// ErrIncomparable says that nothing can be told of two bundles.
var ErrIncomparable = errors.New("they cannot be compared")

// Diff finds the first event that is not the same in both logs. operationsOnly: ids of
// transactions, times and metadata may differ, as they do when the same was done twice.
func Diff(a, b *Bundle, operationsOnly bool) (*Difference, Compared, error) {
	c := Compared{From: max(a.Manifest.From, b.Manifest.From), To: min(a.Manifest.To, b.Manifest.To)}
	if err := comparable(&a.Manifest, &b.Manifest); err != nil {
		return nil, c, fmt.Errorf("%w: %w", ErrIncomparable, err)
	}
	if c.From > c.To {
		return nil, c, fmt.Errorf("%w: they have no commits in common", ErrIncomparable)
	}
	withBase := a.Manifest.From == b.Manifest.From
	nextOfA, stopA := iter.Pull2(a.items(c, withBase))
	defer stopA()
	nextOfB, stopB := iter.Pull2(b.items(c, withBase))
	defer stopB()
	x, errA, _ := nextOfA()
	y, errB, _ := nextOfB()
	for x != nil || y != nil {
		if err := errors.Join(errA, errB); err != nil {
			return nil, c, err
		}
		if d := differs(x, y, operationsOnly); d != nil {
			return d, c, nil
		}
		if x.event != nil {
			c.Events++
		}
		x, errA, _ = nextOfA()
		y, errB, _ = nextOfB()
	}
	return nil, c, errors.Join(errA, errB)
}

// comparable refuses what would look different, or the same, without being it.
func comparable(a, b *Manifest) error {
	of := func(r *Redaction) Redaction {
		if r == nil {
			return Redaction{}
		}
		return *r
	}
	x, y := of(a.Redaction), of(b.Redaction)
	switch {
	case x.Values != y.Values || x.Names != y.Names:
		return errors.New("they are not redacted alike")
	case x.KeyID != y.KeyID:
		return errors.New("they are redacted with different keys; make both with the same --redact-key-file")
	case x.NameSet != y.NameSet:
		return errors.New("their pseudonyms are of different sets of names; make both without --redact names, or of the same commits")
	case a.Namespace != b.Namespace || !slices.Equal(a.Agents, b.Agents):
		return errors.New("they are of different agents")
	}
	return nil
}

// item is an event, or before the events a record of the state that they met.
type item struct {
	ts     uint64
	record *history.Record
	event  *history.Event
}

// items are those of the log that count.
func (b *Bundle) items(c Compared, withBase bool) iter.Seq2[*item, error] {
	return func(yield func(*item, error) bool) {
		r, err := b.Lines(Log)
		for err == nil {
			var l history.Line
			l, err = r.Next()
			var i *item
			switch {
			case err != nil:
			case l.Record != nil && withBase:
				i = &item{ts: c.From - 1, record: l.Record}
			case l.Event != nil && l.Event.CommitTS >= c.From && l.Event.CommitTS <= c.To:
				i = &item{ts: l.Event.CommitTS, event: l.Event}
			}
			if i != nil && !yield(i, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(nil, fmt.Errorf("%s: %w", Log, err))
		}
	}
}

// order is the one in which items stand in a log.
func order(x, y *item) int {
	switch {
	case x == nil:
		return 1
	case y == nil:
		return -1
	case x.record != nil && y.record != nil:
		return history.CompareNames(x.record.Name, y.record.Name)
	}
	return cmp.Compare(x.ts, y.ts)
}

// differs compares what stands at one place in both logs; one of the two may be nil.
func differs(x, y *item, operationsOnly bool) *Difference {
	switch o := order(x, y); {
	case o < 0:
		return missing(x, "A", "B")
	case o > 0:
		return missing(y, "B", "A")
	case x.record != nil:
		a, b := x.record, y.record
		if a.Exists != b.Exists || a.Version != b.Version || a.CommitTS != b.CommitTS || !sameValue(a.Value, b.Value) {
			return &Difference{CommitTS: x.ts, What: "state", Sentence: fmt.Sprintf(
				"behind commit %d, where they begin, key %q of agent %q is not the same: version %d of commit %d in A, version %d of commit %d in B", x.ts, a.Key, a.Agent, a.Version, a.CommitTS, b.Version, b.CommitTS)}
		}
		return nil
	}
	d := differ(x.event, y.event, operationsOnly)
	if d != nil {
		d.CommitTS, d.A, d.B = x.ts, x.event, y.event
		d.Sentence = fmt.Sprintf("commit %d: ", x.ts) + d.Sentence
	}
	return d
}

func missing(i *item, in, notIn string) *Difference {
	if r := i.record; r != nil {
		return &Difference{CommitTS: i.ts, What: "state", Sentence: fmt.Sprintf("behind commit %d, where they begin, key %q of agent %q is there in %s, and not in %s", i.ts, r.Key, r.Agent, in, notIn)}
	}
	d := &Difference{CommitTS: i.ts, What: "missing", Sentence: fmt.Sprintf("commit %d is in %s, and not in %s", i.ts, in, notIn)}
	if in == "A" {
		d.A = i.event
	} else {
		d.B = i.event
	}
	return d
}

// differ compares two commits in one place.
func differ(a, b *history.Event, operationsOnly bool) *Difference {
	if !operationsOnly && a.TxnID != b.TxnID {
		return &Difference{What: "transaction", Sentence: fmt.Sprintf("it is transaction %q in A, %q in B", a.TxnID, b.TxnID)}
	}
	for i := range max(len(a.Ops), len(b.Ops)) {
		if d := differOp(a.Ops, b.Ops, i); d != nil {
			return d
		}
	}
	switch {
	case operationsOnly:
	case !maps.Equal(a.Metadata, b.Metadata):
		return &Difference{What: "metadata", Sentence: "its metadata is not the same"}
	case a.CommitTime != b.CommitTime:
		return &Difference{What: "time", Sentence: fmt.Sprintf("its times are %v apart", time.Duration(b.CommitTime-a.CommitTime).Abs())}
	}
	return nil
}

// differOp compares the i-th operation, which only one may have.
func differOp(a, b []history.EventOp, i int) *Difference {
	tell := func(ops []history.EventOp) string {
		if i >= len(ops) {
			return "nothing"
		}
		did := "write"
		if ops[i].Delete {
			did = "delete"
		}
		return fmt.Sprintf("a %s of key %q of agent %q, version %d,", did, ops[i].Key, ops[i].Agent, ops[i].Version)
	}
	if i >= len(a) || i >= len(b) || a[i].Name != b[i].Name || a[i].Version != b[i].Version || a[i].Delete != b[i].Delete {
		return &Difference{What: "operation", Sentence: fmt.Sprintf("operation %d is %s in A, %s in B", i+1, tell(a), tell(b))}
	}
	if !sameValue(a[i].Value, b[i].Value) {
		return &Difference{What: "value", Sentence: fmt.Sprintf("the value of key %q of agent %q is not the same", a[i].Key, a[i].Agent)}
	}
	return nil
}

func sameValue(a, b string) bool { return a == b || history.Canonical(a) == history.Canonical(b) }
