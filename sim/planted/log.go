package planted

func replay() []Bug {
	return []Bug{
		{
			Name: "resume-skips-one", Guarantee: "G5", About: "a resumed replay or watch of a namespace leaves out the event behind its cursor",
			Edits: []Edit{{"engine/replay.go", "newRowIter(r.e.db, layout.LogKey(r.cursor+1), layout.Successor(layout.LogKey(last)))", "newRowIter(r.e.db, layout.LogKey(r.cursor+1+min(r.cursor, 1)), layout.Successor(layout.LogKey(last)))"}},
		},
		{
			Name: "resume-repeats-one", Guarantee: "G5", Unseen: onlyStreams, About: "a resumed replay of an agent yields the event at its cursor again",
			Edits: []Edit{{"engine/replay.go", "newRowIter(r.e.db, layout.EventKey(a, r.cursor+1), upper)", "newRowIter(r.e.db, layout.EventKey(a, max(r.cursor, 1)), upper)"}},
		},
		{
			Name: "replay-unpublished", Guarantee: "G4", Unseen: onlyStreams, About: "a replay goes on to what is planned and not durable",
			Edits: []Edit{
				{"engine/replay.go", "	last = min(last, e.Published())\n	if after >= last {", "	if last = min(last, e.Published()); last > 0 {\n\t\tlast = max(last, e.planner.head.ts)\n\t}\n	if after >= last {"},
			},
		},
		{
			Name: "event-without-state", Guarantee: "G5", About: "the event of a commit says that a key was written, and the record is not",
			Edits: []Edit{{"engine/batch.go", "		w.key = layout.AppendVersion(append(w.key[:0], op.prefix...), op.Version)\n", "		if j == 2 {\n			continue\n		}\n		w.key = layout.AppendVersion(append(w.key[:0], op.prefix...), op.Version)\n"}},
		},
		{
			Name: "part-of-a-commit", Guarantee: "G2", About: "a commit over several agents leaves the last one's event out",
			Edits: []Edit{{"engine/batch.go", "		w.log.Parts = append(w.log.Parts, layout.LogPart{Digest: w.appendEvent(batch, c.ts, part), Agent: part.agent})", "		if i < 1 || i < len(c.p.agents)-1 {\n			w.log.Parts = append(w.log.Parts, layout.LogPart{w.appendEvent(batch, c.ts, part), part.agent})\n		}"}},
		},
		{
			Name: "two-batches", Guarantee: "G2", About: "the events of a commit are written in a batch of their own, before its records: a crash between them tears it",
			Edits: []Edit{{
				"engine/step.go",
				"	e.head = mark{fl.step.Last, fl.step.After}\n	if err := e.db",
				"	e.head = mark{fl.step.Last, fl.step.After}\n	events := e.db.NewBatch()\n\trest := e.db.NewBatch()\n\tfor r := fl.batch.Reader(); len(r) > 0; {\n\t\tkind, k, v, ok, _ := r.Next()\n\t\tif !ok {\n\t\t\tbreak\n\t\t}\n\t\tswitch to := rest; {\n\t\tcase kind == pebble.InternalKeyKindDelete:\n\t\t\t_ = to.Delete(k, nil)\n\t\tcase k[0] == 'e' || k[0] == 'l' || k[0] == 't':\n\t\t\t_ = events.Set(k, v, nil)\n\t\tdefault:\n\t\t\t_ = to.Set(k, v, nil)\n\t\t}\n\t}\n\tif err := e.db.Apply(events, pebble.Sync); err != nil {\n\t\te.halt(err)\n\t}\n\tfl.batch = rest\n	if err := e.db",
			}},
		},
		{
			Name: "limit-drops-an-agent", Guarantee: "G5", Unseen: onlyStreams, About: "a chunk of a namespace's replay that ends at its limit forgets what is left of the commit there",
			Edits: []Edit{{"engine/forkreplay.go", "	if len(acts) == 0 {\n		for i := range rows {\n			r.add(ts, agents[i], &rows[i])\n", "	if len(acts) == 0 {\n		for i := range rows {\n			if len(r.events) > 0 && r.full() {\n				continue\n			}\n			r.add(ts, agents[i], &rows[i])\n"}},
		},
		{
			Name: "watch-waits-for-the-next", Guarantee: "G9", Unseen: onlyStreams, About: "a watch is told of a commit only when another one follows",
			Edits: []Edit{{"engine/watch.go", "	return w.e.Published()", "	return max(w.e.Published(), 1) - 1"}},
		},
		{
			Name: "watch-cursor-runs-ahead", Guarantee: "G5", Unseen: onlyStreams, About: "a watch that found nothing for its filter goes on one commit too far",
			Edits: []Edit{{"server/answer/streams.go", "			cursor := reader.cursor\n", "			if len(out) == 0 {\n\t\t\t\treader.cursor++\n\t\t\t}\n			cursor := reader.cursor\n"}},
		},
		{
			Name: "prefix-anywhere", Guarantee: "G5", Unseen: onlyStreams, About: "a replay of a key prefix shows the keys that have it in their middle",
			Edits: []Edit{{"engine/replay.go", "		return strings.HasPrefix(key, f.KeyPrefix)\n", "		return strings.Contains(key, f.KeyPrefix)\n"}},
		},
		{
			Name: "foreign-namespace", Guarantee: "G10", Unseen: onlyStreams, About: "a replay of a namespace shows the events of others with the same agents",
			Edits: []Edit{{"engine/replay.go", "; a.Namespace == r.f.Namespace || r.f.Whole && ", "; a.Namespace == r.f.Namespace || a.Namespace == \"third\" || r.f.Whole && "}},
		},
	}
}

func outcomes() []Bug {
	return []Bug{
		{
			Name: "outcomes-not-recovered", Guarantee: "G6", About: "outcomes are kept in memory only: after a restart a commit sent again takes effect again",
			Edits: []Edit{{"engine/plan.go", "	return pl.state.outcome(id)\n}", "	return layout.OutcomeRow{}, false, nil\n}"}},
		},
		{
			Name: "outcome-row-not-written", Guarantee: "G6", About: "the outcome of a commit is not written with it",
			Edits: []Edit{{"engine/batch.go", "	w.set(batch, layout.OutcomeKey(c.p.id), outcome.Append(w.body[:0]))", "	if len(c.newAgents) == 0 {\n		_ = outcome\n	} else {\n		w.set(batch, layout.OutcomeKey(c.p.id), outcome.Append(w.body[:0]))\n	}"}},
		},
		{
			Name: "outcomes-dropped-early", Guarantee: "G6", About: "outcomes are dropped by count alone, however young they are, and their ids are taken for new",
			Edits: []Edit{
				{"engine/outcome.go", "		if e.Published() < p.floor+1+CommitTS(l.OutcomeCount) {", "		if e.Published() < p.floor+1+3 {"},
				{"engine/outcome.go", "		if p.nextDue = row.CommitTime.UnixNano(); now.UnixNano()-p.nextDue < int64(l.OutcomeAge) {\n			break\n		}", "		p.nextDue = row.CommitTime.UnixNano()"},
				{"engine/outcome.go", "		last = row.CommitTime\n", ""},
			},
		},
		{
			Name: "id-reused", Guarantee: "G6", About: "other operations under a used id are answered as if they were the first ones",
			Edits: []Edit{{"engine/step.go", "	case found && !p.repeats(o.Fingerprint):", "	case found && false:"}},
		},
		{
			Name: "fingerprint-of-bytes", Guarantee: "G6", Unseen: onlyAgain, About: "a commit sent again with its values spelled otherwise is refused, as one that reuses its id",
			Edits: []Edit{{"engine/proposal.go", "			if op.normal = layout.Digest(op.sum[:len(op.normal)]); !w.normal {", "			if op.normal = layout.Digest(op.sum[:len(op.normal)]); false {"}},
		},
		{
			Name: "conflict-without-reading", Guarantee: "G4", About: "a one-shot commit that rests on nothing is refused as in conflict where others write the same key",
			Edits: []Edit{{"engine/plan.go", "		op.Version = h.version + 1\n", "			if !c.p.interactive && len(c.p.keys)+len(c.p.heads) == 0 && h.version > 2 {\n				return conflict(RecordName{part.agent.Namespace, part.agent.Agent, op.Key}, h.version-1, h.version)\n			}\n			op.Version = h.version + 1\n"}},
		},
		{
			Name: "deleted-is-not-absent", Guarantee: "G3", About: "a write on the condition that its key is absent is refused where the key was deleted",
			Edits: []Edit{{"engine/plan.go", "	return expected == h.version || expected == 0 && !h.exists()", "	return expected == h.version"}},
		},
		{
			Name: "full-disk-refuses-first", Guarantee: "G6", Unseen: onlyAgain, About: "while the disk is full a commit sent again is answered as not applied",
			Edits: []Edit{{"engine/queue.go", "	case !found:\n\t\treturn CommitResult{}, err\n", "	case found, !found:\n\t\treturn CommitResult{}, err\n"}},
		},
		{
			Name: "retry-answers-head", Guarantee: "G6", About: "a commit sent again is answered with the newest commit_ts, not its own",
			Edits: []Edit{{"engine/step.go", "				a.err = inDoubt(e.noted(a.err))\n\t\t\t}", "				a.err = inDoubt(e.noted(a.err))\n\t\t\t}\n\t\t\ta.result.CommitTS = e.Published()"}},
		},
		{
			Name: "expiry-races-commit", Guarantee: "G6", About: "a transaction that is being committed can expire, and is then called expired",
			Edits: []Edit{{"engine/txn.go", "	heap.Remove(&t.byExpiry, x.heapAt) // from here on only the writer ends it\n", ""},
				{"engine/txn.go", "	if x := t.open[id]; x != nil && x.commit != nil {\n		x.commit = nil\n		heap.Push(&t.byExpiry, x)\n	}", "	if x := t.open[id]; x != nil && x.commit != nil {\n		x.commit = nil\n	}"}},
		},
		{
			Name: "abort-while-committing", Guarantee: "G6", About: "an abort does not wait for the commit that is on its way, and says that nothing was applied",
			Edits: []Edit{{"engine/txn.go", "	if x.commit != nil {\n		return TxnOpen, x.commit\n	}\n	heap.Remove(&t.byExpiry, x.heapAt)\n	t.finishLocked(id, ending{state: TxnAborted})\n	return TxnAborted, nil", "	if x.commit != nil {\n		return TxnAborted, nil\n	}\n	heap.Remove(&t.byExpiry, x.heapAt)\n	t.finishLocked(id, ending{state: TxnAborted})\n	return TxnAborted, nil"}},
		},
	}
}

func storage() []Bug {
	return []Bug{
		{
			Name: "halt-only-logs", Guarantee: "G7", Unseen: noHistory, About: "when storage fails the daemon says so and goes on",
			Edits: []Edit{
				{"engine/engine.go", "		e.env.Halt(reason)\n		// Clients need not know which file it was, nor where; the log does.\n		e.failed.Store(words.Failf(ErrStorage, \"storage failed: the daemon acknowledges nothing more and stops; its log tells why\"))", "		e.env.Log(\"storage failed\", \"reason\", reason.Error())"},
				{"engine/step.go", "			e.halt(words.Failf(ErrStorage, \"sync of the log failed: %v\", err))", "			e.halt(words.Failf(ErrStorage, \"sync of the log failed: %v\", err))\n			_ = fl"},
			},
		},
		{
			Name: "tail-loss-unnoticed", Guarantee: "G8", About: "the witness is not asked at start, so a log that lost its tail is taken for whole",
			Edits: []Edit{{"engine/evidence.go", "		case m.ts > head.ts && ev.unsynced == nil:", "		case m.ts > head.ts:\n\t\t\tcontinue\n\t\tcase m.ts > head.ts && ev.unsynced == nil:"}},
		},
		{
			Name: "marker-loss-unnoticed", Guarantee: "G8", About: "a store whose manifest marker is gone is taken for a new one",
			Edits: []Edit{
				{"engine/open.go", "	o.ErrorIfNotExists = id != nil // a lost marker must not look like a new store", "	o.ErrorIfNotExists = false"},
				{"engine/open.go", "		if err := e.inspect(storeDir, id, &ev); err != nil {\n			return head, lastTime, err\n		}\n", ""},
				{"engine/evidence.go", "		case m.ts > head.ts && ev.unsynced == nil:", "		case m.ts > head.ts:\n\t\t\tcontinue\n\t\tcase m.ts > head.ts && ev.unsynced == nil:"},
			},
		},
		{
			Name: "damage-read-as-absent", Guarantee: "G8", About: "a record that cannot be read is answered as if it did not exist",
			Edits: []Edit{{"engine/read.go", "		newest = rows.moves == 1 && rec.Version > 0\n	}\n	if err := rows.close(); err != nil {\n		return rec, err\n", "		newest = rows.moves == 1 && rec.Version > 0\n	}\n	if err := rows.close(); err != nil {\n		return Record{Name: name}, nil\n"}},
		},
		{
			Name: "answer-lost-in-batch", Guarantee: "G9", Unseen: noHistory, About: "when a step holds several requests the last one is never answered",
			Edits: []Edit{{"engine/queue.go", "		a := &answers[i]\n		a.p.ticket.answer(a.result, a.err)", "		a := &answers[i]\n		if i < 2 {\n\t\t\ta.p.ticket.answer(a.result, a.err)\n\t\t}"}},
		},
	}
}
