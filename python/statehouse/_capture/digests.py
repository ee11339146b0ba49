"""Digests in the place of values: equal values have equal digests, which show their length.

``history/redact`` makes the same digests of the same values with the same key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

#: What is a part of values, or made of them: of increments, filters and differences.
_PARTS = ("pointer", "delta", "min", "max", "patch")


class _Number(str):
    """A number as it is written, so that 1.0 and 1 remain two values."""

    __slots__ = ()


_decode = json.JSONDecoder(
    parse_float=_Number, parse_int=_Number, parse_constant=_Number, strict=False
).decode
_encode = json.JSONEncoder(ensure_ascii=False).encode
#: What Go's encoder escapes and Python's does not.
_ESCAPES = str.maketrans(
    {
        c: f"\\u{ord(c):04x}"
        for c in ("<", ">", "&", "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}")
    }
)


def canonical(text: str) -> str:
    """Writes JSON text in the one form in which equal values are equal text: members
    sorted, no white space, numbers as they are written.

    >>> canonical('{"b": [1, 1.0, true], "a": "é"}')
    '{"a":"é","b":[1,1.0,true]}'
    """
    try:
        return _canonical(_decode(text))
    except ValueError:
        return text


def _canonical(node: Any) -> str:
    if isinstance(node, dict):
        return "{" + ",".join(f"{_text(k)}:{_canonical(node[k])}" for k in sorted(node)) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(_canonical, node)) + "]"
    if isinstance(node, _Number):
        return str.__str__(node)
    return _text(node) if isinstance(node, str) else _encode(node)


def _text(text: str) -> str:
    return _encode(text).translate(_ESCAPES)


class Digests:
    """Makes digests with a key. Without the key they cannot be compared with guessed values."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256)

    def value(self, text: str) -> str:
        return self.text(canonical(text)) if text else text

    def text(self, text: str) -> str:
        data = text.encode()
        mac = self._mac.copy()
        mac.update(b"value\0" + data)
        return f"digest:{mac.hexdigest()[:32]}:{len(data)}"

    def redact(self, node: Any) -> Any:
        """Returns a part of a history with digests in the place of values, those of metadata
        too. Messages of errors, which are for people, are left out; their details stay.
        """
        if isinstance(node, list):
            return [self.redact(part) for part in node]
        if not isinstance(node, dict):
            return node
        out: dict[str, Any] = {}
        for name, part in node.items():
            if name == "value":
                out[name] = self.value(part)
            elif name in _PARTS and isinstance(part, str):
                out[name] = self.text(part)
            elif name == "metadata" and isinstance(part, dict):
                out[name] = {key: self.text(is_) for key, is_ in part.items()}
            elif name == "error":
                out[name] = self.redact({k: said for k, said in part.items() if k != "message"})
            else:
                out[name] = self.redact(part)
        return out
