"""Transcripts of the Claude Agent SDK, with ``pip install "statehouse-sdk[claude-agent]"``.

>>> from claude_agent_sdk import ClaudeAgentOptions
>>> from statehouse import Statehouse
>>> from statehouse.claude_agent import StatehouseSessionStore
>>> store = StatehouseSessionStore(Statehouse("localhost:50051"))
>>> options = ClaudeAgentOptions(session_store=store, resume=session_id)

A session is an agent, ``claude/PROJECT/SESSION``: its transcript is the sequence ``entry/``, that
of a subagent ``sub/SUBPATH/entry/``. The agent ``claude/PROJECT`` has the list of its sessions,
with their summaries. Each call is one commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from statehouse._adapters import items, names, needs
from statehouse._adapters.deleting import delete
from statehouse.errors import InvalidArgument
from statehouse.operations import Delete

try:
    import anyio.to_thread
    from claude_agent_sdk import (
        SessionKey,
        SessionListSubkeysKey,
        SessionStore,
        SessionStoreEntry,
        SessionStoreListEntry,
        SessionSummaryEntry,
        fold_session_summary,
    )
except ImportError as missing:
    raise needs("claude-agent", missing) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse import Record, Statehouse, Txn

__all__ = ["StatehouseSessionStore"]

#: Entries of a commit; a larger batch, which only an import has, is several.
_BATCH = 1000


class StatehouseSessionStore(SessionStore):
    """A session store of the Claude Agent SDK: what a session said is there after the machine
    that it ran on is gone.

    ``client``
        A blocking client; calls run in threads. Its namespace is where the sessions are.
    ``prefix``
        What the names of agents begin with.
    ``metadata``
        Stays with each commit: who did it, why…

    An entry with a ``uuid`` is appended once, however often, and by how many processes, it is
    handed over; what two processes append to one session is there in the order of their commits.
    All methods raise what the client's raise: see :mod:`statehouse.errors`.
    """

    def __init__(
        self,
        client: Statehouse,
        *,
        prefix: str = "claude/",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._metadata = dict(metadata or {})

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Appends entries to a transcript, without those whose ``uuid`` it has."""
        place = _Place(self._prefix, key)
        for at in range(0, len(entries), _BATCH):
            await anyio.to_thread.run_sync(self._append, place, key, entries[at : at + _BATCH])

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """Reads a transcript, as it was at one commit; None when there is none."""
        return await anyio.to_thread.run_sync(self._load, _Place(self._prefix, key))

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """Lists a project's sessions, and when the transcript of each was last appended to."""
        return [
            {"session_id": summary["session_id"], "mtime": summary["mtime"]}
            for summary in await self.list_session_summaries(project_key)
        ]

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """Lists a project's sessions with what the SDK shows of them, by one read."""
        return await anyio.to_thread.run_sync(self._summaries, project_key)

    async def delete(self, key: SessionKey) -> None:
        """Deletes a session with its subagents' transcripts, or with a ``subpath`` that one."""
        await anyio.to_thread.run_sync(self._delete, _Place(self._prefix, key))

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """Lists the subpaths of a session that have a transcript."""
        place = _Place(self._prefix, cast("SessionKey", key))
        return await anyio.to_thread.run_sync(self._subkeys, place)

    def _append(self, place: _Place, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        packed = items.pack_all(entries)

        def run(tx: Txn) -> None:
            # All markers are read, so that two who append one entry conflict, and one of them
            # comes again and finds it.
            uuids = [place.marker(entry) for entry in entries]
            asked = [uuid for uuid in dict.fromkeys(uuids) if uuid is not None]
            there = dict(zip(asked, tx.get_many(place.agent, asked)))
            new: list[SessionStoreEntry] = []
            for entry, uuid, one in zip(entries, uuids, packed):
                if uuid is not None:
                    if there[uuid] is not None:
                        continue
                    tx.write(place.agent, uuid, {})
                    there[uuid] = _STAGED
                tx.append(place.agent, place.entries, one.value)
                new.append(entry)
            if not new:
                return
            if place.listed is not None:
                tx.put_if_absent(place.agent, place.listed, {"subpath": key["subpath"]})
                return
            record = tx.get_state(place.project, place.summary)
            previous = None if record is None else _summary(record)
            folded = fold_session_summary(previous, key, new)
            value = {"session_id": key["session_id"], "data": folded["data"]}
            tx.write(place.project, place.summary, value)

        items.commit(self._client, {place.agent: packed}, run, self._metadata)

    def _load(self, place: _Place) -> list[SessionStoreEntry] | None:
        records = list(self._client.scan_prefix(place.agent, place.entries))
        values = [record.value for record in records]
        return items.unpack(self._client, place.agent, values) if values else None

    def _summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        project = names.agent(self._prefix, project_key)
        return [_summary(record) for record in self._client.scan_prefix(project, _SESSIONS)]

    def _delete(self, place: _Place) -> None:
        prefixes: tuple[str, ...]
        if place.listed is None:
            prefixes, entry = _ALL, Delete(place.project, place.summary)
        else:
            prefixes, entry = (place.under,), Delete(place.agent, place.listed)
        delete(self._client, place.agent, prefixes, [entry], self._metadata)

    def _subkeys(self, place: _Place) -> list[str]:
        records = self._client.scan_prefix(place.agent, _SUBPATHS)
        return [record.value["subpath"] for record in records]


#: Stands for the marker of an entry that was in the same batch before.
_STAGED: Any = object()
_SESSIONS, _SUBPATHS = "session/", "subpath/"
#: What the keys of a session begin with.
_ALL = ("entry/", "uuid/", "sub/", _SUBPATHS, items.CHUNKS)


class _Place:
    """Where the transcript of a key is."""

    def __init__(self, prefix: str, key: SessionKey) -> None:
        subpath = key.get("subpath")
        if subpath == "":
            raise InvalidArgument("subpath is empty: leave it out for the main transcript")
        self.project = names.agent(prefix, key["project_key"])
        self.summary = _SESSIONS + names.part(key["session_id"])
        self.agent = names.agent(prefix, key["project_key"], key["session_id"])
        self.under = "" if subpath is None else f"sub/{names.part(subpath)}/"
        self.listed = None if subpath is None else _SUBPATHS + names.part(subpath)
        self.entries = f"{self.under}entry/"

    def marker(self, entry: SessionStoreEntry) -> str | None:
        """The key that says that the transcript has an entry; None: it has no identity."""
        uuid = entry.get("uuid")
        return f"{self.under}uuid/{names.part(uuid)}" if isinstance(uuid, str) and uuid else None


def _summary(record: Record) -> SessionSummaryEntry:
    # The clock of list_sessions too, as the SDK compares them.
    mtime = int(record.timestamp.timestamp() * 1000)
    return {"session_id": record.value["session_id"], "mtime": mtime, "data": record.value["data"]}
