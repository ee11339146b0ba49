package repro

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// What a transact says that its transaction read, in terms of another world: nothing was read
// there. So it is what is known to hold, or where the transact was refused, to have changed.

// reads is a read set as of what a client knows now.
func (x *client) reads(op *history.Operation, was *history.Reads) *history.Reads {
	if was == nil {
		return nil
	}
	in := &history.Reads{Snapshot: min(was.Snapshot, x.known.ts), Keys: slices.Clone(was.Keys), Ranges: was.Ranges}
	if op.Outcome != history.Fail && len(in.Ranges) > 0 {
		in.Snapshot = x.known.ts
	}
	for i := range in.Keys {
		k := &in.Keys[i]
		k.Version = *x.expected(op, k.Name, &k.Version)
	}
	return in
}

// readSet is a read set in the numbers of the world that the capture is done again in. What
// it says to have read before the first commit, it has read of the state that was set up.
func (x *reexecution) readSet(was *history.Reads) *history.Reads {
	if was == nil {
		return nil
	}
	in := &history.Reads{Snapshot: x.stateHere(was.Snapshot), Keys: slices.Clone(was.Keys), Ranges: was.Ranges}
	for i := range in.Keys {
		k := &in.Keys[i]
		if d := x.delta[k.Name]; k.Version > d {
			k.Version -= d
		}
	}
	return in
}
