package planted

// finding are mistakes in finding, in lists of folders and in diffs.
func finding() []Bug {
	const model, floor = "./engine ^TestModel$", "./engine ^TestChangedOverTheFloor$"
	return []Bug{
		{
			Name: "filter-reads-the-newest", Guarantee: "G3", About: "a filter as of a moment selects by what a record is now", Tests: model,
			Edits: []Edit{{"engine/scan.go", "	seen := c.rows.err == nil && c.s.visible(c.rows, name, &c.rec, c.key)\n	if c.ask(seen && c.rec.Exists, c.rec.Value); c.o.KeysOnly || c.unwanted {", "	_, newest, _ := recordAt(c.rows)\n	now := bytes.Clone(newest.Value)\n	seen := c.rows.err == nil && c.s.visible(c.rows, name, &c.rec, c.key)\n	if c.ask(seen && c.rec.Exists, now); c.o.KeysOnly || c.unwanted {"}},
		},
		{
			Name: "filter-through-doubles", Guarantee: "G5", About: "a filter compares integers as doubles: 2^53 + 1 equals 2^53", Tests: "./engine/jsontext ^TestFarNumbers$",
			Edits: []Edit{{"engine/jsontext/number.go", "		return cmp.Compare(short(a), short(b))\n", "		return cmp.Compare(float64(short(a)), float64(short(b)))\n"}},
		},
		{
			Name: "filter-different-though-absent", Guarantee: "G5", About: "a condition that a member is something else selects records without the member", Tests: "./server/filter ^TestAgainstTrees$",
			Edits: []Edit{{"server/filter/match.go", "		if w.met&(1<<i) == 0 && !f.values[i].negate {", "		if w.met&(1<<i) == 0 && !f.values[i].negate && f.values[i].comparison != NotEqual {"}},
		},
		{
			Name: "changed-twice-at-a-page-end", Guarantee: "G3", About: "a list by last change that ends a page within a commit begins the next with the same record", Tests: model,
			Edits: []Edit{{"engine/findchanged.go", "op.Key <= p.key", "op.Key < p.key"}},
		},
		{
			Name: "changed-ends-at-the-floor", Guarantee: "G3", About: "a list by last change leaves out what was changed last below the floor", Tests: floor,
			Edits: []Edit{{"engine/findchanged.go", "		if lowest == 0 {", "		if lowest < 1<<62 {"}},
		},
		{
			Name: "changed-from-a-floor-that-rose", Guarantee: "G3", About: "a list by last change that the floor has overtaken shows again what it has shown", Tests: floor,
			Edits: []Edit{{"engine/findchanged.go", "		if p.rest = true; p.ts >= lowest {", "		if p.rest = true; p.ts > 0 {"}},
		},
		{
			Name: "hidden-found-by-change", Guarantee: "G10", About: "a list by last change shows leases", Tests: "./engine ^TestHiddenRecordsAreNotFound$",
			Edits: []Edit{{"engine/findchanged.go", " || hidden(op.Key)", ""}},
		},
		{
			Name: "folder-listed-twice", Guarantee: "G3", About: "a folder is listed for each key in it", Tests: model,
			Edits: []Edit{{"engine/folders.go", "			c.leave(folder)\n", ""}},
		},
		{
			Name: "diff-hole-at-a-page-end", Guarantee: "G3", About: "a diff goes on after the key that a page had no room for", Tests: model,
			Edits: []Edit{{"engine/diff.go", "		d.found.Next = last\n		return true\n", "		d.found.Next = key\n		return true\n"}},
		},
		{
			Name: "diff-hole-where-work-ends", Guarantee: "G3", About: "a diff that has looked at enough goes on where one of its two lists is", Tests: model,
			Edits: []Edit{{"engine/diffmerge.go", "	if a.live || a.done || b.live && b.at <= a.at {", "	if a.live || a.done {"}},
		},
		{
			Name: "diff-drifts", Guarantee: "G3", About: "later pages of a diff compare with what is there now", Tests: "./server ^TestPagesOfOnePoint$",
			Edits: []Edit{{"server/answer/diff.go", "	return engine.At{CommitTS: &points[0]}, engine.At{CommitTS: &points[1]}, parts[2], nil", "	return engine.At{CommitTS: &points[0]}, engine.At{}, parts[2], nil"}},
		},
		{
			Name: "diff-without-the-parent", Guarantee: "G3", About: "a diff of a fork and its parent leaves out what the parent has written since", Tests: "./engine ^TestForks$",
			Edits: []Edit{{"engine/diff.go", "append(slices.Concat(from[:i], to[:j]), stretchOfEvents{from[i].agent, low, high}), true", "append(slices.Concat(from[:i], to[:j]), stretchOfEvents{from[i].agent, high, high}), true"}},
		},
		{
			Name: "patch-removes-from-the-front", Guarantee: "G5", About: "a patch takes elements from an array in an order in which their places are no longer theirs", Tests: "./server/jsonpatch",
			Edits: []Edit{{"server/jsonpatch/jsonpatch.go", "	for i := len(a) - 1; i >= both; i-- {", "	for i := both; i < len(a); i++ {"}},
		},
		{
			Name: "min-read-not-asked", Guarantee: "G4", About: "a read that must not be before a commit is answered without it", Tests: "./server ^TestMinReadTS$",
			Edits: []Edit{{"server/answer/reads.go", "	return s.engine.CheckPublished(engine.CommitTS(req.GetMinReadTs()))\n", "	return nil\n"}},
		},
	}
}
