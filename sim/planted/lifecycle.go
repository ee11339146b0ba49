package planted

// drains are mistakes about the end of a process that was asked to stop.
func drains() []Bug {
	const file = "server/shutdown.go"
	return []Bug{
		{
			Name: "drain-stops-engine-first", Guarantee: "G9", About: "SIGTERM ends the engine's loop before the requests that wait for it: they are never answered", Unseen: noHistory,
			Edits: []Edit{{file, "	h.StopServing(drainTimeout)\n	h.StopEngine()\n", "	h.StopEngine()\n	h.StopServing(drainTimeout)\n"}},
		},
		{
			Name: "drain-forgets-watches", Guarantee: "G9", About: "SIGTERM does not tell watches: they hold the drain up and are cut off", Unseen: noHistory,
			Edits: []Edit{{file, "	s.drain()\n", ""}},
		},
		{
			Name: "drain-ends-watches-well", Guarantee: "G9", About: "a drain ends a watch as if nothing could come any more", Unseen: noHistory,
			Edits: []Edit{{"server/answer/streams.go", "		return wire.Fail(engine.ErrStopped, fmt.Sprintf(\"the daemon is stopping: watch again after %d\", reader.cursor))", "		return nil"}},
		},
	}
}

// leaks are mistakes about what a request gives back.
func leaks() []Bug {
	return []Bug{
		{
			Name: "staged-bytes-kept", Guarantee: "G9", About: "a transaction that expires keeps the bytes that it staged", Unseen: noHistory,
			Edits: []Edit{{"engine/txn.go", "		t.held -= x.held\n", "		if end.state != TxnExpired {\n			t.held -= x.held\n		}\n"}},
		},
		{
			Name: "iterator-kept", Guarantee: "G9", About: "a scan inside a transaction whose page is full leaves its iterator open", Unseen: noHistory,
			Edits: []Edit{{"engine/txnread.go", "	return records, more, c.rows.close()", "	if more {\n		return records, more, nil\n	}\n	return records, more, c.rows.close()"}},
		},
		{
			Name: "stream-slot-kept", Guarantee: "G9", About: "a stream whose client hangs up stays counted", Unseen: noHistory,
			Edits: []Edit{{
				"server/interceptors.go", "		return s.status(err)\n	}\n	defer l.Leave()\n",
				"		return s.status(err)\n	}\n	defer func() {\n		if ss.Context().Err() == nil {\n			l.Leave()\n		}\n	}()\n",
			}},
		},
		{
			Name: "topic-kept", Guarantee: "G9", About: "what a watch that waited was about is not forgotten", Unseen: noHistory,
			Edits: []Edit{{"engine/watch.go", "t.watches == 0 {", "t.watches == 0 && t.changed == nil {"}},
		},
		{
			Name: "refused-commits-kept", Guarantee: "G9", About: "commits that are refused for a passing reason stay undecided", Unseen: noHistory,
			Edits: []Edit{{
				"engine/queue.go", "	for i := range answers {\n		e.decidedLocked(answers[i].p)\n	}\n",
				"	for i := range answers {\n		if answers[i].err == nil || lasting(answers[i].err) {\n			e.decidedLocked(answers[i].p)\n		}\n	}\n",
			}},
		},
		{
			Name: "decisions-not-forgotten", Guarantee: "G9", About: "the table of decisions has no end", Unseen: noHistory,
			Edits: []Edit{{"engine/plan.go", "newCache[TxnID, decision](l.FinishedTxns, ", "newCache[TxnID, decision](1<<40, "}},
		},
		{
			Name: "lock-kept", Guarantee: "G9", About: "a store that is closed stays locked", Unseen: noHistory,
			Edits: []Edit{{"engine/engine.go", "	errs = append(errs, e.lock.Close())\n", ""}},
		},
	}
}

// toils are mistakes that answer right and take too much work.
func toils() []Bug {
	return []Bug{
		{
			Name: "as-of-walks", Guarantee: "G9", About: "a read of the past walks over all newer versions", Unseen: noHistory,
			Edits: []Edit{{"engine/read.go", "const linearProbe = 8", "const linearProbe = 1 << 40"}},
		},
		{
			Name: "time-walks", Guarantee: "G9", About: "the commit of a moment is looked for from the first", Unseen: noHistory,
			Edits: []Edit{{"engine/read.go", "		mid := low + (high-low+1)/2\n		row, err := readLogRow", "		mid := low + 1\n		row, err := readLogRow"}},
		},
		{
			Name: "import-stalls-for-good", Guarantee: "G9", About: "an import whose writer met a fault of the disk holds up all commits until somebody asks for it or the daemon starts", Unseen: noHistory,
			Edits: []Edit{{"engine/loop.go", "	e.chores.eager = e.hasChores() &&", "	e.chores.eager = e.hasChores() && e.chores.making == nil &&"}},
		},
		{
			Name: "ranges-one-by-one", Guarantee: "G9", About: "a commit looks at an agent's events again for each range that it listed", Unseen: noHistory,
			Edits: []Edit{{"engine/ranges.go", "n == 0 || all[n-1].agent != r.agent", "n == 0 || n > 0"}},
		},
	}
}
