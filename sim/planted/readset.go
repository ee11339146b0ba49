package planted

// readsets are mistakes about transactions that their clients hold: about what they read, on
// both sides, and about their timeouts. What the client leaves out, only what its user was told
// shows: on the wire there is no such read.
func readsets() []Bug {
	const whole, own = "func (l *Range) Whole() { l.first, l.last = \"\", \"\" }", "	rec = state.SeenAs(o)\n	at, _ := t.held.Reads.At()\n"
	return []Bug{
		{
			Name: "readset-absent-left-out", Guarantee: "G3", About: "a record that a transaction found absent is left out of what it read",
			Edits: []Edit{{"client/footprint/readset.go", "	r.seen[n] = v\n	r.order = append(r.order, n)", "	if r.seen[n] = v; v > 0 {\n\t\tr.order = append(r.order, n)\n\t}"}},
		},
		{
			Name: "readset-stretch-cut", Guarantee: "G3", About: "the stretch that a transaction listed ends at the last key that it was shown",
			Edits: []Edit{{"client/footprint/readset.go", whole, "func (l *Range) Whole() {}"}},
		},
		{
			Name: "readset-ranges-unsent", Guarantee: "G3", About: "what a transaction read is sent only if it has read records by name",
			Edits: []Edit{{"client/footprint/readset.go", "func (r *Reads) empty() bool { return len(r.order)+len(r.ranges) == 0 }", "func (r *Reads) empty() bool { return len(r.order) == 0 }"}},
		},
		{
			Name: "readset-later-snapshot", Guarantee: "G3", About: "a transaction reads the present, and its last read is its snapshot",
			Edits: []Edit{{"client/footprint/readset.go", "	if r.at == nil {\n		r.at = &at\n	}", "	r.at = &at"}, {"client/localreads.go", "	return AtCommit(CommitTS(at))", "	_ = at\n	return At{}"}},
		},
		{
			Name: "readset-own-as-read", Guarantee: "G4", About: "what a transaction wrote itself is among what it read",
			Edits: []Edit{{"client/localreads.go", own, own + "	if at > 0 {\n\t\t_ = t.held.Reads.Add(footprint.Name(n), 0)\n\t}\n"}},
		},
		{
			Name: "readset-ranges-ignored", Guarantee: "G3", About: "the writer does not look at what a transaction has listed that its client holds",
			Edits: []Edit{{"engine/readset.go", "	p.listed = listedOf(p.ranges, p.snapshot)\n", ""}},
		},
		{
			Name: "readset-deleted-unchecked", Guarantee: "G3", About: "of what a transaction read, only records that exist are compared",
			Edits: []Edit{{"engine/plan.go", "		if h.version != r.seen {", "		if h.version != r.seen && h.exists() {"}},
		},
		{
			Name: "readset-deadline-ignored", Guarantee: "G9", About: "a Transact whose timeout has passed is committed",
			Edits: []Edit{{"engine/commit.go", "	if c.Timeout != nil {\n		p.deadline", "	if c.Timeout != nil && p.interactive {\n		p.deadline"}},
		},
		{
			Name: "readset-decision-forgotten", Guarantee: "G6", About: "that a Transact was too late, or in conflict, is not remembered for its copies",
			Edits: []Edit{{"engine/step.go", "	if !p.interactive && c == nil &&", "	if !p.interactive && c == nil && p.deadline.IsZero() &&"}},
		},
	}
}
