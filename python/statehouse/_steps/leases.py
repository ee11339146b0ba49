"""Leases: acquiring, waiting for one, renewing, releasing, listing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Caller, Deadline, log
from statehouse._effects import Items, Steps
from statehouse._leases import BaseLease, default_holder
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.feeds import WatchFeed
from statehouse._steps.operations import lease_of
from statehouse._steps.reads import collect, pages
from statehouse._steps.writes import commit_of_operations
from statehouse._times import to_datetime
from statehouse.operations import AcquireLease, Duration, ReleaseLease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse._effects import Feed
    from statehouse.types import LeaseInfo

#: Seconds that releasing at the end of a block may take: the lease lapses anyway.
_FAREWELL = 5.0


def acquire(
    caller: Caller,
    agent_id: str,
    name: str,
    ttl: Duration,
    wait: float | None,
    holder: str | None,
    namespace: str | None,
    metadata: Mapping[str, str] | None,
) -> Steps[tuple[LeaseInfo, float]]:
    """Acquires a lease, and returns it with the time at which that was first asked. Its arguments
    are checked at once.
    """
    asked = AcquireLease(
        check.text("agent_id", agent_id),
        check.text("name", name),
        check.milliseconds("ttl", ttl) / 1000,
        default_holder() if holder is None else check.text("holder", holder),
        caller.namespace(namespace),
    )
    given = check.text_map("metadata", metadata)
    patience = None if wait is None else check.seconds("wait", wait) if wait else 0.0
    if patience == 0:
        return _acquire(caller, asked, given)
    return _wait(caller, asked, given, patience)


def _acquire(
    caller: Caller, asked: AcquireLease, metadata: dict[str, str]
) -> Steps[tuple[LeaseInfo, float]]:
    sent = time.monotonic()
    commit = yield from commit_of_operations(caller, [asked], metadata=metadata)
    lease = commit.results[0].lease if commit.results else None
    if lease is None:
        raise errors.broken("an acquisition without its lease")
    return lease, sent


def _wait(
    caller: Caller, asked: AcquireLease, metadata: dict[str, str], patience: float | None
) -> Steps[tuple[LeaseInfo, float]]:
    """Tries whenever the lease is given up. A watch that begins before the first try tells it."""
    request = pb.WatchRequest(
        namespace=asked.namespace,
        agent_id=asked.agent_id,
        lease=asked.name,
        all_operations=True,
        encoding=pb.VALUE_ENCODING_NONE,
    )
    deadline = Deadline(patience)
    held: errors.LeaseHeld | None = None
    feed = WatchFeed(caller, request, None, patience, "").events()
    try:
        step = next(feed)
        while True:
            if isinstance(step, Items):
                ended = [op.deleted for event in step.items for op in event.operations]
                if held is None or any(ended):
                    try:
                        return (yield from _acquire(caller, asked, metadata))
                    except errors.LeaseHeld as refused:
                        held = refused
                step = next(feed)
                continue
            try:
                result = yield step
            except BaseException as failed:  # for the feed to handle: it repeats what failed
                step = feed.throw(failed)
            else:
                step = feed.send(result)
    except StopIteration:
        pass
    finally:
        feed.close()
    if held is None:
        raise errors.DeadlineExceeded(f"no answer within the {deadline.seconds:g} s to wait")
    raise held


def release(caller: Caller, lease: BaseLease) -> Steps[None]:
    """Releases a lease. One that is lost is :class:`LeaseLost`."""
    operation = ReleaseLease(lease.agent_id, lease.name, lease.token, lease.namespace)
    yield from commit_of_operations(caller, [operation])


def leave(caller: Caller, lease: BaseLease) -> Steps[None]:
    """Releases a lease at the end of its block, if the daemon can be reached; else it lapses."""
    try:
        yield from release(caller.within(_FAREWELL), lease)
    except (errors.ConnectionError, errors.OutcomeUnknown) as failed:
        log.debug("statehouse: %r is not released, and will lapse: %s", lease, failed.message)


def renew(caller: Caller, leases: list[BaseLease]) -> Steps[None]:
    """Renews leases in one request, which is tried as long as all of them may be held."""
    sent = time.monotonic()
    request = pb.RenewLeasesRequest(
        leases=[
            pb.LeaseRenewal(
                namespace=lease.namespace,
                agent_id=lease.agent_id,
                lease=lease.name,
                token=lease.token,
            )
            for lease in leases
        ]
    )
    left = max(0.001, min(lease._left() for lease in leases))  # noqa: SLF001
    caller = caller.within(left)
    once = min(left / 3, caller.options.attempt_timeout or left)
    caller = Caller(replace(caller.options, attempt_timeout=once), caller.endpoint)
    response = yield from caller.call("RenewLeases", request)
    if len(response.leases) != len(leases):
        raise errors.broken(f"{len(response.leases)} renewals of {len(leases)} leases")
    for lease, renewed in zip(leases, response.leases):
        if renewed.lost:
            lease._lose(  # noqa: SLF001
                errors.LeaseLost(
                    f"{lease._named()} is not held under token {lease.token} any more",  # noqa: SLF001
                    details={"lease": lease.name, "token": str(lease.token)},
                    answered=True,
                )
            )
        else:
            lease._renewed(sent, to_datetime(renewed.deadline))  # noqa: SLF001


class LeaseSteps:
    """Which leases are held."""

    _caller: Caller

    def _list_leases(
        self, agent_id: str | None, prefix: str, limit: int | None, namespace: str | None
    ) -> Steps[list[LeaseInfo]]:
        request = pb.ListLeasesRequest(
            namespace=self._caller.namespace(namespace),
            agent_id="" if agent_id is None else check.text("agent_id", agent_id),
            prefix=check.text("prefix", prefix),
        )
        feed: Feed[Any] = pages(
            self._caller,
            "ListLeases",
            request,
            limit,
            lambda response: [lease_of(lease) for lease in response.leases],
        )
        return (yield from collect(feed))
