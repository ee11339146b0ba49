"""Leases: acquiring, waiting for one, renewing, releasing, listing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Caller, log, new_txn_id
from statehouse._effects import Items, Steps
from statehouse._leases import BaseLease, default_holder
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.feeds import WatchFeed
from statehouse._steps.operations import Messages, lease_of
from statehouse._steps.reads import collect, pages
from statehouse._steps.writes import commit_of_operations
from statehouse._times import to_datetime
from statehouse.operations import (
    AcquireLease,
    AnyOperation,
    ClaimDue,
    CompleteDue,
    Duration,
    Precondition,
    ReleaseLease,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from statehouse._effects import Feed
    from statehouse.types import Commit, DueRecord, LeaseInfo, Operation, OperationResult, Record

T = TypeVar("T")

#: Seconds that releasing at the end of a block may take: the lease lapses anyway.
_FAREWELL = 5.0
#: Seconds that it may take to release what an acquisition that was given up came to.
_MOMENT = 1.0


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
    held: list[errors.LeaseHeld] = []

    def attempt() -> Steps[tuple[LeaseInfo, float] | None]:
        try:
            result, sent = yield from _asked(caller, asked, given)
        except errors.LeaseHeld as refused:
            held[:] = [refused]
            return None
        if result.lease is None:
            raise errors.broken("an acquisition without its lease")
        return result.lease, sent

    request = pb.WatchRequest(namespace=asked.namespace, agent_id=asked.agent_id, lease=asked.name)

    def acquired() -> Steps[tuple[LeaseInfo, float]]:
        found = yield from _tried(caller, attempt, request, patience, lambda op: op.deleted)
        if found is None:
            raise held[0]
        return found

    patience = _patience(wait)
    return acquired()


def claim(
    caller: Caller,
    agent_id: str | None,
    prefix: str,
    limit: int,
    ttl: Duration,
    wait: float | None,
    holder: str | None,
    namespace: str | None,
    metadata: Mapping[str, str] | None,
) -> Steps[list[tuple[DueRecord, float]]]:
    """Claims due records, and returns each with the time at which that was asked. Its arguments are
    checked at once.
    """
    asked = ClaimDue(
        agent_id,
        check.text("prefix", prefix),
        limit,
        check.milliseconds("ttl", ttl) / 1000,
        default_holder() if holder is None else check.text("holder", holder),
        caller.namespace(namespace),
    )
    message, given = Messages(caller).of(asked), check.text_map("metadata", metadata)

    def attempt() -> Steps[list[tuple[DueRecord, float]] | None]:
        result, sent = yield from _asked(caller, asked, given)
        return [(due, sent) for due in result.claimed] or None

    request = pb.WatchRequest(
        namespace=asked.namespace,
        agent_id=message.agent_id,
        all_agents=agent_id is None,
        key_prefix=asked.prefix,
        due=True,
    )

    def claimed() -> Steps[list[tuple[DueRecord, float]]]:
        found = yield from _tried(caller, attempt, request, patience, lambda op: not op.deleted)
        return found or []

    patience = _patience(wait)
    return claimed()


def _asked(
    caller: Caller, operation: AcquireLease | ClaimDue, metadata: Mapping[str, str]
) -> Steps[tuple[OperationResult, float]]:
    """Commits an operation that acquires leases, and returns its result with the time at which that
    was sent. If it is given up meanwhile, as by a cancellation, what it came to is released: nobody
    knows the token, so it would be held until it lapses.
    """
    sent, txn_id = time.monotonic(), new_txn_id()
    try:
        return (yield from _committed(caller, operation, metadata, txn_id)), sent
    except (errors.StatehouseError, GeneratorExit):
        raise
    except BaseException:  # it is raised again
        yield from _undo(caller.within(_MOMENT), operation, metadata, txn_id)
        raise


def _committed(
    caller: Caller, operation: AcquireLease | ClaimDue, metadata: Mapping[str, str], txn_id: str
) -> Steps[OperationResult]:
    commit = yield from commit_of_operations(caller, [operation], metadata=metadata, txn_id=txn_id)
    if not commit.results:
        raise errors.broken("a lease is acquired without a result")
    return commit.results[0]


def _undo(
    caller: Caller, operation: AcquireLease | ClaimDue, metadata: Mapping[str, str], txn_id: str
) -> Steps[None]:
    """Asks again under the transaction id, which acquires no second time, and releases what that
    names.
    """
    try:
        result = yield from _committed(caller, operation, metadata, txn_id)
        leases = [due.lease for due in result.claimed] + ([result.lease] if result.lease else [])
        releases = [ReleaseLease(of.agent_id, of.name, of.token, of.namespace) for of in leases]
        if releases:
            yield from commit_of_operations(caller, releases)
    except errors.StatehouseError as failed:
        log.debug("statehouse: %r may lapse only: %s", operation, failed.message)


def _patience(wait: float | None) -> float | None:
    return None if wait is None else check.seconds("wait", wait) if wait else 0.0


def _tried(
    caller: Caller,
    attempt: Callable[[], Steps[T | None]],
    request: pb.WatchRequest,
    patience: float | None,
    worth: Callable[[Operation], bool],
) -> Steps[T | None]:
    """Makes an attempt, and another whenever a watch, which begins before the first one, tells of
    something that makes it worth it; for ``patience`` seconds.
    """
    if patience == 0:
        return (yield from attempt())
    request.all_operations, request.encoding = True, pb.VALUE_ENCODING_NONE
    tried = False
    feed = WatchFeed(caller, request, None, patience, "").events()
    try:
        step = next(feed)
        while True:
            if isinstance(step, Items):
                changed = [worth(op) for event in step.items for op in event.operations]
                if not tried or any(changed):
                    tried, found = True, (yield from attempt())
                    if found is not None:
                        return found
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
    if not tried:
        raise errors.DeadlineExceeded(f"no answer within the {patience:g} s to wait")
    return None


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


def complete(
    caller: Caller,
    lease: BaseLease,
    record: Record,
    operations: Iterable[AnyOperation],
    preconditions: Iterable[Precondition],
    metadata: Mapping[str, str] | None,
) -> Steps[Commit]:
    """Ends a claim, in the same commit as what was done for it."""
    given = check.items("operations", operations)
    lease.check()
    done = CompleteDue(record.agent_id, record.key, lease.token, record.namespace)
    try:
        return (
            yield from commit_of_operations(
                caller, [*given, done], preconditions, metadata=metadata
            )
        )
    except errors.LeaseLost as lost:
        lease._lose(lost)  # noqa: SLF001
        raise


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
    """Due records, and which leases are held."""

    _caller: Caller

    def _claim(
        self,
        agent_id: str | None,
        prefix: str,
        limit: int,
        ttl: Duration,
        wait: float | None,
        holder: str | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
    ) -> Steps[list[tuple[DueRecord, float]]]:
        return claim(self._caller, agent_id, prefix, limit, ttl, wait, holder, namespace, metadata)

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
