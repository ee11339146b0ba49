package planted

// offline are mistakes in what works on a directory that no daemon has, and in what only a later
// build or a restored backup meets.
func offline() []Bug {
	const migrate = "./engine ^TestMigrate"
	return []Bug{
		{
			Name: "migration-loses-an-outcome", Guarantee: "G6", About: "a migration leaves out an outcome", Tests: migrate,
			Edits: []Edit{{"engine/migraterows.go", "			_ = g.batch.Set(key, layout.SealRow(key, append([]byte(nil), body...)), nil)\n", "			if tag != layout.OutcomeTag || g.lost > 0 {\n				_ = g.batch.Set(key, layout.SealRow(key, append([]byte(nil), body...)), nil)\n			}\n			g.lost += CommitTS(tag / layout.OutcomeTag)\n"}},
		},
		{
			Name: "migration-forgets-the-old-head", Guarantee: "G8", About: "the chain of a migrated store begins with zeros", Tests: "./engine ^TestGoldenOfFormat1$",
			Edits: []Edit{{"engine/migraterows.go", "	g.hash = row.hash\n", "	_ = row\n"}},
		},
		{
			Name: "migration-trusts-the-old-chain", Guarantee: "G8", About: "a migration seals anew what the old chain says was changed", Tests: migrate,
			Edits: []Edit{{"engine/migraterows.go", "	if g.at.hash != row.hash {", "	if g.at.hash = row.hash; g.at.hash != row.hash {"}},
		},
		{
			Name: "migration-removes-first", Guarantee: "G1", About: "a migration removes the old store before the new one is in force", Tests: migrate,
			Edits: []Edit{{"engine/migrate.go", "	now := identity{format: FormatVersion, storeID: id.storeID}\n", "	now := identity{format: FormatVersion, storeID: id.storeID}\n	_ = fs.RemoveAll(fs.PathJoin(dir, storeName))\n"}},
		},
		{
			Name: "migration-opened-halfway", Guarantee: "G8", About: "a store whose migration was interrupted after the switch is opened as it is", Tests: migrate,
			Edits: []Edit{{"engine/identity.go", "	case id != nil && halfway:", "	case id == nil && halfway:"}},
		},
		{
			Name: "epoch-kept-by-restore", Guarantee: "G5", About: "a restored store goes on in its old epoch: cursors past the commit it was restored to mean other commits", Tests: "./engine ^TestBeginEpoch$",
			Edits: []Edit{{"engine/epoch.go", "	body := append(e.meta.lineage, next).Append(nil)\n", "	body := e.meta.lineage.Append(nil)\n"}},
		},
		{
			Name: "epoch-ends-at-the-last-restore", Guarantee: "G5", About: "a cursor of an epoch is good up to where the epoch after it began, though a later restore went back further", Tests: "./engine ^TestEpochs$",
			Edits: []Edit{{"engine/layout/epoch.go", "		upTo = min(upTo, l[i].Began)\n", "		upTo = l[i].Began\n"}},
		},
		{
			Name: "features-unchecked", Guarantee: "G8", About: "a store in which a later build has used something new is opened", Tests: "./engine ^TestUnknownFeature$",
			Edits: []Edit{{"engine/features.go", "	if len(used) > 0 {", "	if len(used) > 8 {"}},
		},
		{
			Name: "salt-used-twice", Guarantee: "G8", About: "one salt serves many digests: which names or values are the same can be seen", Tests: "./engine ^TestSalts$",
			Edits: []Edit{{"engine/batch.go", "	w.salts = w.salts[copy(s[:], w.salts):]\n", "	w.salts = w.salts[0*copy(s[:], w.salts):]\n"}},
		},
	}
}
