"""Arguments and results: plain frozen dataclasses.

A record is named by a namespace, an agent and a key. Its value is a JSON object. Every
write or delete of a key raises its *version* by one: 1, 2, 3… Every commit has a place in
one total order, its *commit_ts*: 1, 2, 3… *timestamp* is the wall clock at the commit, in
UTC; it never runs backwards from one commit to the next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional, Union

__all__ = [
    "Agent",
    "Build",
    "Commit",
    "Delete",
    "Event",
    "HeadPrecondition",
    "HistoryEntry",
    "KeyPrecondition",
    "KeyVersion",
    "Operation",
    "Point",
    "Precondition",
    "Record",
    "RecordName",
    "Status",
    "TxnOutcome",
    "TxnState",
    "Value",
    "Write",
]

#: A JSON object: strings, ints up to 1.8e308, finite floats, booleans, None, lists and
#: dicts with string keys. Tuples are written as lists.
Value = dict[str, Any]

#: A point of the total order: a commit_ts (the state after that commit), an aware
#: datetime, or a time as ISO 8601 text with a zone, "2026-02-07T10:00:00Z". A time means
#: the state after the last commit whose timestamp is not later.
Point = Union[int, datetime, str]


@dataclass(frozen=True)
class RecordName:
    """Names a record. Without a namespace it is in the client's own."""

    agent_id: str
    key: str
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Record:
    """One version of a record. Always true, so that ``if record:`` means it exists."""

    key: str
    value: Value
    version: int
    commit_ts: int
    timestamp: datetime
    agent_id: str
    namespace: str
    #: The point of the total order that the read was taken at; 0 of a read by version.
    read_ts: int = field(default=0, compare=False)
    #: Of a batch or scan as of a moment: the value was erased, or dropped by the retention of
    #: old versions. ``value`` is empty then.
    erased: bool = False
    pruned: bool = False

    def __bool__(self) -> bool:
        return True

    @property
    def exists(self) -> bool:
        """True. Of a record that does not exist None is returned."""
        return True


@dataclass(frozen=True)
class Write:
    """A write for ``transact``. ``expected_version``: the version the key must be at
    before the commit; 0: it must not exist.
    """

    agent_id: str
    key: str
    value: Value
    expected_version: Optional[int] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Delete:
    """A delete for ``transact``."""

    agent_id: str
    key: str
    expected_version: Optional[int] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class KeyPrecondition:
    """Holds when the key is at this version; 0: when it does not exist."""

    agent_id: str
    key: str
    expected_version: int
    namespace: Optional[str] = None


@dataclass(frozen=True)
class HeadPrecondition:
    """Holds when the agent's last commit is this one; 0: when it has none."""

    agent_id: str
    expected_head: int
    namespace: Optional[str] = None


Precondition = Union[KeyPrecondition, HeadPrecondition]


@dataclass(frozen=True)
class KeyVersion:
    """Says which version a key got."""

    agent_id: str
    key: str
    version: int
    namespace: str


@dataclass(frozen=True)
class Commit:
    """What became durable.

    ``versions`` has one entry an operation of ``transact``, in their order; of a
    transaction one a key, agent by agent in byte order, and of an agent in the order
    its keys were first staged. A transaction that wrote nothing has no timestamp: its
    commit_ts is what it read at.
    """

    txn_id: str
    commit_ts: int
    timestamp: Optional[datetime]
    versions: tuple[KeyVersion, ...] = ()

    @property
    def version(self) -> int:
        """The version that the first key got; 0 when nothing was written."""
        return self.versions[0].version if self.versions else 0


class TxnState(str, enum.Enum):
    """What became of a transaction."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"
    EXPIRED = "expired"
    #: No transaction of this id has committed, or will unless it is sent (again).
    NEVER_SEEN = "never seen"
    #: Outcomes of that age are no longer kept.
    TOO_OLD = "too old"


@dataclass(frozen=True)
class TxnOutcome:
    """A transaction's state and, when it committed, its commit."""

    txn_id: str
    state: TxnState
    commit: Optional[Commit] = None


@dataclass(frozen=True)
class Operation:
    """One write or delete of an event. ``value`` is None of deletes, and when values
    were not asked for.
    """

    key: str
    value: Optional[Value]
    version: int
    deleted: bool
    agent_id: str
    namespace: str
    #: The value was erased, or dropped by the retention of old versions: ``value`` is None. The
    #: delete that an erasure leaves is erased, too.
    erased: bool = False
    pruned: bool = False

    @property
    def kind(self) -> str:
        """``"WRITE"`` or ``"DELETE"``."""
        return "DELETE" if self.deleted else "WRITE"


@dataclass(frozen=True)
class Event:
    """A commit as read from the log, cut down to what was asked for. Its ``commit_ts`` is
    the cursor to resume a watch after. ``principal`` is who committed it, ``trace_id`` the
    trace that it was part of, and both are empty where they are not known.
    """

    commit_ts: int
    timestamp: datetime
    txn_id: str
    operations: tuple[Operation, ...]
    metadata: dict[str, str]
    principal: str = ""
    trace_id: str = ""
    #: Of the store, in which ``commit_ts`` is this commit: save both to resume. Empty of a daemon
    #: that is older than epochs.
    epoch: str = ""


@dataclass(frozen=True)
class HistoryEntry:
    """One version of a key. ``value`` is None of deletes, and when values were not asked
    for. ``principal`` and ``trace_id`` are as in an `Event`.
    """

    key: str
    value: Optional[Value]
    version: int
    commit_ts: int
    timestamp: datetime
    txn_id: str
    metadata: dict[str, str]
    deleted: bool
    agent_id: str
    namespace: str
    principal: str = ""
    trace_id: str = ""
    #: As of an :class:`Operation`.
    erased: bool = False
    pruned: bool = False


@dataclass(frozen=True)
class Agent:
    """An agent, and the commit_ts of its first and last commit."""

    agent_id: str
    namespace: str
    first_ts: int
    head_ts: int


@dataclass(frozen=True)
class Status:
    """How far the store is and how large."""

    #: The last commit that readers may see.
    published_ts: int
    last_commit_time: Optional[datetime]
    open_transactions: int
    disk_used_bytes: int
    disk_free_bytes: int
    #: Empty while writes are accepted, else why not.
    writes_refused: str
    #: False: acknowledged without fsync, or kept in memory.
    durable: bool
    store_id: str
    format_version: int
    #: Streams that many requests share, and requests under way in them.
    sessions: int = 0
    session_requests: int = 0
    #: In which a commit_ts is that commit. It began after ``epoch_began_ts``: 0 if the store was
    #: never restored.
    epoch: str = ""
    epoch_began_ts: int = 0


@dataclass(frozen=True)
class Build:
    """Names a build of the daemon."""

    version: str
    git_sha: str
