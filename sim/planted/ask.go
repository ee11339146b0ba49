package planted

// asking are mistakes in what agents ask of a store besides reads and writes, as clients of a world meet
// them: in leases, sequences, evaluated operations, forks, finds and diffs.
func asking() []Bug {
	const lease, sequence, absent, timers, leases, diff, filter, folders = "engine/lease.go", "engine/sequence.go", "engine/ifabsent.go",
		"engine/timers.go", "engine/leases.go", "engine/diff.go", "server/filter/match.go", "engine/folders.go"
	return []Bug{
		{
			Name: "lease-taken-again-by-its-holder", Guarantee: "G3", About: "who holds a lease acquires it once more: two workers of one name both believe to hold it",
			Edits: []Edit{{lease, "	if was.exists {\n		return v.leaseHeld(op, &was)\n", "	if was.exists && parseLease(was.value).Holder != a.Holder {\n		return v.leaseHeld(op, &was)\n"}},
		},
		{
			Name: "lease-renewed-is-never-lost", Guarantee: "G3", About: "a renewal of a lease that has lapsed is answered as if it were held",
			Edits: []Edit{{leases, "			answers[i].Lost = true\n", "			answers[i].Deadline = e.now()\n"}},
		},
		{
			Name: "lapses-with-what-is-nearly-due", Guarantee: "G3", About: "what is due soon lapses with what is due now, before its deadline",
			Edits: []Edit{{timers, "	due, err := e.dueHolds(now, e.opts.Tuning.FiredHolds)\n", "	due, err := e.dueHolds(now.Add(time.Second), e.opts.Tuning.FiredHolds)\n"}},
		},
		{
			Name: "lapses-when-nothing-else-is-done", Guarantee: "G3", About: "what is due waits until no request does: a commit finds held what its own time is past",
			Edits: []Edit{{"engine/step.go", "	if e.chores.making == nil { // whose", "	if e.chores.making == nil && len(taken) == 0 { // whose"}},
		},
		{
			Name: "appends-of-a-request-share-a-number", Guarantee: "G6", About: "the second append of a request gets the number of the first",
			Edits: []Edit{{sequence, "	v.sequences[key] = n + 1\n", "	v.sequences[key] = n\n"}},
		},
		{
			Name: "if-absent-writes-over", Guarantee: "G3", About: "a write of an absent key is done although the key exists",
			Edits: []Edit{{absent, "	if err == nil && !was.exists {\n", "	if err == nil && (!was.exists || len(was.value) > 0) {\n"}},
		},
		{
			Name: "increments-from-what-was", Guarantee: "G3", About: "a second operation of a request on a key begins from what the store has",
			Edits: []Edit{{"engine/increment.go", "	case !was.exists:\n		return []byte(\"{}\"), nil\n	case was.gone", "	case !was.exists || len(v.parts) > 0 && len(v.parts[0].ops) > 0:\n		return []byte(\"{}\"), nil\n	case was.gone"}},
		},
		{
			Name: "filter-any-condition", Guarantee: "G3", About: "a record is found that meets the first condition on its value, whatever the others say",
			Edits: []Edit{{filter, "	for i := range f.values {\n		if w.met&(1<<i) == 0", "	for i := range f.values[:1] {\n		if w.met&(1<<i) == 0"}},
		},
		{
			Name: "diff-without-what-came", Guarantee: "G3", About: "a diff leaves out keys that the one side never had",
			Edits: []Edit{{diff, "	if !d.differ(&from, &to) {\n", "	if !d.differ(&from, &to) || from.Version == 0 && to.Version > 1 {\n"}},
		},
		{
			Name: "folder-of-the-last-delimiter", Guarantee: "G3", About: "a key is listed in the innermost of its folders",
			Edits: []Edit{{folders, "	if at := strings.Index(strings.TrimPrefix(key, prefix), delimiter); at >= 0 {\n", "	if at := strings.LastIndex(strings.TrimPrefix(key, prefix), delimiter); at >= 0 {\n"}},
		},
		{
			Name: "lease-held-by-any-token", Guarantee: "G3", About: "a commit that requires a lease is let through while anybody holds it",
			Edits: []Edit{{lease, "h.version == token && h.held == CauseLapsed\n", "h.version >= token && h.held == CauseLapsed\n"}},
		},
	}
}
