package planted

// past are mistakes of retention and erasure. No world asks for either yet: what finds them is
// the model that the engine's tests compare the past with (engine/past_test.go).
func past() []Bug {
	list := []Bug{
		{
			Name: "floor-off-by-one", Guarantee: "G5", About: "the commit before the floor can still be read",
			Edits: []Edit{{"engine/floor.go", "floor := e.floor(namespace); ts < floor {", "floor := e.floor(namespace); ts+1 < floor {"}},
		},
		{
			Name: "floor-too-high", Guarantee: "G5", About: "the floor moves to the commit after the one that was old enough",
			Edits: []Edit{{"engine/retention.go", "		s.floor = upTo\n", "		s.floor = upTo + 1\n"}},
		},
		{
			Name: "below-floor-answered", Guarantee: "G5", About: "a read below the floor is answered from what is left",
			Edits: []Edit{{"engine/read.go", "	return rec, s.e.inRange(name.Namespace, s.ts, err)\n}\n\nfunc (s Snapshot) get(", "	return rec, s.e.noted(err)\n}\n\nfunc (s Snapshot) get("}},
		},
		{
			Name: "drop-takes-the-base", Guarantee: "G5", About: "the version that is current at the floor goes, too",
			Edits: []Edit{{"engine/drop.go", "layout.AppendVersion(layout.RecordPrefix(n), at-1)", "layout.AppendVersion(layout.RecordPrefix(n), at)"}},
		},
		{
			Name: "current-version-pruned", Guarantee: "G1", About: "one version fewer keeps its value than was asked for: of one, none",
			Edits: []Edit{{"engine/drop.go", "return w.pruneVersion(n, at-Version(s.maxVersions))", "return w.pruneVersion(n, at-Version(s.maxVersions)+1)"}},
		},
		{
			Name: "erase-misses-a-version", Guarantee: "G5", About: "an erasure begins one version too far down",
			Edits: []Edit{{"engine/erase.go", "x.at.v-1), layout.Successor(prefix)", "x.at.v-2), layout.Successor(prefix)"}},
		},
		{
			Name: "erasure-not-resumed", Guarantee: "G5", About: "a daemon that was killed during an erasure does not go on with it",
			Edits: []Edit{{"engine/retention.go", "	return c.loadErasures(rows)\n", "	return nil\n"}},
		},
		{
			Name: "gone-before-durable", Guarantee: "G4", About: "readers see that a value is gone before that is durable: after a crash it is back",
			Edits: []Edit{{"engine/step.go", "	if fl.chores != nil {\n		e.db.holdReaders()\n	}\n", ""}},
		},
		{
			Name: "retry-loses-its-answer", Guarantee: "G6", About: "an event below the floor goes, although its commit can still be asked for by its id",
			Edits: []Edit{{"engine/drop.go", "	case !found || o.CommitTS != before:\n", "	case !found || o.CommitTS <= before:\n"}},
		},
		{
			Name: "erased-in-old-logs", Guarantee: "G5", About: "after a compaction erased values stand in logs that are kept to be written over",
			Edits: []Edit{{"engine/usage.go", "	return e.renewLogs()\n", "	return nil\n"}},
		},
	}
	for i := range list {
		list[i].Tests = "./engine ^(TestPast|TestErase|TestRetentionByAge|TestRetentionByVersions)$"
	}
	return list
}
