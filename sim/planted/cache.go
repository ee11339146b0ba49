package planted

// hot are mistakes about what is kept in memory of records that were read or written lately,
// and about what saves a look at the store.
func hot() []Bug {
	return []Bug{
		{
			Name: "hot-before-published", Guarantee: "G4", About: "records in memory are replaced when a commit is planned, and are read whatever the snapshot is",
			Edits: []Edit{
				{"engine/hot.go", "	return rec, found && rec.commitTS <= at, hotMiss{s, s.changes}\n", "	return rec, found && (rec.commitTS <= at || !rec.exists && rec.version > 1), hotMiss{s, s.changes}\n"},
				{"engine/step.go", "		e.hot.publish(c, e.db)\n		for i", "		for i"},
				{"engine/step.go", "	fl.commits = e.planner.step\n", "	fl.commits = e.planner.step\n	for _, c := range fl.commits {\n\t\te.hot.publish(c, e.db)\n\t}\n"},
			},
		},
		{
			Name: "hot-survives-a-delete", Guarantee: "G3", About: "a record in memory is not replaced when it is deleted",
			Edits: []Edit{
				{"engine/hot.go", "			h.replace(db.cached(op.prefix), rec)\n", "			if rec.exists {\n\t\t\t\th.replace(db.cached(op.prefix), rec)\n\t\t\t}\n"},
				{"engine/hot.go", "	assertf(!found || rec.version == have.version+1,", "	assertf(true || rec.version == have.version+1,"},
			},
		},
		{
			Name: "hot-answers-the-past", Guarantee: "G3", About: "a read as of an earlier commit gets the record that is in memory, which is the newest",
			Edits: []Edit{{"engine/hot.go", "	return rec, found && rec.commitTS <= at, hotMiss{s, s.changes}\n", "	return rec, found && (rec.commitTS <= at || !rec.exists && rec.version > 1), hotMiss{s, s.changes}\n"}},
		},
		{
			Name: "hot-of-the-past", Guarantee: "G3", About: "an older version that was read as of an earlier commit is kept as the newest",
			Edits: []Edit{
				{"engine/read.go", "		newest = rows.moves == 1 && rec.Version > 0\n", "		newest = rec.Version > 0\n"},
				{"engine/hot.go", "		assertf(have.version == rec.version,", "		assertf(have.version >= rec.version,"},
				{"engine/hot.go", "	assertf(!found || rec.version == have.version+1,", "	assertf(!found || rec.version > have.version,"},
			},
		},
		{
			Name: "hot-not-turned", Guarantee: "G9", Unseen: noHistory, About: "records are kept in memory past its bound",
			Edits: []Edit{{"engine/hot.go", "	if s.size[0]+n > s.room {\n", "	if s.size[0]+n > s.room && n > s.room {\n"}},
		},
		{
			Name: "reverse-skips-after-a-delete", Guarantee: "G3", About: "a list in reverse leaves out the key before one that is deleted",
			Edits: []Edit{{"engine/scan.go", "	case c.o.Reverse:\n		return c.more\n", "	case c.o.Reverse:\n		if c.more && !c.rec.Exists {\n\t\t\treturn c.rows.before(c.rows.key()[:len(c.rows.key())-layout.NumberSize])\n\t\t}\n\t\treturn c.more\n"}},
		},
		{
			Name: "reverse-stops-at-the-oldest", Guarantee: "G3", About: "a list in reverse shows the oldest version of a key that has several",
			Edits: []Edit{{"engine/scan.go", "		if row.CommitTS <= c.s.ts {\n			if seen = true; c.o.KeysOnly {", "		if row.CommitTS <= c.s.ts && !seen {\n			if seen = true; c.o.KeysOnly {"}},
		},
	}
}

// hotThreads are mistakes of it that show when goroutines interleave.
func hotThreads() []Bug {
	return []Bug{
		{
			Name: "hot-filled-late", Guarantee: "G3", About: "a reader puts the version that it found in memory, though a newer one was published meanwhile",
			Edits: []Edit{
				{"engine/hot.go", "	if m.shard.changes != m.changes {\n		return\n	}\n	if have,", "	if have,"},
				{"engine/hot.go", "		assertf(have.version == rec.version, \"version %d of %q is read, and %d was published\", rec.version, prefix, have.version)\n		return\n", "		_ = have\n"},
				{"engine/hot.go", "	assertf(!found || rec.version == have.version+1,", "	assertf(!found || rec.version > 0,"},
			},
		},
	}
}
