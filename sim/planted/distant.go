package planted

// distant are mistakes that show only long after their cause, or where several things come
// together: those whose runs are hardest to make small.
func distant() []Bug {
	return []Bug{
		{
			Name: "history-page-skips", Guarantee: "G3", About: "the second page of a history, oldest version first, leaves one out",
			Edits: []Edit{{"engine/read.go", "		v = after + step\n", "		if v = after + step; oldestFirst {\n\t\t\tv++\n\t\t}\n"}},
		},
		{
			Name: "time-bound-exclusive", Guarantee: "G3", About: "a read as of the very time of a commit does not see it",
			Edits: []Edit{{"engine/read.go", "if row.CommitTime.After(t) {", "if !row.CommitTime.Before(t) {"}},
		},
		{
			Name: "old-version-search", Guarantee: "G3", About: "the search for a version with many newer ones stops one too early",
			Edits: []Edit{{"engine/read.go", "	for low < high {\n\t\tmid := low + (high-low+1)/2\n\t\tkey = ", "	for low+1 < high {\n\t\tmid := low + (high-low+1)/2\n\t\tkey = "}},
		},
		{
			Name: "pruned-forgotten-at-recovery", Guarantee: "G6", About: "after a restart it is forgotten how old the outcomes were that were dropped: their ids are taken for new",
			Edits: []Edit{{"engine/follow.go", "		e.prunedTime.Store(row.CommitTime.UnixNano())\n", "		_ = row\n"}},
		},
		{
			Name: "last-listed-may-change", Guarantee: "G3", About: "of a page that a transaction listed, the last key may change before it commits",
			Edits: []Edit{{"engine/ranges.go", "if after := r.last + \"\\x00\"; r.last != \"\"", "if after := r.last; r.last != \"\""}},
		},
	}
}
