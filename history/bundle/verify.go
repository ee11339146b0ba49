package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"statehouse.dev/statehouse/history"
)

// Verified is what Verify found.
type Verified struct {
	Events     int      `json:"events"`
	Operations int      `json:"operations"` // on keys
	Records    int      `json:"records"`    // of the state at the end
	Captured   int      `json:"captured"`   // operations of the history
	Findings   []string `json:"findings,omitempty"`
	More       int      `json:"more,omitempty"` // findings that are not told
}

const maxFindings = 20

func (v *Verified) find(format string, args ...any) {
	if len(v.Findings) == maxFindings {
		v.More++
		return
	}
	v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
}

// folded is the last version of a key. A hash stands for the value: keys are held in
// memory, what they hold is not.
type folded struct {
	version, commitTS uint64
	time              int64
	deleted           bool
	value             [sha256.Size]byte
}

func sumOf(value string) [sha256.Size]byte { return sha256.Sum256([]byte(history.Canonical(value))) }

// Verify looks whether the log is one, and whether the state follows from it.
func (b *Bundle) Verify() (*Verified, error) {
	v := &Verified{}
	state := make(map[history.Name]folded)
	if err := b.fold(v, state); err != nil {
		return nil, err
	}
	if err := b.compare(v, state); err != nil {
		return nil, err
	}
	if !b.Manifest.Has(History) {
		return v, nil
	}
	return v, b.each(History, nil, func(l *history.Line) error {
		if l.Op != nil {
			v.Captured++
		}
		return nil
	})
}

// each reads a member line by line.
func (b *Bundle) each(name string, header func(*history.Header), f func(*history.Line) error) error {
	r, err := b.Lines(name)
	if err != nil {
		return err
	}
	if header != nil {
		header(&r.Header)
	}
	for {
		l, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(&l)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// fold makes the state of the log.
func (b *Bundle) fold(v *Verified, state map[history.Name]folded) error {
	m := &b.Manifest
	var last *history.Event
	header := func(h *history.Header) {
		if base := baseOf(h); base != m.From-1 {
			v.find("the log begins behind commit %d, and the manifest says from %d", base, m.From)
		}
	}
	return b.each(Log, header, func(l *history.Line) error {
		switch {
		case l.Record != nil && last == nil && m.From > 1:
			state[l.Record.Name] = folded{l.Record.Version, l.Record.CommitTS, l.Record.CommitTime, !l.Record.Exists, sumOf(l.Record.Value)}
		case l.Event != nil:
			v.Events++
			v.Operations += len(l.Event.Ops)
			v.checkEvent(m, last, l.Event)
			v.apply(m, state, l.Event)
			last = l.Event
		default:
			return errors.New("there is a line that does not belong into a slice of the log")
		}
		return nil
	})
}

func baseOf(h *history.Header) uint64 {
	if h.Base == nil {
		return 0
	}
	return h.Base.CommitTS
}

// checkEvent looks at an event in its place.
func (v *Verified) checkEvent(m *Manifest, last, ev *history.Event) {
	switch {
	case ev.CommitTS < m.From || ev.CommitTS > m.To:
		v.find("commit %d is in the log, which is of commits %d to %d", ev.CommitTS, m.From, m.To)
	case last != nil && ev.CommitTS <= last.CommitTS:
		v.find("commit %d comes behind commit %d", ev.CommitTS, last.CommitTS)
	case last != nil && ev.CommitTime < last.CommitTime:
		v.find("commit %d is earlier than commit %d before it", ev.CommitTS, last.CommitTS)
	case len(ev.Ops) == 0:
		v.find("commit %d did nothing to these agents", ev.CommitTS)
	}
}

func (v *Verified) apply(m *Manifest, state map[history.Name]folded, ev *history.Event) {
	for i := range ev.Ops {
		o := &ev.Ops[i]
		if o.Namespace != m.Namespace || !slices.Contains(m.Agents, o.Agent) {
			v.find("commit %d has an operation on agent %q of namespace %q, which this bundle is not of", ev.CommitTS, o.Agent, o.Namespace)
		}
		before, known := state[o.Name]
		switch {
		case known && before.commitTS == ev.CommitTS:
			v.find("commit %d changes key %q of agent %q twice", ev.CommitTS, o.Key, o.Agent)
		case known || m.From == 1: // else it may have been deleted before
			if o.Version != before.version+1 {
				v.find("commit %d makes version %d of key %q of agent %q, whose last one was %d", ev.CommitTS, o.Version, o.Key, o.Agent, before.version)
			}
		}
		state[o.Name] = folded{o.Version, ev.CommitTS, ev.CommitTime, o.Delete, sumOf(o.Value)}
	}
}

// compare holds the state to what the log makes of it.
func (b *Bundle) compare(v *Verified, state map[history.Name]folded) error {
	header := func(h *history.Header) {
		if h.Base == nil || h.Base.CommitTS != b.Manifest.To {
			v.find("the state is not of commit %d", b.Manifest.To)
		}
	}
	err := b.each(State, header, func(l *history.Line) error {
		r := l.Record
		if r == nil {
			return errors.New("there is a line that does not belong into a state")
		}
		v.Records++
		f, known := state[r.Name]
		switch is := (folded{r.Version, r.CommitTS, r.CommitTime, !r.Exists, sumOf(r.Value)}); {
		case !known || f.deleted || is.deleted:
			v.find("the state has key %q of agent %q, which the log does not leave there", r.Key, r.Agent)
		case f.version != is.version || f.commitTS != is.commitTS || f.time != is.time:
			v.find("the state has version %d of commit %d of key %q of agent %q, and the log leaves version %d of commit %d", r.Version, r.CommitTS, r.Key, r.Agent, f.version, f.commitTS)
		case f.value != is.value:
			v.find("the state has another value of key %q of agent %q than commit %d gave it", r.Key, r.Agent, f.commitTS)
		}
		delete(state, r.Name)
		return nil
	})
	var missing []history.Name
	for n, f := range state { // sorted below: they are told in order
		if !f.deleted {
			missing = append(missing, n)
		}
	}
	slices.SortFunc(missing, history.CompareNames)
	for _, n := range missing {
		v.find("the state lacks key %q of agent %q, which commit %d made", n.Key, n.Agent, state[n].commitTS)
	}
	return err
}
