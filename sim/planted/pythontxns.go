package planted

// pythonHolds are about transactions that the Python SDK holds: what they see of their own
// writes, and what they say to have read.
func pythonHolds() []Bug {
	const (
		saw   = "        self._saw(name, response.version)\n        return record("
		own   = "        if own is not None:\n            return self._shown(own)\n"
		again = "                else:\n                    tries += 1\n                    continue\n"
	)
	return []Bug{
		{
			Name: "python-read-left-out", Guarantee: "G3", About: "a record that get_state reads is not in the read set",
			Edits: []Edit{{pyTxnReads, saw, "        return record("}},
		},
		{
			Name: "python-absence-left-out", Guarantee: "G3", About: "of what get_many reads only what is there is in the read set",
			Edits: []Edit{{pyTxnReads, "        for name, (state, _) in zip(others, states):\n            self._saw(name, state.version)\n",
				"        for name, (state, _) in zip(others, states):\n            if state.exists:\n                self._saw(name, state.version)\n"}},
		},
		{
			Name: "python-stretch-of-one-page", Guarantee: "G3", About: "of a list only the first page is in the read set",
			Edits: []Edit{{pyTxnReads, "yield Items(self._handed_out(stretch, page, whole=not (more or cut)))",
				"noted = self._handed_out(stretch, page, whole=not (more or cut))\n            yield Items(page if request.page_token else noted)"}},
		},
		{
			Name: "python-stretch-without-its-end", Guarantee: "G3", About: "a list to its end is in the read set up to its last key",
			Edits: []Edit{{pyTxnReads, "        if whole:\n", "        if whole and not page:\n"}},
		},
		{
			Name: "python-later-snapshot", Guarantee: "G3", About: "a transaction reads each time what is there by then",
			Edits: []Edit{
				{pyTxnReads, "            if at is not None and not pinned:\n                request.at.commit_ts = at\n", ""},
				{pyTxnReads, "                if self._reads.snapshot is None:\n                    self._reads.snapshot", "                if not pinned:\n                    self._reads.snapshot"},
				{pyTxnReads, "            if at is not None or pinned:\n                raise errors.broken(", "            if pinned:\n                raise errors.broken("},
			},
		},
		{
			Name: "python-own-taken-for-read", Guarantee: "G4", About: "a transaction that reads its own write says to have read that the record was never written",
			Edits: []Edit{{pyTxnReads, own, "        if own is not None:\n            self._saw(name, 0)\n            return self._shown(own)\n"}},
		},
		{
			Name: "python-own-not-seen", Guarantee: "G3", About: "get_state in a transaction does not see its writes",
			Edits: []Edit{{pyTxnReads, own, ""}},
		},
		{
			Name: "python-own-delete-not-seen", Guarantee: "G3", About: "a list in a transaction shows what it has deleted",
			Edits: []Edit{{pyTxnReads, "                stored.pop(key, None)\n", "                continue\n"}},
		},
		{
			Name: "python-own-on-each-page", Guarantee: "G3", About: "a list in a transaction shows its writes on each page",
			Edits: []Edit{{pyTxnReads, "            if (first and key < first) or (last and key > last) or key == after:\n                continue\n", ""}},
		},
		{
			Name: "python-sent-again-without-reads", Guarantee: "G6", About: "a transaction is sent again without what it has read",
			Edits: []Edit{{pyCalls, again, "                else:\n                    if until is not None and request.HasField(\"reads\"):\n                        request.ClearField(\"reads\")\n                        del request.key_preconditions[-1]\n                    tries += 1\n                    continue\n"}},
		},
		{
			Name: "python-condition-replaced", Guarantee: "G3", About: "a write in the place of another takes away the version that this one expected",
			Edits: []Edit{{"python/statehouse/_steps/staged.py", "        if not expects:\n            new.expected_version = old.expected_version\n        elif", "        if expects and"}},
		},
	}
}
