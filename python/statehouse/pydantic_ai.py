"""Steps of Pydantic AI agents, with ``pip install "statehouse-sdk[pydantic-ai]"``.

>>> from pydantic_ai import Agent
>>> from pydantic_ai_harness import StepPersistence
>>> from statehouse import Statehouse
>>> from statehouse.pydantic_ai import StatehouseStepStore
>>> store = StatehouseStepStore(Statehouse("localhost:50051"))
>>> agent = Agent("openai:gpt-5", capabilities=[StepPersistence(store=store)])

A run is an agent, ``pydantic-ai/RUN``: events are its sequence ``event/``, snapshots ``snapshot/``,
the messages of all of them ``message/``, each once, and effects of tools are under ``effect/``. The
agent ``pydantic-ai`` has the list of runs. Each call is one commit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, TypeVar

from statehouse._adapters import items, names, needs
from statehouse._adapters.shared import Shared
from statehouse.errors import PreconditionFailed
from statehouse.filters import Condition, F

try:
    import anyio.to_thread
    from pydantic import TypeAdapter
    from pydantic_ai.messages import ModelMessagesTypeAdapter
    from pydantic_ai_harness.step_persistence import (
        ContinuableSnapshot,
        RunRecord,
        StepEvent,
        ToolEffectRecord,
    )
except ImportError as missing:
    raise needs("pydantic-ai", missing) from None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from statehouse import Record, Statehouse, Txn

__all__ = ["RunExists", "StatehouseStepStore"]

T = TypeVar("T")
_RUNS, _EVENTS, _SNAPSHOTS, _EFFECTS = "run/", "event/", "snapshot/", "effect/"
#: How many snapshots more than are kept a save looks at, and so deletes at most.
_PRUNED = 500
#: Of what is to be there once.
_KEYS = "key/"
_RUN, _EVENT = TypeAdapter(RunRecord), TypeAdapter(StepEvent)
_EFFECT, _SNAPSHOT = TypeAdapter(ToolEffectRecord), TypeAdapter(ContinuableSnapshot)


class RunExists(ValueError):
    """There is a run of that id already: an id is for one run."""


class StatehouseStepStore:
    """A step store of the Pydantic AI harness.

    ``client``
        A blocking client; calls run in threads. Its namespace is where the runs are.
    ``prefix``
        What the names of agents begin with.
    ``metadata``
        Stays with each commit: who did it, why…
    ``max_snapshots_per_run``
        Of each run so many snapshots are kept, the last ones, and the last that is complete; None:
        all. What is more is deleted after a save, in a commit of its own. The past of what is
        deleted, and the messages, stay.

    What has an ``idempotency_key`` is there once, however often, and by how many processes, it is
    handed over. Methods raise what the client's raise: see :mod:`statehouse.errors`.
    """

    def __init__(
        self,
        client: Statehouse,
        *,
        prefix: str = "pydantic-ai/",
        metadata: Mapping[str, str] | None = None,
        max_snapshots_per_run: int | None = None,
    ) -> None:
        most = max_snapshots_per_run
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ValueError(f"max_snapshots_per_run must be an int >= 1 or None, not {most!r}")
        self._client = client
        self._prefix = prefix
        self._index = prefix.rstrip("/") or "/"
        self._metadata = dict(metadata or {})
        self._most = most
        self._messages = Shared(client, "message", self._metadata)

    async def register_run(self, record: RunRecord) -> None:
        """Notes that a run begins. Raises :class:`RunExists` when there is one of its id, unless
        it is the very same registration.
        """
        await anyio.to_thread.run_sync(self._register_run, record)

    async def get_run(self, *, run_id: str) -> RunRecord | None:
        """Reads what was noted of a run; None when there is none."""
        return await anyio.to_thread.run_sync(self._get_run, run_id)

    async def list_runs(
        self, *, parent_run_id: str | None = None, conversation_id: str | None = None
    ) -> list[RunRecord]:
        """Lists runs, of a parent and of a conversation if they are given: the first first."""
        return await anyio.to_thread.run_sync(self._list_runs, parent_run_id, conversation_id)

    async def append_event(self, event: StepEvent) -> None:
        """Appends an event of a run, unless it has one of its key."""
        await anyio.to_thread.run_sync(self._append_event, event)

    async def list_events(self, *, run_id: str) -> list[StepEvent]:
        """Reads a run's events, as they were at one commit, in their order."""
        return await anyio.to_thread.run_sync(self._read, _EVENT, run_id, _EVENTS)

    async def save_snapshot(self, snapshot: ContinuableSnapshot) -> None:
        """Saves a snapshot of a run, unless it has one of its key."""
        await anyio.to_thread.run_sync(self._save_snapshot, snapshot)

    async def latest_snapshot(
        self, *, run_id: str, include_interrupted: bool = False
    ) -> ContinuableSnapshot | None:
        """Reads the last snapshot whose tools were all settled, or the last of all."""
        snapshots = await anyio.to_thread.run_sync(
            self._list_snapshots, run_id, include_interrupted, True
        )
        return snapshots[0] if snapshots else None

    async def list_snapshots(
        self, *, run_id: str, include_interrupted: bool = False
    ) -> list[ContinuableSnapshot]:
        """Reads the snapshots of a run in the order in which they were saved."""
        return await anyio.to_thread.run_sync(
            self._list_snapshots, run_id, include_interrupted, False
        )

    async def record_tool_effect(self, record: ToolEffectRecord) -> None:
        """Notes how far a tool's call is, in the place of what was noted of it before."""
        await anyio.to_thread.run_sync(self._record_tool_effect, record)

    async def get_tool_effect(self, *, run_id: str, tool_call_id: str) -> ToolEffectRecord | None:
        """Reads how far a tool's call is; None when it was not noted."""
        key = _EFFECTS + names.part(tool_call_id)
        return await anyio.to_thread.run_sync(self._read_one, _EFFECT, self._agent(run_id), key)

    async def list_unresolved_tool_effects(self, *, run_id: str) -> list[ToolEffectRecord]:
        """Reads the calls of tools that began, and of which it is not known that they ended."""
        return await anyio.to_thread.run_sync(self._unresolved, run_id)

    def _agent(self, run_id: str) -> str:
        return names.agent(self._prefix, run_id)

    def _register_run(self, record: RunRecord) -> None:
        key = _RUNS + names.part(record.run_id)
        [one] = items.pack_all([_RUN.dump_python(record, mode="json")])
        value = {
            **one.value,
            "conversation_id": record.conversation_id,
            "parent_run_id": record.parent_run_id,
        }

        def run(tx: Txn) -> None:
            tx.write(self._index, key, value, expected_version=0)

        try:
            items.commit(self._client, {self._index: [one]}, run, self._metadata)
        except PreconditionFailed:
            there = self._get_run(record.run_id)
            registration = getattr(record, "registration_id", None)
            if registration is None or there != record:
                raise RunExists(f"there is a run {record.run_id!r} already") from None

    def _get_run(self, run_id: str) -> RunRecord | None:
        return self._read_one(_RUN, self._index, _RUNS + names.part(run_id))

    def _list_runs(self, parent: str | None, conversation: str | None) -> list[RunRecord]:
        wanted = {"/parent_run_id": parent, "/conversation_id": conversation}
        where: list[Condition] = [F(at) == id_ for at, id_ in wanted.items() if id_ is not None]
        records = list(self._client.find(self._index, where, prefix=_RUNS))
        return sorted(self._decode(_RUN, self._index, records), key=lambda run: run.started_at)

    def _append_event(self, event: StepEvent) -> None:
        agent = self._agent(event.run_id)
        [one] = items.pack_all([_EVENT.dump_python(event, mode="json")])

        def run(tx: Txn) -> None:
            _claim(tx, agent, _EVENTS, event)
            tx.append(agent, _EVENTS, one.value)

        with _once():
            items.commit(self._client, {agent: [one]}, run, self._metadata)

    def _record_tool_effect(self, record: ToolEffectRecord) -> None:
        agent, key = self._agent(record.run_id), _EFFECTS + names.part(record.tool_call_id)
        [one] = items.pack_all([_EFFECT.dump_python(record, mode="json")])

        def run(tx: Txn) -> None:
            tx.write(agent, key, {**one.value, "status": record.status})

        items.commit(self._client, {agent: [one]}, run, self._metadata)

    def _unresolved(self, run_id: str) -> list[ToolEffectRecord]:
        agent = self._agent(run_id)
        records = list(self._client.find(agent, F("/status") == "started", prefix=_EFFECTS))
        return sorted(self._decode(_EFFECT, agent, records), key=lambda effect: effect.started_at)

    def _save_snapshot(self, snapshot: ContinuableSnapshot) -> None:
        agent = self._agent(snapshot.run_id)
        bare = dataclasses.replace(snapshot, messages=[])
        messages = json.loads(ModelMessagesTypeAdapter.dump_json(snapshot.messages))
        [one] = items.pack_all([_SNAPSHOT.dump_python(bare, mode="json")])
        complete = getattr(snapshot, "state", "complete") == "complete"

        def also(tx: Txn, ranges: list[list[int]]) -> None:
            _claim(tx, agent, _SNAPSHOTS, snapshot)
            value = {**one.value, "ranges": ranges, "complete": complete}
            tx.append(agent, _SNAPSHOTS, value)

        with _once():
            self._messages.save(agent, messages, [one], also)
        if self._most is not None:
            self._client.run_transaction(lambda tx: self._prune(tx, agent), metadata=self._metadata)

    def _prune(self, tx: Txn, agent: str) -> None:
        """Deletes the snapshots that need not be kept. The last stays, so that its number is not
        given again.
        """
        most, complete = self._most or 0, False
        records = tx.scan_prefix(agent, _SNAPSHOTS, reverse=True, limit=most + _PRUNED)
        for at, record in enumerate(list(records)):
            if at >= most and (complete or not record.value["complete"]):
                tx.delete(agent, record.key)
            complete = complete or record.value["complete"]

    def _list_snapshots(
        self, run_id: str, interrupted: bool, only_last: bool
    ) -> list[ContinuableSnapshot]:
        agent = self._agent(run_id)
        limit = 1 if only_last and interrupted else None
        found: list[Record] = []
        for record in self._client.scan_prefix(agent, _SNAPSHOTS, reverse=only_last, limit=limit):
            if interrupted or record.value["complete"]:
                found.append(record)
                if only_last:
                    break
        snapshots = self._decode(_SNAPSHOT, agent, found)
        for record, snapshot in zip(found, snapshots):
            messages = self._messages.load(agent, record.value["ranges"])
            snapshot.messages = ModelMessagesTypeAdapter.validate_json(json.dumps(messages))
        return snapshots

    def _read(self, kind: TypeAdapter[T], run_id: str, prefix: str) -> list[T]:
        agent = self._agent(run_id)
        return self._decode(kind, agent, list(self._client.scan_prefix(agent, prefix)))

    def _read_one(self, kind: TypeAdapter[T], agent: str, key: str) -> T | None:
        record = self._client.get_state(agent, key)
        return None if record is None else self._decode(kind, agent, [record])[0]

    def _decode(self, kind: TypeAdapter[T], agent: str, records: list[Record]) -> list[T]:
        values = items.unpack(self._client, agent, [record.value for record in records])
        return [kind.validate_python(value) for value in values]


def _claim(tx: Txn, agent: str, prefix: str, thing: StepEvent | ContinuableSnapshot) -> None:
    """Claims the key of an event or snapshot; the commit is refused when it was claimed before."""
    key = getattr(thing, "idempotency_key", None)  # which older versions have not
    if key is not None:
        tx.write(agent, f"{_KEYS}{prefix}{names.part(key)}", {}, expected_version=0)


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Takes it for done when what is committed claims a key that was claimed before."""
    try:
        yield
    except PreconditionFailed as failed:
        if not (failed.key or "").startswith(_KEYS):
            raise
