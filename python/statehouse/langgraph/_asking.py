"""What a saver asks of a client, apart from how that client talks.

The work of the adapters is written once, as generators that yield an :class:`Ask` for each call of
a client and are sent its answer. A blocking client answers at once; of the awaited one the answer
is awaited. A generator that hands out items, too, yields them as :class:`Found`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Callable, NamedTuple, TypeVar, Union

from statehouse import AsyncStatehouse, Statehouse, UsageError

T = TypeVar("T")


class Ask(NamedTuple):
    """A call of a client's method. ``many``: it iterates, and its items are the answer."""

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    many: bool


class Found(NamedTuple):
    """An item for whoever iterates."""

    item: Any


Steps = Generator[Ask, Any, T]
Feed = Generator[Union[Ask, Found], Any, None]


def ask(method: str, *arguments: Any, **options: Any) -> Steps[Any]:
    """Asks for a call, and answers what it returned."""
    return (yield Ask(method, arguments, options, many=False))


def ask_all(method: str, *arguments: Any, **options: Any) -> Steps[list[Any]]:
    """Asks for a call that iterates, and answers all of its items."""
    items: list[Any] = yield Ask(method, arguments, options, many=True)
    return items


def run(steps: Steps[T], answer: Callable[[Ask], Any]) -> T:
    """Runs steps to their end."""
    try:
        asked = next(steps)
        while True:
            try:
                answered = answer(asked)
            except Exception as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(answered)
    except StopIteration as end:
        result: T = end.value
        return result


def iterate(feed: Feed, answer: Callable[[Ask], Any]) -> Iterator[Any]:
    """Runs steps that hand out items."""
    answered: Any = None
    while True:
        try:
            effect = feed.send(answered)
        except StopIteration:
            return
        answered = None
        if isinstance(effect, Found):
            yield effect.item
        else:
            answered = answer(effect)


class Blocking:
    """Answers by a client that blocks."""

    def __init__(self, client: Statehouse) -> None:
        self.client = client

    def answer(self, asked: Ask) -> Any:
        """Makes the call."""
        answered = getattr(self.client, asked.method)(*asked.arguments, **asked.options)
        return list(answered) if asked.many else answered

    async def awaited(self, asked: Ask) -> Any:
        """Makes the call in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.answer, asked)


class Awaiting:
    """Answers by a client that is awaited."""

    def __init__(self, client: AsyncStatehouse) -> None:
        self.client = client
        self._loop: asyncio.AbstractEventLoop | None = None

    def answer(self, asked: Ask) -> Any:
        """Has the client's event loop make the call, from another thread than its own."""
        if self._loop is None or not self._loop.is_running():
            raise UsageError(
                "the event loop of this saver's client does not run yet: await one of its"
                " methods first, or take the saver of a Statehouse, which blocks"
            )
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            raise UsageError(
                "a method that blocks was called in the event loop of its own client, which would"
                " wait for ever: await the one whose name begins with a (aput, aget_tuple, …)"
            )
        return asyncio.run_coroutine_threadsafe(self.awaited(asked), self._loop).result()

    async def awaited(self, asked: Ask) -> Any:
        """Makes the call."""
        self._loop = asyncio.get_running_loop()
        answered = getattr(self.client, asked.method)(*asked.arguments, **asked.options)
        return [item async for item in answered] if asked.many else await answered


Answering = Union[Blocking, Awaiting]


async def arun(steps: Steps[T], answering: Answering) -> T:
    """Runs steps to their end, awaiting each answer."""
    try:
        asked = next(steps)
        while True:
            try:
                answered = await answering.awaited(asked)
            except Exception as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(answered)
    except StopIteration as end:
        result: T = end.value
        return result


async def aiterate(feed: Feed, answering: Answering) -> AsyncIterator[Any]:
    """Runs steps that hand out items, awaiting each answer."""
    answered: Any = None
    while True:
        try:
            effect = feed.send(answered)
        except StopIteration:
            return
        answered = None
        if isinstance(effect, Found):
            yield effect.item
        else:
            answered = await answering.awaited(effect)
