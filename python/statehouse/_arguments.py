"""Checks of the types of arguments, which protobuf or gRPC would refuse in their own words.

Rules of the contract (names that are too long, control characters, …) are the daemon's to check,
but for what a transaction stages, of which the daemon hears at the commit: :func:`name` checks
that.
"""

from __future__ import annotations

import math
import os
import re
import reprlib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from statehouse.errors import InvalidArgument


def text(field: str, value: Any) -> str:
    """Accepts text that can be sent."""
    if not isinstance(value, str):
        raise refused(field, f"{field} must be a str, not {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(field, f"{field} has half a surrogate pair, which is no text") from None
    return value


#: Bytes that names may have.
_LONGEST = {"namespace": 128, "agent_id": 256, "key": 1024}
_CONTROL = re.compile("[\0-\x1f]")


def name(field: str, value: Any) -> str:
    """Accepts what the daemon accepts as a namespace, agent_id or key, and says what it says."""
    plain = value.__class__ is str and value.isascii() and value.isprintable()  # as nearly all are
    if plain and 0 < len(value) <= _LONGEST[field]:
        return str(value)
    size = len(text(field, value).encode())
    if not size:
        raise refused(field, f"{field} is empty")
    if size > _LONGEST[field]:
        raise refused(field, f"{field} is {size} bytes long, more than {_LONGEST[field]}")
    if found := _CONTROL.search(value):
        at = len(value[: found.start()].encode())
        code = ord(found[0])
        raise refused(field, f"{field} has the control character U+{code:04X} at byte {at}")
    return str(value)


def namespace(value: Any) -> str:
    """Accepts the name of a namespace. On the wire an empty one means ``default``. Here it is
    refused, for it is more likely a variable that was never set.
    """
    if not text("namespace", value):
        raise refused(
            "namespace",
            'namespace is empty: leave it out for the client\'s own, or write "default"',
        )
    return str(value)


def count(field: str, value: Any) -> int:
    """Accepts what fits an unsigned integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(field, f"{field} must be an int, not {shown(value)}")
    if not 0 <= value < 2**64:
        raise refused(field, f"{field} must be from 0 to 2**64 - 1, not {number(value)}")
    return value


def optional_count(field: str, value: Any) -> int | None:
    """Accepts None as well."""
    return None if value is None else count(field, value)


def flag(field: str, value: Any) -> bool:
    """Accepts a bool. Text such as ``"false"`` would be true."""
    if not isinstance(value, bool):
        raise refused(field, f"{field} must be True or False, not {shown(value)}")
    return value


def optional_flag(field: str, value: Any) -> bool | None:
    """Accepts None as well."""
    return None if value is None else flag(field, value)


def seconds(field: str, value: Any) -> float:
    """Accepts a number of seconds above 0. Beyond a century gRPC's arithmetic overflows."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise refused(field, f"{field} must be a number of seconds above 0, not {shown(value)}")
    if value > _CENTURY:
        raise refused(
            field, f"{field} must be a number of seconds up to {_CENTURY:,}; None: no bound"
        )
    return float(value)


_CENTURY = 100 * 366 * 86400


def optional_seconds(field: str, value: Any) -> float | None:
    """Accepts None as well."""
    return None if value is None else seconds(field, value)


def milliseconds(field: str, value: Any, least: int = 1) -> int:
    """Accepts a span of time, in seconds or as a timedelta, and rounds it to milliseconds."""
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if least == 0 and given == 0 and not isinstance(given, bool):
        return 0
    return max(least, round(seconds(field, given) * 1000))


def optional_milliseconds(field: str, value: Any, least: int = 1) -> int | None:
    """Accepts None as well."""
    return None if value is None else milliseconds(field, value, least)


def json_number(field: str, value: Any) -> str:
    """Accepts a number that JSON can write, and writes it as it stands."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise refused(field, f"{field} must be a number, not {shown(value)}")
    if isinstance(value, int):
        return str(Decimal(value))  # str of a very long int may be refused
    if not math.isfinite(value):
        raise refused(field, f"{field} must be a finite number, not {value}")
    return repr(value) if isinstance(value, float) else str(value)


def items(field: str, value: Any) -> list[Any]:
    """Accepts what can be iterated over, except text."""
    if isinstance(value, (str, bytes, bytearray)):
        raise refused(field, f"{field} is one {type(value).__name__}: write [{brief(value)}]")
    try:
        return list(value)
    except TypeError:
        raise refused(field, f"{field} must be a list, not {shown(value)}") from None


def path(field: str, value: Any) -> str:
    """Accepts the name of a file."""
    if not isinstance(value, (str, os.PathLike)):
        raise refused(field, f"{field} must be a path, not {shown(value)}")
    name = os.fspath(value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise refused(field, f"{field} must be a path as text, not {brief(name)}")
    return name


def text_map(field: str, value: Any) -> dict[str, str]:
    """Accepts a mapping from text to text."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        hint = f": write dict({field})" if isinstance(value, (list, tuple)) else ""
        raise refused(field, f"{field} must be a dict from str to str, not {shown(value)}{hint}")
    out = {}
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise refused(
                field,
                f"{field} maps str to str, but has {brief(key)}: {brief(item)}: put it in quotes,"
                " or use str() or json.dumps()",
            )
        out[text(field, key)] = text(field, item)
    return out


def refused(field: str, message: str) -> InvalidArgument:
    """Makes the error."""
    return InvalidArgument(message, details={"field": field})


def shown(value: Any) -> str:
    """Shows what was given, with its type."""
    return f"{type(value).__name__}: {brief(value)}"


def brief(value: Any) -> str:
    """Shows any value in a few words."""
    if isinstance(value, int) and not isinstance(value, bool):
        return number(value)
    try:
        return reprlib.repr(value)
    except Exception:  # raised by a repr of the user's, or for a long int inside
        return f"some {type(value).__name__}"


def number(value: int) -> str:
    """Shows an int of any size: Python refuses to write out very long ones."""
    if abs(value) < 10**40:
        return str(value)
    return f"a number of about {int(value.bit_length() * math.log10(2))} digits"
