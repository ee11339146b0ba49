"""Leases that this process holds, and when they are to be renewed.

What a worker must never do is go on as the holder of a lease that has lapsed. So a lease counts as
held only for its time to live from the moment at which the last request that the daemon answered
was *sent*, by this machine's monotonic clock: the daemon counts from later, so it holds it longer.
No renewal answered by then, and the lease counts as lost, whatever is true of it: the fencing token
in guarded commits is what guarantees, this is only how soon a worker is told.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from statehouse import errors
from statehouse.operations import LeasePrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import NoReturn

    from statehouse.types import LeaseInfo

#: Parts of its time to live after which a lease is renewed, and by which it may be earlier to go
#: along with another.
_RENEWED, _EARLIER = 1 / 3, 1 / 4
#: How many leases a request renews.
_TOGETHER = 1000


class BaseLease:
    """A lease that this process holds."""

    #: Whose lease it is.
    agent_id: str
    #: Its name.
    name: str
    #: The namespace of the agent.
    namespace: str
    #: Rises with every acquisition, for good: whoever takes orders from several workers can refuse
    #: those with a lower one.
    token: int
    #: Who holds it, for people.
    holder: str
    #: Seconds that it is held after a renewal.
    ttl: float

    #: Set once the lease is lost; each kind of client has its own kind of event.
    lost: Any

    def __init__(self, info: LeaseInfo, sent: float) -> None:
        """Made by ``client.lease``. ``sent``: when it was asked for, by the monotonic clock."""
        self.agent_id, self.name, self.namespace = info.agent_id, info.name, info.namespace
        self.token, self.holder, self.ttl = info.token, info.holder, info.ttl
        self._deadline = info.deadline
        self._sent = sent
        self._released = False
        self._why: errors.LeaseLost | None = None

    @property
    def deadline(self) -> datetime:
        """When it lapses unless it is renewed again, by the daemon's clock."""
        return self._deadline

    @property
    def held(self) -> bool:
        """Whether it is held, as far as is known here."""
        return not self._released and self._why is None and self._left() > 0

    def check(self) -> None:
        """Raises :class:`LeaseLost` when the lease is lost, or was released. It asks nobody: a
        commit that requires the lease (``leases=[lease]``) is what makes sure.
        """
        if self._released:
            raise errors.UsageError(f"{self._named()} was released: acquire it again")
        if self._why is None and self._left() <= 0:
            self._lose(self._silent())
        if self._why is not None:
            why = self._why
            raise errors.LeaseLost(why.message, details=why.details, answered=why.answered)

    def condition(self) -> LeasePrecondition:
        """Makes the precondition that a commit is made under this lease only, also by another
        process.
        """
        return LeasePrecondition(self.agent_id, self.name, self.token, self.namespace)

    def _named(self) -> str:
        return f'lease "{self.name}" of agent "{self.agent_id}"'

    def _left(self) -> float:
        return self._sent + self.ttl - time.monotonic()

    def _silent(self) -> errors.LeaseLost:
        return errors.LeaseLost(
            f"{self._named()} counts as lost, for no renewal was answered within its"
            f" {self.ttl:g} s",
            details={"lease": self.name, "token": str(self.token)},
        )

    def _renewed(self, sent: float, deadline: datetime) -> None:
        self._sent, self._deadline = sent, deadline

    def _is_of(self, lost: errors.LeaseLost) -> bool:
        """Reports whether an error is about this lease."""
        details = lost.details
        return details.get("lease") == self.name and details.get("token") == str(self.token)

    def _lose(self, why: errors.LeaseLost) -> None:
        """Keeps why it is lost, and tells. The first reason stays."""
        if self._why is None and not self._released:
            self._why = why
            self.lost.set()

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a lease cannot be copied or sent to another process: send lease.condition()"
        )

    def __repr__(self) -> str:
        state = "released" if self._released else "held" if self.held else "lost"
        name = f"{type(self).__name__} {self.name!r} of {self.agent_id!r}"
        return f"<{name}, token {self.token}: {state}>"


class Renewals:
    """The leases that one client renews, and which of them are due. Its user sees to it that one
    thread uses it at a time.
    """

    def __init__(self) -> None:
        self._leases: dict[BaseLease, float] = {}  # and when each is to be renewed
        self._asked: set[BaseLease] = set()  # those of requests that are under way

    def __bool__(self) -> bool:
        return bool(self._leases)

    def add(self, lease: BaseLease) -> None:
        self._leases[lease] = lease._sent + lease.ttl * _RENEWED  # noqa: SLF001

    def discard(self, lease: BaseLease) -> None:
        self._leases.pop(lease, None)

    def close(self) -> list[BaseLease]:
        """Forgets all of them, and returns them."""
        left, self._leases = list(self._leases), {}
        return left

    def wait(self) -> float | None:
        """Returns in how many seconds the next renewal is due; None: all are being renewed."""
        next_at = min((at for lease, at in self._idle()), default=None)
        return None if next_at is None else max(0.0, next_at - time.monotonic())

    def due(self) -> list[BaseLease]:
        """Returns the leases to renew now: those that are due, and those that soon will be. Until
        they are settled they are not due again.
        """
        now = time.monotonic()
        due = [lease for lease, at in self._idle() if at - lease.ttl * _EARLIER <= now]
        due = sorted(due, key=lambda lease: self._leases[lease])[:_TOGETHER]
        self._asked.update(due)
        return due

    def _idle(self) -> Iterator[tuple[BaseLease, float]]:
        return ((lease, at) for lease, at in self._leases.items() if lease not in self._asked)

    def settle(self, leases: list[BaseLease]) -> None:
        """Plans the next renewal of leases of which one was tried: of those that were not renewed
        soon, as long as they count as held.
        """
        now = time.monotonic()
        self._asked.difference_update(leases)
        for lease in leases:
            if lease not in self._leases:
                continue  # released meanwhile
            if lease._why is None and lease._left() <= 0:  # noqa: SLF001
                lease._lose(lease._silent())  # noqa: SLF001
            if lease._why is not None:  # noqa: SLF001
                self.discard(lease)
            else:
                at = lease._sent + lease.ttl * _RENEWED  # noqa: SLF001
                soon = now + min(max(lease.ttl / 20, 0.01), lease._left())  # noqa: SLF001
                self._leases[lease] = max(at, soon)


def closed(lease: BaseLease) -> errors.LeaseLost:
    """Makes the error for a lease whose client was closed."""
    return errors.LeaseLost(
        f"{lease._named()} is renewed no longer, for the client was closed",  # noqa: SLF001
        details={"lease": lease.name, "token": str(lease.token)},
    )


def default_holder() -> str:
    """Names this process for people."""
    return f"{socket.gethostname()}/{os.getpid()}"[:256]
