package planted

// overloaded are mistakes with load: in what is refused for it, and in what is done about it.
func overloaded() []Bug {
	return []Bug{
		{
			Name: "late-and-planned", Guarantee: "G6", About: "a commit that is refused because it has waited for too long is planned all the same",
			Edits: []Edit{{"engine/step.go", "	if err := e.refuseLate(p); err != nil {\n		return nil, err\n", "	if err := e.refuseLate(p); err != nil {\n		if p.late {\n			_, _ = e.planner.plan(p, now)\n		}\n		return nil, err\n"}},
		},
		{
			Name: "late-before-outcome", Guarantee: "G6", About: "a retry that has waited for too long is refused before it is looked up: of what was committed it is said that nothing was applied",
			Edits: []Edit{{"engine/step.go", "	if v, found := e.planner.decided(p); found {\n		return answer{p: p, result: v.result, err: v.err}\n	}\n", "	if p.late {\n		return answer{p: p, err: e.refuseLate(p)}\n	}\n	if v, found := e.planner.decided(p); found {\n		return answer{p: p, result: v.result, err: v.err}\n	}\n"}},
		},
		{
			Name: "flood-starves", Guarantee: "G9", About: "the writer serves whoever came first, so that one who floods it keeps the others waiting", Unseen: notAsked,
			Edits: []Edit{{"engine/line.go", "	p.tag = tag{max(l.clock, l.ends[p.share]) + uint64(size), l.arrived, size}\n", "	p.tag = tag{l.arrived, l.arrived, size}\n"}},
		},
		{
			Name: "late-for-good", Guarantee: "G6", About: "a transaction whose commit was refused because it had waited for too long has ended", Unseen: notAsked,
			Edits: []Edit{{"engine/outcome.go", "	return errors.Is(err, ErrConflict) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrTxnExpired)\n", "	return errors.Is(err, ErrConflict) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrTxnExpired) || errors.Is(err, ErrOverloaded)\n"}},
		},
	}
}

// overloads are those that only what clients do by themselves brings out.
func overloads() []Bug {
	return []Bug{
		{
			Name: "bucket-never-fills", Guarantee: "G9", About: "who has used up its rate once may never ask again",
			Edits: []Edit{{"server/admission/rates.go", "b.tokens = min(most, b.tokens+rate*passed.Seconds())", "b.tokens = min(most, b.tokens)"}},
		},
		{
			Name: "turn-kept", Guarantee: "G9", About: "a request that has waited for the disk does not give its turn back",
			Edits: []Edit{{"server/admission/gate.go", "	g.taken--\n	if !paused {\n", "	if !paused {\n		g.taken--\n"}},
		},
		{
			Name: "hint-ignored", Guarantee: "G9", About: "a client that was refused for load comes back before it is to, again and again",
			Edits: []Edit{{"client/call.go", "		d = max(d, refused.RetryAfter+refused.RetryAfter/2*random/65536)\n", ""}},
		},
	}
}
