"""The client that is awaited."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import grpc
import grpc.aio

from statehouse import _arguments as check
from statehouse import _forks, errors
from statehouse._capture import release
from statehouse._client import ClientSurface
from statehouse._effects import (
    Awaiting,
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
from statehouse._functions import check_awaitable, check_function
from statehouse._iterating import AsyncIteration
from statehouse._proto import methods
from statehouse._status import NoMessage, closed_meanwhile, from_rpc, received
from statehouse._txn import TxnSurface, begin, run_transaction

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Coroutine,
        Generator,
        Mapping,
    )
    from types import TracebackType
    from typing import NoReturn

    from typing_extensions import Self

    from statehouse._calls import Caller
    from statehouse._capture import Capture
    from statehouse._channel import Endpoint
    from statehouse._iterating import Made
    from statehouse._proto import statehouse_pb2 as pb

T = TypeVar("T")
Item = TypeVar("Item")

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
#: Seconds that one look at a channel's state may take; what was cancelled goes on as long.
_GLANCE = 0.05


class Transport:
    """A channel, made in the event loop that first uses it, and who performs effects on
    it.
    """

    def __init__(self, endpoint: Endpoint, capture: Capture | None) -> None:
        self._endpoint = endpoint
        self._capture = capture
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._channel: Any = None
        self._calls: dict[str, Any] = {}
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
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
                except BaseException as failed:  # theirs to handle, whatever it is
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
        call = self._calls[effect.method](
            effect.request, timeout=effect.timeout, metadata=self._endpoint.headers
        )
        if isinstance(effect, Call):
            return await call
        self._streams.add(call)
        return call

    async def _reach(self, seconds: float | None) -> bool | None:
        # What is public for waiting has no deadline, and does not bear to be cancelled.
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
        channel: Any
        endpoint = self._endpoint
        if endpoint.credentials is None:
            channel = grpc.aio.insecure_channel(endpoint.target, endpoint.options)
        else:
            channel = grpc.aio.secure_channel(
                endpoint.target, endpoint.credentials, endpoint.options
            )
        self._calls = {
            method.name: (channel.unary_stream if method.streaming else channel.unary_unary)(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for method in methods()
        }
        self._channel, self._pid = channel, os.getpid()
        self._loop = running_loop()

    async def close(self) -> None:
        closed, self._closed = self._closed, True
        if not closed and self._channel is not None and self._pid == os.getpid():
            for stream in list(self._streams):
                stream.cancel()  # gRPC before 1.7x would wait for them
            channel, self._channel, self._calls = self._channel, None, {}
            await channel.close()  # and with its last reference goes gRPC's own thread
        capture, self._capture = self._capture, None
        if capture is not None:
            await running_loop().run_in_executor(None, release, capture)


def running_loop() -> asyncio.AbstractEventLoop:
    """Answers the event loop that is running; of asyncio, for gRPC knows no other."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise errors.UsageError(
            "AsyncStatehouse needs a running event loop of asyncio: under trio and others use a"
            " Statehouse in a thread, as with trio.to_thread.run_sync"
        ) from None


def _being_cancelled() -> bool:
    """Reports whether somebody cancelled this task; before Python 3.11 nobody knows."""
    task: Any = asyncio.current_task()
    return hasattr(task, "cancelling") and task.cancelling() > 0


class _Awaits(Awaiting):
    _transport: Transport

    async def _run(self, steps: Steps[T]) -> T:
        return await self._transport.run(steps)

    def _iterate(self, feed: Feed[Item], made: Made, endless: bool) -> AsyncIterator[Item]:
        del endless  # a list, which one without end is not, takes no awaiting to have a length
        return AsyncIteration(self._transport.iterate(feed), made)


class AsyncTxn(TxnSurface, _Awaits):
    __doc__ = TxnSurface.__doc__

    def __init__(
        self,
        transport: Transport,
        caller: Caller,
        begun: pb.BeginTransactionResponse,
        metadata: dict[str, str],
    ) -> None:
        super().__init__(caller, begun, metadata)
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._run(self._leave(failing=kind is not None))

    def __enter__(self) -> NoReturn:
        raise errors.UsageError("write: async with client.begin_transaction() as tx")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""


class Beginning:
    """A transaction that is about to begin: await it for an :class:`AsyncTxn`, or use it
    with ``async with``.
    """

    def __init__(self, begin: Coroutine[Any, Any, AsyncTxn]) -> None:
        self._begin = begin
        self._begun = False
        self._txn: AsyncTxn | None = None

    def __await__(self) -> Generator[Any, None, AsyncTxn]:
        if self._begun:
            raise errors.UsageError(
                "this transaction was begun already: call begin_transaction for each"
            )
        self._begun = True
        return self._begin.__await__()

    async def __aenter__(self) -> AsyncTxn:
        self._txn = await self
        return self._txn

    def __enter__(self) -> NoReturn:
        self._begin.close()
        raise errors.UsageError("write: async with client.begin_transaction() as tx")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""

    def __repr__(self) -> str:
        return f"<begin_transaction(): {'begun' if self._begun else 'not awaited yet'}>"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._txn is not None:
            await self._txn.__aexit__(kind, error, traceback)


class AsyncStatehouse(ClientSurface, _Awaits):
    __doc__ = f"""{ClientSurface.__doc__}
    What :class:`Statehouse` does by blocking is awaited here; what it iterates over is
    iterated over with ``async for``.

    >>> async def main():
    ...     async with AsyncStatehouse(url="localhost:50051") as client:
    ...         await client.write(agent_id="a1", key="memory", value={{"fact": "Paris"}})
    ...         return [record.key async for record in client.scan_prefix(agent_id="a1")]
    >>> asyncio.run(main())
    ['memory']

    A client belongs to the event loop, and the process, that first uses it. Many tasks may
    use it at once. Cancelling a task that commits leaves open whether the commit is made:
    ask ``get_transaction``.
    """

    def _open(self) -> None:
        self._transport = Transport(self._endpoint, self._capture)

    def begin_transaction(
        self,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> Beginning:
        """Begins an :class:`AsyncTxn`: ``async with client.begin_transaction() as tx``, or
        ``tx = await client.begin_transaction()``. Otherwise as :class:`Statehouse` does.
        """
        given = check.text_map("metadata", metadata)
        steps = begin(self._caller, timeout, timeout_ms)

        async def begun() -> AsyncTxn:
            response = await self._run(steps)
            return AsyncTxn(self._transport, self._caller, response, given)

        return Beginning(begun())

    async def run_transaction(
        self,
        function: Callable[[AsyncTxn], Awaitable[T]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
    ) -> T:
        """Runs a coroutine function in a transaction, as :class:`Statehouse` does with a
        function.
        """

        def make(begun: pb.BeginTransactionResponse, metadata: dict[str, str]) -> AsyncTxn:
            return AsyncTxn(self._transport, self._caller, begun, metadata)

        check_function(function, awaited=True)
        steps = run_transaction(self._caller, make, function, timeout, timeout_ms, metadata)
        result: T = await self._run(steps)
        return result

    async def close(self) -> None:
        """Closes the connection. What is under way fails, a commit with
        :class:`OutcomeUnknown`: it may be made all the same.
        """
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __enter__(self) -> NoReturn:
        raise errors.UsageError("write: async with AsyncStatehouse(...) as client")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""
