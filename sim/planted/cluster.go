package planted

import "slices"

// inClusters are the scenarios of several nodes.
const inClusters = "./sim/scenario ^TestScenarios$/^cluster$"

// clusters are mistakes of nodes that keep one store: what is planned on, answered, promised and applied when.
// The seeds that show them have three nodes.
func clusters() []Bug { return slices.Concat(led(), stored()) }

// led are those about who plans, and what is confirmed.
func led() []Bug {
	return []Bug{
		{
			Name: "plans-before-own-entry", Guarantee: "R3", About: "a node plans as soon as it is elected, and what is committed before need not be applied",
			Edits: []Edit{{
				"cluster/node/work.go",
				"	var committed *raftpb.Message\n",
				"	if rd.SoftState != nil && rd.RaftState == raft.StateLeader && !n.leads && n.flight == nil && n.config.Engine.Lead() == nil {\n\t\tn.leads = true\n\t}\n	var committed *raftpb.Message\n",
			}},
		},
		{
			Name: "planner-kept", Guarantee: "R4", About: "who leads again goes on with what it knew when it led last",
			Edits: []Edit{{
				"engine/follow.go",
				"	if err := e.begin(&m, lastTime); err != nil {",
				"	again := e.planner\n	err = e.begin(&m, lastTime)\n	if again != nil {\n		e.planner = again\n	}\n	if err != nil {",
			}},
		},
		{
			Name: "leader-reads-alone", Guarantee: "R10", About: "who leads in its own eyes confirms nothing before it reads",
			Edits: []Edit{{
				"cluster/node/confirm.go",
				"	if n.halted != nil {\n		done(ErrUnconfirmed)\n",
				"	if n.leads {\n		done(nil)\n		return\n	}\n	if n.halted != nil {\n		done(ErrUnconfirmed)\n",
			}},
		},
		{
			Name: "round-named-again", Guarantee: "R10", About: "a round has the name of the one before, and the answer to that does for those who came later",
			Edits: []Edit{{"cluster/node/confirm.go", "	c.count++ // before", "	// before"}},
		},
		{
			Name: "refusal-unconfirmed", Guarantee: "R10", About: "what a step without rows answers is answered at once",
			Edits: []Edit{{
				"cluster/node/flight.go",
				"			n.confirms.waiting = append(n.confirms.waiting, waiter{done: n.confirmed(n.flight)})\n",
				"			n.settle()\n",
			}},
		},
		{
			Name: "read-before-applied", Guarantee: "G3", About: "whoever waits for a round is told that it is back before what it told is applied here",
			Edits: []Edit{{"cluster/node/confirm.go", "		if w.index <= n.applied {\n", "		if w.index <= n.applied || true {\n"}},
		},
		{
			Name: "ids-looked-up-in-the-store-alone", Guarantee: "G6", About: "whether a commit was made already is looked up without what the same step has planned",
			Edits: []Edit{{"engine/plan.go", "	if o, ok := pl.outcomes.get(id); ok {\n		return o, true, nil\n	}\n	return pl.state.outcome(id)\n", "	return pl.state.outcome(id)\n"}},
		},
		{
			Name: "time-falls-with-its-leader", Guarantee: "G5", About: "who begins to plan does not know when the last commit was, and its clock may be behind",
			Edits: []Edit{{"engine/follow.go", "newPlanner(e.state, e.head, lastTime,", "newPlanner(e.state, e.head, time.Time{},"}},
		},
		{
			Name: "abort-unconfirmed", Guarantee: "R10", About: "who leads in its own eyes says that a transaction is aborted which it does not know",
			Edits: []Edit{{"server/routes.go", "pb.StatehouseService_Abort_FullMethodName:            leadsNow,", "pb.StatehouseService_Abort_FullMethodName:            leads,"}},
		},
	}
}

// stored are those about what is on disk, and applied when.
func stored() []Bug {
	return []Bug{
		{
			Name: "promised-before-stored", Guarantee: "R6", About: "a node tells others what it has before that is on its disk",
			Edits: []Edit{{
				"cluster/node/work.go",
				"			a = &Append{m}\n",
				"			a = &Append{m}\n			var own []*raftpb.Message\n			for _, r := range m.GetResponses() {\n				if r.GetTo() == n.config.ID {\n					own = append(own, r)\n				} else {\n					send = append(send, r)\n				}\n			}\n			m.Responses, n.storing.term, n.storing.vote = own, n.raft.BasicStatus().GetTerm(), n.raft.BasicStatus().GetVote()\n",
			}},
		},
		{
			Name: "log-not-synced", Guarantee: "G1", About: "entries are written to the log, and not synced",
			Edits: []Edit{{"cluster/node/log.go", "			how = pebble.Sync\n			_ = b.DeleteRange(entryKey(entries[0]", "			_ = b.DeleteRange(entryKey(entries[0]"}},
		},
		{
			Name: "vote-not-synced", Guarantee: "R6", About: "a vote is written to the log, and not synced",
			Edits: []Edit{{"cluster/node/log.go", "				how = pebble.Sync\n			}\n			w.hard, said.term", "			}\n			w.hard, said.term"}},
		},
		{
			Name: "committed-not-raised", Guarantee: "G7", About: "a log that was not told how far it is committed is opened as it is, behind what the store has applied",
			Edits: []Edit{{"cluster/node/node.go", "	return n.log.committed(m.Index)\n", "	return n.log.committed(0)\n"}},
		},
		{
			Name: "settled-when-proposed", Guarantee: "G1", About: "a step is answered when it is proposed",
			Edits: []Edit{{
				"cluster/node/flight.go",
				"		_ = n.raft.Propose(n.flight.data) // there is no room, if it says so, and it is proposed again\n",
				"		_ = n.raft.Propose(n.flight.data)\n		n.settle()\n",
			}},
		},
		{
			Name: "settled-when-stored-here", Guarantee: "R10", About: "a step is published and answered when the disk of whoever leads has it, and no other need have",
			Edits: []Edit{
				{"cluster/node/work.go", "			n.log.have(a.m.GetEntries())\n", "			n.log.have(a.m.GetEntries())\n			if last, _ := n.log.LastIndex(); n.leads && n.flight != nil && n.flight.index != 0 && n.flight.index <= last {\n				n.settle()\n			}\n"},
				{"cluster/node/work.go", "		return n.config.Engine.Adopt(&s, at)\n", "		if head, _ := n.config.Engine.Head(); s.Last <= head {\n			return n.config.Engine.Keep(at)\n		}\n		return n.config.Engine.Adopt(&s, at)\n"},
			},
		},
		{
			Name: "hot-kept-on-followers", Guarantee: "G3", About: "a follower goes on to answer from memory what a step has changed",
			Edits: []Edit{{"engine/adopt.go", "		e.hot.forget(e.db.cached(string(prefix)))\n", "		_ = prefix\n"}},
		},
		{
			Name: "dropped-when-deposed", Guarantee: "G6", About: "what a deposed leader has in flight is told to be not applied, though its entry may yet be committed",
			Edits: []Edit{
				{"cluster/node/flight.go", "f != nil && f.index == 0 {", "f != nil {"},
			},
		},
		{
			Name: "applied-entry-not-in-batch", Guarantee: "G7", About: "which entry a step came from is not in its batch, so that it is applied again after a crash",
			Edits: []Edit{{"cluster/node/work.go", "		return n.config.Engine.Adopt(&s, at)\n", "		return n.config.Engine.Adopt(&s)\n"}},
		},
	}
}

// movings are mistakes about stores that are copied and members that come and go. Seeds that show them are rarer than
// scenarios.
func movings() []Bug { return testedBy(inClusters, copied(), changed(), told()) }

// copied are those about who is too far behind for a log.
func copied() []Bug {
	return []Bug{
		{
			Name: "copies-what-the-log-has", Guarantee: "R8", About: "who is sent a mark in place of entries fetches a copy, also when the log has what is missing",
			Edits: []Edit{
				{"cluster/node/behind.go", "len(first) == 1 && first[0] <= have+1 {", "len(first) == 1 && first[0] <= have+1 && false {"},
				{"cluster/node/behind.go", "	if n.known = m.GetCommit()", "	if n.known = true || m.GetCommit()"},
			},
		},
		{
			Name: "never-asked-again", Guarantee: "R8", About: "who was sent a mark once, and did not hear of it, is sent nothing any more",
			Edits: []Edit{{"cluster/node/node.go", "			n.report()\n", "			_ = n.report\n"}},
		},
		{
			Name: "log-cut-too-early", Guarantee: "G1", About: "what is cut off the log need not be in the store, durably",
			Edits: []Edit{{"cluster/node/behind.go", "		cut(n.config.Engine.Flush())\n", "		cut(nil)\n"}},
		},
		{
			Name: "copy-not-synced", Guarantee: "G1", About: "the files of a copy are not synced before the log says that they are the store",
			Edits: []Edit{
				{"cluster/node/incoming.go", "	err := errors.Join(f.Sync(), f.Close())\n", "	err := f.Close()\n"},
				{"cluster/node/incoming.go", "		if err := syncPath(in.fs, path); err != nil {\n			return nil, err\n		}\n", ""},
			},
		},
		{
			Name: "copy-synced-again", Guarantee: "G1", About: "a file of a copy whose sync has failed is kept, and synced again when the rest has come",
			Edits: []Edit{{"cluster/node/incoming.go", "		err = errors.Join(err, in.fs.Remove(in.fs.PathJoin(in.dir, in.list.Files[in.at].Path)))\n", "		_ = in.at\n"}},
		},
		{
			Name: "copy-not-put-in-place", Guarantee: "G1", About: "a copy of which the log says that it is to be put in the place of the store is thrown away when the process begins again",
			Edits: []Edit{{"cluster/node/behind.go", "		if err := engine.Install(r.FS, r.Incoming, r.Store); err != nil {\n			return err\n		}\n", ""}},
		},
	}
}

// changed are those about members that come and go.
func changed() []Bug {
	return []Bug{
		{
			Name: "members-not-kept", Guarantee: "R7", About: "a change of members is not in the store, and who starts again knows those of before",
			Edits: []Edit{{"cluster/node/change.go", "	if err := n.config.Engine.Keep(rows...); err != nil {", "	if err := n.config.Engine.Keep(at); err != nil {"}},
		},
		{
			Name: "removed-goes-on", Guarantee: "R7", About: "who was removed goes on, and tells others what it has",
			Edits: []Edit{
				{"cluster/node/change.go", "		n.changeEnds(e.GetIndex(), e.GetTerm())\n		return ErrRemoved\n", "		n.changeEnds(e.GetIndex(), e.GetTerm())\n		return nil\n"},
				{"cluster/node/node.go", "	case slices.Contains(m.removed, n.config.ID):", "	case false && slices.Contains(m.removed, n.config.ID):"},
			},
		},
		{
			Name: "id-used-again", Guarantee: "R7", About: "who was removed may become a member again, whatever it has forgotten of what it promised",
			Edits: []Edit{{"cluster/node/change.go", " || slices.Contains(n.mark.removed, id)\n", "\n"}},
		},
		{
			Name: "changes-at-once", Guarantee: "R7", About: "a change of members begins while another is under way",
			Edits: []Edit{
				{"cluster/node/change.go", "	case n.change != nil:\n", "	case false:\n"},
				{"cluster/node/node.go", "		ReadOnlyOption: raft.ReadOnlySafe,", "		DisableConfChangeValidation: true, ReadOnlyOption: raft.ReadOnlySafe,"},
			},
		},
	}
}

// told are those about what a node that follows makes known, and goes by.
func told() []Bug {
	return []Bug{
		{
			Name: "watches-sleep-on-followers", Guarantee: "G9", About: "a watch on a follower is not woken by what that applies",
			Edits: []Edit{{"engine/adopt.go", "	e.watches.wakeFor(s.First, s.Last, found.agents)\n", ""}},
		},
		{
			Name: "keys-of-before-on-followers", Guarantee: "G10", About: "a follower goes by the keys that there were when it was started",
			Edits: []Edit{{"engine/adopt.go", "	e.system.tell(found.kinds)\n", ""}},
		},
		{
			Name: "reads-by-keys-of-before", Guarantee: "G10", About: "who may read is decided before it is known what is newest, and not again",
			Edits: []Edit{{"server/routes.go", "	_, grant, err := s.gate.Identify(ctx, method)\n	return grant, err\n", "	return grant, nil\n"}},
		},
	}
}
