"""Reads that are under way at once share a stream, the contract's Session.

A call of its own costs an event loop far more than what it says: with 64 reads under way a
session takes an eighth of a call's processor time a read, and makes three times as many. It
gains where requests share frames both ways. So it is not used for a few at a time, nor for
commits, whose answers come one by one; nor by the blocking client, where handing requests and
answers from thread to thread takes a third more time than a call does.

What a request means is the same either way: see ``Transport`` for what it is when the stream is
refused or breaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from statehouse._proto import statehouse_pb2 as pb
from statehouse._proto import status_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: What may share a stream.
METHODS = frozenset(
    ("GetState", "GetStateAtVersion", "BatchGetState", "ListKeys", "ScanPrefix", "GetTransaction")
)
#: Calls under way from which on sharing gains.
BUSY = 4
#: Bytes of a request that is sent in a session, and requests of a frame: 1 MiB together.
LARGEST, _FRAME = 16 << 10, 64
#: Requests under way in a session, until the daemon says how many it wants.
_WINDOW = 256
#: Seconds without a request after which a session ends.
_IDLE = 5.0

_STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class Unsent(Exception):
    """The request was not sent, or the daemon knows no sessions."""


class Refused(grpc.RpcError):
    """How a request in a session ended, in the shape of a call's error."""

    def __init__(self, code: grpc.StatusCode, message: str, status: bytes = b"") -> None:
        super().__init__(message)
        self._code, self._message, self._status = code, message, status

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._message

    def trailing_metadata(self) -> Any:
        return (("grpc-status-details-bin", self._status),) if self._status else ()


def _refused(status: bytes) -> Refused:
    said = status_pb2.Status.FromString(status)
    return Refused(_STATUSES.get(said.code, grpc.StatusCode.UNKNOWN), said.message, status)


class _Waiting:
    """A request under way."""

    __slots__ = ("future", "late", "sent")

    def __init__(self, future: asyncio.Future[bytes]) -> None:
        self.future = future
        self.sent = False
        self.late: asyncio.TimerHandle | None = None


class Session:
    """One stream. It belongs to the event loop that it is made in."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._ids = 0
        self._waiting: dict[int, _Waiting] = {}
        self._queue: deque[pb.SessionRequest] = deque()
        self._wake = asyncio.Event()
        self._used = self._loop.time()
        self._window = _WINDOW
        self._under_way = 0  # sent, and waited for
        #: It takes no more requests.
        self.over = False
        #: The daemon has answered something in it.
        self.worked = False
        #: The daemon does not know what a session is.
        self.unknown = False
        self._tasks = [self._loop.create_task(run()) for run in (self._read, self._write)]
        self._timer = self._loop.call_later(_IDLE, self._look)

    async def call(self, method: str, request: Message, timeout: float | None) -> bytes:
        """Makes a call. Raises :class:`Unsent`, or what a call of its own raises."""
        if self.over:
            raise Unsent
        self._ids += 1
        number = self._ids
        asked = pb.SessionRequest(id=number, method=method, request=request.SerializeToString())
        waiting = self._waiting[number] = _Waiting(self._loop.create_future())
        if timeout is not None:
            asked.timeout_us = max(1, int(timeout * 1e6))
            waiting.late = self._loop.call_later(timeout, self._late, waiting)
        self._queue.append(asked)
        self._wake.set()
        try:
            return await waiting.future
        finally:
            if waiting.late is not None:
                waiting.late.cancel()
            if self._waiting.pop(number, None) and waiting.sent and not self.over:
                self._under_way -= 1
                self._queue.appendleft(pb.SessionRequest(id=number, cancel=True))
                self._wake.set()

    def _late(self, waiting: _Waiting) -> None:
        if not waiting.future.done():
            late = Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            waiting.future.set_exception(late)

    def _look(self) -> None:
        """Ends the session when it has not been used for a while."""
        left = self._used + _IDLE - self._loop.time()
        if left > 0 or self._waiting:
            self._timer = self._loop.call_later(max(left, _IDLE / 2), self._look)
        else:
            self.over = True
            self._wake.set()

    async def _write(self) -> None:
        try:
            while not self.over or self._queue:
                await self._wake.wait()
                self._wake.clear()
                while frame := self._frame():
                    self._used = self._loop.time()
                    await self._stream.write(pb.SessionRequests(requests=frame))
            await self._stream.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.BaseError):
            pass  # _read says what became of it
        finally:
            self.over = True

    def _frame(self) -> list[pb.SessionRequest]:
        """Takes what may be sent now. Cancellations come first: they make room."""
        frame: list[pb.SessionRequest] = []
        while self._queue and len(frame) < _FRAME:
            waiting = self._waiting.get(self._queue[0].id)
            if waiting is not None and self._under_way >= self._window:
                break  # until there is an answer
            asked = self._queue.popleft()
            if waiting is not None:
                waiting.sent = True
                self._under_way += 1
            elif not asked.cancel:
                continue  # given up before it was sent
            frame.append(asked)
        return frame

    async def _read(self) -> None:
        code: Any = grpc.StatusCode.UNAVAILABLE
        message: str | None = "it was closed"
        try:
            while (frame := await self._stream.read()) is not grpc.aio.EOF:
                self.worked = True
                self._window = frame.window or self._window
                self._wake.set()
                for answer in frame.answers:
                    waiting = self._waiting.pop(answer.id, None)
                    if waiting is None:
                        continue
                    self._under_way -= 1
                    if waiting.future.done():
                        continue
                    if answer.status:
                        waiting.future.set_exception(_refused(answer.status))
                    else:
                        waiting.future.set_result(answer.answer)
            code, message = await self._stream.code(), await self._stream.details()
        except grpc.RpcError as failed:
            code, message = failed.code(), failed.details()
        except grpc.aio.BaseError as failed:
            message = str(failed)
        finally:
            self._end(code, message)

    def _end(self, code: grpc.StatusCode, message: str | None) -> None:
        """Ends what is under way: of what was sent nobody knows what became."""
        self.over = True
        self.unknown = code is grpc.StatusCode.UNIMPLEMENTED and not self.worked
        self._timer.cancel()
        self._tasks[1].cancel()
        left, self._waiting = self._waiting, {}
        for waiting in left.values():
            if waiting.future.done():
                continue
            if waiting.sent and not self.unknown:
                lost = Refused(grpc.StatusCode.UNAVAILABLE, f"the session ended: {message}")
                waiting.future.set_exception(lost)
            else:
                waiting.future.set_exception(Unsent())

    def close(self) -> None:
        """Ends the stream, and what is under way on it."""
        self.over = True
        self._stream.cancel()
        for task in self._tasks:
            task.cancel()
