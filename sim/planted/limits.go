package planted

import "slices"

// limits are mistakes at a bound: where a page, chunk, step or cache is full, or a request is
// one too many.
func limits() []Bug { return slices.Concat(caches(), steps(), pages(), messages(), tooMany()) }

func caches() []Bug {
	return []Bug{
		{
			Name: "cache-overflow-stale", Guarantee: "G3", About: "when the planner's cache overflows, an old entry is carried over and hides a newer one",
			Edits: []Edit{{"engine/cache.go", "		c.old, c.young = c.young, make(map[K]V, c.limit)", "		stale := c.old\n\t\tc.old, c.young = c.young, make(map[K]V, c.limit)\n\t\tfor k, v := range stale { // any\n\t\t\tif c.young[k] = v; len(c.young) >= c.limit/8 {\n\t\t\t\tbreak\n\t\t\t}\n\t\t}"}},
		},
		{
			Name: "cache-smaller-than-a-step", Guarantee: "G3", About: "the caches of the newest state may be smaller than what a step plans",
			Edits: []Edit{{"engine/plan.go", "	return 3*o.Tuning.StepLookups + o.Limits.TxnReads + 6*o.Limits.TxnOps + o.Tuning.ErasedKeys + o.Tuning.FiredHolds", "	return o.Limits.TxnOps"}},
		},
	}
}

func steps() []Bug {
	return []Bug{
		{
			Name: "step-loses-the-next", Guarantee: "G9", About: "a step that is full drops the request after the last that it took",
			Edits: []Edit{{"engine/queue.go", "	if e.queue.since.IsZero() {\n		e.queue.since = now\n	}\n", "	if e.queue.since.IsZero() {\n		e.queue.since = now\n	}\n	e.queue.take()\n"}},
		},
		{
			Name: "queued-and-refused", Guarantee: "G6", About: "a commit that is refused because the queue is full is queued all the same",
			Edits: []Edit{{"engine/queue.go", "	if err := e.refusalLocked(p, size); err != nil {\n", "	if err := e.refusalLocked(p, size); err != nil {\n\t\tif e.queue.len() > 0 && !p.interactive {\n\t\t\te.queue.join(p, size)\n\t\t\te.undecided[p.id] = append(e.undecided[p.id], p)\n\t\t\treturn err\n\t\t}\n"}},
		},
		{
			Name: "witness-one-slot", Guarantee: "G8", About: "the slots of the witness are not alternated, so that a torn write destroys the newest",
			Edits: []Edit{{"engine/witness.go", "(pair+int64(turn%2))*slotStride", "pair*slotStride"}},
		},
	}
}

func pages() []Bug {
	return []Bug{
		{
			Name: "page-bytes-skips", Guarantee: "G5", About: "a page that is full by bytes, not by items, loses its last record",
			Edits: []Edit{{"server/answer/reads.go", "		next = s.nextPage(ts, records[len(records)-1].Name.Key, scope...)\n", "		next = s.nextPage(ts, records[len(records)-1].Name.Key, scope...)\n\t\tif n := len(records); n > 1 && uint32(n) < req.GetLimit() {\n\t\t\trecords = records[:n-1]\n\t\t}\n"}},
		},
		{
			Name: "page-bytes-not-counted", Guarantee: "G9", About: "a page of a scan has as many bytes as there are",
			Edits: []Edit{{"engine/scan.go", "		records = append(records, c.rec)\n		size += next\n", "		records = append(records, c.rec)\n"}},
		},
		{
			Name: "page-bytes-counted-twice", Guarantee: "G9", About: "a page of a scan in a history is cut at half of its bytes",
			Edits: []Edit{{"engine/read.go", "		size += rec.size() + by.Size()\n", "		size += 2*rec.size() + by.Size()\n"}},
		},
		{
			Name: "history-page-repeats", Guarantee: "G3", About: "the page after one of the usual length of a history begins with the last version of that",
			Edits: []Edit{{"server/answer/lists.go", "entries[len(entries)-1].Version.String()", "entries[max(len(entries)-1-len(entries)/s.config.Tuning.HistoryPage, 0)].Version.String()"}},
		},
		{
			Name: "names-page-ends", Guarantee: "G3", About: "a page of the most names that there may be says that it is the last",
			Edits: []Edit{{"server/answer/lists.go", "	if more {\n		s.pageFull(len(agents), p)\n", "	if more && len(agents) < s.config.Tuning.NamesPage {\n		s.pageFull(len(agents), p)\n"}},
		},
		{
			Name: "batch-cut-short", Guarantee: "G3", About: "a batch read that is too large is answered with what fits",
			Edits: []Edit{{"server/answer/reads.go", "		if err := size.add(state); err != nil {\n			return nil, err\n		}\n", "		if err := size.add(state); err != nil {\n			break\n		}\n"}},
		},
	}
}

func messages() []Bug {
	return []Bug{
		{
			Name: "message-repeats-one", Guarantee: "G5", Unseen: onlyStreams, About: "after a message that is full by bytes the next begins with the last event of it",
			Edits: []Edit{{"server/answer/streams.go", "				size, from = n, i\n", "				size, from = n, max(i-1, 1)\n"}},
		},
		{
			Name: "message-cursor-ahead", Guarantee: "G5", Unseen: onlyStreams, About: "the cursor of a message that is full by bytes is that of the next event",
			Edits: []Edit{{"server/answer/streams.go", "	if events[i].GetCommitTs() == ts {\n		ts--\n	}\n", "	ts = events[i].GetCommitTs()\n"}},
		},
		{
			Name: "chunk-of-rows-is-the-end", Guarantee: "G5", Unseen: onlyStreams, About: "a chunk that is full by rows is taken for the last",
			Edits: []Edit{{"engine/replay.go", "		r.cursor = ts\n	}\n	if !ok {\n		r.cursor = last\n	}\n	return it.close()\n}\n\n// readLog", "		r.cursor = ts\n	}\n	if !ok || r.rows >= r.e.opts.Tuning.ChunkRows {\n		r.cursor = last\n	}\n	return it.close()\n}\n\n// readLog"}},
		},
		{
			Name: "chunk-drops-what-is-too-much", Guarantee: "G5", Unseen: onlyStreams, About: "the event that does not fit a chunk is left out of the next one, too",
			Edits: []Edit{{"engine/replay.go", "	*r = *before\n	return true\n", "	cursor := r.cursor\n	*r = *before\n	r.cursor = cursor + 1\n	return true\n"}},
		},
		{
			Name: "watch-mark-ahead", Guarantee: "G4", Unseen: onlyStreams, About: "the mark of an idle watch is one too far",
			Edits: []Edit{{"server/answer/streams.go", "				if err := send(out, cursor); err != nil {", "				if len(out) == 0 {\n\t\t\t\t\tcursor++\n\t\t\t\t}\n				if err := send(out, cursor); err != nil {"}},
		},
	}
}

func tooMany() []Bug {
	return []Bug{
		{
			Name: "reads-past-the-limit", Guarantee: "G3", About: "what a transaction reads past its limit is not checked when it commits",
			Edits: []Edit{{"engine/txn.go", "		return limitErr(&t.reached.TxnReads, \"reads of a transaction\", n+1, t.limits.TxnReads)\n", "		return nil\n"}},
		},
		{
			Name: "operations-past-the-limit", Guarantee: "G2", About: "a write that is one too many for its transaction is acknowledged and dropped",
			Edits: []Edit{{"engine/txn.go", "		return limitErr(&t.reached.TxnOps, \"operations of a transaction\", len(x.order)+1, t.limits.TxnOps)\n", "		return nil\n"}},
		},
		{
			Name: "conditions-past-the-limit", Guarantee: "G3", About: "conditions that are too many are dropped, and the commit goes on",
			Edits: []Edit{{"engine/commit.go", "	if n := len(c.Keys) + len(c.Heads) + len(c.Leases); n > e.opts.Limits.TxnOps {\n", "	if most := e.opts.Limits.TxnOps; len(c.Keys) > most {\n\t\tc.Keys, c.Heads = c.Keys[:most], nil\n\t}\n	if n := len(c.Keys) + len(c.Heads) + len(c.Leases); n > e.opts.Limits.TxnOps {\n"}},
		},
		{
			Name: "staged-leak-on-expiry", Guarantee: "G9", Unseen: noHistory, About: "a transaction that expires does not give back the bytes that it held",
			Edits: []Edit{{"engine/txn.go", "		t.held -= x.held\n", "		if end.state != TxnExpired {\n\t\t\tt.held -= x.held\n\t\t}\n"}},
		},
		{
			Name: "staged-leak-on-refusal", Guarantee: "G9", Unseen: noHistory, About: "bytes that are refused to a transaction are counted as held for ever",
			Edits: []Edit{{"engine/txn.go", "	if n > 0 && t.held+n > t.limits.StagedBytes {\n		return", "	if n > 0 && t.held+n > t.limits.StagedBytes {\n		t.held += n\n		return"}},
		},
		{
			Name: "slot-lost-by-refusal", Guarantee: "G9", Unseen: noHistory, About: "a request that is refused because too many are under way takes a place for ever",
			Edits: []Edit{{"server/limiter/limiter.go", "		l.free.Add(1)\n		return l.refusal()\n", "		return l.refusal()\n"}},
		},
	}
}
