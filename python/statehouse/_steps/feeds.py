"""Streams of events that open again after the last event when they break.

The rules are those of the Go client, ``client/streams.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from statehouse import errors
from statehouse._calls import Caller, Deadline, in_time
from statehouse._effects import Feed, Items, Open, Receive
from statehouse._reach import reach
from statehouse._times import to_datetime
from statehouse._values import from_json
from statehouse.types import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from statehouse._proto import statehouse_pb2 as pb


class EventFeed:
    """What replay and watch have in common."""

    method: ClassVar[str]
    #: The daemon never ends such a stream in good order.
    endless: ClassVar[bool]

    def __init__(
        self, caller: Caller, request: Any, cursor: int | None, limit: int | None, epoch: str
    ) -> None:
        self.caller = caller
        self.request = request
        #: Everything up to it has been handed out, and nothing after it. None: a watch from
        #: now on, whose first batch says it. Invariant: only rises.
        self.cursor = cursor
        self.left = limit
        #: In which the cursor names a commit; empty: unknown.
        self.epoch = epoch

    def resume(self) -> None:
        """Makes the request ask for what comes after the cursor."""
        raise NotImplementedError

    def attempt_timeout(self) -> float | None:
        """Returns how many seconds one stream may take."""
        raise NotImplementedError

    def patience(self) -> Deadline:
        """Returns until when a daemon that went away now is waited for."""
        raise NotImplementedError

    def over(self) -> bool:
        """Reports whether the time for the whole is over."""
        return False

    def events(self) -> Feed[Event]:
        if self.left == 0:
            return
        waiting: Deadline | None = None  # since the daemon was lost
        known = False  # the daemon has been reached
        tries = 0
        while not self.over():
            heard = self.cursor, self.left
            try:
                yield from self._read()
                if not self.endless:
                    return
                raise errors.ConnectionError("the daemon ended the stream", sent=True)
            except errors.ConnectionError as failed:
                if (self.cursor, self.left) != heard:
                    known, waiting, tries = True, None, 0
                if self.over():
                    return
                hasty = not known and not failed.answered and self.caller.options.fail_fast
                if failed._lasting or hasty:  # noqa: SLF001
                    raise
                waiting = waiting or self.patience()
                yield from self.caller.pause(self.method, tries, waiting, failed)
                tries += 1

    def _read(self) -> Feed[Event]:
        """Opens the stream once and hands out what comes."""
        self.resume()
        within = Deadline(self.attempt_timeout())
        yield from reach(self.caller.endpoint, within)
        stream = yield Open(self.method, self.request, within.left())
        try:
            while self.left is None or self.left > 0:
                try:
                    batch = yield Receive(stream)
                except errors.ConnectionError as failed:
                    raise in_time(failed, within) from None
                if batch is None:
                    return
                yield Items(list(self._take(batch)))
        finally:
            stream.cancel()

    def _take(self, batch: pb.EventBatch) -> Iterator[Event]:
        self.epoch = batch.epoch or self.epoch
        for message in batch.events:
            if self.cursor is not None and message.commit_ts <= self.cursor:
                raise errors.broken(f"commit {message.commit_ts} after commit {self.cursor}")
            self.cursor = message.commit_ts
            if self.left is not None:
                self.left -= 1
            yield event(message, self.epoch)
            if self.left == 0:
                return
        if self.cursor is not None and batch.cursor < self.cursor:
            raise errors.broken(f"cursor {batch.cursor} after commit {self.cursor}")
        self.cursor = batch.cursor


class ReplayFeed(EventFeed):
    """Commits of the past."""

    method = "ReplayBatches"
    endless = False

    def resume(self) -> None:
        if self.cursor:
            self.request.start_ts = self.cursor + 1
            self.request.epoch = self.epoch
        if self.left is not None:
            self.request.limit = self.left

    def attempt_timeout(self) -> float | None:
        # When it passes in the middle of a long replay, that goes on where it was.
        return self.caller.options.attempt_timeout or self.caller.options.timeout

    def patience(self) -> Deadline:
        return Deadline(self.caller.options.timeout)


class WatchFeed(EventFeed):
    """Commits as they are made."""

    method = "Watch"
    endless = True

    def __init__(
        self,
        caller: Caller,
        request: Any,
        cursor: int | None,
        timeout: float | None,
        epoch: str,
    ) -> None:
        super().__init__(caller, request, cursor, None, epoch)
        self.deadline = Deadline(timeout)

    def resume(self) -> None:
        if self.cursor is not None:
            self.request.after_ts = self.cursor
            self.request.epoch = self.epoch

    def attempt_timeout(self) -> float | None:
        return self.deadline.left()

    def patience(self) -> Deadline:
        return Deadline(None)

    def over(self) -> bool:
        left = self.deadline.left()
        return left is not None and left <= 0


def event(message: pb.ReplayEvent, epoch: str) -> Event:
    """Reads an event."""
    return Event(
        commit_ts=message.commit_ts,
        timestamp=to_datetime(message.commit_time),
        txn_id=message.txn_id,
        operations=tuple(
            Operation(
                key=op.key,
                value=from_json(op.value_json) if op.value_json else None,
                version=op.version,
                deleted=op.deleted,
                agent_id=op.agent_id,
                namespace=op.namespace,
                erased=op.erased,
                pruned=op.pruned,
            )
            for op in message.operations
        ),
        metadata=dict(message.metadata),
        principal=message.principal,
        trace_id=message.trace_id,
        epoch=epoch,
    )
