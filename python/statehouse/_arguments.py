"""Checks of what users pass that protobuf would refuse in words of its own.

What is a matter of the contract (names that are too long, control characters, …) is the
daemon's to refuse; these are matters of type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping


def text(field: str, value: Any) -> str:
    """Accepts text that can be sent."""
    if not isinstance(value, str):
        raise refused(field, f"{field} must be a str, not {type(value).__name__}: {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(field, f"{field} has half a surrogate pair, which is no text") from None
    return value


def count(field: str, value: Any) -> int:
    """Accepts what fits an unsigned integer of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(field, f"{field} must be an int, not {type(value).__name__}: {value!r}")
    if not 0 <= value < 2**64:
        raise refused(field, f"{field} must be 0 or more, not {value}")
    return value


def optional_count(field: str, value: Any) -> int | None:
    """Accepts None as well."""
    return None if value is None else count(field, value)


def positive(field: str, value: Any) -> float:
    """Accepts a number of seconds above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise refused(field, f"{field} must be a number of seconds above 0, not {value!r}")
    return float(value)


def text_map(field: str, value: Mapping[str, str] | None) -> dict[str, str]:
    """Accepts a mapping from text to text."""
    out = {}
    for key, item in (value or {}).items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise refused(
                field,
                f"{field} maps str to str, but has {key!r}: {item!r}: put it in quotes, or"
                " use str() or json.dumps()",
            )
        out[text(field, key)] = text(field, item)
    return out


def refused(field: str, message: str) -> InvalidArgument:
    """Makes the error."""
    return InvalidArgument(message, details={"field": field})
