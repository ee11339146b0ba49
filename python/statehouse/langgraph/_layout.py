"""Where the parts of a thread are kept: an agent a thread, a record a part.

===========================================  =====================================================
``c/NAMESPACE/0000000007``                   the seventh checkpoint of a checkpoint namespace, as
                                             JSON, without the values of its channels
``i/NAMESPACE/ID``                           the number of the checkpoint of this id
``v/NAMESPACE/CHANNEL/VERSION``              a channel's value, as bytes
``w/NAMESPACE/ID/0000000000000001``          what one ``put_writes`` wrote to a checkpoint
``w/NAMESPACE/ID/+``                         that there are writes under other numbers than 1 to 4
``w/NAMESPACE/ID/+NAME``                     what did not fit into the commit of a ``put_writes``
===========================================  =====================================================

A value is written once, by the first checkpoint that has it: later ones name its version. It is
bytes under a content type that names the serializer's type. What is larger than a record may be
goes on in records of the same name with ``~1``, ``~2``… after it; the content type says how many.

Numbers go on without a gap, and the next is given only on the condition that it is free. So where
the checkpoint after one that stays is deleted, and there are later ones, a record stays that says
so: the number after a checkpoint is free only if there is no later one.

Writes are numbered by the daemon, which gives no number twice: not after the checkpoint was deleted
and put again, nor after an operator has set the thread back. So the first of those that are there
may have any number, and whoever is given one above 4 says so in a record of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from statehouse import DataLoss, Record, Write

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.base import SerializerProtocol

#: Before the serializer's type in a content type.
_CONTENT = "application/vnd.langgraph."
_CONTENT_TYPE = re.compile(re.escape(_CONTENT) + r"([^;]*)(?:;parts=(\d+))?(?:;ahead=([0-9a-f]+))?")
#: Bytes of a record; the daemon takes 1 MiB unless it is told otherwise.
PART = 900_000
#: The writes of how many numbers a read of a checkpoint looks for before it lists them.
GUESSED = 4


@dataclass(frozen=True)
class Thread:
    """One checkpoint namespace of a thread."""

    thread_id: str
    namespace: str
    agent: str

    @property
    def quoted(self) -> str:
        """The namespace as it stands in keys."""
        return quoted(self.namespace)

    @property
    def checkpoints(self) -> str:
        """What the keys of its checkpoints begin with."""
        return f"c/{self.quoted}/"

    @property
    def values(self) -> str:
        """What the keys of its channels' values begin with."""
        return f"v/{self.quoted}/"

    def checkpoint(self, number: int) -> str:
        """The key of a checkpoint."""
        return f"{self.checkpoints}{number:010}"

    def index(self, checkpoint_id: str) -> str:
        """The key of the record that says which number a checkpoint has."""
        return f"i/{self.quoted}/{quoted(checkpoint_id)}"

    def value(self, channel: str, version: object) -> str:
        """The key of a channel's value."""
        return f"{self.values}{quoted(channel)}/{version}"

    def writes(self, checkpoint_id: str) -> str:
        """What the keys of the writes to a checkpoint begin with."""
        return f"w/{self.quoted}/{quoted(checkpoint_id)}/"

    def more(self, checkpoint_id: str) -> str:
        """The key of the record that says that a read has to list the writes to a checkpoint."""
        return f"{self.writes(checkpoint_id)}+"

    def ahead(self, checkpoint_id: str, name: str) -> str:
        """The key of writes that did not fit into a commit, and are there before it."""
        return f"{self.writes(checkpoint_id)}+{name}"


def quoted(name: str, also: str = "/") -> str:
    """Writes a name so that it has no control character, and none of ``also``."""
    special = rf"[%\x00-\x1f\x7f{re.escape(also)}]"
    return re.sub(special, lambda found: f"%{ord(found[0]):02X}", name)


def unquoted(name: str) -> str:
    """Reads what :func:`quoted` wrote."""
    return unquote(name)


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it is kept."""

    number: int
    version: int
    body: dict[str, Any]
    read_ts: int

    @property
    def id(self) -> str:
        """The checkpoint's id."""
        return str(self.body["id"])

    @property
    def parent(self) -> str | None:
        """The id of the checkpoint that it follows."""
        parent = self.body.get("parent")
        return None if parent is None else str(parent)

    @property
    def metadata(self) -> dict[str, Any]:
        """What the framework says of it."""
        metadata: dict[str, Any] = self.body["metadata"]
        return metadata

    def versions(self) -> dict[str, object]:
        """The version of each channel that has a value."""
        versions = self.body["checkpoint"]["channel_versions"]
        return {channel: versions[channel] for channel in self.body["values"]}


#: In the body of a checkpoint: nothing had been written to it when it was put, so that all writes
#: to it came later.
UNWRITTEN = "unwritten"
#: What is left of a checkpoint that was deleted before others.
DELETED = {"deleted": True}


def is_checkpoint(record: Record) -> bool:
    """Whether a checkpoint is there, and not what is left of one."""
    return "id" in record.value


def number_of(record: Record) -> int:
    """The number in the key of a checkpoint's record."""
    return number_at(record.key)


def number_at(key: str) -> int:
    """The number that a key ends with."""
    return int(key.rpartition("/")[2])


def saved(record: Record) -> Saved:
    """Reads a checkpoint's record."""
    return Saved(number_of(record), record.version, record.value, record.read_ts)


def body(
    checkpoint: dict[str, Any], metadata: dict[str, Any], parent: str | None
) -> dict[str, Any]:
    """Makes the value of a checkpoint's record."""
    versions = checkpoint["channel_versions"]
    kept = {key: part for key, part in checkpoint.items() if key not in ("id", "channel_values")}
    values = [channel for channel in checkpoint["channel_values"] if channel in versions]
    made = {"id": checkpoint["id"], "checkpoint": kept, "metadata": metadata, "values": values}
    return made if parent is None else {**made, "parent": parent}


def copied(value: Any) -> Any:
    """A copy of JSON, as it is read back: tuples become lists."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(item) for item in value]
    return value


def content_type(kind: str, parts: int = 1, ahead: str = "") -> str:
    """Names a serializer's type, of how many parts the value is, and where they are if not here."""
    made = f"{_CONTENT}{kind}" if parts == 1 else f"{_CONTENT}{kind};parts={parts}"
    return f"{made};ahead={ahead}" if ahead else made


class Content(NamedTuple):
    """What a content type says."""

    kind: str
    parts: int
    ahead: str


def content_of(record: Record) -> Content:
    """Reads what the content type of a record says."""
    read = _CONTENT_TYPE.fullmatch(record.content_type)
    if read is None:
        raise DataLoss(
            f"{record.key!r} of agent {record.agent_id!r} is {record.content_type or 'JSON'!r},"
            " which this package does not write"
        )
    return Content(read[1], int(read[2] or 1), read[3] or "")


def parts_of(data: bytes) -> list[bytes]:
    """Cuts what is larger than a record may be."""
    return [data[at : at + PART] for at in range(0, len(data), PART)] or [b""]


def part_key(key: str, at: int) -> str:
    """The key of a part of a value."""
    return key if at == 0 else f"{key}~{at}"


def whole_key(key: str) -> str:
    """The key of the value that a key is, or is a part, of."""
    return re.sub(r"~\d+$", "", key)


def value_writes(serde: SerializerProtocol, agent: str, key: str, value: Any) -> list[Write]:
    """Makes the writes of a value."""
    kind, data = serde.dumps_typed(value)
    parts = parts_of(data)
    return [
        Write(
            agent,
            part_key(key, at),
            part,
            content_type=content_type(kind, 1 if at else len(parts)),
        )
        for at, part in enumerate(parts)
    ]
