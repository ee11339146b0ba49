package planted

// acts are mistakes in operations on many keys: forks, and deletes and restores of a prefix.
func acts() []Bug {
	const (
		forks  = "./engine ^TestForks$"
		copied = "./engine ^TestForksAreCopied$"
		saved  = "./engine ^TestForksAreBackedUp$"
		erased = "./engine ^TestEraseReachesForks$"
		many   = "./engine ^(TestDeleteAndRestoreMany|TestManyIsBounded)$"
	)
	return []Bug{
		{
			Name: "fork-misses-the-step", Guarantee: "G2", About: "a fork of now has the state of before the step that it is planned in", Tests: "./engine ^TestForkInOneStep$",
			Edits: []Edit{{"engine/forkplan.go", "		f.upTo = pl.head.ts\n", "		f.upTo = pl.shown()\n"}},
		},
		{
			Name: "fork-met-in-its-step", Guarantee: "G3", About: "what is planned after a fork in the same step finds that the fork's keys were never written", Tests: "./engine ^TestForkInOneStep$",
			Edits: []Edit{{"engine/forkplan.go", "return p.made != nil || p.acted != nil }", "return p.acted != nil }"}},
		},
		{
			Name: "fork-shown-before-it-was", Guarantee: "G3", About: "a list of a fork as of before it was made shows what it inherited", Tests: forks,
			Edits: []Edit{{"engine/scan.go", "	if !s.e.db.forks.begun(o.Agent, s.ts) {", "	if !s.e.db.forks.begun(o.Agent, s.ts) && s.ts == 0 {"}},
		},
		{
			Name: "fork-sees-its-parent-go-on", Guarantee: "G10", About: "a fork shows what its parent wrote after it", Tests: forks,
			Edits: []Edit{{"engine/forkrows.go", "		if row.CommitTS <= o.upTo {\n			o.body", "		if row.CommitTS <= o.upTo+1 {\n			o.body"}},
		},
		{
			Name: "fork-versions-begin-anew", Guarantee: "G3", About: "an inherited key that a cache says was never written gets version 1 again", Tests: "./engine ^TestForkOfWhatWasLookedFor$",
			Edits: []Edit{{"engine/rangeacts.go", "		prefix = string(rune(forkTag)) + prefix //", "		prefix += \"\" //"}},
		},
		{
			Name: "fork-replayed-to-its-first-event", Guarantee: "G5", About: "a reader who knows no acts gets as much of a fork as one event holds", Tests: forks,
			Edits: []Edit{{"engine/forkreplay.go", "			all = false\n			break\n", "			break\n"}},
		},
		{
			Name: "fork-loses-to-retention", Guarantee: "G5", About: "retention takes what forks have only from their parent", Tests: copied,
			Edits: []Edit{{"engine/drop.go", "w.e.db.forks.heldBack(s.namespace, s.floor)", "s.floor"}},
		},
		{
			Name: "fork-whole-too-soon", Guarantee: "G5", About: "a fork is said to have all that it inherited when the first piece is copied", Tests: "./engine ^TestForkOfManyIsCopied$",
			Edits: []Edit{{"engine/forkcopy.go", "	if !ok {\n		next.whole, next.copied = true, \"\"\n", "	if next.copied != \"\" {\n		next.whole, next.copied = true, \"\"\n"}},
		},
		{
			Name: "fork-saved-without-copies", Guarantee: "G5", About: "a backup has of a whole fork nothing that was copied to it", Tests: saved,
			Edits: []Edit{{"engine/forkexport.go", "f != nil && f.at == ts && f.whole {", "f != nil && f.at == ts && f.whole && f.copied != \"\" {"}},
		},
		{
			Name: "erasure-forgets-forks", Guarantee: "G6", About: "an agent is erased and its forks show what was", Tests: erased,
			Edits: []Edit{{"engine/forkerase.go", "	if len(forks) > 0 && !asked.Forks {", "	if len(forks) > 99 && !asked.Forks {"}},
		},
		{
			Name: "restore-by-version-alone", Guarantee: "G3", About: "a restore writes keys whose value is as it was then", Tests: many,
			Edits: []Edit{{"engine/rangeops.go", "	case !then.exists && now.exists:\n", "	case !then.exists:\n"}},
		},
		{
			Name: "delete-walks-everything", Guarantee: "G9", About: "a delete of a prefix walks all keys in the writer's step, however many they are", Tests: many,
			Edits: []Edit{{"engine/rangeops.go", "		return len(keys) <= most && looked <= 2*most\n", "		return true\n"}},
		},
	}
}
