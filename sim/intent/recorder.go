package intent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Tag is the key in a commit's metadata that names the call which asked for it.
const Tag = "intent"

// gaveUp is the detail of an error that ended a call whose context had not ended.
const gaveUp = "gave_up"

// Options of a Recorder.
type Options struct {
	// Now is a moment of the wire's history. No two calls of it return the same, or a later
	// one less.
	Now func() int64
	// Name is how the wire's history names a transaction; nil: by its id.
	Name func(id string) string
}

// Recorder writes down what users of clients asked and were told. It is safe for concurrent
// use.
type Recorder struct {
	o Options

	mu     sync.Mutex
	ops    []*history.Operation
	titles map[string]string // of transactions, by the ids that users know
}

// NewRecorder makes a recorder.
func NewRecorder(o Options) *Recorder {
	if o.Name == nil {
		o.Name = func(id string) string { return id }
	}
	return &Recorder{o: o, titles: make(map[string]string)}
}

// History is what was written down until now. A call that has not returned is in it as
// unknown.
func (r *Recorder) History() *history.History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &history.History{Header: history.Header{Format: history.Format, Version: history.Version, Source: history.SourceIntent}}
	for _, op := range r.ops {
		h.Operations = append(h.Operations, new(*op)) // it may yet return
	}
	slices.SortFunc(h.Operations, history.ByCall)
	return h
}

// now is a moment.
func (r *Recorder) now() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.o.Now()
}

// call writes down a call.
func (r *Recorder) call(of string, kind history.Kind, in history.Input) *history.Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	in.Native = !in.NoValues // a client's users are shown bytes as bytes
	op := &history.Operation{ID: len(r.ops) + 1, Client: of, Kind: kind, Call: r.o.Now(), In: in, Outcome: history.Unknown}
	r.ops = append(r.ops, op)
	return op
}

// tagged is call of one that commits: it has a tag, and without a transaction that is begun, or
// has been sent before, it is a transaction by itself.
func (r *Recorder) tagged(of string, kind history.Kind, in history.Input) *history.Operation {
	op := r.call(of, kind, in)
	r.mu.Lock()
	defer r.mu.Unlock()
	tag := tagOf(op)
	if op.In.TxnID == "" {
		op.In.TxnID = tag
	}
	op.In.Metadata = maps.Clone(in.Metadata)
	if op.In.Metadata == nil {
		op.In.Metadata = make(map[string]string, 1)
	}
	op.In.Metadata[Tag] = tag
	return op
}

func tagOf(op *history.Operation) string { return fmt.Sprintf("%s-%d", op.Client, op.ID) }

// title is the transaction that a user means by an id; "": none that was recorded.
func (r *Recorder) title(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.titles[id]
}

// learn notes by which id users know a transaction.
func (r *Recorder) learn(id, title string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.titles[id]; !known && id != "" {
		r.titles[id] = title
	}
}

// end writes down how a call returned.
func (c *Client) end(ctx context.Context, op *history.Operation, out history.Output, err error) {
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	op.Return = c.rec.o.Now()
	if op.Outcome, op.Error = outcome(op.Kind, err); err == nil {
		op.Out = out
		return
	}
	if c.tireless && repeats(op.Kind) && again(err) && ctx.Err() == nil {
		op.Error.Details = map[string]string{gaveUp: op.Error.Code}
	}
}

// repeats reports whether a client repeats a call of that kind until its context ends.
func repeats(k history.Kind) bool { return k != history.StageWrite && k != history.StageDelete }

// again reports whether an error says that the daemon could not be asked, or that it may know
// later what became of a commit.
func again(err error) bool {
	is := func(kind error) bool { return errors.Is(err, kind) }
	if unknown := (*client.OutcomeUnknownError)(nil); errors.As(err, &unknown) {
		if err = unknown.Last; is(client.ErrOutcomeUnknown) || is(client.ErrLimit) || is(client.ErrDiskFull) {
			return true
		}
	}
	return is(client.ErrUnavailable) && !is(client.ErrTLS)
}

// outcome is what an error leaves the user to know. Of a commit every error is definite that
// does not say otherwise; of other calls only what the daemon said.
func outcome(kind history.Kind, err error) (history.Outcome, *history.Refusal) {
	var e *client.Error
	switch {
	case err == nil:
		return history.OK, nil
	case errors.Is(err, client.ErrOutcomeUnknown):
		return history.Unknown, &history.Refusal{Code: "OUTCOME_UNKNOWN", Message: err.Error()}
	case !errors.As(err, &e):
		return history.Fail, &history.Refusal{Code: "UNAVAILABLE", Message: err.Error()}
	}
	refusal := &history.Refusal{Code: string(e.Code), Message: e.Message, Details: e.Details}
	if e.MaybeApplied || !e.Answered && !kind.Info().Commits {
		return history.Unknown, refusal
	}
	return history.Fail, refusal
}
