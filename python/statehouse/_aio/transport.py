"""Performing effects by awaiting them."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, ClassVar, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from statehouse import _forks, errors
from statehouse._aio.session import BUSY, LARGEST, METHODS, Session, Unsent
from statehouse._capture import release
from statehouse._channel import open_channel
from statehouse._effects import (
    Call,
    Effect,
    Feed,
    Invoke,
    Items,
    Open,
    Reach,
    Receive,
    Sleep,
    Steps,
)
from statehouse._functions import check_awaitable
from statehouse._iterating import AsyncIteration, Made
from statehouse._proto import methods
from statehouse._status import NoMessage, closed_meanwhile, from_rpc, received
from statehouse._tracing import begin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from typing import NoReturn

    from typing_extensions import Self

    from statehouse._capture import Capture
    from statehouse._channel import Endpoint, Headers

T = TypeVar("T")
Item = TypeVar("Item")

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
#: Seconds that one wait for a channel's state may take. A wait that was cancelled goes on for
#: as long.
_GLANCE = 0.05
#: Seconds without another session after one in which nothing was answered.
_NO_SESSION = 10.0
_ANSWERS = {method.name: method.response for method in methods()}


class Transport:
    """A channel, made in the event loop that first uses it, on which effects are performed."""

    def __init__(self, endpoint: Endpoint, capture: Capture | None) -> None:
        self._endpoint = endpoint
        self._capture = capture
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._channel: Any = None
        self._calls: dict[str, Any] = {}
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._calling = 0  # calls under way
        self._session: Session | None = None
        self._no_session_before = 0.0
        self._closed = False

    async def run(self, steps: Steps[T]) -> T:
        """Performs steps to their end."""
        if self._capture is not None:
            steps = self._capture.follow(steps)
        try:
            effect = next(steps)
            while True:
                try:
                    result = await self._perform(effect)
                except BaseException as failed:  # for the steps to handle, whatever it is
                    effect = steps.throw(failed)
                else:
                    effect = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def iterate(self, feed: Feed[Item]) -> AsyncGenerator[Item, None]:
        """Performs a feed as far as its items are asked for."""
        if self._capture is not None:
            feed = self._capture.follow(feed)
        try:
            step = next(feed)
            while True:
                if isinstance(step, Items):
                    for item in step.items:
                        yield item
                    step = next(feed)
                    continue
                try:
                    result = await self._perform(step)
                except BaseException as failed:
                    step = feed.throw(failed)
                else:
                    step = feed.send(result)
        except StopIteration:
            return
        finally:
            feed.close()

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, (Reach, Call, Open, Receive)):
            if self._closed or self._loop is not running_loop():
                self._connect()
            try:
                return received(effect, await self._talk(effect))
            except grpc.RpcError as failed:
                raise from_rpc(failed, closed=self._closed) from None
            except grpc.aio.UsageError:  # how gRPC says that the channel is closed
                raise closed_meanwhile(sent=False) from None
            except grpc.aio.BaseError:
                raise from_rpc(NoMessage(), closed=self._closed) from None
            except asyncio.CancelledError:
                if self._closed and not _being_cancelled():  # gRPC cancelled the call
                    raise closed_meanwhile(sent=not isinstance(effect, Reach)) from None
                raise
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Invoke):
            result = effect.function(*effect.arguments)
            check_awaitable(result)
            return await result
        return await running_loop().run_in_executor(None, effect.function, *effect.arguments)

    async def _talk(self, effect: Reach | Call | Open | Receive) -> Any:
        if isinstance(effect, Reach):
            return await self._reach(effect.seconds)
        if isinstance(effect, Receive):
            message = await effect.stream.read()  # type: ignore[attr-defined]
            return None if message is grpc.aio.EOF else message
        if isinstance(effect, Call):
            self._calling += 1
            try:
                return await self._call(effect)
            finally:
                self._calling -= 1
        call = self._own_call(effect)
        self._streams.add(call)
        return call

    def _own_call(self, effect: Call | Open, more: Headers = ()) -> Any:
        return self._calls[effect.method](
            effect.request, timeout=effect.timeout, metadata=self._endpoint.headers + more
        )

    async def _call(self, effect: Call) -> Any:
        """Makes a call in the session, or of its own: where sharing does not gain, the daemon does
        not know sessions, or the session ended before the request was sent. What was sent when a
        session breaks is a call whose answer is lost. What is traced has headers of its own, which
        a session has once.
        """
        if span := begin(effect, self._endpoint):
            with span:
                return await self._own_call(effect, span.headers)
        if self._calling >= BUSY and effect.method in METHODS and (session := self._shared(effect)):
            try:
                answer = await session.call(effect.method, effect.request, effect.timeout)
            except Unsent:
                if self._closed:
                    raise closed_meanwhile(sent=False) from None
            else:
                return self._parsed(effect.method, answer)
        return await self._own_call(effect)

    def _shared(self, effect: Call) -> Session | None:
        """Returns the session that a request may go in."""
        if not self._endpoint.sessions or effect.request.ByteSize() > LARGEST:
            return None
        session = self._session
        if session is None or session.over:
            if session is not None and not session.worked:
                if session.unknown:
                    self._endpoint.sessions = False
                    return None
                self._no_session_before = time.monotonic() + _NO_SESSION
            self._session = session = None
            if time.monotonic() >= self._no_session_before:
                stream = self._calls["Session"](metadata=self._endpoint.headers)
                self._streams.add(stream)
                self._session = session = Session(stream)
        return session

    @staticmethod
    def _parsed(method: str, answer: bytes) -> Any:
        try:
            return _ANSWERS[method].FromString(answer)
        except DecodeError:
            raise NoMessage from None

    async def _reach(self, seconds: float | None) -> bool | None:
        # What gRPC makes public for waiting has no deadline, and breaks when it is cancelled.
        channel = self._channel
        watched: Any = getattr(channel, "_channel", None)
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            state = channel.get_state(try_to_connect=True)
            if state in (_READY, _FAILED):
                return bool(state is _READY)
            if not hasattr(watched, "watch_connectivity_state"):
                return True
            left = _GLANCE if end is None else end - time.monotonic()
            if left <= 0:
                return None
            until = time.time() + min(left, _GLANCE)
            await watched.watch_connectivity_state(state.value[0], until)

    def _connect(self) -> None:
        if self._closed:
            raise errors.UsageError("the client is closed: make a new one")
        _forks.check(self._pid)
        if self._loop is not None:
            raise errors.UsageError(
                "the client belongs to another event loop: make one in each loop, inside of it"
            )
        self._channel, self._calls = open_channel(grpc.aio, self._endpoint)
        self._pid = os.getpid()
        self._loop = running_loop()

    async def close(self) -> None:
        closed, self._closed = self._closed, True
        if not closed and self._channel is not None and self._pid == os.getpid():
            if self._session is not None:
                self._session.close()
            for stream in list(self._streams):
                stream.cancel()  # gRPC before 1.7x would wait for them
            channel, self._channel, self._calls = self._channel, None, {}
            await channel.close()  # gRPC's own thread ends with the last reference
        capture, self._capture = self._capture, None
        if capture is not None:
            await running_loop().run_in_executor(None, release, capture)


def running_loop() -> asyncio.AbstractEventLoop:
    """Returns the event loop that is running. It must be of asyncio: gRPC knows no other."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise errors.UsageError(
            "AsyncStatehouse needs a running event loop of asyncio: under trio and others use a"
            " Statehouse in a thread, as with trio.to_thread.run_sync"
        ) from None


def _being_cancelled() -> bool:
    """Reports whether this task is being cancelled; before Python 3.11 always False."""
    task: Any = asyncio.current_task()
    return hasattr(task, "cancelling") and task.cancelling() > 0


class Awaiting:
    """What is awaited: performs steps in an event loop, and is used with ``async with``."""

    _transport: Transport
    #: What to write instead of ``with``.
    _usage: ClassVar[str]

    async def _run(self, steps: Steps[T]) -> T:
        return await self._transport.run(steps)

    def _iterate(
        self,
        feed: Feed[Item],
        method: Callable[..., object],
        arguments: dict[str, Any],
        *,
        endless: bool = False,
    ) -> AsyncIterator[Item]:
        del endless  # a list, which one without end is not, takes no awaiting to have a length
        return AsyncIteration(self._transport.iterate(feed), Made(method, arguments))

    async def __aenter__(self) -> Self:
        return self

    def __enter__(self) -> NoReturn:
        raise errors.UsageError(f"write: {self._usage}")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""
