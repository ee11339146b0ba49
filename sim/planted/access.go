package planted

// accesses are mistakes about who may do what.
func accesses() []Bug {
	return []Bug{
		{
			Name: "revoked-key-writes", Guarantee: "G10", About: "a key that was revoked goes on doing what it may", Unseen: noHistory,
			Edits: []Edit{
				{"server/access/control.go", "	case e.ended(now) != \"\":\n		return nil, e.refusal(now)\n	}\n	return &Caller", "	case e.ended(now) != \"\" && e.Revoked.IsZero():\n		return nil, e.refusal(now)\n	}\n	return &Caller"},
				{"server/access/control.go", "		case e.ended(now) != \"\":\n			return nil, unauthenticated(e.refusal(now))\n		case !e.live(", "		case e.ended(now) != \"\" && e.Revoked.IsZero():\n			return nil, unauthenticated(e.refusal(now))\n		case !e.live("},
			},
		},
		{
			Name: "revoked-until-restart", Guarantee: "G10", About: "a revocation is written, and what is in memory stays until the next start", Unseen: noHistory,
			Edits: []Edit{{"server/access/manage.go", "	if err := c.reload(); err != nil {\n		c.table", "	if keys, err := readKeys(c.store); err == nil && len(keys) == len(c.table.Load().keys) {\n		return\n	}\n	if err := c.reload(); err != nil {\n		c.table"}},
		},
		{
			Name: "revocation-in-memory", Guarantee: "G10", About: "a revocation holds until the next start: it is not written", Unseen: noHistory,
			Edits: []Edit{{"server/access/manage.go", "		key.Revoked = now\n		return []engine.SystemChange{key.change()}, nil\n", "		id := key.ID\n		c.table.Store(newTable(slices.DeleteFunc(slices.Clone(c.table.Load().keys), func(k *Key) bool { return k.ID == id })))\n		return nil, nil\n"}},
		},
		{
			Name: "prefix-matches-shorter", Guarantee: "G10", About: "a scope on a prefix covers the namespaces that are the beginning of it, too", Unseen: noHistory,
			Edits: []Edit{{"server/access/scope.go", "s.Prefix && strings.HasPrefix(namespace, s.Namespace)", "s.Prefix && (strings.HasPrefix(namespace, s.Namespace) || strings.HasPrefix(s.Namespace, namespace))"}},
		},
		{
			Name: "read-is-write", Guarantee: "G10", About: "whoever may read a namespace may write to it", Unseen: noHistory,
			Edits: []Edit{{"server/access/scope.go", "		if s.Permission >= p && s.covers(namespace) {", "		if s.Permission+1 >= p && s.covers(namespace) {"}},
		},
		{
			Name: "stream-not-checked-again", Guarantee: "G10", About: "a watch of a key that was revoked goes on", Unseen: noHistory,
			Edits: []Edit{
				{"server/access/streams.go", "		if err := c.Holds(o.caller); err != nil {", "		if err := c.Holds(o.caller); err != nil && o.caller == nil {"},
				{"server/interceptors.go", "		if err := p.service.access.Holds(caller); err != nil {", "		if err := p.service.access.Holds(caller); err != nil && p.method == \"\" {"},
			},
		},
		{
			Name: "rotated-secret-goes-on", Guarantee: "G10", About: "a secret that was rotated away without overlap goes on working", Unseen: noHistory,
			Edits: []Edit{{"server/access/manage.go", "		if overlap > 0 {\n			latest.Expires = now.Add(overlap)\n			key.Secrets = []Secret{latest}\n		}\n", "		if overlap > 0 {\n			latest.Expires = now.Add(overlap)\n		}\n		key.Secrets = []Secret{latest}\n"}},
		},
		{
			Name: "batch-checks-first", Guarantee: "G10", About: "of the names of a batch only the first is asked about", Unseen: noHistory,
			Edits: []Edit{{"server/gate/rules.go", "	return each(may, access.Read, req.(*pb.BatchGetStateRequest).GetNames())\n", "	names := req.(*pb.BatchGetStateRequest).GetNames()\n	return each(may, access.Read, names[:min(len(names), 1)])\n"}},
		},
		{
			Name: "transact-checks-first", Guarantee: "G10", About: "of the operations of a Transact only the first is asked about", Unseen: noHistory,
			Edits: []Edit{{"server/gate/rules.go", "		each(may, access.Write, r.GetOperations()),\n", "		each(may, access.Write, r.GetOperations()[:min(len(r.GetOperations()), 1)]),\n"}},
		},
		{
			Name: "act-without-entry", Guarantee: "G10", About: "what an operator does to keys is not in the audit log", Unseen: noHistory,
			Edits: []Edit{{"server/access/manage.go", "			return append(changes, entry...), err\n", "			if decide != nil {\n				return changes, err\n			}\n			return append(changes, entry...), err\n"}},
		},
		{
			Name: "audit-chain-not-kept", Guarantee: "G8", About: "an entry of the audit log does not rest on the one before", Unseen: noHistory,
			Edits: []Edit{{"server/access/audit.go", "		head = end{e.Number, chained(head.Hash, text)}\n", "		head = end{e.Number, chained(Hash{}, text)}\n"}},
		},
	}
}
