"""Leases, awaited: one task sees to all of a client's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from statehouse import errors
from statehouse._aio.transport import Awaiting
from statehouse._calls import log
from statehouse._leases import BaseLease, Renewals, closed
from statehouse._steps.leases import LeaseSteps, complete, leave, release, renew
from statehouse.types import (
    AnyOperation,
    Commit,
    DueRecord,
    Duration,
    LeaseInfo,
    Precondition,
    Record,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from typing import NoReturn

    from statehouse._aio.transport import Transport
    from statehouse._calls import Caller


class Renewing:
    """Renews the leases of a client, and of those that share its connection, in the event loop that
    uses it. The task ends with the last lease. Each request has one of its own: no lease waits for
    the answer to another's.
    """

    def __init__(self, transport: Transport, caller: Caller) -> None:
        self._transport, self._caller = transport, caller
        self._renewals = Renewals()
        self._changed: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._requests: set[asyncio.Task[None]] = set()

    def add(self, lease: AsyncLease) -> None:
        """Renews a lease from now on."""
        self._renewals.add(lease)
        if self._task is None or self._task.done() or self._changed is None:
            self._changed = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._work(self._changed))
        self._changed.set()

    def discard(self, lease: AsyncLease) -> None:
        """Renews a lease no longer."""
        self._renewals.discard(lease)
        if self._changed is not None:
            self._changed.set()

    async def release(self, lease: AsyncLease) -> None:
        await self._transport.run(release(self._caller, lease))

    async def leave(self, lease: AsyncLease) -> None:
        await self._transport.run(leave(self._caller, lease))

    async def complete(
        self,
        claim: AsyncClaim,
        operations: Iterable[AnyOperation],
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
    ) -> Commit:
        steps = complete(self._caller, claim, claim.record, operations, preconditions, metadata)
        return await self._transport.run(steps)

    def close(self) -> None:
        """Ends: what is held counts as lost."""
        for lease in self._renewals.close():
            lease._lose(closed(lease))  # noqa: SLF001
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for request in self._requests:
            request.cancel()

    async def _work(self, changed: asyncio.Event) -> None:
        while self._renewals:
            if (seconds := self._renewals.wait()) != 0:
                changed.clear()
                waiter = asyncio.ensure_future(changed.wait())
                try:
                    await asyncio.wait([waiter], timeout=seconds)
                finally:
                    waiter.cancel()
                continue
            request = asyncio.ensure_future(self._renew(self._renewals.due(), changed))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)

    async def _renew(self, due: list[BaseLease], changed: asyncio.Event) -> None:
        try:
            await self._transport.run(renew(self._caller, due))
        except Exception as failed:  # whatever it is: what is not renewed is lost in time
            log.debug("statehouse: %d leases were not renewed: %s", len(due), failed)
        self._renewals.settle(due)
        changed.set()


class AsyncLease(BaseLease):
    """A lease that this process holds, as ``client.lease`` gives it, and which is renewed in the
    background. At the end of an ``async with`` block it is released; the task in the block is
    cancelled when it is lost, and :class:`LeaseLost` leaves the block.

    ``lost``
        An :class:`asyncio.Event`, set once the lease is lost.
    """

    lost: asyncio.Event

    def __init__(self, renewing: Renewing, info: LeaseInfo, sent: float) -> None:
        """Made by ``client.lease``."""
        super().__init__(info, sent)
        self.lost = asyncio.Event()
        self._renewing = renewing
        #: The task that is in its block, how often that was being cancelled when it entered, and
        #: whether it is cancelled for this lease.
        self._inside: Any = None
        self._before = 0
        self._cancelled = False

    async def release(self) -> None:
        """Releases it, so that others need not wait until it lapses. Releasing twice is no error.

        Raises :class:`LeaseLost` when it was lost before.
        """
        if not self._released:
            self._renewing.discard(self)
            self.check()
            await self._renewing.release(self)
            self._released = True

    def _lose(self, why: errors.LeaseLost) -> None:
        super()._lose(why)
        inside, self._inside = self._inside, None
        if self._why is not None and inside is not None and inside is not asyncio.current_task():
            self._cancelled = True
            self._task = inside
            inside.cancel()

    async def __aenter__(self) -> Self:
        self.check()
        self._inside = asyncio.current_task()
        self._before = _cancelling(self._inside)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Releases it. Raises :class:`LeaseLost` when it was lost, unless another exception leaves
        the block.
        """
        self._inside = None
        if self._cancelled:
            await self._uncancelled(kind, error)
        if self._released:
            return
        self._renewing.discard(self)
        try:
            self.check()
            await self._renewing.leave(self)
        except errors.LeaseLost as lost:
            self._lose(lost)
            if kind is None:
                raise
        except errors.StatehouseError as failed:
            if kind is None:
                raise
            log.debug("statehouse: %r is not released: %s", self, failed.message)
        else:
            self._released = True

    async def _uncancelled(
        self, kind: type[BaseException] | None, error: BaseException | None
    ) -> None:
        """Takes back that the task was cancelled for this lease. Raises :class:`LeaseLost` where
        that, and nothing else, ended the block.
        """
        left = self._task.uncancel() if hasattr(self._task, "uncancel") else self._before
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            if left <= self._before:
                try:
                    self.check()
                except errors.LeaseLost as lost:
                    raise lost from error
            return
        try:
            await asyncio.sleep(0)  # where the cancellation arrives, if it has not yet
        except asyncio.CancelledError:
            if left > self._before:
                raise

    def __enter__(self) -> NoReturn:
        raise errors.UsageError("write: async with client.lease(...) as lease")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""


def _cancelling(task: Any) -> int:
    """Reports how often a task is being cancelled; before Python 3.11 always 0."""
    return task.cancelling() if hasattr(task, "cancelling") else 0


class AsyncClaim(AsyncLease):
    """A due record that this process has claimed, as ``client.claim`` gives it. It is a lease on
    the record, which is renewed in the background. At the end of an ``async with`` block it is
    completed; when an exception leaves the block it is released, and the record is due again.

    ``record``
        The record, as it was when it was claimed.
    ``due_at``
        When it became due.
    """

    record: Record
    due_at: datetime

    def __init__(self, renewing: Renewing, due: DueRecord, sent: float) -> None:
        """Made by ``client.claim``."""
        super().__init__(renewing, due.lease, sent)
        self.record, self.due_at = due.record, due.due_at

    async def complete(
        self,
        operations: Iterable[AnyOperation] = (),
        *,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> Commit:
        """Completes it, in one commit with what was done for it: the record is no longer due.

        ``operations``, ``preconditions``, ``metadata``
            As in ``transact``.

        Raises :class:`LeaseLost` when another worker may have it by now: nothing is committed.
        """
        commit = await self._renewing.complete(self, operations, preconditions, metadata)
        self._renewing.discard(self)
        self._released = True
        return commit

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Completes it, or releases it when an exception leaves the block. Raises what
        ``complete`` does.
        """
        if kind is None and not (self._released or self._cancelled):
            self._inside = None
            try:
                await self.complete()
            finally:
                self._renewing.discard(self)
        await super().__aexit__(kind, error, traceback)


class Leasing:
    """A lease that is about to be acquired: await it for an :class:`AsyncLease`, or use it with
    ``async with``.
    """

    def __init__(self, acquire: Coroutine[Any, Any, AsyncLease]) -> None:
        self._acquire = acquire
        self._asked = False
        self._lease: AsyncLease | None = None

    def __await__(self) -> Generator[Any, None, AsyncLease]:
        if self._asked:
            raise errors.UsageError("this lease was asked for already: call lease for each")
        self._asked = True
        return self._acquire.__await__()

    async def __aenter__(self) -> AsyncLease:
        self._lease = await self
        return await self._lease.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            await self._lease.__aexit__(kind, error, traceback)

    def __enter__(self) -> NoReturn:
        self._acquire.close()
        raise errors.UsageError("write: async with client.lease(...) as lease")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""

    def __repr__(self) -> str:
        return f"<lease(): {'asked' if self._asked else 'not awaited yet'}>"


class Leases(LeaseSteps, Awaiting):
    """Due records, and which leases are held."""

    _renewing: Renewing

    async def claim(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        limit: int = 1,
        ttl: Duration = 30.0,
        wait: float | None = 0.0,
        holder: str | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> list[AsyncClaim]:
        """Claims records that are due, each for one worker at a time, and renews the claims in the
        background. At the end of the block a claim is completed.

        >>> _ = await client.write("queue", "mail/1", {"to": "alice"}, due_in=0.01)
        >>> for job in await client.claim("queue", wait=10):
        ...     async with job:
        ...         print(job.record.key, job.record.value)
        mail/1 {'to': 'alice'}

        ``agent_id``
            Of one agent. None: of all agents of the namespace.
        ``prefix``
            Only records whose keys start with it.
        ``limit``
            How many to claim at most; those that are due longest come first.
        ``ttl``
            Seconds, or a timedelta, that a claim is held after it was made, and after each renewal:
            how long a record waits for another worker when this process dies.
        ``wait``
            Seconds to wait while nothing is due, by a watch; None: for ever. 0: the list is empty
            at once.
        ``holder``
            Who holds it, for people; None: this machine and process.
        ``namespace``, ``metadata``
            As in ``write``.

        A record is handed out at least once, and completed exactly once: what a block has done may
        be done again by another worker if this one is too late, but its ``complete``, with whatever
        it writes in the same commit, is then refused. When an exception leaves the block, the claim
        is released, and the record is due again at once.

        Raises what ``write`` raises.
        """
        steps = self._claim(agent_id, prefix, limit, ttl, wait, holder, namespace, metadata)
        claims = [AsyncClaim(self._renewing, due, sent) for due, sent in await self._run(steps)]
        for claim in claims:
            self._renewing.add(claim)
        return claims

    async def list_leases(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        limit: int | None = None,
        namespace: str | None = None,
    ) -> list[LeaseInfo]:
        """Lists the leases that are held, by whomever.

        >>> lease = await client.lease("session-7", "worker", holder="alice")
        >>> [(held.agent_id, held.name, held.holder) for held in await client.list_leases()]
        [('session-7', 'worker', 'alice')]
        >>> await lease.release()
        >>> await client.list_leases("session-7")
        []

        ``agent_id``
            Of one agent. None: of all agents of the namespace.
        ``prefix``
            Only leases whose names start with it.
        ``limit``
            How many to list at most; None: all.
        ``namespace``
            None: the client's own.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return await self._run(self._list_leases(agent_id, prefix, limit, namespace))
