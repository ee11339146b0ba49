package planted

// wakes are mistakes about records that are due: when, to whom, and until when they are handed out. Askers of a world
// meet them.
func wakes() []Bug {
	return []Bug{
		{
			Name: "due-record-handed-out-twice", Guarantee: "G3", About: "a claim takes a record that one before it in the same step has taken",
			Edits: []Edit{{"engine/ready.go", "		if pl.plannedOp(string(layout.RecordPrefix(n))) != nil {\n			return true // the step has changed it\n		}\n		return look(n)\n", "		return look(n)\n"},
				{"engine/claim.go", "		assertf(was.exists && was.held == layout.CauseReady, \"the wake-up of %q is claimed, and not ready\", key)\n", ""}},
		},
		{
			Name: "completed-under-a-lapsed-lease", Guarantee: "G3", About: "a worker that has lost its lease completes the record, which another works on",
			Edits: []Edit{{"engine/claim.go", "	if _, err := v.heldLease(op, c.Token); err != nil {\n		return err\n	}\n", ""}},
		},
		{
			Name: "due-before-its-time", Guarantee: "G3", About: "a record can be claimed from the commit on that sets its time",
			Edits: []Edit{{"engine/wake.go", "op(layout.RecordHold{Kind: CauseDue, TTL: max(at.Sub(v.time), 1)}))\n", "op(layout.RecordHold{layout.CauseReady, readyTTL}))\n"}},
		},
		{
			Name: "lapsed-claim-is-lost", Guarantee: "G1", About: "what a worker has claimed and not completed in time is never handed out again",
			Edits: []Edit{{"engine/timers.go", "		wake := isWake(f.name.Key)\n", "		wake := isWake(f.name.Key) && f.Kind == CauseDue\n"}},
		},
		{
			Name: "claim-outlives-its-record", Guarantee: "G3", About: "what was deleted can be completed and is handed out",
			Edits: []Edit{{"engine/wake.go", "		if h.exists() {\n			part.ops = append(part.ops, end)\n		}\n", "		_ = h\n"}},
		},
	}
}

// wakesKept are mistakes in what of them outlives the daemon, and a backup, and in what askers seldom try.
func wakesKept() []Bug {
	return []Bug{
		{
			Name: "wake-ups-forgotten-at-start", Guarantee: "G3", About: "after a restart a delete leaves the wake-up of its record, which a record of later then has",
			Edits: []Edit{{"engine/follow.go", "	e.wakes.Store(slices.Contains(m.used, featureWakes))\n", "	e.wakes.Store(slices.Contains(m.used, featureWakes) && false)\n"}},
		},
		{
			Name: "version-of-what-waits-is-a-token", Guarantee: "G3", About: "a record that nobody has claimed is completed under its wake-up's version",
			Edits: []Edit{{"engine/lease.go", "	return h.exists() && h.version == token && h.held == CauseLapsed\n", "	return h.exists() && h.version == token\n"}},
		},
		{
			Name: "ready-is-no-row", Guarantee: "G1", About: "a restore leaves out what was ready",
			Edits: []Edit{{"engine/exportholds.go", "		if row.Hold.Kind == 0 {\n			continue\n", "		if row.Hold.Kind == 0 || row.Hold.Kind == layout.CauseReady {\n			continue\n"}},
		},
	}
}
