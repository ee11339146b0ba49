package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/redact"
)

// Source is the store that a capture is of. All reads are as of a commit.
type Source interface {
	// Events calls f with the commits past after, up to last, in order. It leaves out
	// those that cannot be read, and names them in an *UnreadableError at its end.
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
	// none, and only what clients were answered is in the history.
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
	t, key, err := r.openDump()
	if err != nil {
		return err
	}
	defer t.close()
	t.live = live
	return dump(ctx, t, key, out, o)
}

// openDump opens what a dump needs, while no file of the ring is written or replaced, nor
// another dump makes the key.
func (r *Recorder) openDump() (*tape, *redact.Digester, error) {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	t, err := openTape(r.env.FS, r.config.Dir)
	if err != nil {
		return nil, nil, err
	}
	key, err := digester(r.env, r.config.Dir)
	if err != nil {
		t.close()
		return nil, nil, err
	}
	return t, key, nil
}

func dump(ctx context.Context, t *tape, key *redact.Digester, out io.Writer, o Options) error {
	d := &dumper{ctx: ctx, o: o, t: t, scope: newScope()}
	d.redactor.Digester = key
	d.redactor.Values, d.redactor.KeepNotes = o.Redaction != RedactNothing, true
	if o.Redaction == RedactNames {
		d.redactor.Names = redact.NewNames()
	}
	if err := d.index(); err != nil {
		return err
	}
	return d.write(out)
}

// digester has the ring's key, so that two dumps can be compared. The key stays on
// the machine.
func digester(env Env, dir string) (*redact.Digester, error) {
	path := filepath.Join(dir, "key")
	key, err := readFile(env.FS, path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(key) != 32 {
		key = make([]byte, 32)
		env.Rand(key)
		err = writeFile(env.FS, path, key)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the digests: %w", err)
	}
	return redact.New(key), nil
}

// dumper makes a history in two passes over the tape: one to find what state it speaks
// of, one to write.
type dumper struct {
	ctx        context.Context
	o          Options
	t          *tape
	scope      *scope
	redactor   redact.Redactor
	w          *history.Writer
	steps      int              // see tick
	unreadable *UnreadableError // of the log
}

// tick asks now and then whether the caller has given up.
func (d *dumper) tick() error {
	if d.steps++; d.steps%256 == 0 {
		return d.ctx.Err()
	}
	return nil
}

// index is the first pass.
func (d *dumper) index() error {
	x := newTranslator(d.t, d.o.StructText)
	x.values.none = true
	err := d.t.build(d.lines(x, func(l history.Line) error {
		if l.Op != nil {
			d.scope.operation(l.Op)
		}
		return d.name(l)
	}))
	if err != nil || d.o.Source == nil {
		return err
	}
	if err := d.events(func(ev *history.Event) error {
		for i := range ev.Ops {
			d.scope.names[ev.Ops[i].Name] = true
		}
		return d.name(history.Line{Event: ev})
	}); err != nil {
		return err
	}
	return d.state(d.name)
}

// lines translates frames and calls f with those that are lines of the history.
func (d *dumper) lines(x *translator, f func(history.Line) error) func(*frame) error {
	return func(fr *frame) error {
		if err := d.tick(); err != nil {
			return err
		}
		l, ok, err := x.line(fr)
		if err != nil || !ok {
			return err
		}
		return f(l)
	}
}

// name shows a line to the redactor's names, if it keeps any.
func (d *dumper) name(l history.Line) error {
	if d.redactor.Names != nil {
		d.redactor.Names.AddLine(l)
	}
	return nil
}

// events calls f with the commits of the log, as far as they can be read.
func (d *dumper) events(f func(*history.Event) error) error {
	err := d.o.Source.Events(d.base(), d.t.final.published, func(ev *history.Event) error {
		if err := d.tick(); err != nil {
			return err
		}
		return f(ev)
	})
	if errors.As(err, &d.unreadable) {
		return nil
	}
	return err
}

// base is the commit after which the capture begins.
func (d *dumper) base() uint64 { return d.t.first.Published }

// put writes a line, redacted.
func (d *dumper) put(l history.Line) error {
	if err := d.redactor.Line(&l); err != nil {
		return err
	}
	return d.w.Write(l)
}

// write is the second pass.
func (d *dumper) write(out io.Writer) error {
	if err := d.writeHeader(out); err != nil {
		return err
	}
	if err := d.t.walk(d.lines(newTranslator(d.t, d.o.StructText), d.put), func() {}); err != nil {
		return err
	}
	if d.o.Source != nil {
		if err := d.events(func(ev *history.Event) error {
			normalEvent(ev)
			return d.put(history.Line{Event: ev})
		}); err != nil {
			return err
		}
	}
	if d.unreadable != nil {
		note := &history.Note{Time: d.t.last, Lane: "daemon", Kind: "damage", Text: d.unreadable.Error()}
		if err := d.put(history.Line{Note: note}); err != nil {
			return err
		}
	}
	slices.SortFunc(d.t.gaps, func(a, b history.Gap) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	for i := range d.t.gaps {
		if err := d.put(history.Line{Gap: &d.t.gaps[i]}); err != nil {
			return err
		}
	}
	return d.w.End(d.o.Source != nil && d.unreadable == nil)
}

// writeHeader writes the header and the state that the capture begins with.
func (d *dumper) writeHeader(out io.Writer) (err error) {
	h := history.Header{Source: "daemon", Build: d.t.first.Build, Unit: "ns", Config: d.t.first.Settings}
	if d.base() > 0 && d.o.Source != nil { // without one, what it begins with cannot be judged
		h.Base = &history.Base{CommitTS: d.base()}
	}
	d.redactor.Header(&h)
	if d.w, err = history.NewWriter(out, h); err != nil || h.Base == nil {
		return err
	}
	return d.state(d.put)
}

func normalEvent(ev *history.Event) {
	for i := range ev.Ops {
		if v := &ev.Ops[i].Value; *v != "" {
			*v = normal(*v)
		}
	}
}
