package planted

// veryMany are mistakes in deletes of more keys than a transaction may change.
func veryMany() []Bug {
	const (
		very  = "./engine ^TestDeleteVeryMany$"
		crash = "./engine ^TestDeleteVeryManyCrash$"
	)
	return []Bug{
		{
			Name: "act-met-in-its-step", Guarantee: "G3", About: "what is planned after a delete of very many keys in the same step finds them there", Tests: "./engine ^TestDeleteVeryManyInOneStep$",
			Edits: []Edit{{"engine/forkplan.go", "return p.made != nil || p.acted != nil }", "return p.made != nil }"}},
		},
		{
			Name: "act-misses-what-is-new", Guarantee: "G5", About: "a delete of very many keys leaves those that the commit before it wrote", Tests: very,
			Edits: []Edit{{"engine/rangerows.go", "	if !ok || row.CommitTS >= v.of.at {\n", "	if !ok || row.CommitTS+1 >= v.of.at {\n"}},
		},
		{
			Name: "act-in-the-wrong-version", Guarantee: "G5", About: "what a delete of very many keys came to is written a version too high", Tests: very,
			Edits: []Edit{{"engine/rangechore.go", "			w.rows.set(w.batch, v.key, ", "			v.key[len(v.key)-1]--\n			w.rows.set(w.batch, v.key, "}},
		},
		{
			Name: "act-shown-in-part", Guarantee: "G5", About: "a list shows of a delete of very many keys what is carried out, and a read of one key all of it", Tests: very,
			Edits: []Edit{{"engine/rangerows.go", "		if g == nil {\n			return s.writtenRows(", "		if g == nil || bytes.HasSuffix(lower, []byte(firstKey)) {\n			return s.writtenRows("}},
		},
		{
			Name: "act-forgotten-by-a-crash", Guarantee: "G1", About: "a delete of very many keys that was under way when the process ended goes no further", Tests: crash,
			Edits: []Edit{{"engine/rangeacts.go", "	return s.acts.load(s)\n", "	return nil\n"}},
		},
		{
			Name: "act-done-too-soon", Guarantee: "G5", About: "a delete of very many keys is said to be carried out after the first piece", Tests: crash,
			Edits: []Edit{{"engine/rangechore.go", "	w.more = true\n	if !ok {\n", "	w.more = true\n	if !ok || g.done != \"\" {\n"}},
		},
		{
			Name: "act-behind-the-caches", Guarantee: "G3", About: "caches go on to say of a key what was so before a delete of very many", Tests: very,
			Edits: []Edit{{"engine/rangeacts.go", "	if last := s.acts.lastOf(a); last != 0 {", "	if last := s.acts.lastOf(a); last == inOwn {"}},
		},
		{
			Name: "act-overtaken-by-retention", Guarantee: "G5", About: "retention goes past a delete of very many keys that is under way", Tests: "./engine ^TestDeleteVeryManyAndForget$",
			Edits: []Edit{{"engine/chores.go", "	if g := w.e.db.acts.first(); g != nil { //", "	if g := w.e.db.acts.first(); g != nil && len(c.spaces) == 0 { //"}},
		},
		{
			Name: "act-saved-without-rows", Guarantee: "G5", About: "a backup has of a delete of very many keys that was carried out nothing that it came to", Tests: "./engine ^TestDeleteVeryManyIsBackedUp$",
			Edits: []Edit{{"engine/rangeexport.go", "up == nil || up.at != g.at {", "up != nil && up.at != g.at {"}},
		},
		{
			Name: "act-leaves-deadlines", Guarantee: "G5", About: "a record that a delete of very many keys took expires once more", Tests: "./engine ^TestDeleteVeryManyEndsHolds$",
			Edits: []Edit{{"engine/rangechore.go", "	_ = w.batch.Delete(layout.AppendHoldKey(nil, prefix), nil)\n", ""}},
		},
	}
}
