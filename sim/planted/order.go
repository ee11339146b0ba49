package planted

// conflicts are mistakes about what a transaction has read.
func conflicts() []Bug {
	return []Bug{
		{
			Name: "reads-not-checked", Guarantee: "G3", About: "a transaction's reads are not looked at again when it commits: lost updates",
			Edits: []Edit{{"engine/plan.go", "		if h.version != r.seen {", "		if h.version < r.seen {"}},
		},
		{
			Name: "ranges-not-checked", Guarantee: "G3", About: "a range that a transaction listed may change before it commits: phantoms",
			Edits: []Edit{{"engine/ranges.go", "			if change = l.changed(ev); change == nil {", "			if change = nil; change == nil {"}},
		},
		{
			Name: "phantom-in-step", Guarantee: "G3", About: "a range is checked against the store only, not against what the same step planned before",
			Edits: []Edit{{"engine/plan.go", "			if op := p.listed[at].plannedChange(part.ops); op != nil {", "			if op := p.listed[at].plannedChange(part.ops); op != nil && false {"}},
		},
		{
			Name: "absent-key-not-checked", Guarantee: "G3", About: "that a key was absent when it was read is not remembered",
			Edits: []Edit{{
				"engine/txnread.go",
				"	return rec, snapshot, e.txns.didRead(id, e.now(), string(prefix), rec.Version, nil)",
				"	if rec.Version == 0 {\n\t\treturn rec, snapshot, nil\n\t}\n\treturn rec, snapshot, e.txns.didRead(id, e.now(), string(prefix), rec.Version, nil)",
			}},
		},
	}
}

// conditions are mistakes about what a commit is conditional on.
func conditions() []Bug {
	return []Bug{
		{
			Name: "precondition-too-old", Guarantee: "G3", About: "an expected version that is behind the key's is let through",
			Edits: []Edit{{"engine/plan.go", "		if !h.holds(k.Expected) {", "		if !h.holds(k.Expected) && (k.Expected == 0 || k.Expected > h.version) {"}},
		},
		{
			Name: "only-if-absent-ignored", Guarantee: "G3", About: "the condition that a key does not exist holds for every key",
			Edits: []Edit{{"engine/plan.go", "	return expected == h.version || expected == 0 && !h.exists()", "	return expected == h.version || expected == 0"}},
		},
		{
			Name: "first-precondition-only", Guarantee: "G3", About: "of several preconditions on keys only the first is checked",
			Edits: []Edit{{"engine/plan.go", "	for i := range p.keys {\n		k := &p.keys[i]\n		h, err", "	for i := range p.keys[:min(1, len(p.keys))] {\n		k := &p.keys[i]\n		h, err"}},
		},
		{
			Name: "last-head-only", Guarantee: "G3", About: "of several preconditions on agents only the last is checked",
			Edits: []Edit{{"engine/plan.go", "	for _, want := range p.heads {", "	for _, want := range p.heads[max(0, len(p.heads)-1):] {"}},
		},
		{
			Name: "head-not-checked", Guarantee: "G3", About: "an agent's expected head may be too old",
			Edits: []Edit{{"engine/plan.go", "		if head.User != want.Expected {", "		if head.User < want.Expected {"}},
		},
	}
}

// versions are mistakes about which version is which, and which one is read.
func versions() []Bug {
	return []Bug{
		{
			Name: "snapshot-moves", Guarantee: "G3", About: "a transaction reads what is published now instead of its snapshot",
			Edits: []Edit{{"engine/txnread.go", "	rec, err := Snapshot{e: e, ts: snapshot}.get(name, prefix)", "	rec, err := Snapshot{e: e, ts: e.Published()}.get(name, prefix)"}},
		},
		{
			Name: "own-writes-unseen", Guarantee: "G3", About: "a scan inside a transaction does not see a delete of its own",
			Edits: []Edit{{"engine/txnread.go", "		if order <= 0 {\n\t\t\tstored = c.next()\n\t\t}", "		if order < 0 {\n\t\t\tstored = c.next()\n\t\t}"}},
		},
		{
			Name: "as-of-off-by-one", Guarantee: "G3", About: "the search for an earlier version goes one too far",
			Edits: []Edit{{"engine/read.go", "		case row.CommitTS > s.ts:\n			high = mid - 1", "		case row.CommitTS > s.ts+1:\n			high = mid - 1"},
				{"engine/read.go", "const linearProbe = 8", "const linearProbe = 1"}},
		},
		{
			Name: "clock-not-clamped", Guarantee: "G5", About: "commit_time follows the wall clock backwards",
			Edits: []Edit{{"engine/plan.go", "	if now.Before(pl.lastTime) {\n		return", "	if now.Before(pl.lastTime.Add(-1e15)) {\n		return"}},
		},
		{
			Name: "page-not-pinned", Guarantee: "G3", About: "the second page of a scan is read at another commit than the first",
			Edits: []Edit{{"server/page/token.go", "	return t, engine.At{CommitTS: &t.TS}, nil", "	return t, at, nil"}},
		},
		{
			Name: "tombstone-listed", Guarantee: "G3", About: "deleted keys are listed",
			Edits: []Edit{{"engine/scan.go", "	return seen && c.rec.Exists, c.rows.err == nil\n", "	return seen && (c.rec.Exists || c.o.Reverse), c.rows.err == nil\n"}},
		},
		{
			Name: "version-reused-after-delete", Guarantee: "G5", About: "a key that was deleted begins at version 1 again",
			Edits: []Edit{{"engine/plan.go", "		op.Version = h.version + 1", "			if op.Version = h.version + 1; h.tombstone {\n				op.Version = 1\n			}"}},
		},
		{
			Name: "version-forgotten-at-recovery", Guarantee: "G5", About: "after a restart the version counter of a deleted key is forgotten",
			Edits: []Edit{{"engine/plan.go", "	h, err := pl.state.recordHead(prefix)\n\tif err == nil {", "	h, err := pl.state.recordHead(prefix)\n	if h.tombstone {\n		h = keyHead{}\n	}\n	if err == nil {"}},
		},
	}
}
