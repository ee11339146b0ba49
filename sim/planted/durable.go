package planted

// durability are mistakes about what is durable.
func durability() []Bug {
	return []Bug{
		{
			Name: "ack-before-sync", Guarantee: "G1", About: "commits are written but not synced before they are acknowledged",
			Edits: []Edit{{
				"engine/step.go",
				"e.db.ApplyNoSyncWait(fl.batch, pebble.Sync)",
				"e.db.Apply(fl.batch, pebble.NoSync)",
			}},
		},
		{
			Name: "ack-at-plan", Guarantee: "G1", About: "the answer leaves before the step is settled",
			Edits: []Edit{{
				"engine/step.go",
				"	fl.moments.applied = e.moment()\n}\n\nfunc (e *Engine) apply(",
				"	for i := range fl.answers {\n\t\tif a := &fl.answers[i]; a.known == 0 && a.err == nil && !a.p.interactive {\n\t\t\ta.p.ticket.answer(a.result, nil)\n\t\t\ta.p.ticket = newTicket()\n\t\t}\n\t}\n	fl.moments.applied = e.moment()\n}\n\nfunc (e *Engine) apply(",
			}},
		},
		{
			Name: "sync-error-ignored", Guarantee: "G1", About: "a failed sync of the log is taken for a good one, and nothing halts",
			Edits: []Edit{
				{"engine/step.go", "if err := fl.batch.SyncWait(); err != nil {\n\t\t\te.halt(", "if err := fl.batch.SyncWait(); err != nil && false {\n\t\t\te.halt("},
				{"engine/guard.go", "	if err != nil && guarded(g.PathBase(name)) {", "	if err != nil && guarded(g.PathBase(name)) && what != \"sync\" {"},
			},
		},
		{
			Name: "sync-retried", Guarantee: "G1", About: "a failed sync is tried again, and the second time believed",
			Edits: []Edit{{
				"engine/guard.go",
				"func (f guardFile) Sync() error     { return f.fs.check(\"sync\", f.name, f.observed(f.File.Sync)) }\nfunc (f guardFile) SyncData() error { return f.fs.check(\"sync\", f.name, f.observed(f.File.SyncData)) }",
				"func (f guardFile) Sync() error {\n\tif f.File.Sync() == nil {\n\t\treturn nil\n\t}\n\treturn f.fs.check(\"sync\", f.name, f.File.Sync())\n}\nfunc (f guardFile) SyncData() error {\n\tif f.File.SyncData() == nil {\n\t\treturn nil\n\t}\n\treturn f.fs.check(\"sync\", f.name, f.File.SyncData())\n}",
			}},
		},
		{
			Name: "directory-not-synced", Guarantee: "G1", About: "directory syncs are skipped, so new files lose their names in a crash",
			Edits: []Edit{{
				"engine/guard.go",
				"func (d guardDir) Sync() error {\n\terr := d.File.Sync()",
				"func (d guardDir) Sync() error {\n\tvar err error",
			}},
		},
	}
}

// visibility are mistakes about who may see what is not durable yet.
func visibility() []Bug {
	return []Bug{
		{
			Name: "read-before-durable", Guarantee: "G4", About: "commits are published when they are planned, not when they are durable",
			Edits: []Edit{
				{"engine/step.go", "		c.hash = e.planner.head.hash\n\t}", "		c.hash = e.planner.head.hash\n\t}\n\te.published.Store(uint64(e.planner.head.ts))"},
				{"engine/step.go", "	assertf(c.ts <= e.planner.head.ts && c.ts > e.Published()", "	assertf(c.ts <= e.planner.head.ts && c.ts >= e.Published()"},
			},
		},
		{
			Name: "newest-version-read", Guarantee: "G4", About: "a read takes a key's newest version, whether it is published or not",
			Edits: []Edit{{"engine/read.go", "		if row.CommitTS <= s.ts {\n			rec.fill", "		if row.CommitTS <= s.ts+1 {\n			rec.fill"}},
		},
		{
			Name: "version-read-unpublished", Guarantee: "G4", About: "reading a version by its number does not look whether it is published",
			Edits: []Edit{{"engine/read.go", "if body == nil || v == 0 || row.CommitTS > e.Published() {", "if body == nil || v == 0 {"}},
		},
		{
			Name: "outcome-before-durable", Guarantee: "G4", About: "a transaction is called committed while a crash can still take it back",
			Edits: []Edit{{"engine/outcome.go", "if err == nil && found && o.CommitTS <= e.Published() {", "if err == nil && found {"}},
		},
		{
			Name: "refusal-before-durable", Guarantee: "G4", About: "a refusal that rests on commits not yet durable leaves before they are",
			Edits: []Edit{{
				"engine/step.go",
				"	fl.moments.applied = e.moment()\n}\n\nfunc (e *Engine) apply(",
				"	for i := range fl.answers {\n\t\tif a := &fl.answers[i]; a.err != nil && !a.p.interactive {\n\t\t\ta.p.ticket.answer(a.result, a.err)\n\t\t\ta.p.ticket = newTicket()\n\t\t}\n\t}\n	fl.moments.applied = e.moment()\n}\n\nfunc (e *Engine) apply(",
			}},
		},
	}
}
