"""What a commit is made of: the operations of ``transact``, and its conditions.

What a daemon *evaluates* (:class:`Append`, :class:`Increment`, :class:`Merge`, a :class:`Write`
with ``if_absent``, and what works on many keys) needs no read before it: what is there is looked at
when the commit's turn comes, so two of them never conflict. The log holds what came out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Optional, Union

__all__ = [
    "AcquireLease",
    "AnyOperation",
    "Append",
    "ClaimDue",
    "CompleteDue",
    "Content",
    "Delete",
    "DeleteAgent",
    "DeletePrefix",
    "Duration",
    "Fork",
    "HeadPrecondition",
    "Increment",
    "KeyPrecondition",
    "LeasePrecondition",
    "Merge",
    "Number",
    "Point",
    "Precondition",
    "ReleaseLease",
    "Restore",
    "Value",
    "Write",
]

#: A JSON object: strings, ints up to 1.8e308, finite floats, booleans, None, lists and
#: dicts with string keys. Tuples are written as lists.
Value = dict[str, Any]

#: What a record may hold: a JSON object, or bytes.
Content = Union[Value, bytes]

#: A point of the total order: a commit_ts (the state after that commit), an aware
#: datetime, or a time as ISO 8601 text with a zone, "2026-02-07T10:00:00Z". A time means
#: the state after the last commit whose timestamp is not later.
Point = Union[int, datetime, str]

#: A span of time: seconds, or a timedelta. The daemon counts milliseconds.
Duration = Union[float, timedelta]

#: A number that is to be added exactly: 0.1 is a tenth, as it is written.
Number = Union[int, float, Decimal]


@dataclass(frozen=True)
class Write:
    """A write for ``transact``.

    ``value``
        A JSON object: a dict of what JSON has; or bytes.
    ``expected_version``
        The version the key must be at before the commit; 0: it must not exist.
    ``content_type``
        Of bytes: a media type, such as ``"image/png"``.
    ``ttl``
        Seconds, or a timedelta, after the commit at which the daemon deletes the record, unless it
        is written again or refreshed; None: it stays.
    ``due_at``, ``due_in``
        When the record becomes due, so that a worker can claim it: a time, or a span after the
        commit.
    ``if_absent``
        Writes nothing if the key exists.
    """

    agent_id: str
    key: str
    value: Content
    expected_version: Optional[int] = None
    namespace: Optional[str] = None
    content_type: Optional[str] = None
    ttl: Optional[Duration] = None
    due_at: Optional[Union[datetime, str]] = None
    due_in: Optional[Duration] = None
    if_absent: bool = False


@dataclass(frozen=True)
class Delete:
    """A delete for ``transact``."""

    agent_id: str
    key: str
    expected_version: Optional[int] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Append:
    """Writes the next record of a sequence: its key is the prefix and a number of 16 digits,
    which the daemon gives once and never again. The other fields are as of a :class:`Write`;
    what a worker is to claim has a key of its own.
    """

    agent_id: str
    prefix: str
    value: Content
    namespace: Optional[str] = None
    content_type: Optional[str] = None
    ttl: Optional[Duration] = None


@dataclass(frozen=True)
class Increment:
    """Adds to the number at a JSON Pointer in a record's value, exactly. What is not there counts
    as 0. ``minimum`` and ``maximum`` are bounds of the sum.
    """

    agent_id: str
    key: str
    pointer: str
    delta: Number = 1
    minimum: Optional[Number] = None
    maximum: Optional[Number] = None
    expected_version: Optional[int] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Merge:
    """Merges a JSON Merge Patch (RFC 7396) into a record: what the patch names is replaced, None
    takes it away, objects are merged. A record that does not exist counts as empty.
    """

    agent_id: str
    key: str
    patch: Value
    expected_version: Optional[int] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class DeletePrefix:
    """Deletes every key of an agent that starts with a prefix."""

    agent_id: str
    prefix: str
    namespace: Optional[str] = None


@dataclass(frozen=True)
class DeleteAgent:
    """Deletes every key of an agent."""

    agent_id: str
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Restore:
    """Gives every key of an agent that starts with ``prefix`` the state it had at a point."""

    agent_id: str
    at: Point
    prefix: str = ""
    namespace: Optional[str] = None


@dataclass(frozen=True)
class Fork:
    """Begins the agent ``to``, which must not have a commit yet, with the state that an agent had
    at a point; None: now.
    """

    agent_id: str
    to: str
    at: Optional[Point] = None
    namespace: Optional[str] = None


@dataclass(frozen=True)
class AcquireLease:
    """Acquires a lease. ``client.lease`` does that and renews it."""

    agent_id: str
    name: str
    ttl: Duration = 30.0
    holder: str = ""
    namespace: Optional[str] = None


@dataclass(frozen=True)
class ReleaseLease:
    """Releases a lease that is held under a token."""

    agent_id: str
    name: str
    token: int
    namespace: Optional[str] = None


@dataclass(frozen=True)
class ClaimDue:
    """Takes due records that no worker holds, at most ``limit``, those due longest first, and
    acquires a lease on each. ``client.claim`` does that and renews them. Without an agent: of all
    agents of the namespace.
    """

    agent_id: Optional[str] = None
    prefix: str = ""
    limit: int = 1
    ttl: Duration = 30.0
    holder: str = ""
    namespace: Optional[str] = None


@dataclass(frozen=True)
class CompleteDue:
    """Ends a claim, by its token: the record is no longer due. One that has lapsed is refused."""

    agent_id: str
    key: str
    token: int
    namespace: Optional[str] = None


#: An operation of ``transact``.
AnyOperation = Union[
    Write,
    Delete,
    Append,
    Increment,
    Merge,
    DeletePrefix,
    DeleteAgent,
    Restore,
    Fork,
    AcquireLease,
    ReleaseLease,
    ClaimDue,
    CompleteDue,
]


@dataclass(frozen=True)
class KeyPrecondition:
    """Holds when the key is at this version; 0: when it does not exist."""

    agent_id: str
    key: str
    expected_version: int
    namespace: Optional[str] = None


@dataclass(frozen=True)
class HeadPrecondition:
    """Holds when the agent's last commit is this one; 0: when it has none. Commits that the
    daemon makes by itself (see :class:`Event`) do not count.
    """

    agent_id: str
    expected_head: int
    namespace: Optional[str] = None


@dataclass(frozen=True)
class LeasePrecondition:
    """Holds while a lease is held under this token, wherever it was acquired."""

    agent_id: str
    name: str
    token: int
    namespace: Optional[str] = None


Precondition = Union[KeyPrecondition, HeadPrecondition, LeasePrecondition]
