"""Conditions of ``find``, written as comparisons.

>>> from statehouse import F
>>> F("/status") == "open"
F('/status') == 'open'
>>> F("/tokens/used") > 1000, F.meta("actor") == "planner", ~F("/error").exists()
(F('/tokens/used') > 1000, F.meta('actor') == 'planner', ~F('/error').exists())

A place is a JSON Pointer (RFC 6901) into a record's value, or a key of the metadata of its last
commit. Where there is nothing at the place, a condition does not hold, also not ``!=``; ``~`` is
the exact opposite of what follows, and so holds there. Values of different types are not equal, and
neither before nor after each other; numbers compare exactly, text by its bytes. A value that is
bytes, or was erased, meets no condition on values, nor the opposite of one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from statehouse import _arguments as check
from statehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from statehouse.operations import Number

__all__ = ["Condition", "F"]


@dataclass(frozen=True)
class Condition:
    """A condition of ``find``, as comparing an :class:`F` makes it. ``~condition`` is its
    opposite.
    """

    place: F
    #: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in`` or ``exists``.
    comparison: str
    #: What is compared with, as JSON text; empty of ``exists``.
    operand: str = ""
    negated: bool = False

    def __invert__(self) -> Condition:
        return Condition(self.place, self.comparison, self.operand, not self.negated)

    def __bool__(self) -> NoReturn:
        raise UsageError(
            "a condition is neither true nor false: it is for find(where=[...]), where all that are"
            " listed must hold; and, or, not and a < b < c make one bool of it"
        )

    def __repr__(self) -> str:
        said = "~" if self.negated else ""
        if self.comparison == "exists":
            return f"{said}{self.place!r}.exists()"
        shown = check.brief(json.loads(self.operand))
        if self.comparison == "in":
            return f"{said}{self.place!r}.in_({shown})"
        compared = f"{self.place!r} {self.comparison} {shown}"
        return f"~({compared})" if self.negated else compared


class F:
    """A place in a record: ``F("/status") == "open"`` is a :class:`Condition` of ``find``.

    ``pointer``
        A JSON Pointer (RFC 6901) into the value, such as ``"/tokens/used"``; empty: the value
        itself.
    """

    __slots__ = ("_metadata", "_pointer")

    def __init__(self, pointer: str) -> None:
        given = check.text("pointer", pointer)
        if given and not given.startswith("/"):
            raise check.refused(
                "pointer",
                f"{given!r} is no JSON Pointer, which begins with /: write {'/' + given!r}",
            )
        self._pointer = given
        self._metadata = ""

    @classmethod
    def meta(cls, key: str) -> F:
        """Names a key of the metadata of the record's last commit, whose values are text."""
        if not check.text("key", key):
            raise check.refused("key", "the key is empty")
        made = cls("")
        made._metadata = key
        return made

    def in_(self, values: Iterable[Any]) -> Condition:
        """Holds when what is there is equal to one of the values."""
        return Condition(self, "in", _json(check.items("values", values)))

    def exists(self) -> Condition:
        """Holds when there is something, if only None."""
        return Condition(self, "exists")

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return Condition(self, "==", _json(other))

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Condition(self, "!=", _json(other))

    def __lt__(self, other: Number | str) -> Condition:
        return Condition(self, "<", _json(other))

    def __le__(self, other: Number | str) -> Condition:
        return Condition(self, "<=", _json(other))

    def __gt__(self, other: Number | str) -> Condition:
        return Condition(self, ">", _json(other))

    def __ge__(self, other: Number | str) -> Condition:
        return Condition(self, ">=", _json(other))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"F.meta({self._metadata!r})" if self._metadata else f"F({self._pointer!r})"


def _json(value: Any) -> str:
    """Writes what is compared with."""
    if isinstance(value, (F, Condition)):
        raise check.refused("where", f"a place is compared with a value, not with {value!r}")
    if isinstance(value, Decimal):
        return check.json_number("value", value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise check.refused(
            "where", f"{check.brief(value)} cannot be written as JSON: {error}"
        ) from None
    return text
