"""Iterators over items that are fetched on the way."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar, cast

from statehouse import _arguments as check
from statehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator
    from types import AsyncGeneratorType, GeneratorType

Item = TypeVar("Item")


class Made(NamedTuple):
    """The call that an iteration was made by: a method, and its arguments by name. What is at
    its default is not shown.
    """

    method: Callable[..., object]
    arguments: dict[str, Any]

    def __str__(self) -> str:
        shown = []
        by_position = True
        for name, parameter in inspect.signature(self.method).parameters.items():
            value = self.arguments[name]
            if value is parameter.default:
                by_position = False
                continue
            by_position = by_position and parameter.kind is not parameter.KEYWORD_ONLY
            shown.append(check.brief(value) if by_position else f"{name}={check.brief(value)}")
        return f"{self.method.__name__}({', '.join(shown)})"


class Iteration(Iterator[Item]):
    """An iterator that says what it iterates over. ``close()`` ends it early."""

    def __init__(self, items: Generator[Item, None, None], made: Made) -> None:
        self._items = cast("GeneratorType[Item, None, None]", items)
        self._made = made
        self._count = 0  # of items handed out

    def __next__(self) -> Item:
        if self._items.gi_running:
            raise UsageError(f"{self._made} is used by two threads at once: give each its own")
        item = next(self._items)
        self._count += 1
        return item

    def close(self) -> None:
        """Ends the iteration, and frees what it holds."""
        if self._items.gi_running:
            raise UsageError(f"{self._made} is used by another thread, so it cannot be closed")
        self._items.close()

    def __repr__(self) -> str:
        return f"<{self._made}: {self._state()}>"

    def _state(self) -> str:
        count = f"{self._count} handed out"
        return f"{count}, ended" if self._items.gi_frame is None else count


class Listing(Iteration[Item]):
    """An iterator that ends by itself. Older clients of Statehouse returned lists, so it can
    be used as one: asked for its length, or for an item by its place, it fetches all items and
    keeps them.
    """

    _kept: list[Item] | None = None

    def __iter__(self) -> Iterator[Item]:
        return self if self._kept is None else iter(self._kept)

    def __next__(self) -> Item:
        if self._kept is None:
            return super().__next__()
        if self._count == len(self._kept):
            raise StopIteration
        self._count += 1
        return self._kept[self._count - 1]

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return bool(self._count or self._all())

    def __getitem__(self, place: Any) -> Any:
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, list) and self._all() == other)

    __hash__ = Iteration.__hash__

    def _all(self) -> list[Item]:
        if self._kept is None:
            if self._count:
                raise _Used(
                    f"{self._made} has handed out items already, and keeps none: make a list of"
                    " it first, as in list(...)"
                )
            kept = []
            while True:
                try:
                    kept.append(super().__next__())
                except StopIteration:
                    break
            self._kept, self._count = kept, 0
        return self._kept

    def _state(self) -> str:
        return super()._state() if self._kept is None else f"{len(self._kept)} kept"


class _Used(UsageError, TypeError):
    """A TypeError too: list() takes it for the absence of a length."""


class AsyncIteration(AsyncIterator[Item]):
    """An asynchronous iterator that says what it iterates over. ``aclose()`` ends it early."""

    def __init__(self, items: AsyncGenerator[Item, None], made: Made) -> None:
        self._items = cast("AsyncGeneratorType[Item, None]", items)
        self._made = made

    def __anext__(self) -> Awaitable[Item]:
        if self._items.ag_running:
            raise UsageError(f"{self._made} is used by two tasks at once: give each its own")
        return self._items.__anext__()

    async def aclose(self) -> None:
        """Ends the iteration, and frees what it holds."""
        if self._items.ag_running:
            raise UsageError(f"{self._made} is used by another task, so it cannot be closed")
        await self._items.aclose()

    def __repr__(self) -> str:
        ended = self._items.ag_frame is None
        return f"<{self._made}: {'ended' if ended else 'not ended'}>"
