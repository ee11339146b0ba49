"""Putting checkpoints, each in one commit, and the writes that wait for the next."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import get_serializable_checkpoint_metadata

from statehouse import Append, KeyPrecondition, PreconditionFailed, Write
from statehouse.langgraph._asking import Steps, ask
from statehouse.langgraph._layout import (
    GUESSED,
    UNWRITTEN,
    Saved,
    Thread,
    body,
    content_type,
    copied,
    number_at,
    part_key,
    parts_of,
    value_writes,
)
from statehouse.langgraph._owning import Place, ThreadConflict
from statehouse.langgraph._reading import (
    Reading,
    config_of,
    guesses,
    place_of,
    write_index,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata

#: Bytes and operations of one commit; the daemon takes 3.5 MiB and 5,000 unless it is told
#: otherwise.
_BYTES = 2_500_000
OPERATIONS = 4_000


class Writing(Reading):
    """Steps that write."""

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        thread = self._thread(config)
        parent = config["configurable"].get("checkpoint_id") or None
        said: Any = get_serializable_checkpoint_metadata(config, metadata)
        made = body(dict(checkpoint), dict(said), parent)
        values = [
            write
            for channel, version in new_versions.items()
            if channel in made["values"]
            for write in value_writes(
                self.serde,
                thread.agent,
                thread.value(channel, version),
                checkpoint["channel_values"][channel],
            )
        ]
        base = self._memory.base(thread, parent)
        if base is None:
            base = yield from self._unread(thread, parent, checkpoint["id"])
        ahead = yield from self._ahead(thread, values)
        values = values[len(ahead) :]
        try:
            yield from self._commit(thread, base, made, values, ahead)
        except PreconditionFailed as error:
            yield from self._refused(thread, made, values, ahead, error)
        return config_of(thread, checkpoint["id"])

    def _unread(self, thread: Thread, parent: str | None, checkpoint_id: str) -> Steps[Place]:
        """Reads the latest checkpoint for whoever has not. A checkpoint may follow that one, or
        none, or be that one, put again; to begin a branch one has to read first.
        """
        latest = yield from self._latest(thread)
        if latest is not None and parent and latest.id not in (parent, checkpoint_id):
            raise ThreadConflict(thread, latest.id, None)
        return place_of(latest)

    def _ahead(self, thread: Thread, values: list[Write]) -> Steps[list[KeyPrecondition]]:
        """Writes what does not fit into one commit before it. Nothing refers to that yet, and the
        commit is refused if it is deleted meanwhile.
        """
        written: list[KeyPrecondition] = []
        rest = sum(len(write.value) for write in values)
        while rest > _BYTES:
            batch: list[Write] = []
            size = 0
            while rest and (not batch or size + len(values[len(written)].value) <= _BYTES):
                write = values[len(written)]
                batch.append(write)
                size += len(write.value)
                rest -= len(write.value)
                written.append(KeyPrecondition(thread.agent, write.key, 0))
            commit = yield from ask("transact", batch)
            for at, version in enumerate(commit.versions, len(written) - len(batch)):
                written[at] = KeyPrecondition(thread.agent, version.key, version.version)
        return written

    def _commit(
        self,
        thread: Thread,
        base: Place,
        made: dict[str, Any],
        values: list[Write],
        conditions: list[KeyPrecondition],
    ) -> Steps[None]:
        """Commits what is one checkpoint; first as one that nothing was written to yet."""
        unwritten = KeyPrecondition(thread.agent, guesses(thread, made["id"])[0], 0)
        try:
            first = {**made, UNWRITTEN: True}
            yield from self._commit_as(thread, base, first, values, [*conditions, unwritten])
        except PreconditionFailed as error:
            if error.key != unwritten.key:
                raise
            yield from self._commit_as(thread, base, made, values, conditions)

    def _commit_as(
        self,
        thread: Thread,
        base: Place,
        made: dict[str, Any],
        values: list[Write],
        conditions: list[KeyPrecondition],
    ) -> Steps[None]:
        number = base.number + 1
        operations = [
            Write(thread.agent, thread.checkpoint(number), made, expected_version=0),
            Write(thread.agent, thread.index(made["id"]), {"number": number}, expected_version=0),
            *values,
        ]
        if base.number:
            latest = thread.checkpoint(base.number)
            conditions = [*conditions, KeyPrecondition(thread.agent, latest, base.version)]
        commit = yield from ask(
            "transact", operations, preconditions=conditions, metadata=_said(made["metadata"])
        )
        self._is_at(thread, made, Place(number, commit.version))

    def _is_at(self, thread: Thread, made: dict[str, Any], place: Place) -> None:
        """Remembers where a checkpoint is that was put."""
        self._memory.has_put(thread, made["id"], place)
        self._memory.is_latest(thread, Saved(*place, copied(made), 0))
        if place >= (self._memory.base(thread, None) or place):
            self._memory.has_read(thread, place)

    def _refused(
        self,
        thread: Thread,
        made: dict[str, Any],
        values: list[Write],
        conditions: list[KeyPrecondition],
        error: PreconditionFailed,
    ) -> Steps[None]:
        """Finds out why: because this very checkpoint is there, or because of another."""
        index = yield from ask("get_state", thread.agent, thread.index(made["id"]))
        if index is None:
            latest = yield from self._latest(thread)
            raise ThreadConflict(thread, latest.id if latest else None, error) from None
        number = int(index.value["number"])
        key = thread.checkpoint(number)
        record = yield from ask("get_state", thread.agent, key)
        if record is None or record.value["id"] != made["id"]:
            raise ThreadConflict(thread, None, error) from None  # it was just deleted
        version = record.version
        was = {part: value for part, value in record.value.items() if part != UNWRITTEN}
        if was != copied(made):  # the last put of an id counts
            commit = yield from ask(
                "transact",
                [Write(thread.agent, key, made, expected_version=version), *values],
                preconditions=conditions,
                metadata=_said(made["metadata"]),
            )
            version = commit.version
        self._is_at(thread, made, Place(number, version))

    def _put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> Steps[None]:
        thread = self._thread(config)
        listed = [(write_index(c, at), c, value) for at, (c, value) in enumerate(writes)]
        kind, data = self.serde.dumps_typed((task_id, task_path, listed))
        parts, ahead = parts_of(data), ""
        checkpoint_id = config["configurable"]["checkpoint_id"]
        if len(data) > _BYTES:
            ahead = token_hex(8)
            key = thread.ahead(checkpoint_id, ahead)
            for at, part in enumerate(parts):
                yield from ask("write", thread.agent, part_key(key, at), part)
        operations = [
            Append(
                thread.agent,
                thread.writes(checkpoint_id),
                b"" if ahead else part,
                content_type=content_type(kind, 1 if at else len(parts), ahead),
            )
            for at, part in enumerate(parts[:1] if ahead else parts)
        ]
        more = Write(thread.agent, thread.more(checkpoint_id), {}, if_absent=True)
        said = self._memory.will_write(thread, checkpoint_id, len(operations)) > GUESSED
        commit = yield from ask(
            "transact", [*operations, *([more] if said else [])], metadata={"task_id": task_id}
        )
        last = number_at(commit.versions[len(operations) - 1].key)
        self._memory.has_written(thread, checkpoint_id, last)
        if last > GUESSED and not said:
            yield from ask("transact", [more], metadata={"task_id": task_id})


def _said(metadata: dict[str, Any]) -> dict[str, str]:
    """What the commit says of itself: for people who look at the log."""
    wanted = ("source", "step", "run_id")
    return {key: str(metadata[key])[:200] for key in wanted if metadata.get(key) is not None}
