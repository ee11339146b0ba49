"""Streams of events that open again after the last event when they break.

The rules are those of the Go client, ``client/streams.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from statehouse import errors
from statehouse._calls import Caller, Deadline, as_known, in_time, learns_older
from statehouse._effects import Feed, Items, Open, Receive
from statehouse._proto import statehouse_pb2 as pb
from statehouse._reach import reach
from statehouse._times import to_datetime
from statehouse._values import value_of
from statehouse.types import Event, LeaseChange, Operation, RangeAct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from statehouse._channel import Endpoint


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
        #: The last commit of which an event was handed out, and how many: a change of very many
        #: keys is several events, and the cursor stays before it until its last one.
        self.part, self.parts = 0, 0
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
            heard = self.cursor, self.part, self.parts
            try:
                yield from self._read()
                if not self.endless:
                    return
                raise errors.ConnectionError("the daemon ended the stream", sent=True)
            except errors.InvalidArgument as refused:
                if not learns_older(self.caller.endpoint, self.request, refused):
                    raise
            except errors.ConnectionError as failed:
                if (self.cursor, self.part, self.parts) != heard:
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
        self._at = self._count = 0  # of the stream: a commit, and how many of its events came
        as_known(self.caller.endpoint, self.request)
        within = Deadline(self.attempt_timeout())
        member = yield from self.caller.choose(self.request, within)
        try:
            yield from self._read_of(member, within)
        except errors.StatehouseError as failed:
            self.caller.learn(member, failed)
            raise

    def _read_of(self, member: Endpoint, within: Deadline) -> Feed[Event]:
        yield from reach(member, within)
        stream = yield Open(self.method, self.request, within.left(), member.member)
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
            if self._handed_out(message.commit_ts):
                continue
            if self.left is not None:
                self.left -= 1
            yield event(message, self.epoch)
            if self.left == 0:
                return
        if self.cursor is not None and batch.cursor < self.cursor:
            raise errors.broken(f"cursor {batch.cursor} after commit {self.cursor}")
        self.cursor = batch.cursor

    def _handed_out(self, commit_ts: int) -> bool:
        """Counts an event of a commit, and reports whether it was handed out before the stream was
        opened again.
        """
        if commit_ts != self._at:
            if commit_ts < self._at:
                raise errors.broken(f"commit {commit_ts} after commit {self._at}")
            if self._at:
                self.cursor = max(self.cursor or 0, self._at)  # it is complete
            self._at, self._count = commit_ts, 0
        self._count += 1
        if commit_ts == self.part and self._count <= self.parts:
            return True
        self.part, self.parts = commit_ts, self._count
        return False


class ReplayFeed(EventFeed):
    """Commits of the past."""

    method = "ReplayBatches"
    endless = False

    def resume(self) -> None:
        if self.cursor:
            self.request.start_ts = self.cursor + 1
            self.request.epoch = self.epoch
        if self.left is not None:
            begun = self.parts if self.part > (self.cursor or 0) else 0
            self.request.limit = self.left + begun

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
        operations=tuple(_operation(op) for op in message.operations),
        metadata=dict(message.metadata),
        principal=message.principal,
        trace_id=message.trace_id,
        epoch=epoch,
        cause=message.cause,
    )


def _operation(op: pb.Operation) -> Operation:
    return Operation(
        key=op.key,
        value=value_of(op),
        version=op.version,
        deleted=op.deleted,
        agent_id=op.agent_id,
        namespace=op.namespace,
        erased=op.erased,
        pruned=op.pruned,
        content_type=op.content_type,
        lease=LeaseChange(op.lease.holder, op.lease.ttl_ms / 1000)
        if op.HasField("lease")
        else None,
        due=op.due,
        act=_act(op.act) if op.HasField("act") else None,
    )


def _act(act: pb.RangeAct) -> RangeAct:
    known = act.kind in pb.RangeAct.Kind.values()
    kind = pb.RangeAct.Kind.Name(act.kind).lower() if known else str(act.kind)
    return RangeAct(kind, act.agent_id, act.namespace, act.commit_ts)
