"""Filters of a search, as conditions that the daemon evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from statehouse import F

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse import Condition

#: The operators of a filter. Unlike text in SQL, values of different types are not compared.
_OPERATORS: dict[str, Callable[[F, Any], Condition]] = {
    "$eq": F.__eq__,
    "$ne": F.__ne__,
    "$gt": F.__gt__,
    "$gte": F.__ge__,
    "$lt": F.__lt__,
    "$lte": F.__le__,
}


def conditions(wanted: Mapping[str, Any]) -> list[Condition]:
    """Makes the conditions that a filter is of: fields by name, each with a value, a mapping of
    operators, or a filter of what is in it.

    >>> conditions({"color": "red", "score": {"$gte": 3}, "size": {"width": 2}})
    [F('/value/color') == 'red', F('/value/score') >= 3, F('/value/size/width') == 2]
    """
    return _of("/value", wanted)


def _of(pointer: str, wanted: Mapping[str, Any]) -> list[Condition]:
    made: list[Condition] = []
    for field, value in wanted.items():
        place = f"{pointer}/{str(field).replace('~', '~0').replace('/', '~1')}"
        if not isinstance(value, dict) or not value:
            made.append(F(place) == value)
        elif any(str(key).startswith("$") for key in value):
            made += [_compared(place, operator, operand) for operator, operand in value.items()]
        else:
            made += _of(place, value)
    return made


def _compared(place: str, operator: str, value: Any) -> Condition:
    compare = _OPERATORS.get(operator)
    if compare is None:
        raise ValueError(
            f"{operator!r} is no operator of a filter: there are {', '.join(_OPERATORS)}"
        )
    return compare(F(place), value)
