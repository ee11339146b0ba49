"""Deleting, pruning and copying threads."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Union

from statehouse import (
    Delete,
    DeletePrefix,
    F,
    KeyPrecondition,
    PreconditionFailed,
    ResourceExhausted,
    UsageError,
    Write,
)
from statehouse.langgraph._asking import Steps, ask, ask_all
from statehouse.langgraph._history import History
from statehouse.langgraph._layout import (
    DELETED,
    Saved,
    Thread,
    is_checkpoint,
    number_of,
    saved,
    unquoted,
    whole_key,
)
from statehouse.langgraph._listing import Listing
from statehouse.langgraph._writing import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from statehouse import Record

_Operation = Union[Delete, DeletePrefix, Write]


class Upkeep(History, Listing):
    """Steps that delete and copy."""

    def _delete_thread(self, thread_id: str) -> Steps[None]:
        agent = self._named(thread_id, "").agent
        self._memory.forget(agent)
        try:
            yield from ask("delete_agent", agent)
        except ResourceExhausted:  # more keys than one commit may change
            keys = yield from ask("list_keys", agent, reverse=True)
            for at in range(0, len(keys), OPERATIONS):
                batch = [Delete(agent, key) for key in keys[at : at + OPERATIONS]]
                yield from ask("transact", batch)

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Steps[None]:
        if not run_ids:
            return
        wanted = set(map(str, run_ids))
        found = yield from ask_all(
            "find", None, F("/metadata/run_id").in_(sorted(wanted)), prefix="c/", values=False
        )
        threads = {
            self._named(record.agent_id[len(self._prefix) :], unquoted(record.key.split("/")[1]))
            for record in found
            if record.agent_id.startswith(self._prefix)
        }
        for thread in sorted(threads, key=lambda thread: (thread.agent, thread.namespace)):
            yield from self._drop(thread, run_ids=wanted)

    def _prune(self, thread_ids: Sequence[str], strategy: str) -> Steps[None]:
        if isinstance(thread_ids, str):
            raise TypeError("thread_ids is a sequence of ids, not one of them")
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"the strategy {strategy!r} is neither 'keep_latest' nor 'delete'")
        for thread_id in thread_ids:
            if strategy == "delete":
                yield from self._delete_thread(thread_id)
                continue
            for thread in (yield from self._namespaces(str(thread_id))):
                yield from self._drop(thread, run_ids=None)

    def _drop(self, thread: Thread, run_ids: set[str] | None) -> Steps[None]:
        """Drops the checkpoints of runs, or all but the latest and what that needs, with the
        values and writes that no other one has. It begins again when one is put meanwhile.
        """
        while True:
            self._memory.forget(thread.agent)
            records = yield from ask_all("scan_prefix", thread.agent, thread.checkpoints)
            found = [saved(record) for record in records if is_checkpoint(record)]
            if not found:
                return
            kept = _needed(found) if run_ids is None else _of_others(found, run_ids)
            try:
                yield from self._drop_but(thread, records, {one.number: one for one in kept})
            except PreconditionFailed:
                continue
            return

    def _drop_but(
        self, thread: Thread, records: list[Record], kept: dict[int, Saved]
    ) -> Steps[None]:
        """Drops from the latest downwards, as many at once as fit into a commit, each on the
        condition that the latest is still the latest; then the values that are left over.
        """
        versions = {number_of(record): record.version for record in records}
        drops = [
            (number_of(record), operations)
            for record in reversed(records)
            if (operations := self._dropping(thread, record, kept))
        ]
        size = OPERATIONS // 4
        while drops:
            batch = drops[:size]
            try:
                yield from self._commit_drops(
                    thread, versions, [op for _, ops in batch for op in ops]
                )
            except ResourceExhausted:
                if size == 1:
                    raise
                size = max(1, size // 8)  # they have many writes
                continue
            drops = drops[size:]
            for number, _ in batch:
                del versions[number]
        used = {
            thread.value(channel, version)
            for one in kept.values()
            for channel, version in one.versions().items()
        }
        keys = yield from ask("list_keys", thread.agent, thread.values)
        unused = [Delete(thread.agent, key) for key in keys if whole_key(key) not in used]
        for at in range(0, len(unused), OPERATIONS):
            yield from self._commit_drops(thread, versions, unused[at : at + OPERATIONS])

    def _dropping(self, thread: Thread, record: Record, kept: dict[int, Saved]) -> list[_Operation]:
        """What is to be done with a checkpoint, or what is left of one."""
        number = number_of(record)
        if number in kept:
            return []
        key = thread.checkpoint(number)
        stays = (number == 1 or number - 1 in kept) and number < max(kept, default=0)
        if not is_checkpoint(record):
            return [] if stays else [Delete(thread.agent, key)]
        checkpoint_id = saved(record).id
        return [
            Write(thread.agent, key, DELETED) if stays else Delete(thread.agent, key),
            DeletePrefix(thread.agent, thread.writes(checkpoint_id)),
            Delete(thread.agent, thread.index(checkpoint_id)),
        ]

    def _commit_drops(
        self, thread: Thread, versions: dict[int, int], operations: Sequence[_Operation]
    ) -> Steps[None]:
        latest = max(versions, default=0)
        conditions = [KeyPrecondition(thread.agent, thread.checkpoint(latest + 1), 0)]
        if latest:
            key = thread.checkpoint(latest)
            conditions.append(KeyPrecondition(thread.agent, key, versions[latest]))
        yield from ask("transact", operations, preconditions=conditions)

    def _copy_thread(self, source: str, target: str) -> Steps[None]:
        """Forks the thread's agent, which copies no bytes."""
        of, to = self._named(source, ""), self._named(target, "")
        if (yield from ask("get_agent", of.agent)) is None:
            return
        try:
            yield from ask("fork", of.agent, to.agent)
        except PreconditionFailed as error:
            raise UsageError(
                f"thread {target!r} exists, or existed: copy thread {source!r} to an id that was"
                " never used"
            ) from error


def _of_others(found: list[Saved], run_ids: set[str]) -> list[Saved]:
    return [one for one in found if str(one.metadata.get("run_id")) not in run_ids]


def _needed(found: list[Saved]) -> list[Saved]:
    """The latest checkpoint, and those before it that its delta channels are put together from:
    all since the last one that has a value of the channel.
    """
    by_id = {one.id: one for one in found}
    latest = found[-1]
    counters = latest.metadata.get("counters_since_delta_snapshot") or {}
    missing = set(counters) - set(latest.body["values"])
    kept = defaultdict(list)
    at: Saved | None = latest
    while at is not None and at.number not in kept:
        kept[at.number].append(at)
        if not missing:
            break
        at = by_id.get(at.parent) if at.parent else None
        missing -= set(at.body["values"]) if at else set()
    return [ones[0] for _, ones in sorted(kept.items())]
