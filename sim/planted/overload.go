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
			Name: "late-for-good", Guarantee: "G6", About: "a transaction whose commit was refused because it had waited for too long has ended", Unseen: noHistory,
			Edits: []Edit{{"engine/outcome.go", "	return errors.Is(err, ErrConflict) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrEvaluation) || errors.Is(err, ErrLeaseHeld) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrTxnExpired) || errors.Is(err, ErrOutOfRange)\n", "	return errors.Is(err, ErrConflict) || errors.Is(err, ErrPrecondition) || errors.Is(err, ErrEvaluation) || errors.Is(err, ErrLeaseHeld) || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrTxnExpired) || errors.Is(err, ErrOutOfRange) || errors.Is(err, ErrOverloaded)\n"}},
		},
	}
}

// overloads are those of rates, and of what clients do about a refusal.
func overloads() []Bug {
	return []Bug{
		{
			Name: "bucket-never-fills", Guarantee: "G9", Tests: "./server/admission ^TestRates$", About: "who has used up its rate once may never ask again",
			Edits: []Edit{{"server/admission/rates.go", "b.tokens = min(most, b.tokens+rate*passed.Seconds())", "b.tokens = min(most, b.tokens)"}},
		},
		{
			Name: "hint-ignored", Guarantee: "G9", Tests: "./client", About: "a client that was refused for load comes back before it is to, again and again",
			Edits: []Edit{{"client/call.go", "		d = max(d, refused.RetryAfter+refused.RetryAfter/2*random/65536)\n", ""}},
		},
	}
}
