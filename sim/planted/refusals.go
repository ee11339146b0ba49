package planted

// held are mistakes about what is held, and about when it is given back.
func held() []Bug {
	return []Bug{
		{
			Name: "begin-slots-leak", Guarantee: "G9", About: "every transaction ever begun counts as an open one: past the limit none can begin", Unseen: noHistory,
			Edits: []Edit{
				{"engine/txn.go", "	held     int                   // bytes of all open transactions", "	ever     int\n	held     int                   // bytes of all open transactions"},
				{"engine/txn.go", "	if len(t.open) >= t.limits.OpenTxns {", "	if t.ever++; t.ever > t.limits.OpenTxns {"},
			},
		},
		{
			Name: "open-limit-early", Guarantee: "G9", About: "one transaction fewer than the limit may be open", Unseen: noHistory,
			Edits: []Edit{{"engine/txn.go", "	if len(t.open) >= t.limits.OpenTxns {", "	if len(t.open)+1 >= t.limits.OpenTxns {"}},
		},
		{
			Name: "open-limit-late", Guarantee: "G9", About: "one transaction more than the limit may be open", Unseen: noHistory,
			Edits: []Edit{{"engine/txn.go", "	if len(t.open) >= t.limits.OpenTxns {", "	if len(t.open) > t.limits.OpenTxns {"}},
		},
		{
			Name: "expires-early", Guarantee: "G9", About: "transactions expire ten milliseconds before their timeout", Unseen: noHistory,
			Edits: []Edit{{"engine/txn.go", "deadline: now.Add(timeout)}", "deadline: now.Add(timeout - 10*time.Millisecond)}"}},
		},
		{
			Name: "disk-full-sticks", Guarantee: "G9", About: "writes stay refused after there is room again", Unseen: noHistory,
			Edits: []Edit{{"engine/disk.go", "		e.full.Store(nil)\n		e.layBallast()", "		e.layBallast()"}},
		},
		{
			Name: "disk-full-late", Guarantee: "G9", About: "writes are refused only when half of the reserve is gone", Unseen: noHistory,
			Edits: []Edit{{"engine/disk.go", "	case u.AvailBytes < e.space.reserve && !full:", "	case u.AvailBytes < e.space.reserve/2 && !full:"}},
		},
		{
			Name: "start-refuses-small-disk", Guarantee: "G9", About: "the daemon does not start while less than four times the reserve is free", Unseen: noHistory,
			Edits: []Edit{{"engine/open.go", "	e.layBallast()\n	e.checkSpace()", "	if usage.AvailBytes < 4*e.space.reserve {\n		return words.Failf(ErrStorage, \"no room\")\n	}\n	e.layBallast()\n	e.checkSpace()"}},
		},
	}
}

// refusals are mistakes about what a request is told that is refused.
func refusals() []Bug {
	return []Bug{
		{
			Name: "expired-not-found", Guarantee: "G9", About: "a transaction that has expired is said never to have begun", Unseen: noHistory,
			Edits: []Edit{{"engine/txn.go", "		return words.Failf(ErrTxnExpired, ", "		return words.Failf(ErrTxnNotFound, "}},
		},
		{
			Name: "request-ended-is-definite", Guarantee: "G6", About: "a commit whose client gave up is said not to have been applied", Unseen: noHistory,
			Edits: []Edit{{"engine/commit.go", "	return words.Failf(ErrOutcomeUnknown, \"the request ended", "	return words.Failf(ErrStopped, \"the request ended"}},
		},
		{
			Name: "page-token-refused", Guarantee: "G9", About: "a page token that ends with a short name is not known again", Unseen: noHistory,
			Edits: []Edit{{"server/page/token.go", "	if err != nil || len(b) <= tokenFixed ||", "	if err != nil || len(b) < 25 ||"}},
		},
		{
			Name: "missing-version-is-data-loss", Guarantee: "G8", About: "a version that there never was is reported as lost data", Unseen: noHistory,
			Edits: []Edit{{"engine/read.go", "		return Record{}, words.Failf(ErrVersionNotFound, ", "		return Record{}, words.Failf(ErrDataLoss, "}},
		},
		{
			Name: "read-error-is-data-loss", Guarantee: "G8", About: "a read that failed is reported as lost data", Unseen: noHistory,
			Edits: []Edit{{"engine/openfailure.go", "	return words.Failf(ErrStorage, \"reading failed", "	return words.Failf(ErrDataLoss, \"reading failed"}},
		},
		{
			Name: "doubt-not-told", Guarantee: "G6", About: "a refusal of a commit does not say that the commit may have been applied before",
			Edits: []Edit{{"server/wire/errors.go", "		detail.MaybeApplied = detail.MaybeApplied || f.InDoubt", "		_ = f.InDoubt"}},
		},
		{
			Name: "drain-refuses-before", Guarantee: "G9", About: "a commit that finds others waiting is told that the daemon stops", Unseen: noHistory,
			Edits: []Edit{{"engine/queue.go", "	if e.stopped {", "	if e.stopped || e.queue.len() > 1 {"}},
		},
		{
			Name: "watch-from-now-refused", Guarantee: "G9", About: "a watch after the last commit is refused, as if that had not happened", Unseen: noHistory,
			Edits: []Edit{{"server/answer/streams.go", "		if cursor < engine.CommitTS(req.GetAfterTs()) {", "		if cursor <= engine.CommitTS(req.GetAfterTs()) {"}},
		},
		{
			Name: "full-disk-is-a-limit", Guarantee: "G9", About: "a full disk is reported as a limit", Unseen: noHistory,
			Edits: []Edit{{"server/wire/errors.go", "pb.ErrorCode_DISK_FULL, codes.ResourceExhausted", "pb.ErrorCode_LIMIT_EXCEEDED, codes.ResourceExhausted"}},
		},
	}
}
