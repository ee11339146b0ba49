package planted

// holds are mistakes about what expires and about leases: deadlines, the daemon's own commits, tokens.
func holds() []Bug {
	return []Bug{
		{
			Name: "lease-renewed-after-it-was-lost", Guarantee: "G3", About: "a renewal under the token of an earlier holder moves the deadline, and is answered that the lease is held",
			Edits: []Edit{{"engine/moves.go", "		if head.held != m.kind || m.version != 0 && head.version != m.version {\n", "		if head.held != m.kind {\n"}},
		},
		{
			Name: "lease-token-of-a-release", Guarantee: "G3", About: "the version of a release or lapse is taken for a token, though nobody holds the lease",
			Edits: []Edit{{"engine/lease.go", "	return h.exists() && h.version == token && h.held == CauseLapsed\n", "	return h.version == token && (!h.exists() || h.held == CauseLapsed)\n"}},
		},
		{
			Name: "lease-lapses-after-the-step", Guarantee: "G3", About: "what is due is fired after the requests of a step, so that one in the step in which a lease lapses finds it held",
			Edits: []Edit{
				{"engine/step.go", "	e.unfired = e.noted(e.fire(now))\n", ""},
				{"engine/step.go", "	fl.chores = e.planChores(now)\n", "	fl.chores = e.planChores(now)\n	e.unfired = e.noted(e.fire(now))\n"},
			},
		},
		{
			Name: "deadline-moves-back", Guarantee: "G1", About: "a renewal after the clock was set back brings the deadline nearer than it was granted",
			Edits: []Edit{{"engine/moves.go", "after.Deadline.Before(before.Deadline) {", "false {"}},
		},
		{
			Name: "deadlines-forgotten-at-start", Guarantee: "G1", About: "after a restart nothing expires until something is written that does",
			Edits: []Edit{{"engine/follow.go", "	if err := e.loadTimers(); err != nil {\n		return err\n	}\n", ""}},
		},
		{
			Name: "expired-by-the-clock", Guarantee: "G3", About: "a record is absent once its deadline has passed, before the commit that removes it",
			Edits: []Edit{{"engine/moves.go", "	if h.Version == rec.Version {\n		rec.ExpiresAt = h.Deadline\n	}\n", "	if h.Version == rec.Version {\n		rec.ExpiresAt = h.Deadline\n	}\n	rec.Exists = rec.Exists && rec.ExpiresAt.After(e.now())\n"}},
		},
		{
			Name: "refresh-before-durable", Guarantee: "G4", About: "a reader is told a deadline that a crash could still take back",
			Edits: []Edit{{"engine/moves.go", "	body, err := e.durableSystem().row(key)\n", "	body, err := systemReader{e.db.DB}.row(key)\n"}},
		},
		{
			Name: "deadline-outlives-its-version", Guarantee: "G3", About: "a write without a time to live leaves the deadline of the version before",
			Edits: []Edit{{"engine/plan.go", "	op.hold, op.ends = nil, nil\n	switch {\n", "	op.hold, op.ends = nil, nil\n	if before.held != 0 && op.Held.Kind == 0 && !op.Tombstone && !op.keeps {\n		op.Held = layout.RecordHold{before.held, time.Hour}\n	}\n	switch {\n"}},
		},
		{
			Name: "lapse-moves-the-head", Guarantee: "G3", About: "a head condition fails because of a commit of the daemon's own",
			Edits: []Edit{{"engine/plan.go", "		if p.cause != 0 {\n			head.User = c.userHeads[i]\n		}\n", ""}},
		},
		{
			Name: "increment-forgets-the-deadline", Guarantee: "G3", About: "a record that the writer changes no longer expires",
			Edits: []Edit{{"engine/evaluate.go", "value: value, keeps: true}", "value: value}"}},
		},
	}
}
