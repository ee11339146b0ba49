"""Arguments and results: plain frozen dataclasses.

A record is named by a namespace, an agent and a key. Its value is a JSON object, or bytes. Every
write or delete of a key raises its *version* by one: 1, 2, 3… Every commit has a place in
one total order, its *commit_ts*: 1, 2, 3… *timestamp* is the wall clock at the commit, in
UTC; it never runs backwards from one commit to the next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional

from statehouse.operations import *  # noqa: F403
from statehouse.operations import Content
from statehouse.operations import __all__ as _operations

__all__ = [
    "Agent",
    "AgentDetails",
    "Build",
    "DueRecord",
    "Commit",
    "Event",
    "ForkOrigin",
    "HistoryEntry",
    "KeyDiff",
    "KeyVersion",
    "LeaseChange",
    "LeaseInfo",
    "OpenStream",
    "Operation",
    "OperationResult",
    "RangeAct",
    "Record",
    "RecordName",
    "Refusal",
    "Status",
    "TxnOutcome",
    "TxnState",
    *_operations,
]


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
    #: A dict of what JSON has, or ``bytes``: then ``content_type`` is not empty.
    value: Any
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
    #: Of a value that is bytes: its media type.
    content_type: str = ""
    #: When the daemon deletes it, as known when it was read; None: never.
    expires_at: Optional[datetime] = field(default=None, compare=False)
    #: When it becomes due, as known when it was read; None: never.
    due_at: Optional[datetime] = field(default=None, compare=False)
    #: Of ``find`` with ``metadata=True``: what its last commit said of itself.
    metadata: Optional[dict[str, str]] = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return True

    @property
    def exists(self) -> bool:
        """True. Of a record that does not exist None is returned."""
        return True


@dataclass(frozen=True)
class KeyVersion:
    """Says which version a key got."""

    agent_id: str
    key: str
    version: int
    namespace: str


@dataclass(frozen=True)
class LeaseInfo:
    """A lease that is held, as it was when it was asked for."""

    agent_id: str
    name: str
    namespace: str
    #: Rises with every acquisition, for good.
    token: int
    holder: str
    #: Seconds that it is held after an acquisition or renewal.
    ttl: float
    #: When it lapses unless it is renewed, by the daemon's clock.
    deadline: datetime
    acquired_ts: int
    acquired_at: datetime


@dataclass(frozen=True)
class Refusal:
    """How often the daemon refused something in the last hour. What is not known is empty."""

    namespace: str
    #: What was in the way, of a conflict.
    agent_id: str
    key: str
    lease: str
    #: Who asked, for what.
    principal: str
    method: str
    #: As the contract has it: ``"CONFLICT"``.
    code: str
    #: The limit that was reached, if it has a name.
    limit: str
    count: int
    #: To the minute.
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True)
class OpenStream:
    """A watch, replay or session that the daemon has open."""

    #: ``"watch"``, ``"replay"`` or ``"session"``.
    kind: str
    namespace: str
    #: Empty: all agents of the namespace.
    agent_id: str
    key_prefix: str
    #: Of a watch of a lease, or of what is due.
    lease: str
    due: bool
    principal: str
    #: The address that it comes from, for who may administer all.
    peer: str
    begin_time: datetime
    #: How far it has looked, and how many commits there are after that.
    cursor: int
    lag: int


@dataclass(frozen=True)
class DueRecord:
    """A record that a claim took, when it became due, and the lease that is held on it."""

    record: Record
    due_at: datetime
    lease: LeaseInfo


@dataclass(frozen=True)
class OperationResult:
    """What came of an operation. ``value`` is what is there now, of an operation that the daemon
    evaluated.
    """

    #: Of an append: the key that it got. Of a lease: its name.
    key: str
    version: int
    value: Optional[Content] = None
    content_type: str = ""
    #: Of a write ``if_absent``: the key existed and is as it was.
    existed: bool = False
    #: How many keys it changed, of an operation on many.
    keys: int = 0
    #: Of an acquisition.
    lease: Optional[LeaseInfo] = None
    #: Of a claim.
    claimed: tuple[DueRecord, ...] = ()


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
    #: One an operation, in their order, if there is one that the daemon evaluated.
    results: tuple[OperationResult, ...] = ()

    @property
    def version(self) -> int:
        """The version that the first key got; 0 when nothing was written."""
        return self.versions[0].version if self.versions else 0

    @property
    def keys(self) -> int:
        """How many keys were changed by operations on many, such as a delete by prefix."""
        return sum(result.keys for result in self.results)


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
class LeaseChange:
    """A lease was acquired: by whom, and for how many seconds unless it is renewed."""

    holder: str
    ttl: float


@dataclass(frozen=True)
class RangeAct:
    """What was done to all keys of an agent under a prefix: ``kind`` is ``"deleted"``,
    ``"restored"`` or ``"forked"``, and the others name the agent and the commit of "then".
    """

    kind: str
    agent_id: str
    namespace: str
    commit_ts: int


@dataclass(frozen=True)
class Operation:
    """One write or delete of an event. ``value`` is None of deletes, and when values
    were not asked for.
    """

    key: str
    value: Any
    version: int
    deleted: bool
    agent_id: str
    namespace: str
    #: The value was erased, or dropped by the retention of old versions: ``value`` is None. The
    #: delete that an erasure leaves is erased, too.
    erased: bool = False
    pruned: bool = False
    #: Of a value that is bytes: its media type.
    content_type: str = ""
    #: With ``all_operations``: key is the name of a lease, and version its token; ``deleted`` when
    #: it was released or lapsed.
    lease: Optional[LeaseChange] = None
    #: With ``all_operations``: the record became due; ``deleted`` when it is no longer.
    due: bool = False
    #: With ``all_operations``: key is a prefix, and this was done to what is under it.
    act: Optional[RangeAct] = None

    @property
    def kind(self) -> str:
        """``"WRITE"`` or ``"DELETE"``; of what only ``all_operations`` shows ``"LEASE"``,
        ``"DUE"`` or ``"ACT"``.
        """
        if self.lease is not None:
            return "LEASE"
        if self.due:
            return "DUE"
        if self.act is not None:
            return "ACT"
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
    #: Why the daemon made the commit by itself, as time passed: ``"expired"``, ``"lapsed"`` or
    #: ``"due"``. Empty: a client made it.
    cause: str = ""


@dataclass(frozen=True)
class HistoryEntry:
    """One version of a key. ``value`` is None of deletes, and when values were not asked
    for. ``principal`` and ``trace_id`` are as in an `Event`.
    """

    key: str
    value: Any
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
    content_type: str = ""
    #: As of an :class:`Event`.
    cause: str = ""


@dataclass(frozen=True)
class Agent:
    """An agent, and the commit_ts of its first and last commit."""

    agent_id: str
    namespace: str
    first_ts: int
    head_ts: int
    #: The wall clock at its last commit; None of a daemon that is too old to say.
    head_time: Optional[datetime] = None


@dataclass(frozen=True)
class ForkOrigin:
    """What an agent was forked from: the moment whose state it began with, and when."""

    agent_id: str
    namespace: str
    commit_ts: int
    forked_ts: int
    forked_at: datetime


@dataclass(frozen=True)
class AgentDetails(Agent):
    """An agent and its lineage."""

    #: None: it was not forked.
    forked_from: Optional[ForkOrigin] = None
    #: Its forks, in the order in which they were made; at most 1,000.
    forks: tuple[Agent, ...] = ()


@dataclass(frozen=True)
class KeyDiff:
    """A key whose state differs between two points, or two agents."""

    key: str
    #: The record on either side; None where it does not exist.
    before: Optional[Record]
    after: Optional[Record]
    #: What turns one value into the other, a JSON Patch (RFC 6902); None where a side is absent,
    #: or bytes.
    patch: Optional[list[dict[str, Any]]]


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
