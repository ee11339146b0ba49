package capture

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/redact"
)

// Source is the store that a capture is of. All reads are as of a commit.
type Source interface {
	// Events calls f with the commits behind after, up to last, in order. It passes
	// over those that cannot be read, which an *UnreadableError tells of at its end.
	Events(after, last uint64, f func(*history.Event) error) error
	// Record is a key's state, tombstones among them.
	Record(at uint64, n history.Name) (history.Record, error)
	// Records calls f with the keys of an agent that exist.
	Records(at uint64, ns, agent, prefix string, f func(history.Record) error) error
	// Agents calls f with the agents of a namespace.
	Agents(at uint64, ns, prefix string, f func(history.Agent) error) error
	Namespaces(at uint64) ([]string, error)
}

// UnreadableError says that part of a log cannot be read.
type UnreadableError struct {
	Commits []uint64
	Err     error // the last
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%d commits of the log cannot be read, commit %d the first: %v", len(e.Commits), e.Commits[0], e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// Redaction is how much of what agents keep is in a dump.
type Redaction int

// The redactions.
const (
	RedactValues Redaction = iota // keyed digests in place of values
	RedactNothing
	RedactNames // pseudonyms in place of names besides
)

// Options of a dump.
type Options struct {
	Redaction Redaction
	// Source of the log and of the state that the capture begins with. Nil: there is
	// none, and only what clients were told is in the history.
	Source Source
	// StructText is the JSON of the Struct that a request, or an operation in one, carries.
	StructText func(m proto.Message) (text []byte, given bool, err error)
}

// Dump writes what was captured as a history.
func (r *Recorder) Dump(ctx context.Context, out io.Writer, o Options) error {
	live := r.on.Load()
	if live {
		if err := r.flush(kindMark); err != nil {
			return fmt.Errorf("the capture cannot be written to its end: %w", err)
		}
	}
	return dump(ctx, r.config.Dir, live, out, o)
}

// DumpDir is Dump of a ring whose daemon does not run.
func DumpDir(ctx context.Context, dir string, out io.Writer, o Options) error {
	return dump(ctx, dir, false, out, o)
}

func dump(ctx context.Context, dir string, live bool, out io.Writer, o Options) error {
	t, err := openTape(dir)
	if err != nil {
		return err
	}
	defer t.close()
	t.live = live
	d := &dumper{ctx: ctx, o: o, t: t, scope: newScope()}
	if d.redactor.Digester, err = digester(dir); err != nil {
		return err
	}
	d.redactor.Values, d.redactor.KeepNotes = o.Redaction != RedactNothing, true
	if o.Redaction == RedactNames {
		d.redactor.Names = redact.NewNames()
	}
	if err := d.look(); err != nil {
		return err
	}
	return d.write(out)
}

// digester has the ring's key, so that two dumps can be compared. The key stays on
// the machine.
func digester(dir string) (*redact.Digester, error) {
	path := filepath.Join(dir, "key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(key) != 32 {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		err = os.WriteFile(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the digests: %w", err)
	}
	return redact.New(key), nil
}

// dumper makes a history in two looks at the tape: one to see what state it speaks
// of, one to write.
type dumper struct {
	ctx      context.Context
	o        Options
	t        *tape
	scope    *scope
	redactor redact.Redactor
	w        *history.Writer
	frames   int
	damage   *UnreadableError // of the log
}

// scope is the state that a history speaks of.
type scope struct {
	names  map[history.Name]bool
	lists  map[history.Name]bool // of an agent: keys with a prefix (Key)
	agents map[history.Name]bool // of a namespace: agents with a prefix (Agent)
	spaces bool                  // all namespaces
}

func newScope() *scope {
	return &scope{names: make(map[history.Name]bool), lists: make(map[history.Name]bool), agents: make(map[history.Name]bool)}
}

func (s *scope) add(n history.Name) { s.names[n] = true }

func (s *scope) operation(op *history.Operation) {
	in := &op.In
	if in.Key != "" {
		s.add(history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key})
	}
	for i := range in.Writes {
		s.add(in.Writes[i].Name)
	}
	for i := range in.Keys {
		s.add(in.Keys[i].Name)
	}
	for _, n := range in.Names {
		s.add(n)
	}
	for _, h := range in.Heads {
		s.add(history.Name{Namespace: h.Namespace, Agent: h.Agent})
	}
	switch op.Kind {
	case history.Scan, history.ListKeys:
		s.lists[history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Prefix}] = true
	case history.ListAgents:
		s.agents[history.Name{Namespace: in.Namespace, Agent: in.Prefix}] = true
	case history.ListSpaces:
		s.spaces = true
	}
}

// line passes a line to the redactor's names, if it keeps any.
func (d *dumper) name(l history.Line) {
	if d.redactor.Names != nil {
		d.redactor.Names.AddLine(l)
	}
}

func (d *dumper) look() error {
	x := newTranslator(d.t, d.o.StructText)
	x.values.none = true
	err := d.t.survey(func(f *frame) error {
		if err := d.tick(); err != nil {
			return err
		}
		l, ok, err := x.line(f)
		if ok {
			if l.Op != nil {
				d.scope.operation(l.Op)
			}
			d.name(l)
		}
		return err
	})
	if err != nil || d.o.Source == nil {
		return err
	}
	if err := d.events(func(ev *history.Event) error {
		for i := range ev.Ops {
			d.scope.add(ev.Ops[i].Name)
		}
		d.name(history.Line{Event: ev})
		return d.tick()
	}); err != nil {
		return err
	}
	return d.state(func(l history.Line) error { d.name(l); return nil })
}

// events goes through the log, as far as it can be read.
func (d *dumper) events(f func(*history.Event) error) error {
	err := d.o.Source.Events(d.base(), d.t.final.published, f)
	if errors.As(err, &d.damage) {
		return nil
	}
	return err
}

// tick looks now and then whether anybody still waits.
func (d *dumper) tick() error {
	if d.frames++; d.frames%256 == 0 {
		return d.ctx.Err()
	}
	return nil
}

// base is the commit that the capture begins behind.
func (d *dumper) base() uint64 { return d.t.first.Published }

// put writes a line, redacted.
func (d *dumper) put(l history.Line) error {
	if err := d.redactor.Line(&l); err != nil {
		return err
	}
	return d.w.Write(l)
}

func (d *dumper) write(out io.Writer) error {
	h := history.Header{Source: "daemon", Build: d.t.first.Build, Unit: "ns", Config: d.t.first.Settings}
	if d.base() > 0 && d.o.Source != nil { // without, it cannot be judged what it begins with
		h.Base = &history.Base{CommitTS: d.base()}
	}
	d.redactor.Header(&h)
	var err error
	if d.w, err = history.NewWriter(out, h); err != nil {
		return err
	}
	if h.Base != nil {
		if err := d.state(d.put); err != nil {
			return err
		}
	}
	x := newTranslator(d.t, d.o.StructText)
	if err := d.t.walk(func(f *frame) error {
		if err := d.tick(); err != nil {
			return err
		}
		l, ok, err := x.line(f)
		if ok {
			err = d.put(l)
		}
		return err
	}, func() {}); err != nil {
		return err
	}
	if d.o.Source != nil {
		if err := d.events(func(ev *history.Event) error {
			normalEvent(ev)
			return errors.Join(d.tick(), d.put(history.Line{Event: ev}))
		}); err != nil {
			return err
		}
	}
	if d.damage != nil {
		if err := d.put(history.Line{Note: &history.Note{Time: d.t.last, Lane: "daemon", Kind: "damage", Text: d.damage.Error()}}); err != nil {
			return err
		}
	}
	slices.SortFunc(d.t.gaps, func(a, b history.Gap) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	for i := range d.t.gaps {
		if err := d.put(history.Line{Gap: &d.t.gaps[i]}); err != nil {
			return err
		}
	}
	return d.w.End(d.o.Source != nil && d.damage == nil)
}

// state is what the capture's first request met, as far as it is spoken of: each
// key once, then each agent once.
func (d *dumper) state(put func(history.Line) error) error {
	at, src := d.base(), d.o.Source
	if at == 0 {
		return nil
	}
	names := maps.Clone(d.scope.names)
	agents := make(map[history.Name]history.Agent)
	for l := range d.scope.lists { // into a map: order cannot matter
		if err := src.Records(at, l.Namespace, l.Agent, l.Key, func(r history.Record) error {
			names[r.Name] = true
			return nil
		}); err != nil {
			return err
		}
	}
	if err := d.agents(names, agents); err != nil {
		return err
	}
	for _, n := range slices.SortedFunc(maps.Keys(names), history.CompareNames) {
		if n.Key == "" {
			continue // of a head condition
		}
		r, err := src.Record(at, n)
		if err != nil {
			return err
		}
		if r.Version == 0 {
			continue // never written
		}
		r.Value = normal(r.Value)
		if err := errors.Join(d.tick(), put(history.Line{Record: &r})); err != nil {
			return err
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(agents), history.CompareNames) {
		a := agents[n]
		if err := put(history.Line{Agent: &a}); err != nil {
			return err
		}
	}
	return nil
}

// agents finds the agents of names, and those that were listed.
func (d *dumper) agents(names map[history.Name]bool, found map[history.Name]history.Agent) error {
	at, src := d.base(), d.o.Source
	add := func(a history.Agent) error {
		found[history.Name{Namespace: a.Namespace, Agent: a.Agent}] = a
		return nil
	}
	wanted := maps.Clone(d.scope.agents)
	if d.scope.spaces {
		spaces, err := src.Namespaces(at)
		if err != nil {
			return err
		}
		for _, ns := range spaces {
			wanted[history.Name{Namespace: ns}] = true
		}
	}
	for w := range wanted { // into a map: order cannot matter
		if err := src.Agents(at, w.Namespace, w.Agent, add); err != nil {
			return err
		}
	}
	exact := make(map[history.Name]bool)
	for n := range names { // likewise
		exact[history.Name{Namespace: n.Namespace, Agent: n.Agent}] = true
	}
	for w := range exact { // likewise
		err := src.Agents(at, w.Namespace, w.Agent, func(a history.Agent) error {
			if a.Agent == w.Agent {
				return errors.Join(add(a), errFound)
			}
			return errFound // it would be the first
		})
		if err != nil && !errors.Is(err, errFound) {
			return err
		}
	}
	return nil
}

var errFound = errors.New("found")

func normalEvent(ev *history.Event) {
	for i := range ev.Ops {
		if v := &ev.Ops[i].Value; *v != "" {
			*v = normal(*v)
		}
	}
}
