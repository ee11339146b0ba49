"""Daemons that keep one store between them: which of them a call goes to.

Calls go to the one that leads, which answers everything itself: others would hand on to it what
only it can answer. A call is sent once. One that fails says where the next is to go, so who repeats
it finds a member that answers. Reads that may be of a state that is not the newest go to all
members in turn. The rules are those of the Go client, ``client/members``.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

from statehouse import errors
from statehouse._effects import Call
from statehouse._proto import statehouse_pb2 as pb
from statehouse._reach import reach

if TYPE_CHECKING:
    from statehouse._calls import Deadline
    from statehouse._channel import Endpoint
    from statehouse._effects import Steps

#: Seconds for which it is taken for known who leads, unless a call fails: one that no longer leads
#: hands requests on and need not say so. And those after which a member that failed is asked again.
_ASK_AGAIN = 2.0
#: Seconds that a member may take to say who leads.
_ASK_FOR = 1.0


class Members:
    """What a client knows of the members. Several threads may use it at once: what they write of it
    is a hint, and the last one stays.
    """

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self.endpoints = endpoints
        self._failed = [-math.inf] * len(endpoints)  # when each failed last
        self._at = 0  # the member that calls go to
        self._turn = 0  # of reads that may go to any
        self._asked = -math.inf
        self._asking = threading.Lock()
        self._alone = False  # the daemon is no cluster: nothing is to be asked

    def choose(self, request: Any, deadline: Deadline) -> Steps[Endpoint]:
        """Chooses where a call goes."""
        if getattr(request, "max_staleness_ms", 0):
            return self._next()
        known = self._alone or time.monotonic() - self._asked < _ASK_AGAIN
        # While another call asks, this one goes where all go.
        if not known and self._asking.acquire(blocking=False):
            try:
                self._asked = time.monotonic()
                yield from self._find(deadline)
            finally:
                self._asking.release()
        return self.endpoints[self._at]

    def _failed_just_now(self, at: int) -> bool:
        return time.monotonic() - self._failed[at] < _ASK_AGAIN

    def _next(self) -> Endpoint:
        """The member whose turn it is, but for those that failed a moment ago if others did not."""
        for _ in self.endpoints:
            self._turn = (self._turn + 1) % len(self.endpoints)
            if not self._failed_just_now(self._turn):
                break
        return self.endpoints[self._turn]

    def _find(self, deadline: Deadline) -> Steps[None]:
        """Asks who leads: the member that calls go to, and if it does not answer the others."""
        first = self._at
        for n in range(len(self.endpoints)):
            at = (first + n) % len(self.endpoints)
            if n and self._failed_just_now(at):
                continue
            if deadline.over():
                return
            try:
                status = yield from self._status(self.endpoints[at], deadline)
            except errors.StatehouseError:  # the call itself will tell what is wrong
                self._failed[at] = time.monotonic()
                continue
            if not status.HasField("cluster"):
                self._alone = True
            elif not status.cluster.leader_address:
                continue  # another may know
            leads = self._of(status.cluster.leader_address)
            self._at = at if leads is None else leads
            return

    def _status(self, member: Endpoint, deadline: Deadline) -> Steps[pb.GetStatusResponse]:
        left = deadline.left()
        within = type(deadline)(_ASK_FOR if left is None else min(_ASK_FOR, left))
        yield from reach(member, within)
        status: pb.GetStatusResponse = yield Call(
            "GetStatus", pb.GetStatusRequest(), within.left(), member.member
        )
        return status

    def _of(self, address: str) -> int | None:
        """The member of an address, as daemons say it."""
        found = (at for at, member in enumerate(self.endpoints) if member.target == address)
        return next(found, None)

    def learn(self, member: Endpoint, failed: errors.StatehouseError) -> None:
        """Takes down what a failure says of the member that calls go to."""
        if not isinstance(failed, (errors.ConnectionError, errors.OutcomeUnknown)):
            return
        at = member.member
        leads = self._of(failed.details.get("leader", ""))
        if leads is not None:
            if self._at == at:
                self._at = leads
            return
        self._asked = -math.inf
        if failed.code == "NOT_LEADER":
            return  # it cannot know; another may
        self._failed[at] = time.monotonic()
        if self._at == at:
            self._at = (at + 1) % len(self.endpoints)
        # What does not help at this one may at another.
        if not all(map(self._failed_just_now, range(len(self.endpoints)))):
            failed._lasting = False  # noqa: SLF001  ours
