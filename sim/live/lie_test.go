package live

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// quiet is a short run without faults but the kill at the end.
func quiet(t *testing.T) Options {
	o := options(t)
	o.For, o.AtLeast, o.Clients, o.Kills, o.Stops, o.Terms = 1500*time.Millisecond, 1500, 4, 0, 0, 0
	return o
}

// liar alters one answer on its way to the client.
type liar struct {
	grpc.ClientConnInterface
	left *atomic.Int32 // answers to let through before the lie
}

func (l liar) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	err := l.ClientConnInterface.Invoke(ctx, method, req, resp, opts...)
	if m, ok := resp.(*pb.GetStateResponse); ok && err == nil && m.GetExists() && l.left.Add(-1) == 0 {
		m.ValueJson = []byte(`{"no_client":"wrote this"}`)
	}
	return err
}

// One altered answer among thousands is found.
func TestLieOnTheWireIsCaught(t *testing.T) {
	o := quiet(t)
	var left atomic.Int32
	left.Store(10)
	o.Wrap = func(_ string, conn grpc.ClientConnInterface) grpc.ClientConnInterface { return liar{conn, &left} }
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if left.Load() > 0 {
		t.Fatalf("no client was lied to: %+v", r.Stats)
	}
	if r.Verdict() != verdict.Illegal || len(r.Violations) == 0 {
		t.Fatalf("the verdict is %s: %v", r.Verdict(), r.Violations)
	}
	for i := range r.Violations {
		if v := &r.Violations[i]; v.Guarantee != "G3" {
			t.Errorf("more is found than the lie: %+v", *v)
		}
	}
}

// lie makes one thing in a true history untrue, and reports whether it found
// something to lie about.
type lie struct {
	name  string
	check string // what it must be found as, among other things
	tell  func(h *history.History) bool
}

var lies = []lie{
	{"an acknowledged commit is not in the log", "acked-commit-lost", func(h *history.History) bool {
		last := h.Log[len(h.Log)-1].TxnID
		h.Log = h.Log[:len(h.Log)-1]
		return slices.ContainsFunc(h.Operations, func(op *history.Operation) bool {
			return (op.Kind == history.Commit || op.Kind == history.Transact) && op.Outcome == history.OK && op.In.TxnID == last
		})
	}},
	{"a commit is missing in the middle", "log-gap", func(h *history.History) bool {
		h.Log = slices.Delete(h.Log, len(h.Log)/2, len(h.Log)/2+1)
		return true
	}},
	{"an acknowledgement names another commit", "answer-differs", first(acked, func(op *history.Operation) { op.Out.CommitTS++ })},
	{"an acknowledgement names another version", "version-differs", first(
		func(op *history.Operation) bool { return acked(op) && len(op.In.Writes) == 1 },
		func(op *history.Operation) { op.Out.Versions[0].Version++ })},
	{"what was applied was refused", "refused-but-applied", first(acked, func(op *history.Operation) {
		op.Outcome, op.Out, op.Error = history.Fail, history.Output{}, &history.Refusal{Code: "CONFLICT"}
	})},
	{"a read shows another version", "ghost-read", first(shows, func(op *history.Operation) { op.Out.Records[0].Version++ })},
	{"a read shows another value", "wrong-read", first(shows, func(op *history.Operation) { op.Out.Records[0].Value = `{"n":-1}` })},
	{"a read shows what was overwritten", "stale-read", stale},
	{"a page leaves a key out", "wrong-read", first(
		func(op *history.Operation) bool {
			return op.Kind == history.Scan && op.Outcome == history.OK && op.In.TxnID == "" && len(op.Out.Records) > 1
		},
		func(op *history.Operation) { op.Out.Records = op.Out.Records[1:] })},
	{"a stream leaves a commit out", "replay-gap", first(streams, func(op *history.Operation) {
		b := &op.Batches[slices.IndexFunc(op.Batches, many)]
		b.Events = slices.Delete(slices.Clone(b.Events), 0, 1)
	})},
	{"a stream shows a commit twice", "replay-gap", first(streams, func(op *history.Operation) {
		b := &op.Batches[slices.IndexFunc(op.Batches, many)]
		b.Events = slices.Insert(slices.Clone(b.Events), 1, b.Events[0])
	})},
}

func acked(op *history.Operation) bool {
	return op.Kind == history.Transact && op.Outcome == history.OK && len(op.In.Writes) > 0
}

func shows(op *history.Operation) bool {
	return op.Kind == history.Get && op.Outcome == history.OK && op.In.TxnID == "" && op.Out.Records[0].Exists
}

func many(b history.Batch) bool { return len(b.Events) > 1 }

func streams(op *history.Operation) bool {
	return (op.Kind == history.Replay || op.Kind == history.Watch) && slices.ContainsFunc(op.Batches, many)
}

// first tells a lie about the first operation of a sort.
func first(of func(*history.Operation) bool, tell func(*history.Operation)) func(*history.History) bool {
	return func(h *history.History) bool {
		i := slices.IndexFunc(h.Operations, of)
		if i >= 0 {
			tell(h.Operations[i])
		}
		return i >= 0
	}
}

// stale answers a read with what was true just before a commit that had been
// acknowledged, to another client, before the read was asked for: right at a point of
// the order, and wrong by the clock alone.
func stale(h *history.History) bool {
	ended := make(map[uint64]*history.Operation) // by commit: its acknowledgement
	for _, op := range h.Operations {
		if (acked(op) || op.Kind == history.Commit && op.Outcome == history.OK) && ended[op.Out.CommitTS] == nil {
			ended[op.Out.CommitTS] = op
		}
	}
	for _, op := range h.Operations {
		if !shows(op) || op.In.At != nil || op.In.AtTime != 0 {
			continue
		}
		rec := &op.Out.Records[0]
		by := ended[rec.CommitTS]
		if by == nil || by.Return >= op.Call || by.Client == op.Client {
			continue
		}
		before := history.Record{Name: rec.Name}
		for i := range h.Log[:rec.CommitTS-1] {
			for _, o := range h.Log[i].Ops {
				if o.Name == rec.Name {
					before = history.Record{
						Name: o.Name, Exists: !o.Delete, Version: o.Version, CommitTS: h.Log[i].CommitTS, CommitTime: h.Log[i].CommitTime, Value: o.Value,
					}
				}
			}
		}
		op.Out.ReadTS, op.Out.Records[0] = rec.CommitTS-1, before
		return true
	}
	return false
}

// Every sort of lie about a run of the real daemon is found, and the truth passes.
func TestLiesAreCaught(t *testing.T) {
	o := quiet(t)
	o.AtLeast = 4000 // so that there is an occasion for each
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	report(t, r)
	var truth bytes.Buffer
	if err := r.History.Write(&truth); err != nil {
		t.Fatal(err)
	}
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			h, err := history.ReadHistory(bytes.NewReader(truth.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if !l.tell(h) {
				t.Fatalf("nothing to lie about in %+v", r.Stats)
			}
			judged := linearizability.Check(h, linearizability.Options{Samples: 1, SampleSize: 40})
			if judged.Verdict != verdict.Illegal {
				t.Fatalf("the verdict is %s", judged.Verdict)
			}
			if !slices.ContainsFunc(judged.Violations, func(v verdict.Violation) bool { return v.Check == l.check }) {
				t.Errorf("it is found, but not as %s: %v", l.check, judged.Violations)
			}
		})
	}
}
