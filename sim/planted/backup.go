package planted

// backups are bugs of backup, restore and archive, and of what a restore does to those who knew the
// store before. They are found by tests that cut the power at every operation and compare what is
// restored with a model.
func backups() []Bug {
	const pkg, wire = "./server/backup", "./client/admin"
	return []Bug{
		{
			Name: "backup-tears-a-commit", Guarantee: "G2", Tests: pkg, About: "a backup leaves out what is past the second record of an agent's part of a commit",
			Edits: []Edit{{"engine/export.go", "w.addThere(of, c.ts, recs[:n]...)", "w.addThere(of, c.ts, recs[:min(n, 2)]...)"}},
		},
		{
			Name: "incremental-skips-a-commit", Guarantee: "G5", Tests: pkg, About: "an incremental backup begins one commit after the one that follows its predecessor",
			Edits: []Edit{{"engine/export.go", "	snap := e.db.NewSnapshot()\n", "	if after > 0 && after < to {\n\t\tafter++\n\t}\n	snap := e.db.NewSnapshot()\n"}},
		},
		{
			Name: "segments-of-two-logs", Guarantee: "G8", Tests: pkg, About: "a segment is taken after one whose last commit has another hash",
			Edits: []Edit{
				{"engine/stretch.go", "	case of.AfterHash != c.head.hash:\n", "	case false:\n"},
				{"engine/stretch.go", "	c.of = of\n	c.went", "	c.of, c.head.hash = of, of.AfterHash\n	c.went"},
			},
		},
		{
			Name: "segment-without-seal", Guarantee: "G8", Tests: pkg, About: "a segment whose seal does not fit is taken for whole",
			Edits: []Edit{{"history/segment/reader.go", "	kind, seal, err := r.read()\n	if err != nil {\n		return err\n	}\n	if kind != kindSeal || !bytes.Equal(seal, want) {", "	kind, seal, err := r.read()\n	if kind == kindSeal && bytes.Equal(seal, want) {\n\t\treturn io.EOF\n\t}\n	if err == nil {"}, {"history/segment/reader.go", "		return damaged(\"its seal does not fit\")\n	}\n	return io.EOF", "		return damaged(\"its seal does not fit\")\n	}\n	return io.EOF // also when it is cut"}},
		},
		{
			Name: "restore-one-too-few", Guarantee: "G1", Tests: pkg, About: "a restore to a commit ends before it",
			Edits: []Edit{{"engine/restore.go", "r.until > 0 && ts > r.until", "r.until > 0 && ts >= r.until"}},
		},
		{
			Name: "restore-forgets-outcomes", Guarantee: "G6", Tests: pkg, About: "a restored store has no outcomes, so that a commit sent again is applied again",
			Edits: []Edit{{"engine/restore.go", "if row.Key[0] == layout.OutcomeTag && ts <= r.floor && madeBy(", "if row.Key[0] == layout.OutcomeTag && madeBy("}},
		},
		{
			Name: "restore-unmarked", Guarantee: "G7", Tests: pkg, About: "nothing says that a directory is being restored, until it is",
			Edits: []Edit{{"engine/restore.go", "	if err := writeFileAtomic(fs, fs.PathJoin(dir, restoringName), []byte(\"Statehouse is being restored here.\\n\")); err != nil {", "	if err := fs.MkdirAll(fs.PathJoin(dir, storeName), 0o700); err != nil {"}, {"engine/restore.go", "if err := fs.Remove(fs.PathJoin(e.opts.Dir, restoringName)); err != nil {", "if err := fs.Remove(fs.PathJoin(e.opts.Dir, restoringName)); err != nil && !isNotExist(err) {"}},
		},
		{
			Name: "restore-keeps-the-epoch", Guarantee: "G5", Tests: wire, About: "a restored store goes on in the epoch of the one that was backed up",
			Edits: []Edit{{"engine/restore.go", "r.lineage.Restored(head.ts, next)", "r.lineage"}},
		},
		{
			Name: "page-of-another-epoch", Guarantee: "G5", Tests: wire, About: "a page token of before a restore is taken for one of the commit that has its number now",
			Edits: []Edit{{"server/answer/pages.go", "	if err == nil && token != \"\" {", "	if err == nil && token != \"\" && t.Epoch == \"\" {"}},
		},
		{
			Name: "cursor-of-another-epoch", Guarantee: "G5", Tests: wire, About: "a watch goes on after a cursor of before a restore",
			Edits: []Edit{{"server/answer/streams.go", "		if err := s.engine.CheckEpoch(req.GetEpoch(), engine.CommitTS(req.GetAfterTs())); err != nil {", "		if err := s.engine.CheckEpoch(\"\", 0); err != nil {"}},
		},
		{
			Name: "reads-of-another-epoch", Guarantee: "G3", Tests: wire, About: "what a transaction read before a restore is compared with the versions of after it",
			Edits: []Edit{{"server/answer/writes.go", "	if reads := req.GetReads(); reads.GetEpoch() != \"\" {", "	if reads := req.GetReads(); reads.GetEpoch() == \"none\" {"}},
		},
		{
			Name: "cursor-without-its-epoch", Guarantee: "G5", Tests: wire, About: "the client does not send the epoch of its cursor",
			Edits: []Edit{{"client/streams.go", "req.AfterTs, req.Epoch = new(uint64(f.cursor)), f.epoch", "req.AfterTs = new(uint64(f.cursor))"}},
		},
		{
			Name: "archive-replaces", Guarantee: "G8", Tests: pkg, About: "a segment of the archive is put in the place of another daemon's",
			Edits: []Edit{{"server/backup/directory.go", "err = files.Link(tmp, path)", "err = files.Rename(tmp, path)"}, {"server/backup/directory.go", "	if rerr := files.Remove(tmp); err == nil {", "	if rerr := files.Remove(tmp); err == nil && rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {"}},
		},
		{
			Name: "archive-unsynced", Guarantee: "G1", Tests: pkg, About: "a segment of the archive takes its name before it is on disk",
			Edits: []Edit{{"server/backup/directory.go", "	if err == nil {\n		err = f.Sync()\n	}\n", ""}},
		},
		{
			Name: "archive-of-another-past", Guarantee: "G8", Tests: pkg, About: "a store that was put back goes on with an archive that has commits which it has not",
			Edits: []Edit{{"server/backup/archive.go", "	if of.AfterHash != last.ToHash {", "	if of.AfterHash != last.ToHash && of.To == 0 {"}},
		},
	}
}
