"""Performing effects by waiting for them."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, ClassVar, TypeVar

import grpc

from statehouse import _forks, errors
from statehouse._capture import release
from statehouse._channel import open_channel
from statehouse._effects import (
    Call,
    Effect,
    Feed,
    Items,
    Open,
    Reach,
    Receive,
    Sleep,
    Steps,
)
from statehouse._iterating import Iteration, Listing, Made
from statehouse._status import closed_meanwhile, from_rpc, received
from statehouse._tracing import begin

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import NoReturn

    from typing_extensions import Self

    from statehouse._capture import Capture
    from statehouse._channel import Endpoint

T = TypeVar("T")
Item = TypeVar("Item")

_READY = grpc.ChannelConnectivity.READY.value[0]
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE.value[0]
#: Seconds that one wait for a channel's state may take. gRPC may tell a change to another
#: thread that waits on the same channel, so no thread may wait for it without bound.
_GLANCE = 0.05


class Transport:
    """A channel, on which effects are performed. Several threads may use it at once."""

    def __init__(self, endpoint: Endpoint, capture: Capture | None) -> None:
        self._endpoint = endpoint
        self._capture = capture
        # A signal handler that uses the client may interrupt the very thread that holds it.
        self._lock = threading.RLock()
        self._pid = 0  # of the process that the channel was made in
        self._channel: Any = None
        self._calls: dict[str, Any] = {}
        self._closed = False

    def run(self, steps: Steps[T]) -> T:
        """Performs steps to their end."""
        if self._capture is not None:
            steps = self._capture.follow(steps)
        try:
            effect = next(steps)
            while True:
                try:
                    result = self._perform(effect)
                except BaseException as failed:  # for the steps to handle, whatever it is
                    effect = steps.throw(failed)
                else:
                    effect = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def iterate(self, feed: Feed[Item]) -> Generator[Item, None, None]:
        """Performs a feed as far as its items are asked for."""
        if self._capture is not None:
            feed = self._capture.follow(feed)
        try:
            step = next(feed)
            while True:
                if isinstance(step, Items):
                    yield from step.items
                    step = next(feed)
                    continue
                try:
                    result = self._perform(step)
                except BaseException as failed:
                    step = feed.throw(failed)
                else:
                    step = feed.send(result)
        except StopIteration:
            return
        finally:
            feed.close()

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Sleep):
            return self._sleep(effect.seconds)
        if isinstance(effect, (Reach, Call, Open, Receive)):
            self._ready()
            thread = threading.get_ident()
            _forks.talking.add(thread)
            try:
                return received(effect, self._talk(effect))
            except grpc.RpcError as failed:
                raise from_rpc(failed, closed=self._closed) from None
            except ValueError:  # how gRPC says that the channel is closed
                if self._closed:
                    raise closed_meanwhile(sent=False) from None
                raise
            finally:
                _forks.talking.discard(thread)
        return effect.function(*effect.arguments)

    def _talk(self, effect: Reach | Call | Open | Receive) -> Any:
        if isinstance(effect, Reach):
            return self._reach(effect.seconds)
        if isinstance(effect, Receive):
            return next(effect.stream, None)  # type: ignore[call-overload]
        call, headers = self._calls[effect.method], self._endpoint.headers
        span = begin(effect, self._endpoint) if isinstance(effect, Call) else None
        if span is None:
            return call(effect.request, timeout=effect.timeout, metadata=headers)
        with span:
            headers += span.headers
            return call(effect.request, timeout=effect.timeout, metadata=headers)

    def _reach(self, seconds: float | None) -> bool | None:
        # For a blocking channel gRPC makes only a subscription public, which leaves a thread
        # polling for a while, and no fork survives that. Where gRPC has not what is used below,
        # calls whose connection fails count as sent, which is the safe mistake.
        channel: Any = getattr(self._channel, "_channel", None)
        if not hasattr(channel, "watch_connectivity_state"):
            return True
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            state = channel.check_connectivity_state(True)
            if state in (_READY, _FAILED):
                return bool(state == _READY)
            left = _GLANCE if end is None else end - time.monotonic()
            if left <= 0:
                return None
            channel.watch_connectivity_state(state, time.time() + min(left, _GLANCE))

    def _sleep(self, seconds: float) -> None:
        # Old versions of gRPC, such as 1.60, go on making a connection only while a thread waits
        # on the channel; otherwise they look at it every 5 seconds.
        end = time.monotonic() + seconds
        channel: Any = getattr(self._channel, "_channel", None)
        if self._pid == os.getpid() and hasattr(channel, "watch_connectivity_state"):
            thread = threading.get_ident()
            _forks.talking.add(thread)
            try:
                while (left := end - time.monotonic()) > 0:
                    state = channel.check_connectivity_state(True)
                    if state == _READY:
                        break
                    channel.watch_connectivity_state(state, time.time() + min(left, _GLANCE))
            except ValueError:
                return  # the client was closed; the next try says so
            finally:
                _forks.talking.discard(thread)
        time.sleep(max(0, end - time.monotonic()))

    def _ready(self) -> None:
        if self._pid != os.getpid() or self._closed:
            self._connect()

    def _connect(self) -> None:
        with self._lock:
            if self._closed:
                raise errors.UsageError("the client is closed: make a new one")
            _forks.check(self._pid)
            if self._pid:
                return  # another thread has connected
            channel, calls = open_channel(grpc, self._endpoint)
            if self._channel is not None:  # a signal handler in this thread has connected
                channel.close()
                return
            self._calls, self._channel, self._pid = calls, channel, os.getpid()

    def close(self) -> None:
        with self._lock:
            if not self._closed and self._channel is not None and self._pid == os.getpid():
                self._closed = True
                self._channel.close()
            self._closed = True
            capture, self._capture = self._capture, None
        if capture is not None:
            release(capture)


class Blocking:
    """What blocks: performs steps by waiting, and is used with ``with``."""

    _transport: Transport
    #: What to write instead of ``async with``.
    _usage: ClassVar[str]

    def _run(self, steps: Steps[T]) -> T:
        return self._transport.run(steps)

    def _iterate(
        self,
        feed: Feed[Item],
        method: Callable[..., object],
        arguments: dict[str, Any],
        *,
        endless: bool = False,
    ) -> Iterator[Item]:
        kind = Iteration if endless else Listing
        return kind(self._transport.iterate(feed), Made(method, arguments))

    def __enter__(self) -> Self:
        return self

    async def __aenter__(self) -> NoReturn:
        raise errors.UsageError(f"write: {self._usage}")

    async def __aexit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""
