"""Beginning transactions, and running a function in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Caller, Deadline, new_txn_id
from statehouse._effects import Invoke, Steps
from statehouse._functions import check_result
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.txn import TxnSteps, knows_reads
from statehouse._steps.txnreads import Begun

if TYPE_CHECKING:
    from collections.abc import Mapping

AnyTxn = TypeVar("AnyTxn", bound=TxnSteps)

#: Seconds that a transaction has, unless its user says otherwise.
_TIMEOUT = 30.0


def begin(
    caller: Caller, timeout: float | None, timeout_ms: int | None, held: bool
) -> Steps[Begun]:
    """Begins a transaction. A daemon that is too old to know what a transaction has read holds
    it, as it does if that is asked for. Otherwise nothing is sent, but there has to be a
    connection.
    """
    given = _milliseconds(timeout, timeout_ms)
    in_daemon = check.flag("held", held)

    def steps() -> Steps[Begun]:
        if in_daemon or not (yield from knows_reads(caller)):
            # It may be repeated: a transaction whose id was lost expires.
            request = pb.BeginTransactionRequest(timeout_ms=given)
            opened = yield from caller.call("BeginTransaction", request)
            return Begun(opened.txn_id, opened.timeout_ms / 1000, True, opened.snapshot_ts)
        return Begun(new_txn_id(), _TIMEOUT if given is None else given / 1000)

    return steps()


def _milliseconds(timeout: float | None, timeout_ms: int | None) -> int | None:
    if timeout_ms is None:
        return None if timeout is None else max(1, round(check.seconds("timeout", timeout) * 1000))
    if timeout is not None:
        raise check.refused("timeout_ms", "timeout and timeout_ms say the same: leave out one")
    if check.count("timeout_ms", timeout_ms) == 0:
        raise check.refused("timeout_ms", "timeout_ms must be 1 or more")
    return timeout_ms


def run_transaction(
    caller: Caller,
    make: Callable[[Begun, dict[str, str]], AnyTxn],
    function: Callable[[AnyTxn], Any],
    timeout: float | None,
    timeout_ms: int | None,
    metadata: Mapping[str, str] | None,
) -> Steps[Any]:
    """Runs a function in one transaction after another until one commits."""
    deadline = Deadline(caller.options.timeout)
    given = check.text_map("metadata", metadata)
    tries = 0
    while True:
        begun = yield from begin(caller, timeout, timeout_ms, held=False)
        txn = make(begun, dict(given))
        try:
            return (yield from _run_once(txn, function))
        except errors.StatehouseError as failed:
            if not txn._worth_repeating(failed):  # noqa: SLF001
                raise
            try:
                yield from caller.pause("run_transaction", tries, deadline, failed)
            except errors.DeadlineExceeded:
                raise failed from None
        tries += 1


def _run_once(txn: AnyTxn, function: Callable[[AnyTxn], Any]) -> Steps[Any]:
    try:
        result = yield Invoke(function, (txn,))
        check_result(result)
        txn._check_whole()  # noqa: SLF001
    except BaseException:  # it is raised again
        if txn._outcome is None:  # noqa: SLF001
            yield from txn._give_up()  # noqa: SLF001
        raise
    yield from txn._commit()  # noqa: SLF001
    return result
