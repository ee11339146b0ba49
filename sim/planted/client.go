package planted

import "slices"

// clients are mistakes of the client, which makes other requests of them, each of them legal:
// only what its user was told shows that they were not asked for.
func clients() []Bug {
	list := slices.Concat(retries(), runs(), lists(), streams(), calls())
	for i := range list {
		list[i].Unseen = noHistory
	}
	return list
}

// retries are mistakes about what is sent again, and what is told when it is not.
func retries() []Bug {
	const sent = "		resp, err = c.stub.Transact(ctx, req, opts...)\n"
	return []Bug{
		{
			Name: "client-fresh-id", Guarantee: "G6", About: "Transact makes a fresh id for each try",
			Edits: []Edit{{"client/transact.go", sent, sent + "		if err != nil {\n\t\t\treq.TxnId = c.newTxnID()\n\t\t}\n"}},
		},
		{
			Name: "client-expected-dropped", Guarantee: "G3", About: "Transact sends a batch again without the versions that it expects, under another id",
			Edits: []Edit{{"client/transact.go", sent, sent + "		for _, o := range req.Operations {\n\t\t\tif err != nil {\n\t\t\t\to.ExpectedVersion, req.TxnId = nil, c.newTxnID()\n\t\t\t}\n\t\t}\n"}},
		},
		{
			Name: "client-heads-dropped", Guarantee: "G3", About: "of several expected heads only the first is sent",
			Edits: []Edit{{"client/state/writes.go", "	for _, h := range o.Heads {", "	for _, h := range o.Heads[:min(1, len(o.Heads))] {"}},
		},
		{
			Name: "client-doubt-told-definite", Guarantee: "G6", About: "a commit whose answer was lost is told to be certainly not applied",
			Edits: []Edit{{"client/call.go", "		if doubt && !decides(failed) {", "		if doubt && !decides(failed) && n > 100 {"}},
		},
		{
			Name: "client-definite-told-doubt", Guarantee: "G6", About: "a commit that was refused for certain is told to be perhaps applied",
			Edits: []Edit{{"client/call.go", "		if doubt && !decides(failed) {", "		if !decides(failed) || failed.kind == ErrPreconditionFailed {"}},
		},
		{
			Name: "client-gives-up", Guarantee: "G9", About: "a commit in doubt is not sent again",
			Edits: []Edit{{"client/call.go", "		if passing(failed, doubt) && (failed.sent", "		if passing(failed, doubt) && !doubt && (failed.sent"}},
		},
	}
}

// runs are mistakes about a function that is run in transactions.
func runs() []Bug {
	return []Bug{
		{
			Name: "client-rerun-on-unknown", Guarantee: "G6", About: "RunTxn runs a function again when the outcome of its commit is unknown",
			Edits: []Edit{{"client/runtxn.go", "	if errors.Is(err, ErrOutcomeUnknown) {\n		return false", "	if errors.Is(err, ErrOutcomeUnknown) {\n		return true"}},
		},
		{
			Name: "client-conflict-swallowed", Guarantee: "G1", About: "RunTxn takes a conflict for the end of its work",
			Edits: []Edit{{"client/runtxn.go", "		if err == nil || !t.again(err) {", "		if errors.Is(err, ErrConflict) {\n\t\t\treturn commit, nil\n\t\t}\n\t\tif err == nil || !t.again(err) {"}},
		},
		{
			Name: "client-conflict-not-rerun", Guarantee: "G9", About: "RunTxn does not run a function again after a conflict",
			Edits: []Edit{{"client/runtxn.go", "	return errors.Is(err, ErrConflict) || errors.Is(err, ErrTxnNotFound)", "	return errors.Is(err, ErrTxnNotFound)"}},
		},
	}
}

// lists are mistakes about the pages of a list.
func lists() []Bug {
	const failed = "			if err != nil {\n				yield(none, err)\n				return\n			}\n			if one != nil {"
	return []Bug{
		{
			Name: "client-page-error-swallowed", Guarantee: "G3", About: "an error on a later page of a list ends the list as if it were complete",
			Edits: []Edit{{"client/lists.go", failed, "			if err != nil {\n				if token == \"\" {\n\t\t\t\t\tyield(none, err)\n\t\t\t\t}\n				return\n			}\n			if one != nil {"}},
		},
		{
			Name: "client-page-skips-first", Guarantee: "G3", About: "the first item of each later page is passed over",
			Edits: []Edit{{"client/lists.go", failed, "			if err != nil {\n				yield(none, err)\n				return\n			}\n			if token != \"\" && len(items) > 0 {\n\t\t\t\titems = items[1:]\n\t\t\t}\n			if one != nil {"}},
		},
		{
			Name: "client-limit-per-page", Guarantee: "G3", About: "a list's limit is a page's",
			Edits: []Edit{{"client/lists.go", "			left -= len(items)\n", ""}},
		},
		{
			Name: "client-pages-not-pinned", Guarantee: "G3", About: "each page of a list shows the present, for its token is kept only to count",
			Edits: []Edit{{"client/lists.go", "	resp, err := ask(ctx, c, c.stub.ScanPrefix, req)",
				"	if token != \"\" {\n\t\treq.PageToken, req.Limit = \"\", uint32(c.config.PageSize+int(size))\n\t}\n	resp, err := ask(ctx, c, c.stub.ScanPrefix, req)"},
				{"client/lists.go", "	for i, e := range resp.GetEntries() {\n		records[i]", "	if token != \"\" {\n\t\tresp.Entries, resp.NextPageToken = resp.GetEntries()[min(len(records), c.config.PageSize):], \"\"\n\t\trecords = records[:len(resp.GetEntries())]\n\t}\n	for i, e := range resp.GetEntries() {\n		records[i]"}},
		},
	}
}

// streams are mistakes about where a stream goes on that broke.
func streams() []Bug {
	return []Bug{
		{
			Name: "client-watch-skips", Guarantee: "G5", About: "a watch that breaks after its first event resumes one commit too far",
			Edits: []Edit{{"client/streams.go", "				req.AfterTs, req.Epoch = new(uint64(f.cursor)), f.epoch", "				req.AfterTs, req.Epoch = new(uint64(f.cursor)+uint64(min(1, f.events))), f.epoch"}},
		},
		{
			Name: "client-empty-message-moves", Guarantee: "G5", About: "a message without events moves the cursor one commit too far",
			Edits: []Edit{{"client/streams.go", "	cursor := CommitTS(batch.GetCursor())", "	cursor := CommitTS(batch.GetCursor() + uint64(1-min(1, len(batch.GetEvents()))))"}},
		},
		{
			Name: "client-broken-replay-ends", Guarantee: "G5", About: "a replay that breaks ends as if it had come to its end",
			Edits: []Edit{{"client/streams.go", "err == io.EOF && !f.endless {", "heard && err != nil && !f.endless {"}},
		},
		{
			Name: "client-watch-ends", Guarantee: "G5", About: "a watch that the daemon ends is over without an error",
			Edits: []Edit{{"client/streams.go", "		if err == errDone || err", "		if f.endless && heard {\n\t\t\treturn\n\t\t}\n\t\tif err == errDone || err"}},
		},
	}
}

// calls are mistakes about what is asked, and how an answer is told.
func calls() []Bug {
	return []Bug{
		{
			Name: "client-as-of-lost", Guarantee: "G3", About: "BatchGet as of a commit reads the present",
			Edits: []Edit{{"client/reads.go", "	req := &pb.BatchGetStateRequest{Encoding: c.encoding(false), At: state.Point(at), ", "	req := &pb.BatchGetStateRequest{Encoding: c.encoding(false), "}},
		},
		{
			Name: "client-tombstone-exists", Guarantee: "G3", About: "a record that was deleted is told to exist",
			Edits: []Edit{{"client/state/answers.go", "		RecordName: n, Exists: m.GetExists(),", "		RecordName: n, Exists: m.GetVersion() > 0,"}},
		},
		{
			Name: "client-versions-mixed-up", Guarantee: "G6", About: "a batch's versions are told of other writes",
			Edits: []Edit{{"client/state/answers.go", "		name := NameOf(req.Operations[i])\n", "		name := NameOf(req.Operations[len(req.Operations)-1-i])\n"}},
		},
		{
			Name: "client-reverse-lost", Guarantee: "G3", About: "a list of keys from last to first comes from first to last",
			Edits: []Edit{{"client/lists.go", "			Namespace: c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token,\n			Reverse: q.Reverse,", "			Namespace: c.config.Namespace, AgentId: agent, Prefix: q.Prefix, Limit: size, PageToken: token,"}},
		},
	}
}
