package planted

// imports are mistakes of imports. Worlds have imports, too; what shows these at once are the engine's
// tests, which look at every step of an import and crash it at every operation of its disk.
func imports() []Bug {
	list := []Bug{
		{
			Name: "import-seen-early", Guarantee: "G4", About: "the commits of an import are published with the step that makes them, not with the last",
			Edits: []Edit{{"engine/step.go", "	if held {\n		return\n	}\n", ""}},
		},
		{
			Name: "import-seen-after-a-crash", Guarantee: "G4", About: "a daemon that was killed while it made the commits of an import shows those that it had made",
			Edits: []Edit{{"engine/importmake.go", "	e.published.Store(uint64(x.from))\n", ""}},
		},
		{
			Name: "import-made-twice", Guarantee: "G6", About: "what was staged stays when its commits are made: a daemon that was killed makes them again",
			Edits: []Edit{{"engine/importmake.go", "	_ = w.batch.DeleteRange(stagedKey(x.ID, first), stagedKey(x.ID, x.made+1), nil)\n", ""}},
		},
		{
			Name: "import-not-resumed", Guarantee: "G6", About: "after a crash nobody goes on with an import whose commits were being made",
			Edits: []Edit{{"engine/importmake.go", "		if x.State == ImportMaking {\n			c.making", "		if x.State == ImportDone {\n			c.making"}},
		},
		{
			Name: "import-lets-others-in", Guarantee: "G3", About: "other commits are planned between those of an import",
			Edits: []Edit{{"engine/step.go", "	if e.chores.making == nil || ", "	if e.chores.making == nil || true || "}},
		},
		{
			Name: "import-target-taken", Guarantee: "G5", About: "somebody else makes what an import is to make",
			Edits: []Edit{{"engine/plan.go", "if head.Last == 0 && pl.reserved != nil && !c.p.imported {", "if head.Last == 0 && pl.reserved != nil && c.p.imported {"}},
		},
		{
			Name: "import-leaves-watches-asleep", Guarantee: "G5", About: "only the watches of the last commits of an import are woken",
			Edits: []Edit{{"engine/step.go", "	if before+1 < commits[0].ts {\n", "	if before+1 < commits[0].ts && false {\n"}},
		},
		{
			Name: "import-versions-unchecked", Guarantee: "G5", About: "an import takes whatever versions come",
			Edits: []Edit{{"engine/importrows.go", "			if op.Version != h.version+1 {\n", "			if op.Version < h.version {\n"}},
		},
		{
			Name: "import-ends-without-a-value", Guarantee: "G8", About: "the last version of a key comes without its value",
			Edits: []Edit{{"engine/imports.go", "	case x.owes > 0:\n", "	case x.owes > 1<<40:\n"}},
		},
		{
			Name: "import-sent-again-counts", Guarantee: "G6", About: "events that are sent again are added again",
			Edits: []Edit{{"engine/imports.go", "x.stage(b, staged[have:], now)", "x.stage(b, staged, now)"}},
		},
		{
			Name: "import-renumbers", Guarantee: "G5", About: "numbers of which nothing came are left out where numbers are kept",
			Edits: []Edit{{"engine/importmake.go", "	for x.Keep && pl.head.ts+1 < ev.CommitTS {\n", "	for x.Keep && pl.head.ts+1 < ev.CommitTS && false {\n"}},
		},
		{
			Name: "import-forgets-retries", Guarantee: "G6", About: "a commit that is sent again after it has moved with its id is refused",
			Edits: []Edit{{"engine/importmake.go", "		p.fingerprint = layout.Digest{}\n", "		p.fingerprint[0]++\n"}},
		},
		{
			Name: "import-dropped-stays", Guarantee: "G8", About: "what a dropped import had staged stays in the store",
			Edits: []Edit{{"engine/imports.go", "		x.dropStaged(b)\n", ""}},
		},
	}
	for i := range list {
		list[i].Tests = "./engine ^TestImport"
	}
	return list
}
