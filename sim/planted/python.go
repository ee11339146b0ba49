package planted

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// pythons are mistakes of the Python SDK. Those in what is common to its two clients are tried
// with both.
func pythons() []Bug {
	list := slices.Concat(pythonCommits(), pythonRuns(), pythonLists(), pythonStreams(), pythonReads(), pythonHolds())
	for i := range list {
		list[i].Unseen = noHistory
	}
	return list
}

const (
	pyCalls      = "python/statehouse/_calls.py"
	pyTxn        = "python/statehouse/_steps/txn.py"
	pyTxnReads   = "python/statehouse/_steps/txnreads.py"
	pyRunning    = "python/statehouse/_steps/running.py"
	pyReads      = "python/statehouse/_steps/reads.py"
	pyFeeds      = "python/statehouse/_steps/feeds.py"
	pyWrites     = "python/statehouse/_steps/writes.py"
	pyOperations = "python/statehouse/_steps/operations.py"
)

// pythonCommits are about what is sent again, and what is told when it is not.
func pythonCommits() []Bug {
	const again = "                else:\n                    tries += 1\n                    continue\n"
	retried := func(more string) []Edit {
		return []Edit{{pyCalls, again, "                else:\n" + more + "                    tries += 1\n                    continue\n"}}
	}
	return []Bug{
		{
			Name: "python-fresh-id", Guarantee: "G6", About: "transact is sent again under a fresh id",
			Edits: retried("                    if not begun:\n                        request.txn_id = new_txn_id()\n"),
		},
		{
			Name: "python-expected-dropped", Guarantee: "G3", About: "transact is sent again without the versions that it expects",
			Edits: retried("                    for op in getattr(request, \"operations\", ()):\n                        op.ClearField(\"expected_version\")\n"),
		},
		{
			Name: "python-heads-dropped", Guarantee: "G3", About: "of several expected heads only the first is sent",
			Edits: []Edit{{pyWrites, "    return keys, heads\n", "    return keys, heads[:1]\n"}},
		},
		{
			Name: "python-new-not-expected", Guarantee: "G3", About: "that a record must not exist is not sent",
			Edits: []Edit{{pyOperations, "        return check.optional_count(\"expected_version\", operation.expected_version)",
				"        return check.optional_count(\"expected_version\", operation.expected_version) or None"}},
		},
		{
			Name: "python-doubt-told-definite", Guarantee: "G6", About: "a commit whose answer was lost is told to be certainly not applied",
			Edits: []Edit{{pyCalls, "            if doubt and not isinstance(failed, DECIDES):", "            if doubt and isinstance(failed, errors.OutcomeUnknown):"}},
		},
		{
			Name: "python-definite-told-doubt", Guarantee: "G6", About: "a commit that was certainly not sent is told to be perhaps applied",
			Edits: []Edit{{pyCalls, "            if doubt and not isinstance(failed, DECIDES):", "            if not isinstance(failed, DECIDES):"}},
		},
		{
			Name: "python-gives-up", Guarantee: "G9", About: "a commit in doubt is not sent again",
			Edits: []Edit{{pyCalls, "                _passing(failed, doubt)\n", "                _passing(failed, doubt) and not doubt\n"}},
		},
		{
			Name: "python-versions-mixed-up", Guarantee: "G6", About: "a batch's versions are told of other writes",
			Edits: []Edit{{pyOperations, "        numbers = list(response.versions)\n", "        numbers = list(response.versions[::-1])\n"}},
		},
	}
}

// pythonRuns are about a function that is run in transactions.
func pythonRuns() []Bug {
	return []Bug{
		{
			Name: "python-rerun-in-doubt", Guarantee: "G6", About: "run_transaction runs a function again when its commit was not answered",
			Edits: []Edit{{pyTxn, "self._caller.commit(\n                \"Transact\",\n                request,\n                self.txn_id,\n                begun=False,\n                until=self._deadline,\n                doubt=self._doubt,\n            )", "self._caller.call_once(\"Transact\", request)"}},
		},
		{
			Name: "python-conflict-swallowed", Guarantee: "G1", About: "run_transaction takes a conflict for the end of its work",
			Edits: []Edit{{pyRunning, "            if not txn._worth_repeating(failed):  # noqa: SLF001\n", "            if isinstance(failed, errors.ConflictError):\n                return None\n            if not txn._worth_repeating(failed):  # noqa: SLF001\n"}},
		},
		{
			Name: "python-conflict-not-rerun", Guarantee: "G9", About: "run_transaction does not run a function again after a conflict",
			Edits: []Edit{{pyTxn, "(errors.ConflictError, errors.TransactionNotFound, errors.EpochChanged)", "(errors.TransactionNotFound, errors.EpochChanged)"}},
		},
		{
			Name: "python-failed-run-committed", Guarantee: "G2", About: "what a function wrote before it failed is committed",
			Edits: []Edit{{pyRunning, "        if txn._outcome is None:  # noqa: SLF001\n            yield from txn._give_up()", "        if txn._outcome is None:  # noqa: SLF001\n            yield from txn._commit()"}},
		},
		{
			Name: "python-failed-block-committed", Guarantee: "G2", About: "a block of a transaction that an exception leaves is committed",
			Edits: []Edit{{pyTxn, "        if failing:\n            yield from self._give_up()\n            return\n", ""}},
		},
		{
			Name: "python-conditions-of-commit-lost", Guarantee: "G3", About: "the conditions on keys of a transaction are not sent",
			Edits: []Edit{{pyTxn, "[*self._staged.conditions(), *keys]", "self._staged.conditions()"}},
		},
	}
}

// pythonLists are about the pages of a list.
func pythonLists() []Bug {
	const ask = "        response = yield from ask(method, request)\n        page = list(items(response))\n"
	return []Bug{
		{
			Name: "python-page-error-swallowed", Guarantee: "G3", About: "an error on a later page ends the list as if it were complete",
			Edits: []Edit{{pyReads, ask, "        try:\n            response = yield from ask(method, request)\n        except errors.StatehouseError:\n            if request.page_token:\n                return\n            raise\n        page = list(items(response))\n"}},
		},
		{
			Name: "python-page-skips-first", Guarantee: "G3", About: "the first item of each later page is passed over",
			Edits: []Edit{{pyReads, ask, ask + "        page = page[bool(request.page_token) :]\n"}},
		},
		{
			Name: "python-limit-per-page", Guarantee: "G3", About: "a list's limit is a page's",
			Edits: []Edit{{pyReads, "            left -= len(page)\n", "            left -= 0\n"}},
		},
		{
			Name: "python-list-ends-at-a-failure", Guarantee: "G3", About: "a whole list ends where a request for a page failed first",
			Edits: []Edit{{pyReads, "                step = feed.throw(failed)\n", "                del failed\n                return out\n"}},
		},
		{
			Name: "python-iterator-ends-at-a-failure", Guarantee: "G3", About: "an iterator ends where a request failed first",
			Edits: []Edit{
				{"python/statehouse/_sync/transport.py", "                    step = feed.throw(failed)\n", "                    del failed\n                    return\n"},
				{"python/statehouse/_aio/transport.py", "                    step = feed.throw(failed)\n", "                    del failed\n                    return\n"},
			},
		},
		{
			Name: "python-reverse-lost", Guarantee: "G3", About: "keys from last to first come from first to last",
			Edits: []Edit{{pyReads, "            prefix=check.text(\"prefix\", prefix),\n            reverse=check.flag(\"reverse\", reverse),", "            prefix=check.text(\"prefix\", prefix),\n            reverse=check.flag(\"reverse\", reverse) and False,"}},
		},
	}
}

// pythonStreams are about where a stream goes on that broke.
func pythonStreams() []Bug {
	return []Bug{
		{
			Name: "python-watch-skips", Guarantee: "G5", About: "a watch that breaks resumes one commit too far",
			Edits: []Edit{{pyFeeds, "            self.request.after_ts = self.cursor\n", "            self.request.after_ts = self.cursor + self.request.HasField(\"after_ts\")\n"}},
		},
		{
			Name: "python-watch-repeats", Guarantee: "G5", About: "a watch that breaks shows its last event again",
			Edits: []Edit{
				{pyFeeds, "            self.request.after_ts = self.cursor\n", "            again = self.request.HasField(\"after_ts\") and self.cursor > 0\n            self.request.after_ts = self.cursor - again\n"},
				{pyFeeds, "message.commit_ts <= self.cursor:", "message.commit_ts < self.cursor:"},
			},
		},
		{
			Name: "python-empty-batch-moves", Guarantee: "G5", About: "a message without events moves the cursor one commit too far",
			Edits: []Edit{{pyFeeds, "        self.cursor = batch.cursor\n", "        self.cursor = batch.cursor + (not batch.events)\n"}},
		},
		{
			Name: "python-broken-replay-ends", Guarantee: "G5", About: "a replay that breaks ends as if it had come to its end",
			Edits: []Edit{{pyFeeds, "                if self.over():\n                    return\n", "                if self.over() or (not self.endless and failed):\n                    return\n"}},
		},
		{
			Name: "python-broken-watch-ends", Guarantee: "G5", About: "a watch that breaks is over without an error",
			Edits: []Edit{{pyFeeds, "                if self.over():\n                    return\n", "                if self.over() or (self.endless and failed):\n                    return\n"}},
		},
	}
}

// pythonReads are about what is asked, and how an answer is told.
func pythonReads() []Bug {
	return []Bug{
		{
			Name: "python-as-of-lost", Guarantee: "G3", About: "get_many as of a commit reads the present",
			Edits: []Edit{{pyReads, "names=batch, encoding=NATIVE, at=at, min", "names=batch, encoding=NATIVE, min"}},
		},
		{
			Name: "python-batch-outside", Guarantee: "G3", About: "get_many in a transaction reads outside of it",
			Edits: []Edit{
				{pyTxnReads, "            if at is not None and not pinned:\n", "            if at is not None and not pinned and method != \"BatchGetState\":\n"},
				{pyTxnReads, "                if self._reads.snapshot == response.read_ts:\n", "                if self._reads.snapshot == response.read_ts or method == \"BatchGetState\":\n"},
			},
		},
		{
			Name: "python-other-namespace", Guarantee: "G3", About: "get_many looks for a record of another namespace in the client's own",
			Edits: []Edit{{pyReads, "namespace=space if named.namespace is None else self._caller.namespace(named.namespace),", "namespace=space,"}},
		},
		{
			Name: "python-as-of-cut-short", Guarantee: "G3", About: "a time is taken for the first nanosecond that it means",
			Edits: []Edit{{"python/statehouse/_times.py", "        seconds, _, nanos = instant(point, field)\n", "        seconds, nanos, _ = instant(point, field)\n"}},
		},
	}
}

// Lay copies the Python SDK, and the programs that use it, into a folder, with the bug in it.
func (b *Bug) Lay(root, dir string) error {
	texts, err := b.Apply(root)
	if err != nil {
		return err
	}
	for _, part := range []string{"statehouse", filepath.Join("tests", "intents")} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(root, "python", part))); err != nil {
			return fmt.Errorf("bug %s: %w", b.Name, err)
		}
	}
	for file, text := range texts { // each on its own: order cannot matter
		name, err := filepath.Rel("python", file)
		if err != nil {
			return fmt.Errorf("bug %s: %w", b.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("bug %s: %w", b.Name, err)
		}
	}
	return nil
}
