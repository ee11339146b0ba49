package planted

// restoredMany are mistakes in restores of more keys than a transaction may change.
func restoredMany() []Bug {
	const (
		very   = "./engine ^TestRestoreVeryMany$"
		crash  = "./engine ^TestRestoreVeryManyCrash$"
		forget = "./engine ^TestRestoreVeryManyAndForget$"
	)
	return []Bug{
		{
			Name: "restore-misses-in-between", Guarantee: "G5", About: "a restore of very many keys leaves what the commit after then wrote", Tests: very,
			Edits: []Edit{{"engine/rangethen.go", "	if now.CommitTS <= g.to {\n", "	if now.CommitTS <= g.to+1 {\n"}},
		},
		{
			Name: "restore-keeps-what-is-new", Guarantee: "G5", About: "a restore of very many keys leaves those that did not exist then", Tests: very,
			Edits: []Edit{{"engine/rangethen.go", "	case then == nil || then.Tombstone:\n		if now.Tombstone {\n", "	case then == nil || then.Tombstone:\n		if now.Tombstone || then == nil {\n"}},
		},
		{
			Name: "restore-revives-what-was-deleted", Guarantee: "G5", About: "a restore of very many keys brings back one that was deleted by then", Tests: very,
			Edits: []Edit{{"engine/rangethen.go", "		if high = at; row.CommitTS <= ts {\n", "		if high = at; row.CommitTS <= ts && !row.Tombstone {\n"}},
		},
		{
			Name: "restore-carried-out-twice", Guarantee: "G5", About: "a restore of very many keys that goes on after a crash takes what it wrote for what was there, and raises versions again", Tests: crash,
			Edits: []Edit{
				{"engine/rangerows.go", "	return ok && row.CommitTS <= v.of.at\n", "	return ok && row.CommitTS < v.of.at\n"},
				{"engine/rangerows.go", "	if !ok || row.CommitTS >= v.of.at {\n", "	if !ok || row.CommitTS > v.of.at {\n"},
				{"engine/rangethen.go", "	case !now.Tombstone && now.Gone == 0 && bytes.Equal(now.Value, then.Value):\n		return nil, nil\n", ""},
			},
		},
		{
			Name: "restore-replayed-as-of-now", Guarantee: "G5", About: "a replay for older clients tells of a restore of very many keys what is there now", Tests: very,
			Edits: []Edit{{"engine/forkreplay.go", "	s, a := Snapshot{e: r.e, ts: ts}, x.agent()\n", "	s, a := Snapshot{e: r.e, ts: r.e.Published()}, x.agent()\n"}},
		},
		{
			Name: "restore-of-before-the-fork", Guarantee: "G5", About: "a restore of very many keys of a fork to before it began gives it what its parent had then", Tests: very,
			Edits: []Edit{{"engine/rangethen.go", "	if g.restores && !db.forks.begun(g.agent, g.to) {", "	if g.restores && g.at == 0 {"}},
		},
		{
			Name: "restore-overtaken-in-its-step", Guarantee: "G5", About: "retention takes what a restore of very many keys brings back, in the step of its commit", Tests: "./engine ^TestRestoreVeryManyHoldsUpRetention$",
			Edits: []Edit{{"engine/chores.go", "	if e.planner.heldUp() {\n		return nil\n	}\n", ""}},
		},
		{
			Name: "restore-overtaken-by-retention", Guarantee: "G5", About: "retention takes what a restore of very many keys that is under way brings back", Tests: forget,
			Edits: []Edit{{"engine/chores.go", "	if g := w.e.db.acts.first(); g != nil { //", "	if g := w.e.db.acts.first(); g != nil && !(g.restores && len(c.spaces) > 0) { //"}},
		},
		{
			Name: "restore-of-what-was-erased", Guarantee: "G5", About: "a restore of very many keys leaves out what was erased, and says nothing", Tests: "./engine ^TestRestoreVeryManyAndErase$",
			Edits: []Edit{{"engine/rangegone.go", "	if err != nil || !may {\n", "	if err != nil || !may || took >= 0 {\n"}},
		},
		{
			Name: "restore-ends-wake-ups", Guarantee: "G5", About: "a record whose value a restore of very many keys brought back is due no more", Tests: "./engine ^TestRestoreVeryManyEndsHolds$",
			Edits: []Edit{{"engine/rangeplan.go", "change == nil || !change.Tombstone {\n", "change == nil {\n"}},
		},
		{
			Name: "restore-not-found-by-change", Guarantee: "G5", About: "a list by last change leaves out what a restore of very many keys brought back", Tests: very,
			Edits: []Edit{{"engine/findchanged.go", "g != nil && g.restores {", "g != nil && !g.restores {"}},
		},
	}
}
