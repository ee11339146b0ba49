package planted

// members are mistakes of a service that is one of several, and of a client that knows several.
func members() []Bug {
	const routes, newest, conn = "server/routes.go", "server/newest.go", "client/members/members.go"
	const deposed, forwards, stale = "./cluster/clustertest ^TestDeposed", "./cluster/clustertest ^TestLostAnswer$", "./cluster/clustertest ^TestStaleReads$"
	return []Bug{
		{
			Name: "member-read-unconfirmed", Guarantee: "G3", About: "a member answers reads without asking whether what it has is the newest", Tests: deposed,
			Edits: []Edit{{newest, "	return !s.staleEnough(req, published)\n", "	return false && !s.staleEnough(req, published)\n"}},
		},
		{
			Name: "member-replay-unconfirmed", Guarantee: "G3", About: "a replay ends where the member is that it came to", Tests: deposed,
			Edits: []Edit{{routes, "			return s.config.Cluster.Confirm(ctx)\n", "			return nil\n"}},
		},
		{
			Name: "member-begin-unconfirmed", Guarantee: "G3", About: "a transaction begins at what a leader has that may be deposed", Tests: deposed,
			Edits: []Edit{{routes, "BeginTransaction_FullMethodName: leadsNow,", "BeginTransaction_FullMethodName: leads,"}},
		},
		{
			Name: "member-begin-of-a-follower", Guarantee: "G6", About: "a member that follows answers itself who begins a transaction", Tests: "./cluster/clustertest ^TestLegacyClient$",
			Edits: []Edit{{routes, "BeginTransaction_FullMethodName: leadsNow,", "BeginTransaction_FullMethodName: reads,"}},
		},
		{
			Name: "member-outcome-unconfirmed", Guarantee: "G6", About: "a leader that may be deposed says what became of a transaction", Tests: deposed,
			Edits: []Edit{{routes, "GetTransaction_FullMethodName:   leadsNow,", "GetTransaction_FullMethodName:   leads,"}},
		},
		{
			Name: "member-refusal-unconfirmed", Guarantee: "G4", About: "a refusal that did not pass the writer is not confirmed", Tests: deposed,
			Edits: []Edit{{routes, "	if err == nil || !restsOnState(err) {\n", "	if err == nil || !restsOnState(err) || true {\n"}},
		},
		{
			Name: "member-forwards-again", Guarantee: "G6", About: "a commit is handed on once more when its answer is lost", Tests: forwards,
			Edits: []Edit{{routes, "	a, err := s.config.Cluster.Forward(ctx, f)\n", "	a, err := s.config.Cluster.Forward(ctx, f)\n	if err != nil && !errors.Is(err, engine.ErrNotLeader) {\n		a, err = s.config.Cluster.Forward(ctx, f)\n	}\n"}},
		},
		{
			Name: "member-lost-answer-definite", Guarantee: "G6", About: "a commit of which the answer is lost is said not to be applied", Tests: forwards,
			Edits: []Edit{{routes, "		return nil, wire.Fail(engine.ErrOutcomeUnknown, \"the member that leads was asked", "		return nil, wire.Fail(engine.ErrStopped, \"the member that leads was asked"}},
		},
		{
			Name: "member-least-commit-ignored", Guarantee: "G3", About: "a read that may be stale is answered without the commit that it must have", Tests: stale,
			Edits: []Edit{{newest, " || r.GetAt() != nil || engine.CommitTS(r.GetMinReadTs()) > published {", " || r.GetAt() != nil {"}},
		},
		{
			Name: "member-staleness-ignored", Guarantee: "G3", About: "a read that may be a little stale is answered from what is far behind", Tests: stale,
			Edits: []Edit{{newest, "	return uint64(s.config.Cluster.Status().Lag.Milliseconds()) <= r.GetMaxStalenessMs()\n", "	return true\n"}},
		},
		{
			Name: "member-client-stays", Guarantee: "G9", About: "a client of several addresses stays with a member that does not answer", Tests: "./cluster/clustertest ^TestClientGoesOn$",
			Edits: []Edit{{conn, "	c.at.CompareAndSwap(int64(i), int64((i+1)%len(c.members)))\n", ""}, {conn, "	for n := range c.members {\n", "	for n := range 1 {\n"}},
		},
		{
			Name: "member-client-never-asks", Guarantee: "G9", About: "a client of several addresses does not find out who leads", Tests: "./cluster/clustertest ^TestClientFindsTheLeader$",
			Edits: []Edit{{conn, "			c.find(ctx)\n", ""}},
		},
	}
}
