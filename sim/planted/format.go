package planted

// formats are mistakes about what the rows of the log cover, and about what a build does not know.
func formats() []Bug {
	return []Bug{
		{
			Name: "salts-not-drawn", Guarantee: "G8", About: "salts are zeros: what an erasure takes out can be guessed from its digest",
			Edits: []Edit{{"engine/batch.go", "		w.rand(w.salts)\n", ""}},
		},
		{
			Name: "part-digest-trusted", Guarantee: "G8", About: "a part's digest is compared with its event only if the commit has one part",
			Edits: []Edit{{"engine/verify.go", "ev.Digest() != part.Digest {", "ev.Digest() != part.Digest && len(row.Parts) == 1 {"}},
		},
		{
			Name: "unknown-fields-ignored", Guarantee: "G8", About: "a field with a tag that the build does not know is taken for nothing",
			Edits: []Edit{{"engine/layout/fields.go", "tag <= last || !slices.Contains(known, tag)", "tag <= last || len(known) == 0"}},
		},
		{
			Name: "erased-by-nobody", Guarantee: "G8", About: "verify does not look at a value that the record says was erased",
			Edits: []Edit{
				{"engine/verify.go", ", rec.Gone != op.Gone && (rec.Gone != layout.GonePruned || op.Gone != 0), rec.Hold", ", rec.Hold"},
				{"engine/verify.go", "	case !op.Tombstone && rec.Gone != 0:\n", "	case false:\n"},
			},
		},
	}
}
