package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine"
)

// What is found in forks, and how they differ.

// checkFind compares what is found of all agents, and of each by last change, with the model.
func (r *forkRun) checkFind(ts engine.CommitTS) {
	r.t.Helper()
	names := slices.Clone(r.m.names)
	slices.Sort(names)
	var all []string
	for _, n := range names {
		a := r.m.agents[n]
		var own []pastVersion
		keys := map[engine.CommitTS][]string{}
		var restKeys []string
		for _, k := range r.keys() {
			v := a.at(k, ts)
			if v.number == 0 || v.tombstone {
				continue
			}
			all = append(all, foundText(n, k, v, r.floor))
			if v.ts >= max(r.floor, a.first) {
				if own = append(own, v); len(keys[v.ts]) > 0 {
					own = own[:len(own)-1]
				}
				keys[v.ts] = append(keys[v.ts], foundText(n, k, v, r.floor))
			} else {
				restKeys = append(restKeys, foundText(n, k, v, r.floor))
			}
		}
		slices.SortFunc(own, func(a, b pastVersion) int { return cmp.Compare(b.ts, a.ts) })
		var want []string
		for _, v := range own {
			want = append(want, keys[v.ts]...)
		}
		r.sameFound(ts, engine.FindOptions{Agent: n, Changed: true}, append(want, restKeys...))
	}
	r.sameFound(ts, engine.FindOptions{AllAgents: true}, all)
}

func foundText(n, k string, v pastVersion, floor engine.CommitTS) string {
	by := ""
	if _, after, found := strings.Cut(v.value, `{"n":`); found && v.ts >= floor {
		if by, _, _ = strings.Cut(after, ","); v.by > 0 {
			by = fmt.Sprint(v.by)
		}
	}
	return fmt.Sprint(n, " ", k, " v", v.number, " ", v.value, " by ", by)
}

func (r *forkRun) sameFound(ts engine.CommitTS, o engine.FindOptions, want []string) {
	r.t.Helper()
	o.WithMetadata, o.Page.Items = true, 1+r.rng.IntN(6)
	at, err := r.p.Snapshot(atTS(ts))
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for first := true; first || o.After != ""; first = false {
		page, err := at.Find(o)
		if err != nil {
			r.t.Fatalf("%+v: %v", o, err)
		}
		for i, rec := range page.Records {
			got = append(got, fmt.Sprint(rec.Name.Agent, " ", rec.Name.Key, " v", rec.Version, " ", string(rec.Value), " by ", page.Metadata[i]["n"]))
		}
		o.After = page.Next
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("%+v at %d, with the floor at %d, finds\n%s\nnot\n%s", o, ts, r.floor, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkDiff compares two states, of which each may be of a fork, with the model.
func (r *forkRun) checkDiff() {
	r.t.Helper()
	sides, points := [2]engine.DiffSide{}, [2]engine.CommitTS{}
	for i := range sides {
		points[i] = max(r.floor, engine.CommitTS(r.rng.IntN(int(r.m.head)+1)))
		at, err := r.p.Snapshot(atTS(points[i]))
		if err != nil {
			r.t.Fatal(err)
		}
		sides[i] = engine.DiffSide{Agent: engine.AgentName{Agent: r.m.names[r.rng.IntN(len(r.m.names))]}, At: at}
	}
	var want []string
	for _, k := range r.keys() {
		a, b := r.m.agents[sides[0].Agent.Agent].at(k, points[0]), r.m.agents[sides[1].Agent.Agent].at(k, points[1])
		if a.value != b.value { // "" where there is none
			want = append(want, fmt.Sprint(k, " ", a.value, " ", b.value))
		}
	}
	o := engine.DiffOptions{From: sides[0], To: sides[1], Page: engine.Page{Items: 1 + r.rng.IntN(4)}}
	var got []string
	for first := true; first || o.After != ""; first = false {
		page, err := r.p.Diff(o)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, d := range page.Keys {
			got = append(got, fmt.Sprint(d.Key, " ", string(d.From.Value), " ", string(d.To.Value)))
		}
		o.After = page.Next
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("%v at %d and %v at %d differ in\n%s\nnot\n%s", sides[0].Agent, points[0], sides[1].Agent, points[1], strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
