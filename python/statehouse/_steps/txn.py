"""Transactions that live in the daemon until they commit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import DECIDES, Caller, Deadline
from statehouse._effects import Invoke, Steps
from statehouse._functions import check_result
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.reads import ReadSteps
from statehouse._steps.writes import commit_of, conditions
from statehouse._values import to_json
from statehouse.types import Commit, Precondition, Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from google.protobuf.message import Message

T = TypeVar("T")
AnyTxn = TypeVar("AnyTxn", bound="TxnSteps")

#: Seconds that aborting a transaction which is given up may take. It expires anyway.
_FAREWELL = 1.0


class TxnSteps(ReadSteps):
    """A transaction held open in the daemon, as ``begin_transaction`` gives it.

    It reads a snapshot taken at begin, under its own writes. Its commit fails with
    :class:`ConflictError` when something that it read (keys, absent ones, stretches it
    listed) has changed since. Used as a context manager it commits at the end, or aborts
    when an exception leaves the block. Several threads may use it at once.
    """

    #: The id to ask ``get_transaction`` for.
    txn_id: str
    #: The commit_ts of the state it reads.
    snapshot_ts: int
    #: Seconds from its begin until the daemon aborts it.
    timeout: float
    #: Provenance that goes with the commit. Change it before.
    metadata: dict[str, str]
    #: Further conditions of the commit. Change them before.
    preconditions: list[Precondition]

    def __init__(
        self, caller: Caller, begun: pb.BeginTransactionResponse, metadata: dict[str, str]
    ) -> None:
        self._caller = caller
        self._reading_in = self.txn_id = begun.txn_id
        self.snapshot_ts = begun.snapshot_ts
        self.timeout = begun.timeout_ms / 1000
        self.metadata = metadata
        self.preconditions = []
        # Of what follows; never held during a call. A signal handler may re-enter it.
        self._lock = threading.RLock()
        self._lost: errors.StatehouseError | None = None  # a write that got no answer
        self._outcome: Commit | errors.StatehouseError | None = None

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a transaction cannot be copied or sent to another process: begin one in each"
        )

    def __repr__(self) -> str:
        outcome = self._outcome
        if isinstance(outcome, Commit):
            state = f"committed as {outcome.commit_ts}"
        elif outcome is not None:
            state = outcome.code
        else:
            state = "cannot commit, begin again" if self._lost else "open"
        return f"<{type(self).__name__} {self.txn_id} of what was at {self.snapshot_ts}: {state}>"

    @property
    def committed(self) -> Commit | None:
        """The commit, once it is known."""
        return self._outcome if isinstance(self._outcome, Commit) else None

    def _write(
        self,
        agent_id: str,
        key: str,
        value: Value,
        expected_version: int | None,
        namespace: str | None,
    ) -> Steps[None]:
        request = pb.WriteRequest(
            txn_id=self.txn_id,
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            key=check.text("key", key),
            value_json=to_json(value),
            expected_version=check.optional_count("expected_version", expected_version),
        )
        return self._stage("Write", request)

    def _delete(
        self, agent_id: str, key: str, expected_version: int | None, namespace: str | None
    ) -> Steps[None]:
        request = pb.DeleteRequest(
            txn_id=self.txn_id,
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            key=check.text("key", key),
            expected_version=check.optional_count("expected_version", expected_version),
        )
        return self._stage("Delete", request)

    def _stage(self, method: str, request: Message) -> Steps[None]:
        try:
            yield from self._caller.call_once(method, request)
        except errors.StatehouseError as failed:
            if failed._sent and not failed.answered:  # noqa: SLF001
                with self._lock:
                    self._lost = failed
            raise

    def _commit(self) -> Steps[Commit]:
        with self._lock:
            outcome, lost = self._outcome, self._lost
        if isinstance(outcome, Commit):
            return outcome
        if outcome is not None:
            raise outcome
        if lost is not None:
            raise self._uncertain(lost)
        keys, heads = conditions(self._caller, self.preconditions)
        request = pb.CommitRequest(
            txn_id=self.txn_id,
            metadata=check.text_map("metadata", self.metadata),
            key_preconditions=keys,
            head_preconditions=heads,
        )
        try:
            response = yield from self._caller.commit("Commit", request, self.txn_id, begun=True)
        except DECIDES as refused:
            self._end(refused)
            raise
        commit = commit_of(self.txn_id, response)
        self._end(commit)
        return commit

    def _uncertain(self, lost: errors.StatehouseError) -> errors.TransactionError:
        error = errors.TransactionError(
            f"transaction {self.txn_id} is not committed, for it is not known whether all its"
            f" writes arrived ({lost.message}): begin again",
            code=lost.code,
        )
        error.__cause__ = lost
        return error

    def _abort(self) -> Steps[None]:
        yield from self._caller.call("Abort", pb.AbortRequest(txn_id=self.txn_id))
        self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))

    def _end(self, outcome: Commit | errors.StatehouseError) -> None:
        """Keeps the outcome. The daemon answers every call the same, so the first stays."""
        with self._lock:
            if self._outcome is None:
                self._outcome = outcome

    def _give_up(self) -> Steps[None]:
        """Aborts the transaction if the daemon can be reached; otherwise it expires."""
        caller = self._caller.within(_FAREWELL)
        try:
            yield from caller.call("Abort", pb.AbortRequest(txn_id=self.txn_id))
        except errors.StatehouseError:
            return
        self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))

    def _leave(self, failing: bool) -> Steps[None]:
        """Ends the block of the context manager."""
        if self._outcome is not None:
            return  # ended by hand
        if failing:
            yield from self._give_up()
            return
        try:
            yield from self._commit()
        except errors.OutcomeUnknown:
            raise
        except errors.StatehouseError:
            if self._outcome is None:
                yield from self._give_up()
            raise

    def _worth_repeating(self, failed: errors.StatehouseError) -> bool:
        """Reports whether a fresh transaction may succeed. One that the daemon does not know
        was lost in a restart, and not committed.
        """
        if isinstance(failed, (errors.OutcomeUnknown, errors.PreconditionFailed)):
            return False
        if failed._lasting:  # noqa: SLF001
            return False
        if isinstance(failed, (errors.ConflictError, errors.TransactionNotFound)):
            return True
        if isinstance(failed, errors.ConnectionError) and not self._caller.options.fail_fast:
            return True
        return self._lost is not None


def begin(
    caller: Caller, timeout: float | None, timeout_ms: int | None
) -> Steps[pb.BeginTransactionResponse]:
    """Opens a transaction. It may be repeated: a transaction whose id was lost expires."""
    request = pb.BeginTransactionRequest(timeout_ms=_milliseconds(timeout, timeout_ms))
    return caller.call("BeginTransaction", request)


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
    make: Callable[[pb.BeginTransactionResponse, dict[str, str]], AnyTxn],
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
        begun = yield from begin(caller, timeout, timeout_ms)
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
        if txn._lost is not None:  # noqa: SLF001  the function ignored the error
            raise txn._uncertain(txn._lost)  # noqa: SLF001
    except BaseException:  # it is raised again
        if txn._outcome is None:  # noqa: SLF001
            yield from txn._give_up()  # noqa: SLF001
        raise
    yield from txn._commit()  # noqa: SLF001
    return result
