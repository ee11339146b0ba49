"""Leases, blocking: one thread sees to all of a client's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from typing_extensions import Self

from statehouse import errors
from statehouse._calls import log
from statehouse._leases import BaseLease, Renewals, closed
from statehouse._steps.leases import LeaseSteps, complete, leave, release, renew
from statehouse._sync.transport import Blocking
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
    from statehouse._calls import Caller
    from statehouse._sync.transport import Transport


class Renewing:
    """Renews the leases of a client, and of those that share its connection. The thread ends with
    the last lease. Each request has one of its own: no lease waits for the answer to another's.
    """

    def __init__(self, transport: Transport, caller: Caller) -> None:
        self._transport, self._caller = transport, caller
        self._renewals = Renewals()
        # Of what is above. A signal handler may re-enter it.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, lease: Lease) -> None:
        """Renews a lease from now on."""
        with self._changed:
            self._renewals.add(lease)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="statehouse-leases", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def discard(self, lease: Lease) -> None:
        """Renews a lease no longer."""
        with self._changed:
            self._renewals.discard(lease)
            self._changed.notify_all()

    def release(self, lease: Lease) -> None:
        self._transport.run(release(self._caller, lease))

    def leave(self, lease: Lease) -> None:
        self._transport.run(leave(self._caller, lease))

    def complete(
        self,
        claim: Claim,
        operations: Iterable[AnyOperation],
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
    ) -> Commit:
        steps = complete(self._caller, claim, claim.record, operations, preconditions, metadata)
        return self._transport.run(steps)

    def close(self) -> None:
        """Ends: what is held counts as lost."""
        if self._pid == os.getpid():
            with self._changed:
                for lease in self._renewals.close():
                    lease._lose(closed(lease))  # noqa: SLF001
                self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._renewals:
                    self._thread = None
                    return
                if (seconds := self._renewals.wait()) != 0:
                    self._changed.wait(seconds)
                    continue
                due = self._renewals.due()
            threading.Thread(
                target=self._renew, args=(due,), name="statehouse-leases", daemon=True
            ).start()

    def _renew(self, due: list[BaseLease]) -> None:
        try:
            self._transport.run(renew(self._caller, due))
        except Exception as failed:  # whatever it is: what is not renewed is lost in time
            log.debug("statehouse: %d leases were not renewed: %s", len(due), failed)
        with self._changed:
            self._renewals.settle(due)
            self._changed.notify_all()


class Lease(BaseLease):
    """A lease that this process holds, as ``client.lease`` gives it, and which is renewed in the
    background. As a context manager it is released at the end of the block.

    ``lost``
        A :class:`threading.Event`, set once the lease is lost.
    """

    lost: threading.Event

    def __init__(self, renewing: Renewing, info: LeaseInfo, sent: float) -> None:
        """Made by ``client.lease``."""
        super().__init__(info, sent)
        self.lost = threading.Event()
        self._renewing = renewing

    def release(self) -> None:
        """Releases it, so that others need not wait until it lapses. Releasing twice is no error.

        Raises :class:`LeaseLost` when it was lost before.
        """
        if not self._released:
            self._renewing.discard(self)
            self.check()
            self._renewing.release(self)
            self._released = True

    def __enter__(self) -> Self:
        self.check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Releases it. Raises :class:`LeaseLost` when it was lost, unless another exception leaves
        the block.
        """
        if self._released:
            return
        self._renewing.discard(self)
        try:
            self.check()
            self._renewing.leave(self)
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

    async def __aenter__(self) -> NoReturn:
        raise errors.UsageError("write: with client.lease(...) as lease")

    async def __aexit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""


class Claim(Lease):
    """A due record that this process has claimed, as ``client.claim`` gives it. It is a lease on
    the record, which is renewed in the background. At the end of a ``with`` block it is completed;
    when an exception leaves the block it is released, and the record is due again.

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

    def complete(
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
        commit = self._renewing.complete(self, operations, preconditions, metadata)
        self._renewing.discard(self)
        self._released = True
        return commit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Completes it, or releases it when an exception leaves the block. Raises what
        ``complete`` does.
        """
        if kind is None and not self._released:
            try:
                self.complete()
            finally:
                self._renewing.discard(self)
        super().__exit__(kind, error, traceback)


class Leases(LeaseSteps, Blocking):
    """Due records, and which leases are held."""

    _renewing: Renewing

    def claim(
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
    ) -> list[Claim]:
        """Claims records that are due, each for one worker at a time, and renews the claims in the
        background. At the end of the block a claim is completed.

        >>> _ = client.write("queue", "mail/1", {"to": "alice"}, due_in=0.01)
        >>> for job in client.claim("queue", wait=10):
        ...     with job:
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
        claims = [Claim(self._renewing, due, sent) for due, sent in self._run(steps)]
        for claim in claims:
            self._renewing.add(claim)
        return claims

    def list_leases(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        limit: int | None = None,
        namespace: str | None = None,
    ) -> list[LeaseInfo]:
        """Lists the leases that are held, by whomever.

        >>> lease = client.lease("session-7", "worker", holder="alice")
        >>> [(held.agent_id, held.name, held.holder) for held in client.list_leases()]
        [('session-7', 'worker', 'alice')]
        >>> lease.release()
        >>> client.list_leases("session-7")
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
        return self._run(self._list_leases(agent_id, prefix, limit, namespace))
