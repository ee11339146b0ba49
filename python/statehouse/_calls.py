"""Deadlines, retries, and what may have happened when a call failed.

The rules are those of the Go client, ``client/call.go``.
"""

from __future__ import annotations

import logging
import math
import os
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable

from statehouse import _arguments as check
from statehouse import errors
from statehouse._effects import Call, Sleep
from statehouse._proto import statehouse_pb2 as pb
from statehouse._reach import reach

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from statehouse._channel import Endpoint
    from statehouse._effects import Steps
    from statehouse.errors import StatehouseError

log = logging.getLogger("statehouse")

# Pauses between tries in seconds: the first, and the longest, each cut by up to a half
# at random so that clients which failed together do not return together.
FIRST_PAUSE = 0.02
MAX_PAUSE = 1.0

#: Refusals that are about the transaction itself: after one of them no earlier try can have
#: been applied. Other refusals (a limit, a token, a corrupt disk) say nothing of earlier tries.
DECIDES = (
    errors.InvalidArgument,
    errors.TransactionNotFound,
    errors.TransactionExpired,
    errors.TransactionAborted,
    errors.TransactionIDReused,
    errors.ConflictError,
    errors.LeaseHeld,
    errors.LeaseLost,
    errors.EvaluationFailed,
)

#: Those that do not hold for ever, so that a late duplicate could still be applied: a key that is
#: not at the expected version may come back to it, if only as absent, a lease may be released, what
#: is there may become a number, and what comes late itself is refused for its own lateness alone.
_PASSES = (
    errors.PreconditionFailed,
    errors.TransactionExpired,
    errors.LeaseHeld,
    errors.EvaluationFailed,
)


@dataclass(frozen=True)
class Options:
    """How a client behaves. Times are in seconds; None: no bound."""

    namespace: str
    timeout: float | None
    attempt_timeout: float | None
    fail_fast: bool
    page_size: int
    #: How old the state that is read may be.
    at_most_stale: float | None = None


class Deadline:
    """When a call gives up."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        return None if self._end is None else self._end - time.monotonic()

    def over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


class Caller:
    """Makes calls to a daemon under a client's options."""

    def __init__(self, options: Options, endpoint: Endpoint) -> None:
        self.options = options
        self.endpoint = endpoint

    def within(self, seconds: float) -> Caller:
        """Makes a caller that gives up earlier."""
        if self.options.timeout is not None:
            seconds = min(seconds, self.options.timeout)
        return Caller(replace(self.options, timeout=seconds), self.endpoint)

    def namespace(self, given: str | None) -> str:
        """Returns the namespace that is meant: the one given, or the client's."""
        return self.options.namespace if given is None else check.namespace(given)

    def call(self, method: str, request: Message) -> Steps[Any]:
        """Makes a call that may safely be repeated."""
        return self._repeat(
            method,
            lambda deadline: self.attempt(method, request, deadline),
            lambda sent: sent or not self.options.fail_fast,
        )

    def call_once(self, method: str, request: Message) -> Steps[Any]:
        """Makes a call that must not be repeated once it was sent."""
        return self._repeat(
            method,
            lambda deadline: self.attempt(method, request, deadline),
            lambda sent: not sent and not self.options.fail_fast,
        )

    def connect(self, what: str) -> Steps[None]:
        """Waits for a connection, as a call does that is about to be sent."""

        def once(deadline: Deadline) -> Steps[None]:
            within = self._of_one_try(deadline)
            member = yield from self.choose(None, within)
            try:
                yield from reach(member, within)
            except errors.StatehouseError as failed:
                self.learn(member, failed)
                raise

        return self._repeat(what, once, lambda sent: not sent and not self.options.fail_fast)

    def _repeat(
        self, method: str, once: Callable[[Deadline], Steps[Any]], again: Callable[[bool], bool]
    ) -> Steps[Any]:
        deadline = Deadline(self.options.timeout)
        tries = 0
        while True:
            try:
                return (yield from once(deadline))
            except errors.ConnectionError as failed:
                # One that does not lead says when to come back, and has done nothing.
                comes = failed.retry_after is not None or again(failed._sent)  # noqa: SLF001
                if failed._lasting or not comes:  # noqa: SLF001
                    raise
                yield from self.pause(method, tries, deadline, failed)
            except errors.ResourceExhausted as refused:
                # For load, before it had any effect: also a call that is made once comes again.
                if refused.retry_after is None or not self._room(deadline, refused):
                    raise
                yield from self.pause(method, tries, deadline, refused)
            tries += 1

    def commit(
        self,
        method: str,
        request: Any,
        txn_id: str,
        *,
        begun: bool,
        until: Deadline | None = None,
        doubt: bool = False,
    ) -> Steps[Any]:
        """Makes a call that commits a transaction, and repeats it until its outcome is
        known or the time is over.

        ``begun``: the transaction lives in the daemon, which ends it with the first
        refusal, so a late duplicate cannot be applied after one.
        ``until``: the transaction's own timeout, of which each try says what is left.
        ``doubt``: an earlier try may have been applied, or may yet be.
        """
        deadline = Deadline(self.options.timeout)
        tries = 0
        while True:
            failed: StatehouseError
            try:
                if until is not None:
                    request.timeout_ms = _in_time(txn_id, until, doubt)
                return (yield from self.attempt(method, request, deadline))
            except errors.StatehouseError as error:
                failed = error
            doubt = doubt or isinstance(failed, errors.OutcomeUnknown) or _unanswered(failed)
            if (
                _passing(failed, doubt)
                and (failed._sent or doubt or not self.options.fail_fast)  # noqa: SLF001
                and self._room(deadline, failed)
            ):
                try:
                    yield from self.pause(method, tries, deadline, failed)
                except errors.ConnectionError as over:
                    failed = over
                else:
                    tries += 1
                    continue
            if doubt and not isinstance(failed, DECIDES):
                unknown = errors.OutcomeUnknown(
                    f"the outcome of transaction {txn_id} is unknown: {failed.message}",
                    answered=failed.answered,
                    sent=True,
                )
                unknown.txn_id = txn_id
                warn(method, unknown)
                raise unknown from failed
            failed.maybe_applied = doubt and not begun and isinstance(failed, _PASSES)
            raise failed

    def attempt(self, method: str, request: Message, deadline: Deadline) -> Steps[Any]:
        """Tries once: gets a connection, and makes the call on it."""
        within = self._of_one_try(deadline)
        member = yield from self.choose(request, within)
        try:
            yield from reach(member, within)
            as_known(self.endpoint, request)
            try:
                return (yield Call(method, request, within.left(), member.member))
            except errors.ConnectionError as failed:
                raise in_time(failed, within) from None
        except errors.InvalidArgument as refused:
            if not learns_older(self.endpoint, request, refused):
                raise
        except errors.StatehouseError as failed:
            self.learn(member, failed)
            raise
        return (yield from self.attempt(method, request, deadline))

    def choose(self, request: Any, deadline: Deadline) -> Steps[Endpoint]:
        """Chooses the daemon that a call goes to, of several that keep one store."""
        members = self.endpoint.members
        if members is None:
            return self.endpoint
        return (yield from members.choose(request, deadline))

    def learn(self, member: Endpoint, failed: StatehouseError) -> None:
        """Takes down what a failure says of the daemon that a call went to."""
        if self.endpoint.members is not None:
            self.endpoint.members.learn(member, failed)

    def _of_one_try(self, deadline: Deadline) -> Deadline:
        timeout, left = self.options.attempt_timeout, deadline.left()
        if left is not None:
            timeout = left if timeout is None else min(timeout, left)
        return Deadline(timeout)

    @staticmethod
    def _room(deadline: Deadline, failed: StatehouseError) -> bool:
        """Reports whether there is time to come back when the daemon wants to be asked again."""
        left = deadline.left()
        return left is None or failed.retry_after is None or failed.retry_after < left

    def pause(
        self, method: str, tries: int, deadline: Deadline, failed: StatehouseError
    ) -> Steps[None]:
        """Waits before try n+1, counted from 0; raises when there is no time for it. A daemon that
        refused for load says how long; up to half as long again keeps those who were refused
        together from returning together.
        """
        seconds = min(FIRST_PAUSE * 2 ** min(tries, 10), MAX_PAUSE)
        jitter = random.random()  # noqa: S311
        seconds -= seconds / 2 * jitter
        left = deadline.left()
        if left is not None:
            if left < FIRST_PAUSE:
                raise _gave_up(method, tries + 1, deadline, failed) from failed
            seconds = min(seconds, left / 2)  # so that there is time for another try
        if failed.retry_after is not None:
            seconds = max(seconds, failed.retry_after * (1 + jitter / 2))
            if left is not None:  # there is: see _room
                seconds = min(seconds, max(failed.retry_after, left - FIRST_PAUSE))
        log.debug(
            "statehouse: %s: try %d failed, again in %.0f ms: %s",
            method,
            tries + 1,
            seconds * 1000,
            failed.message,
        )
        yield Sleep(seconds)


def as_known(endpoint: Endpoint, request: Any) -> None:
    """Makes a request ask for values as the daemon can give them: see Endpoint.native."""
    if not endpoint.native and getattr(request, "encoding", 0) == pb.VALUE_ENCODING_NATIVE:
        request.encoding = pb.VALUE_ENCODING_JSON


def learns_older(endpoint: Endpoint, request: Any, refused: errors.InvalidArgument) -> bool:
    """Reports whether the request may be repeated, since the daemon was found to be older than
    values of bytes, and so has none.
    """
    native = getattr(request, "encoding", 0) == pb.VALUE_ENCODING_NATIVE
    if not native or refused.details.get("field") != "encoding":
        return False
    endpoint.native = False
    as_known(endpoint, request)
    return True


def _in_time(txn_id: str, until: Deadline, doubt: bool) -> int:
    """Returns how many milliseconds a transaction has left. One that may have been sent is asked
    about in any case: with none left it is not applied any more.
    """
    left = until.left() or 0.0
    if left <= 0 and not doubt:
        raise expired(txn_id)
    return max(0, math.ceil(left * 1000))


def expired(txn_id: str) -> errors.TransactionExpired:
    return errors.TransactionExpired(
        f"transaction {txn_id} reached its timeout and was aborted: begin a new one"
    )


def _gave_up(
    method: str, tries: int, deadline: Deadline, failed: StatehouseError
) -> errors.DeadlineExceeded:
    counted = "1 try" if tries == 1 else f"{tries} tries"
    error = errors.DeadlineExceeded(
        f"gave up after {counted} in {deadline.seconds:.3g} s: {failed.message}",
        sent=failed._sent,  # noqa: SLF001
    )
    if not failed._sent:  # noqa: SLF001  more time is not what is missing
        error.advice = failed.advice
    warn(method, error)
    return error


def warn(method: str, failed: StatehouseError) -> None:
    """Logs that a call is given up, if the program has set up logging. Without that, Python
    would print the warning beside the error that is raised.
    """
    if log.hasHandlers():
        log.warning("statehouse: %s: %s", method, failed.message)


def in_time(failed: errors.ConnectionError, deadline: Deadline) -> errors.ConnectionError:
    """Returns DeadlineExceeded in the place of a failure without an answer whose time is over.

    gRPC and proxies report a call that ended at its deadline in several ways, of which
    CANCELLED is one.
    """
    if failed.answered or isinstance(failed, errors.DeadlineExceeded) or not deadline.over():
        return failed
    late = errors.DeadlineExceeded(failed.message, sent=failed._sent)  # noqa: SLF001
    late._told = failed._told  # noqa: SLF001
    return late


def _unanswered(failed: StatehouseError) -> bool:
    return failed._sent and not failed.answered  # noqa: SLF001


def _passing(failed: StatehouseError, doubt: bool) -> bool:
    """Reports whether the same request may succeed later. What to do at a limit is for the
    caller to decide, unless it is one of load, or an earlier try is in doubt.
    """
    if isinstance(failed, (errors.ConnectionError, errors.OutcomeUnknown)):
        return not failed._lasting  # noqa: SLF001
    return isinstance(failed, errors.ResourceExhausted) and (
        doubt or failed.retry_after is not None
    )


def new_txn_id() -> str:
    """Makes a UUID of version 7 (RFC 9562): the time in milliseconds, then randomness.

    The daemon decides by the time whether it still keeps the outcome of an id, so the clock
    should be right to the day.
    """
    n = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    n = n & ~(0xF << 76) | 7 << 76
    n = n & ~(0b11 << 62) | 0b10 << 62
    h = f"{n:032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
