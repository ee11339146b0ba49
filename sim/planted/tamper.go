package planted

// tampered are mistakes in what finds damage above the checksums of Pebble's blocks: the
// checksums of rows, the hash chain, the witness, verify.
func tampered() []Bug {
	return []Bug{
		{
			Name: "point-reads-unchecked", Guarantee: "G8", About: "rows that are read one by one are not held to their checksums",
			Edits: []Edit{{"engine/state.go", "	body, err := layout.OpenRow(key, row)\n	if err != nil {\n		return nil, err\n	}\n", "	body := row[:max(len(row)-layout.SealSize, 0)]\n"}},
		},
		{
			Name: "walked-rows-unchecked", Guarantee: "G8", About: "rows that are walked over are not held to their checksums",
			Edits: []Edit{{"engine/state.go", "	i.body, i.err = layout.OpenRow(i.it.Key(), row)\n	return i.err == nil", "	i.body = row[:max(len(row)-layout.SealSize, 0)]\n	return true"}},
		},
		{
			Name: "row-sum-without-key", Guarantee: "G8", About: "a row's checksum does not cover its key",
			Edits: []Edit{{"engine/layout/rows.go", "	return crc32.Update(crc32.Checksum(key, Castagnoli), Castagnoli, body)", "	return crc32.Checksum(body, Castagnoli)"}},
		},
		{
			Name: "chain-first-part-only", Guarantee: "G8", About: "the hash chain covers the digest of a commit's first part only",
			Edits: []Edit{{"engine/layout/log.go", "	return sha256.Sum256(r.fields.AppendSealed(r.appendSealed(b)))", "	first := *r\n	first.Parts = r.Parts[:min(1, len(r.Parts))]\n	return sha256.Sum256(r.fields.AppendSealed(first.appendSealed(b)))"}},
		},
		{
			Name: "verify-ends-early", Guarantee: "G8", About: "verify ends where it has read how far outcomes were dropped, and calls everything good",
			Edits: []Edit{{"engine/verify.go", "	if v.meta, err = readMeta(v.db, v.r.Format); err != nil {", "	if v.meta, err = readMeta(v.db, v.r.Format); err == nil {"}},
		},
		{
			Name: "witness-hash-ignored", Guarantee: "G8", About: "a commit that the witness names only has to be there, whatever its hash",
			Edits: []Edit{{"engine/evidence.go", "	if row.Hash != m.hash {", "	if row.Hash != m.hash && row.Hash == ([32]byte{}) {"}},
		},
		{
			Name: "witness-newest-only", Guarantee: "G8", About: "only the first good slot of the witness is compared with the log",
			Edits: []Edit{{"engine/evidence.go", "			if err := checkMark(r, m); err != nil {\n				return 0, err\n			}\n		}\n	}\n", "			return lost, checkMark(r, m)\n		}\n	}\n"}},
		},
		{
			Name: "digest-of-a-prefix", Guarantee: "G8", About: "the digest of a value covers its first bytes",
			Edits: []Edit{{"engine/layout/rows.go", "	sum := sha256.Sum256(b)\n	return Digest(", "	sum := sha256.Sum256(b[:min(len(b), 4)])\n	return Digest("}},
		},
		{
			Name: "verify-trusts-times", Guarantee: "G8", About: "verify does not compare a record's time with its commit's",
			Edits: []Edit{{"engine/verify.go", "!rec.CommitTime.Equal(row.CommitTime), ", ""}},
		},
		{
			Name: "verify-counts-no-outcomes", Guarantee: "G8", About: "verify does not count the outcomes",
			Edits: []Edit{{"engine/verify.go", "v.r.Outcomes != kept {", "v.r.Outcomes < kept {"}},
		},
		{
			Name: "verify-trusts-agents", Guarantee: "G8", About: "verify does not compare an agent's first commit with its events",
			Edits: []Edit{{"engine/verify.go", "n <= 0 || CommitTS(first) != ts && (CommitTS(first) > ts || v.kept.pasts[a.Namespace].dropped == 0) {", "n <= 0 || CommitTS(first) > v.r.Commits {"}},
		},
		{
			Name: "verify-trusts-namespaces", Guarantee: "G8", About: "verify does not compare a namespace's first commit with its agents'",
			Edits: []Edit{{"engine/verify.go", "	if least != first {", "	if least < first {"}},
		},
		{
			Name: "verify-trusts-later-events", Guarantee: "G8", About: "verify passes over events of commits that the log does not have",
			Edits: []Edit{{"engine/verify.go", "	if !ok || ts == 0 || ts > v.r.Commits {\n", "	if ts > v.r.Commits {\n		return nil\n	}\n	if !ok || ts == 0 {\n"}},
		},
		{
			Name: "verify-forgets-tombstones", Guarantee: "G8", About: "verify does not look whether the record of a write is a tombstone, nor at what a delete left",
			Edits: []Edit{{"engine/verify.go", "rec.Tombstone != op.Tombstone, rec.Gone != op.Gone && (rec.Gone != layout.GonePruned || op.Gone != 0), rec.Hold != op.Held,\n		!op.Tombstone && rec.Gone == 0 && (", "rec.Hold != op.Held,\n		!op.Tombstone && !rec.Tombstone && rec.Gone == 0 && ("}},
		},
		{
			Name: "verify-skips-records", Guarantee: "G8", About: "verify does not count the versions",
			Edits: []Edit{{"engine/verify.go", "v.r.Records != made {", "v.r.Records < made {"}},
		},
	}
}
