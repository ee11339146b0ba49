package fuzz

import (
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/step"
)

// renumber lowers the numbers of commits and versions that calls name by the commits of log
// that the calls do not make any more: a run that read "at 7", or wrote "on version 3", goes
// on meaning the same commit after some before it were left out.
func renumber(steps []step.Step, log []history.Event) {
	there := make(map[string]bool)
	for i := range steps {
		if st := &steps[i]; st.Verb == step.Call && st.Kind.Info().Commits {
			there[st.In.TxnID] = true
		}
	}
	var commits []uint64 // those that are gone
	versions := make(map[history.Name][]uint64)
	for i := range log {
		if ev := &log[i]; !there[ev.TxnID] {
			commits = append(commits, ev.CommitTS)
			for j := range ev.Ops {
				versions[ev.Ops[j].Name] = append(versions[ev.Ops[j].Name], ev.Ops[j].Version)
			}
		}
	}
	if len(commits) == 0 {
		return
	}
	for i := range steps {
		if st := &steps[i]; st.Verb == step.Call {
			renumberInput(&st.In, commits, versions)
		}
	}
}

func renumberInput(in *history.Input, commits []uint64, versions map[history.Name][]uint64) {
	for _, p := range []**uint64{&in.At, &in.From, &in.To} {
		lowerAt(p, commits)
	}
	lowerAt(&in.Expected, versions[in.Name()])
	in.KeyVersion = lower(in.KeyVersion, versions[in.Name()])
	in.Heads, in.Keys, in.Writes = slices.Clone(in.Heads), slices.Clone(in.Keys), slices.Clone(in.Writes)
	for i := range in.Heads {
		in.Heads[i].Expected = lower(in.Heads[i].Expected, commits)
	}
	for i := range in.Keys {
		in.Keys[i].Expected = lower(in.Keys[i].Expected, versions[in.Keys[i].Name])
	}
	for i := range in.Writes {
		lowerAt(&in.Writes[i].Expected, versions[in.Writes[i].Name])
	}
}

// lower is n without those that are gone, up to it.
func lower(n uint64, gone []uint64) uint64 {
	left := n
	for _, g := range gone {
		if g <= n {
			left--
		}
	}
	return left
}

func lowerAt(p **uint64, gone []uint64) {
	if *p != nil {
		n := lower(**p, gone)
		*p = &n
	}
}

// lowerLimits lowers the limits of lists and streams, which may have ended at the same place
// for as many commits less.
func lowerLimits(steps []step.Step, by int) {
	for i := range steps {
		if st := &steps[i]; st.Verb == step.Call && st.Kind != history.Begin && st.In.Limit > uint64(by) {
			st.In.Limit -= uint64(by)
		}
	}
}

// retime moves the times that calls name: each stays as far as it was from the commit nearest to
// it, which a run without the steps before it makes at another time. before and after are the
// logs of the two runs. It reports whether a time has changed.
func retime(steps []step.Step, before, after []history.Event) (changed bool) {
	moved := make(map[string]int64) // commit times, by transaction
	for i := range after {
		moved[after[i].TxnID] = after[i].CommitTime
	}
	for i := range steps {
		in := &steps[i].In
		for _, t := range []*int64{&in.AtTime, &in.FromTime, &in.ToTime} {
			if *t == 0 || steps[i].Verb != step.Call {
				continue
			}
			var nearest *history.Event
			for j := range before {
				if ev := &before[j]; moved[ev.TxnID] != 0 && (nearest == nil || distance(ev.CommitTime, *t) < distance(nearest.CommitTime, *t)) {
					nearest = ev
				}
			}
			if nearest != nil && moved[nearest.TxnID] != nearest.CommitTime {
				*t += moved[nearest.TxnID] - nearest.CommitTime
				changed = true
			}
		}
	}
	return changed
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
