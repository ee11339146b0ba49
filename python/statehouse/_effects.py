"""The seam between what this package decides and how it talks.

All logic is generators that *yield* what they want done (an effect) and are sent the
result. They import neither grpc nor asyncio. ``_sync`` and ``_aio`` drive the same
generators, one by blocking, the other by awaiting; there is no second copy to drift.

An :class:`operation` in a class body is such a generator function. On a class that
blocks it is a method that returns the result, on one that awaits a coroutine function;
a :class:`stream` is an iterator or an asynchronous one. Signature, documentation and
types come from the one definition.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    NamedTuple,
    Protocol,
    TypeVar,
    Union,
    cast,
    overload,
)

from typing_extensions import Concatenate, ParamSpec

from statehouse._iterating import Made

if TYPE_CHECKING:
    from google.protobuf.message import Message

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


class Call(NamedTuple):
    """Send a request, answer the response. Raises what came instead of one."""

    method: str
    request: Message
    timeout: float | None


class Reach(NamedTuple):
    """Answer whether there is a connection: True, or False when the last try to make one
    failed. None: neither within that many seconds.
    """

    seconds: float | None


class Work(NamedTuple):
    """Call a function of ours that blocks, in a thread if that would hold others up."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Open(NamedTuple):
    """Send the request of a stream, answer an :class:`OpenStream`."""

    method: str
    request: Message
    timeout: float | None


class Receive(NamedTuple):
    """Answer the stream's next message, or None at its end."""

    stream: OpenStream


class Sleep(NamedTuple):
    """Let that many seconds pass."""

    seconds: float


class Invoke(NamedTuple):
    """Call a function of the user's, and await what it returns if that is how we talk."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class OpenStream(Protocol):
    """A stream under way."""

    def cancel(self) -> Any:
        """Frees it. Never waits."""


class Items(Generic[Item]):
    """Not an effect: what a feed hands out next."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items


Effect = Union[Reach, Call, Open, Receive, Sleep, Invoke, Work]
#: Logic that ends with a T.
Steps = Generator[Effect, Any, T]
#: Logic that hands out Items.
Feed = Generator[Union[Effect, Items[Item]], Any, None]


class Blocking:
    """A class whose operations block."""

    def _run(self, steps: Steps[T]) -> T:
        raise NotImplementedError

    def _iterate(self, feed: Feed[Item], made: Made, endless: bool) -> Iterator[Item]:
        raise NotImplementedError

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _bind(cls)


class Awaiting:
    """A class whose operations are awaited."""

    async def _run(self, steps: Steps[T]) -> T:
        raise NotImplementedError

    def _iterate(self, feed: Feed[Item], made: Made, endless: bool) -> AsyncIterator[Item]:
        raise NotImplementedError

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _bind(cls)


class operation(Generic[P, T]):  # noqa: N801  (a decorator)
    """A method defined by its steps."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.steps = steps
        functools.update_wrapper(cast("Any", self), steps)

    @overload
    def __get__(self, obj: Blocking, owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, obj: Awaiting, owner: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, obj: object, owner: Any = None) -> operation[P, T]: ...
    def __get__(self, obj: object, owner: Any = None) -> Any:
        return self  # the classes that talk hold functions in its place, see _bind

    def blocking(self) -> Callable[..., T]:
        steps = self.steps

        def call(obj: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            return cast("T", obj._run(steps(obj, *args, **kwargs)))  # noqa: SLF001

        return _presented(call, steps, "{}")

    def awaiting(self) -> Callable[..., Coroutine[Any, Any, T]]:
        steps = self.steps

        async def call(obj: Any, *args: P.args, **kwargs: P.kwargs) -> T:
            return cast("T", await obj._run(steps(obj, *args, **kwargs)))  # noqa: SLF001

        return _presented(call, steps, "{}")


class stream(Generic[P, Item]):  # noqa: N801  (a decorator)
    """A method that iterates, defined by its feed."""

    #: It has no end of its own.
    endless = False

    def __init__(self, feed: Callable[Concatenate[Any, P], Feed[Item]]) -> None:
        self.feed = feed
        functools.update_wrapper(cast("Any", self), feed)

    @overload
    def __get__(self, obj: Blocking, owner: Any = None) -> Callable[P, Iterator[Item]]: ...
    @overload
    def __get__(self, obj: Awaiting, owner: Any = None) -> Callable[P, AsyncIterator[Item]]: ...
    @overload
    def __get__(self, obj: object, owner: Any = None) -> stream[P, Item]: ...
    def __get__(self, obj: object, owner: Any = None) -> Any:
        return self

    def bound(self, iterator: str) -> Callable[..., Any]:
        feed, endless = self.feed, self.endless
        name = feed.__name__

        def call(obj: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            steps = feed(obj, *args, **kwargs)
            return obj._iterate(steps, Made(name, args, kwargs), endless)  # noqa: SLF001

        return _presented(call, feed, f"{iterator}[{{}}]")


class endless_stream(stream[P, Item]):  # noqa: N801  (a decorator)
    """A stream that goes on until nobody wants it any more."""

    endless = True


Function = TypeVar("Function", bound=Callable[..., Any])


def _presented(call: Function, definition: Callable[..., Any], returns: str) -> Function:
    """Makes a function look like the method it is, and not like the generator function that
    defines it: help() and inspect show what a call returns.
    """
    functools.update_wrapper(call, definition)
    del call.__dict__["__wrapped__"]  # inspect would follow it
    inner = definition.__annotations__["return"].partition("[")[2].rpartition("]")[0]
    call.__annotations__ = {**definition.__annotations__, "return": returns.format(inner)}
    signature = inspect.signature(definition)
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        return_annotation=returns.format(inner)
    )
    return call


def _bind(cls: type) -> None:
    """Puts ordinary functions in the place of what the class inherits, so that help(),
    inspect and mocks see what they expect.
    """
    for name in dir(cls):
        attribute = getattr(cls, name)
        if isinstance(attribute, operation):
            made = attribute.blocking() if issubclass(cls, Blocking) else attribute.awaiting()
            setattr(cls, name, made)
        elif isinstance(attribute, stream):
            iterator = "Iterator" if issubclass(cls, Blocking) else "AsyncIterator"
            setattr(cls, name, attribute.bound(iterator))
