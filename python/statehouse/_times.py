"""Conversion of points in time: datetimes and ISO text to timestamps of the contract, and back.

The daemon's clock counts nanoseconds, a datetime microseconds. So a datetime stands for
the whole microsecond it names: read as of a record's own ``timestamp``, the record is
there.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from statehouse import _arguments as check
from statehouse.errors import InvalidArgument

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from statehouse.types import Point

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(Z|z|[+-]\d\d(?::?\d\d)?)?"
)


class Instant(NamedTuple):
    """A time as it was given: the range of nanoseconds that it may mean."""

    seconds: int
    first_nanos: int
    last_nanos: int


def instant(point: datetime | str, field: str) -> Instant:
    """Reads a time that a user gave.

    >>> instant("2026-02-07T11:00:00.5+01:00", "as_of")
    Instant(seconds=1770458400, first_nanos=500000000, last_nanos=500000999)
    """
    if isinstance(point, str):
        return _from_text(point, field)
    if point.tzinfo is None or point.utcoffset() is None:
        raise _refused(
            field,
            f"{point!r} has no time zone: give it one, as in datetime.now(timezone.utc)",
        )
    since = point - _EPOCH
    nanos = since.microseconds * 1000
    return Instant(since.days * 86400 + since.seconds, nanos, nanos + 999)


def _from_text(text: str, field: str) -> Instant:
    match = _ISO.fullmatch(text.strip())
    if not match:
        raise _refused(field, f"{text!r} is not a time in ISO 8601, such as 2026-02-07T10:00:00Z")
    date, minutes, seconds, fraction, zone = match.groups()
    if zone is None:
        raise _refused(field, f"{text!r} has no time zone: append Z when it is UTC")
    if zone in "Zz":
        zone = "+00:00"
    elif ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:] or '00'}"
    try:
        point = datetime.fromisoformat(f"{date}T{minutes}:{seconds or '00'}{zone}")
    except ValueError as error:
        raise _refused(field, f"{text!r} is not a time: {error}") from None
    fraction = fraction or ""
    nanos = int(fraction.ljust(9, "0"))
    unsaid = 999 if len(fraction) <= 6 else 0
    return Instant(instant(point, field).seconds, nanos, nanos + unsaid)


def point_message(point: Point | None, field: str = "as_of") -> dict[str, object] | None:
    """Makes the contract's At of a point; None stays None: now."""
    if point is None:
        return None
    if isinstance(point, (datetime, str)):
        seconds, _, nanos = instant(point, field)
        return {"time": {"seconds": seconds, "nanos": nanos}}
    return {"commit_ts": commit_ts(point, field)}


def moment_message(at: datetime | str, field: str) -> dict[str, int]:
    """Makes the contract's Timestamp of a time."""
    if not isinstance(at, (datetime, str)):
        raise _refused(field, f"an aware datetime or ISO 8601 text, not {check.shown(at)}")
    seconds, nanos, _ = instant(at, field)
    return {"seconds": seconds, "nanos": nanos}


def commit_ts(point: object, field: str) -> int:
    """Checks a commit_ts."""
    if isinstance(point, bool) or not isinstance(point, int):
        raise _refused(
            field,
            "a point is a commit_ts (an int), an aware datetime or ISO 8601 text, not"
            f" {check.shown(point)}",
        )
    if not 0 <= point < 2**64:
        raise _refused(field, f"{check.number(point)} is not a commit_ts: those are 1, 2, 3...")
    return point


def moment(message: Any, field: str) -> datetime | None:
    """Reads a timestamp that may be absent."""
    return to_datetime(getattr(message, field)) if message.HasField(field) else None


def to_datetime(message: Timestamp) -> datetime:
    """Reads a timestamp of the daemon, cut to microseconds, in UTC."""
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _refused(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(f"{field}: {message}", details={"field": field})
