"""Conversion of values to JSON text and back, exactly or not at all; bytes stay bytes."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse.errors import InvalidArgument, broken

if TYPE_CHECKING:
    from statehouse.operations import Content, Value

#: The least integer that rounds to infinity as a float64, which the daemon refuses, and text
#: with that many digits.
_OVERFLOW = 2**1024 - 2**970
_MANY_DIGITS = re.compile(r"[0-9]{309}")

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=True
).encode
_decode = json.JSONDecoder().decode
#: Of bytes, unless their writer says otherwise.
DEFAULT_CONTENT_TYPE = "application/octet-stream"
_CONTAINERS = (dict, list, tuple)
#: Levels of objects and lists in each other.
_DEEPEST = 28


def content(value: Content, content_type: str | None) -> dict[str, Any]:
    """Makes the fields that a message carries a value in."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        kind = check.text("content_type", content_type or "")
        return {"value_bytes": bytes(value), "content_type": kind}
    if content_type is not None:
        raise check.refused(
            "content_type", f"content_type is of bytes, and the value is {_named(value)}"
        )
    return {"value_json": to_json(value)}


def value_of(message: Any) -> Content | None:
    """Reads the value of an answer; None: it has none."""
    if message.HasField("value_bytes"):
        return bytes(message.value_bytes)
    return from_json(message.value_json) if message.value_json else None


def to_json(value: Value) -> bytes:
    """Writes a value as JSON text, in which nothing is changed or left out.

    >>> to_json({"n": 2**64, "s": ["é", None]}).decode()
    '{"n":18446744073709551616,"s":["é",null]}'
    >>> to_json({"price": float("nan")})
    Traceback (most recent call last):
    statehouse.errors.InvalidArgument: value["price"] is nan, which JSON cannot carry: …
    """
    if not isinstance(value, dict):
        raise _refused(
            f"a value is a dict, or bytes, not {_named(value)}: put it under a key, as in"
            ' {"value": ...}'
        )
    try:
        text = _encode(value)
        encoded = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _explained(value, error) from None
    if not _keys_are_text(value):  # json would turn 1, True and None into text by itself
        raise _explained(value, None)
    if len(text) > 309 and _MANY_DIGITS.search(text) and (problem := _explain(value)):
        raise problem
    return encoded


def check_depth(value: Content, text: bytes) -> None:
    """Refuses a value that is nested deeper than any daemon takes. ``text``: it as JSON."""
    if not isinstance(value, dict) or text.count(b"{") + text.count(b"[") <= _DEEPEST:
        return
    depth, level = 0, [value]
    while level := [item for node in level for item in _inside(node)]:
        depth += 1
        if depth >= _DEEPEST:
            raise _too_deep()


def _inside(node: Any) -> list[Any]:
    items = node.values() if isinstance(node, dict) else node
    return [item for item in items if isinstance(item, _CONTAINERS)]


def _too_deep() -> InvalidArgument:
    return _refused(f"the value is nested too deep: the daemon takes {_DEEPEST} levels")


def from_json(text: bytes) -> Value:
    """Reads what the daemon sent."""
    try:
        value = _decode(text.decode())
    except ValueError as error:
        raise broken(f"a value that is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise broken(f"a value that is {_named(value)}, not a JSON object")
    return value


def _keys_are_text(value: Value) -> bool:
    # Runs on every write, after json has made sure that nothing is circular.
    pending: list[Any] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            for key, item in node.items():
                if key.__class__ is not str and not isinstance(key, str):
                    return False
                if isinstance(item, _CONTAINERS):
                    pending.append(item)
        else:
            pending += [item for item in node if isinstance(item, _CONTAINERS)]
    return True


def _explained(value: Value, error: Exception | None) -> InvalidArgument:
    """Finds what is wrong with a value that json refused."""
    if isinstance(error, RecursionError):
        return _too_deep()
    if error is not None and "ircular" in str(error):
        return _refused("the value contains itself")
    return _explain(value) or _refused(f"the value cannot be written as JSON: {error}")


def _explain(value: Value) -> InvalidArgument | None:
    """Finds what is wrong with a value, and where."""
    pending: list[tuple[str, Any]] = [("value", value)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, dict):
            for key, item in node.items():
                if not isinstance(key, str):
                    return _refused(
                        f"{path} has the key {key!r}, {_named(key)}, but JSON has only strings"
                        f" as keys: use {str(key)!r}"
                    )
                pending += [(f"a key of {path}", key), (f"{path}[{json.dumps(key)}]", item)]
        elif isinstance(node, (list, tuple)):
            pending += [(f"{path}[{at}]", item) for at, item in enumerate(node)]
        elif problem := _problem(node):
            return _refused(f"{path} is {problem}")
    return None


def _problem(leaf: Any) -> str | None:
    if isinstance(leaf, float):
        if not math.isfinite(leaf):
            return f"{leaf}, which JSON cannot carry: use None, or a string"
    elif isinstance(leaf, str):
        try:
            leaf.encode()
        except UnicodeEncodeError as error:
            return (
                f"text with half a surrogate pair ({leaf[error.start]!r}), which is no Unicode:"
                ' decode bytes with errors="replace"'
            )
    elif isinstance(leaf, int):
        if abs(leaf) >= _OVERFLOW:
            return "an integer beyond 1.8e308, where the daemon's numbers end: write it as a string"
    elif leaf is not None:
        return f"{_named(leaf)}, which is not JSON: {_way_out(leaf)}"
    return None


def _way_out(node: Any) -> str:
    if isinstance(node, (bytes, bytearray, memoryview)):
        return "decode it, write it as base64 text, or as a record of its own: a value may be bytes"
    if isinstance(node, (set, frozenset)):
        return "use a list (sorted, so that it is the same each time)"
    if hasattr(node, "isoformat"):
        return "write .isoformat()"
    if hasattr(node, "__dataclass_fields__"):
        return "write dataclasses.asdict() of it"
    if hasattr(node, "model_dump"):
        return 'write .model_dump(mode="json")'
    if hasattr(node, "tolist"):
        return "write .tolist()"
    return "use dicts, lists, strings, numbers, booleans and None"


def _named(thing: Any) -> str:
    name = type(thing).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def _refused(message: str) -> InvalidArgument:
    return InvalidArgument(message, details={"field": "value"})
