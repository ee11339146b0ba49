"""The seam between what this package decides and how it talks.

All logic is generators that *yield* what they want done (an effect) and are sent the
result. They import neither grpc nor asyncio. ``_sync`` and ``_aio`` drive the same
generators, one by blocking, the other by awaiting, so there is no second copy of the logic.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, Callable, Generic, NamedTuple, Protocol, TypeVar, Union

if TYPE_CHECKING:
    from google.protobuf.message import Message

T = TypeVar("T")
Item = TypeVar("Item")


class Call(NamedTuple):
    """Send a request, return the response. Raises what came instead of one."""

    method: str
    request: Message
    timeout: float | None
    #: Of several daemons that keep one store: which.
    member: int = 0


class Reach(NamedTuple):
    """Return whether there is a connection: True, or False when the last try to make one
    failed. None: neither within that many seconds.
    """

    seconds: float | None
    member: int = 0


class Work(NamedTuple):
    """Call a function of this package that blocks; in a thread where others would wait for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Open(NamedTuple):
    """Send the request of a stream, return an :class:`OpenStream`."""

    method: str
    request: Message
    timeout: float | None
    member: int = 0


class Receive(NamedTuple):
    """Return the stream's next message, or None at its end."""

    stream: OpenStream


class Sleep(NamedTuple):
    """Let that many seconds pass."""

    seconds: float


class Invoke(NamedTuple):
    """Call a function of the user's; the awaited client awaits what it returns."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class OpenStream(Protocol):
    """A stream under way."""

    def cancel(self) -> Any:
        """Frees it. Never waits."""


class Items(Generic[Item]):
    """Not an effect: the items that a feed hands out next, taken one by one as their user asks
    for them.
    """

    __slots__ = ("items",)

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = items


Effect = Union[Reach, Call, Open, Receive, Sleep, Invoke, Work]
#: Logic that ends with a T.
Steps = Generator[Effect, Any, T]
#: Logic that hands out Items.
Feed = Generator[Union[Effect, Items[Item]], Any, None]
