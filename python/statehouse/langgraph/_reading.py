"""Reading checkpoints: the latest one or one by its id, with its values and pending writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph.checkpoint.base import WRITES_IDX_MAP, CheckpointTuple

from statehouse import DataLoss, Record
from statehouse.langgraph._asking import Steps, ask, ask_all
from statehouse.langgraph._layout import (
    GUESSED,
    Saved,
    Thread,
    content_of,
    copied,
    is_checkpoint,
    part_key,
    saved,
)
from statehouse.langgraph._owning import NOWHERE, Memory, Place
from statehouse.langgraph._recent import RECENT, recent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import PendingWrite
    from langgraph.checkpoint.serde.base import SerializerProtocol


class Written(NamedTuple):
    """One write to a checkpoint that waits for the next."""

    task_path: str
    task_id: str
    place: int
    channel: str
    value: Any


class Reading:
    """Steps that read."""

    serde: SerializerProtocol
    _memory: Memory
    _prefix: str

    def _thread(self, config: RunnableConfig) -> Thread:
        configurable = config["configurable"]
        return self._named(configurable["thread_id"], configurable.get("checkpoint_ns") or "")

    def _named(self, thread_id: Any, namespace: str) -> Thread:
        return Thread(str(thread_id), namespace, f"{self._prefix}{thread_id}")

    def _get_tuple(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        thread = self._thread(config)
        checkpoint_id = config["configurable"].get("checkpoint_id")
        known = self._memory.latest(thread)
        if known is not None and checkpoint_id in (None, "", known.id):
            found = yield from self._if_latest(thread, known)
            if found is not None:
                return found
        if not checkpoint_id:
            certain, found = yield from self._recent(thread)
            if certain:
                return found
        one = yield from self._find(thread, checkpoint_id)
        if one is None:
            return None
        [loaded] = yield from self._load(thread, [one], as_of=one.read_ts)
        return loaded

    def _if_latest(self, thread: Thread, known: Saved) -> Steps[CheckpointTuple | None]:
        """Reads a checkpoint in one request, if it is still the latest: then it is as it was, and
        there is none of the next number.
        """
        this, after = thread.checkpoint(known.number), thread.checkpoint(known.number + 1)
        keys, values = _parts_of(thread, [known])
        records = yield from self._records(thread, [this, after, *keys])
        if after in records or this not in records or records[this].version != known.version:
            return None
        self._memory.has_read(thread, place_of(known))
        self._memory.is_latest(thread, known)
        [loaded] = yield from self._loaded(thread, [known], values, records, records[this].read_ts)
        return loaded

    def _recent(self, thread: Thread) -> Steps[tuple[bool, CheckpointTuple | None]]:
        """Reads the latest checkpoint by what was changed last, in one request if all is there;
        and whether it is the latest for certain.
        """
        changed = yield from ask_all("find", thread.agent, order="changed", limit=RECENT)
        latest, certain, records, writes = recent(thread, changed)
        if latest is None:
            if certain:
                self._memory.has_read(thread, NOWHERE)
            return certain, None
        if not certain:
            found = yield from self._if_latest(thread, latest)
            return found is not None, found
        self._memory.has_read(thread, place_of(latest))
        self._memory.is_latest(thread, latest)
        keys, values = _parts_of(thread, [latest], writes=writes is None)
        missing = [key for key in keys if key not in records]
        if missing:
            records |= yield from self._records(thread, missing, latest.read_ts)
        data = yield from self._values(thread, values, records, latest.read_ts)
        if writes is None:
            written = yield from self._writes(thread, latest.id, records, latest.read_ts)
        else:
            written = yield from self._written(thread, latest.id, writes, latest.read_ts)
        return True, self._tuple(thread, latest, data, records, written)

    def _find(self, thread: Thread, checkpoint_id: str | None) -> Steps[Saved | None]:
        """Finds a checkpoint by its id, or the latest; remembers what the thread was read as."""
        latest = yield from self._latest(thread)
        self._memory.has_read(thread, place_of(latest))
        if latest is not None:
            self._memory.is_latest(thread, latest)
        if latest is None or not checkpoint_id or latest.id == checkpoint_id:
            return latest
        known = self._memory.place(thread, checkpoint_id)
        if known is not None:
            found = yield from self._numbered(thread, checkpoint_id, known.number)
            if found is not None:
                return found
        number = yield from self._indexed(thread, checkpoint_id)
        if number is None or (known is not None and known.number == number):
            return None
        return (yield from self._numbered(thread, checkpoint_id, number))

    def _numbered(self, thread: Thread, checkpoint_id: str, number: int) -> Steps[Saved | None]:
        """A checkpoint, if it has this number: that of a deleted one is given again."""
        record = yield from ask("get_state", thread.agent, thread.checkpoint(number))
        found = saved(record) if record is not None and is_checkpoint(record) else None
        return found if found is not None and found.id == checkpoint_id else None

    def _latest(self, thread: Thread) -> Steps[Saved | None]:
        records = yield from ask_all(
            "scan_prefix", thread.agent, thread.checkpoints, reverse=True, limit=1
        )
        return saved(records[0]) if records else None

    def _number(self, thread: Thread, checkpoint_id: str) -> Steps[int | None]:
        place = self._memory.place(thread, checkpoint_id)
        if place is not None:
            return place.number
        return (yield from self._indexed(thread, checkpoint_id))

    def _indexed(self, thread: Thread, checkpoint_id: str) -> Steps[int | None]:
        record = yield from ask("get_state", thread.agent, thread.index(checkpoint_id))
        return None if record is None else int(record.value["number"])

    def _load(
        self, thread: Thread, found: Sequence[Saved], as_of: int | None = None
    ) -> Steps[list[CheckpointTuple]]:
        """Reads all that checkpoints consist of, in one request where that suffices."""
        keys, values = _parts_of(thread, found)
        records = yield from self._records(thread, keys, as_of)
        return (yield from self._loaded(thread, found, values, records, as_of))

    def _loaded(
        self,
        thread: Thread,
        found: Sequence[Saved],
        values: list[str],
        records: Mapping[str, Record],
        as_of: int | None,
    ) -> Steps[list[CheckpointTuple]]:
        """Makes checkpoints of their records."""
        data = yield from self._values(thread, values, records, as_of)
        loaded = []
        for one in found:
            writes = yield from self._writes(thread, one.id, records, as_of)
            loaded.append(self._tuple(thread, one, data, records, writes))
        return loaded

    def _records(
        self, thread: Thread, keys: Iterable[str], as_of: int | None = None
    ) -> Steps[dict[str, Record]]:
        records = yield from ask("get_many", thread.agent, list(keys), as_of=as_of)
        return {record.key: record for record in records if record is not None}

    def _values(
        self,
        thread: Thread,
        keys: Iterable[str],
        records: Mapping[str, Record],
        as_of: int | None = None,
    ) -> Steps[dict[str, Any]]:
        """Reads values, of which the first parts are read already."""
        values: dict[str, Any] = {}
        more: dict[str, tuple[str, list[str]]] = {}
        for key in keys:
            if key not in records:
                raise DataLoss(
                    f"agent {thread.agent!r} has a checkpoint with the value {key!r}, which is gone"
                )
            kind, parts, _ = content_of(records[key])
            if parts == 1:
                values[key] = self.serde.loads_typed((kind, records[key].value))
            else:
                more[key] = kind, [part_key(key, at) for at in range(1, parts)]
        if more:
            wanted = [part for _, keys in more.values() for part in keys]
            rest = yield from self._records(thread, wanted, as_of)
            for key, (kind, others) in more.items():
                whole = b"".join([records[key].value, *(rest[part].value for part in others)])
                values[key] = self.serde.loads_typed((kind, whole))
        return values

    def _writes(
        self,
        thread: Thread,
        checkpoint_id: str,
        records: Mapping[str, Record],
        as_of: int | None = None,
    ) -> Steps[list[Written]]:
        """The writes to a checkpoint, in the order in which the framework applies them."""
        guessed = guesses(thread, checkpoint_id)
        read = [records[key] for key in guessed if key in records]
        if guessed[-1] in records or thread.more(checkpoint_id) in records:  # there may be more
            prefix = thread.writes(checkpoint_id)
            rows = yield from ask_all("scan_prefix", thread.agent, prefix, as_of=as_of)
            read = [row for row in rows if row.key > f"{prefix}0"]
        return (yield from self._written(thread, checkpoint_id, read, as_of))

    def _written(
        self, thread: Thread, checkpoint_id: str, read: Sequence[Record], as_of: int | None
    ) -> Steps[list[Written]]:
        """Makes writes of their records."""
        written: dict[tuple[str, int], Written] = {}
        at = 0
        while at < len(read):
            kind, parts, ahead = content_of(read[at])
            held = list(read[at : at + (1 if ahead else parts)])
            at += len(held)
            if ahead:
                key = thread.ahead(checkpoint_id, ahead)
                keys = [part_key(key, part) for part in range(parts)]
                others = yield from self._records(thread, keys, as_of)
                held = [others[key] for key in keys]
            whole = b"".join(record.value for record in held)
            task_id, task_path, writes = self.serde.loads_typed((kind, whole))
            for index, channel, value in writes:
                # Of what a task wrote the first counts, however often it is done again; of errors,
                # interrupts and resumes the last.
                if index < 0 or (task_id, index) not in written:
                    written[task_id, index] = Written(task_path, task_id, index, channel, value)
        return sorted(written.values(), key=lambda write: write[:3])

    def _tuple(
        self,
        thread: Thread,
        one: Saved,
        data: Mapping[str, Any],
        records: Mapping[str, Record],
        writes: Iterable[Written],
    ) -> CheckpointTuple:
        values = {c: data[thread.value(c, version)] for c, version in one.versions().items()}
        # What is remembered stays as it is: the framework changes what it is given.
        kept_parts, metadata = copied(one.body["checkpoint"]), copied(one.metadata)
        checkpoint: Any = {"id": one.id, **kept_parts, "channel_values": values}
        pending: list[PendingWrite] = [(w.task_id, w.channel, w.value) for w in writes]
        parent = one.parent
        kept = parent is not None and thread.index(parent) in records
        return CheckpointTuple(
            config_of(thread, one.id),
            checkpoint,
            metadata,
            config_of(thread, str(parent)) if kept else None,
            pending,
        )


def _parts_of(
    thread: Thread, found: Sequence[Saved], *, writes: bool = True
) -> tuple[list[str], list[str]]:
    """The keys of what checkpoints consist of, and those of values among them."""
    values = {
        thread.value(channel, version): None
        for one in found
        for channel, version in one.versions().items()
    }
    parents = {thread.index(one.parent): None for one in found if one.parent is not None}
    written = [key for one in found for key in writes_of(thread, one.id) if writes]
    return [*values, *parents, *written], list(values)


def guesses(thread: Thread, checkpoint_id: str) -> list[str]:
    """The keys that the first writes to a checkpoint have as a rule."""
    prefix = thread.writes(checkpoint_id)
    return [f"{prefix}{number:016}" for number in range(1, GUESSED + 1)]


def writes_of(thread: Thread, checkpoint_id: str) -> list[str]:
    """The keys by which to find what was written to a checkpoint."""
    return [*guesses(thread, checkpoint_id), thread.more(checkpoint_id)]


def place_of(found: Saved | None) -> Place:
    """Where a checkpoint is."""
    return NOWHERE if found is None else Place(found.number, found.version)


def config_of(thread: Thread, checkpoint_id: str) -> RunnableConfig:
    """Names a checkpoint as the framework does."""
    return {
        "configurable": {
            "thread_id": thread.thread_id,
            "checkpoint_ns": thread.namespace,
            "checkpoint_id": checkpoint_id,
        }
    }


def write_index(channel: str, at: int) -> int:
    """The place of a write among those of its task."""
    return WRITES_IDX_MAP.get(channel, at)
