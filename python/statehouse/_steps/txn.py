"""Transactions that live in the client until they commit.

What is written is kept here, and seen by the transaction's own reads. The commit is one request, a
Transact under the transaction's id, which carries that and what was read: the daemon makes it only
if all that was read still holds. So the daemon keeps nothing, a request that arrives late undoes
nothing, and the whole transaction may be sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import DECIDES, Caller, new_txn_id
from statehouse._effects import Reach, Steps
from statehouse._pending import Pending
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.operations import Messages, evaluated, explained, transacted
from statehouse._steps.txnreads import Begun, TxnReads
from statehouse._steps.writes import conditions, tell
from statehouse.types import (
    AnyOperation,
    Append,
    Commit,
    Content,
    Delete,
    DeletePrefix,
    Duration,
    Increment,
    LeasePrecondition,
    Merge,
    Number,
    OperationResult,
    Precondition,
    Value,
    Write,
)

if TYPE_CHECKING:
    from datetime import datetime
    from typing import NoReturn

    from statehouse._leases import BaseLease


class TxnSteps(TxnReads):
    """A transaction, as ``begin_transaction`` gives it. Several threads may use it at once."""

    #: Provenance that goes with the commit. Change it before.
    metadata: dict[str, str]
    #: Further conditions of the commit. Change them before.
    preconditions: list[Precondition]
    #: Leases that must be held for the commit. Change them before.
    leases: list[BaseLease | LeasePrecondition]

    def __init__(
        self,
        caller: Caller,
        begun: Begun,
        metadata: dict[str, str],
        leases: list[BaseLease | LeasePrecondition] | None = None,
    ) -> None:
        super().__init__(caller, begun)
        self.metadata = metadata
        self.preconditions = []
        self.leases = list(leases or ())
        self._committing = 0  # calls that commit
        self._doubt = False  # it may have been applied, or may yet be

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a transaction cannot be copied or sent to another process: begin one in each"
        )

    def __repr__(self) -> str:
        snapshot = f" of what was at {self.snapshot_ts}" if self.snapshot_ts else ""
        return f"<{type(self).__name__} {self.txn_id}{snapshot}: {self._state()}>"

    def _state(self) -> str:
        outcome = self._outcome
        if isinstance(outcome, Commit):
            return f"committed as {outcome.commit_ts}"
        if outcome is not None:
            return outcome.code
        return "open" if self._request is None else "being committed"

    @property
    def held(self) -> bool:
        """Whether the daemon holds it."""
        return False

    @property
    def committed(self) -> Commit | None:
        """The commit, once it is known."""
        return self._outcome if isinstance(self._outcome, Commit) else None

    def _write(
        self,
        agent_id: str,
        key: str,
        value: Content,
        expected_version: int | None,
        content_type: str | None,
        ttl: Duration | None,
        due_at: datetime | str | None,
        due_in: Duration | None,
        namespace: str | None,
    ) -> Steps[None]:
        write = Write(
            agent_id, key, value, expected_version, namespace, content_type, ttl, due_at, due_in
        )
        yield from self._add(write)

    def _delete(
        self, agent_id: str, key: str, expected_version: int | None, namespace: str | None
    ) -> Steps[None]:
        yield from self._add(Delete(agent_id, key, expected_version, namespace))

    def _append(
        self,
        agent_id: str,
        prefix: str,
        value: Content,
        content_type: str | None,
        ttl: Duration | None,
        namespace: str | None,
    ) -> Steps[Pending]:
        return self._add(Append(agent_id, prefix, value, namespace, content_type, ttl))

    def _increment(
        self,
        agent_id: str,
        key: str,
        pointer: str,
        delta: Number,
        minimum: Number | None,
        maximum: Number | None,
        expected_version: int | None,
        namespace: str | None,
    ) -> Steps[Pending]:
        return self._add(
            Increment(agent_id, key, pointer, delta, minimum, maximum, expected_version, namespace)
        )

    def _merge(
        self,
        agent_id: str,
        key: str,
        patch: Value,
        expected_version: int | None,
        namespace: str | None,
    ) -> Steps[Pending]:
        return self._add(Merge(agent_id, key, patch, expected_version, namespace))

    def _put_if_absent(
        self,
        agent_id: str,
        key: str,
        value: Content,
        content_type: str | None,
        ttl: Duration | None,
        namespace: str | None,
    ) -> Steps[Pending]:
        write = Write(
            agent_id, key, value, None, namespace, content_type, ttl, None, None, if_absent=True
        )
        return self._add(write)

    def _delete_prefix(self, agent_id: str, prefix: str, namespace: str | None) -> Steps[Pending]:
        return self._add(DeletePrefix(agent_id, prefix, namespace))

    def _add(self, operation: AnyOperation) -> Steps[Pending]:
        message = Messages(self._caller, staged=True).of(operation)
        with self._lock:
            self._check_open()
            number = self._staged.put(message)
            self._check_size()
        yield from ()
        what = f"{type(operation).__name__} of agent {check.brief(operation.agent_id)}"
        return Pending(what, lambda: self._result(number))

    def _result(self, number: int) -> OperationResult | None:
        """Returns what came of an operation, once that is known."""
        commit = self._outcome
        if not isinstance(commit, Commit) or not commit.results:
            return None
        return commit.results[self._staged.place(number)]

    def _check_whole(self) -> None:
        """Refuses to commit what may be a part only."""

    def _commit(self) -> Steps[Commit]:
        with self._lock:
            if isinstance(self._outcome, Commit):
                return self._outcome
            if self._request is None:
                self._check_open()
                self._request = self._whole()
            elif self._outcome is not None:
                raise self._outcome
            self._committing += 1
            request = self._request
        try:
            commit = yield from self._send(request)
        except BaseException as failed:
            self._failed(failed)
            raise
        self._committing -= 1
        self._end(commit)
        return commit

    def _whole(self) -> pb.TransactRequest:
        """Makes the request that is the whole transaction."""
        keys, heads = conditions(self._caller, self.preconditions, self.leases)
        request = pb.TransactRequest(
            txn_id=self.txn_id,
            operations=self._staged.operations(),
            key_preconditions=[*self._staged.conditions(), *keys],
            head_preconditions=heads,
            metadata=check.text_map("metadata", self.metadata),
        )
        if any(evaluated(operation) for operation in request.operations):
            request.encoding = pb.VALUE_ENCODING_NATIVE
        if self._reads:
            request.reads.CopyFrom(self._reads.message())
            request.key_preconditions.add()  # which a daemon that ignores reads refuses
        return request

    def _send(self, request: pb.TransactRequest) -> Steps[Commit]:
        conditional = len(request.key_preconditions) > request.HasField("reads")
        if not (request.operations or conditional or request.head_preconditions):
            # What was read is of one commit: there is nothing to ask.
            yield Reach(0)  # but whether the client can be used
            return Commit(self.txn_id, self.snapshot_ts, None)
        try:
            response = yield from self._caller.commit(
                "Transact",
                request,
                self.txn_id,
                begun=False,
                until=self._deadline,
                doubt=self._doubt,
            )
        except errors.EpochChanged as changed:
            self._caller.endpoint.epoch = changed.details.get("epoch", "")
            self._end(changed)
            raise
        except errors.LeaseLost as lost:
            tell(self.leases, lost)
            raise
        except errors.InvalidArgument as refused:
            field = refused.details.get("field")
            if field == "snapshot_ts":
                raise self._forgotten(refused) from None
            # An older daemon refuses the precondition without names; one that knows reads may have
            # other reasons.
            about_names = request.HasField("reads") and field in ("agent_id", "key")
            if about_names and not (yield from knows_reads(self._caller, again=True)):
                old = _too_old(refused)
                self._end(old)
                raise old from None
            raise (yield from explained(self._caller, request, refused)) from None
        return transacted(request, response, by_agent=True)

    def _failed(self, failed: BaseException) -> None:
        """Keeps how the commit ended. Unless it may have been made, an open transaction stays
        open.
        """
        with self._lock:
            self._committing -= 1
            known = isinstance(failed, errors.StatehouseError) and not (
                isinstance(failed, errors.OutcomeUnknown) or failed.maybe_applied
            )
            if isinstance(failed, DECIDES) and known:
                self._end(failed)
            elif not known:
                self._doubt = True
            elif not self._committing and not self._doubt:
                self._request = None

    def _abort(self) -> Steps[None]:
        with self._lock:
            if isinstance(self._outcome, Commit):
                self._check_open()
            if self._outcome is None and self._request is not None:
                unknown = errors.OutcomeUnknown(
                    f"transaction {self.txn_id} is not aborted, for it may have been committed"
                )
                unknown.txn_id = self.txn_id
                raise unknown
            self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))
        yield from ()

    def _end(self, outcome: Commit | errors.StatehouseError) -> None:
        """Keeps the outcome. The daemon answers every call the same, so the first stays."""
        with self._lock:
            if self._outcome is None:
                self._outcome = outcome

    def _give_up(self) -> Steps[None]:
        """Aborts the transaction, unless it may have been committed."""
        if self._request is None:
            self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))
        yield from ()

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
        """Reports whether a fresh transaction may succeed."""
        if isinstance(failed, (errors.OutcomeUnknown, errors.PreconditionFailed)):
            return False
        if failed._lasting:  # noqa: SLF001
            return False
        if isinstance(
            failed, (errors.ConflictError, errors.TransactionNotFound, errors.EpochChanged)
        ):
            return True
        if isinstance(failed, errors.Unimplemented) and failed is self._outcome:
            return True  # the next one is held by the daemon
        return isinstance(failed, errors.ConnectionError) and not self._caller.options.fail_fast


def knows_reads(caller: Caller, again: bool = False) -> Steps[bool]:
    """Reports whether the daemon validates what a transaction has read. It is asked once, or
    ``again``, with a transaction that says to have read nothing, which an older one takes for
    empty and refuses.
    """
    endpoint = caller.endpoint
    if endpoint.knows_reads is not None and not again:
        yield from caller.connect("begin_transaction")
        return endpoint.knows_reads
    try:
        probe = pb.TransactRequest(txn_id=new_txn_id(), reads=pb.ReadSet())
        answer = yield from caller.call("Transact", probe)
    except errors.InvalidArgument:
        endpoint.knows_reads = False
    else:
        endpoint.knows_reads, endpoint.epoch = True, answer.epoch
    return endpoint.knows_reads


def _too_old(refused: errors.StatehouseError) -> errors.Unimplemented:
    error = errors.Unimplemented(
        "the daemon was replaced by an older one, which does not know what a transaction has read:"
        f" begin again ({refused.message})",
        answered=True,
    )
    error._told = refused._told  # noqa: SLF001
    return error
