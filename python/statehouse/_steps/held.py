"""Transactions that the daemon holds until they commit: for those who want it to know of them.

Each call is a request. A write whose answer is lost is not sent again, for a late duplicate could
undo a later write of its record, so the transaction cannot commit then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import DECIDES
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.reads import ReadSteps
from statehouse._steps.txn import TxnSteps
from statehouse._steps.writes import commit_of, conditions, tell
from statehouse._values import content

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message

    from statehouse._effects import Steps
    from statehouse._pending import Pending
    from statehouse.types import AnyOperation, Commit, Content, Duration

#: Seconds that aborting a transaction which is given up may take. It expires anyway.
_FAREWELL = 1.0


def _only_in_the_client(what: str) -> errors.UsageError:
    return errors.UsageError(
        f"a transaction that the daemon holds takes no {what}: begin one without held=True"
    )


class HeldSteps(TxnSteps):
    """A transaction held open in the daemon. It reads a snapshot taken at begin."""

    _lost: errors.StatehouseError | None = None  # a write that got no answer

    @property
    def held(self) -> bool:
        """Whether the daemon holds it."""
        return True

    def _state(self) -> str:
        lost = self._lost is not None and self._outcome is None
        return "cannot commit, begin again" if lost else super()._state()

    def _ask(self, method: str, request: Any) -> Steps[Any]:
        request.ClearField("at")
        request.txn_id = self.txn_id
        return self._caller.call(method, request)

    _get_state = ReadSteps._get_state  # noqa: SLF001  a base's
    _get_many = ReadSteps._get_many  # noqa: SLF001  a base's
    _listed = ReadSteps._listed  # noqa: SLF001  a base's

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
        if not (ttl is None and due_at is None and due_in is None):
            raise _only_in_the_client("a write with a deadline")
        request = pb.WriteRequest(
            txn_id=self.txn_id,
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            key=check.text("key", key),
            expected_version=check.optional_count("expected_version", expected_version),
            **content(value, content_type),
        )
        return self._tell("Write", request)

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
        return self._tell("Delete", request)

    def _add(self, operation: AnyOperation) -> Steps[Pending]:
        raise _only_in_the_client(f"{type(operation).__name__} operations")

    def _tell(self, method: str, request: Message) -> Steps[None]:
        try:
            yield from self._caller.call_once(method, request)
        except errors.StatehouseError as failed:
            if failed._sent and not failed.answered:  # noqa: SLF001
                with self._lock:
                    self._lost = failed
            raise

    def _commit(self) -> Steps[Commit]:
        with self._lock:
            outcome = self._outcome
        if outcome is not None and not isinstance(outcome, errors.StatehouseError):
            return outcome
        if outcome is not None:
            raise outcome
        self._check_whole()
        keys, heads = conditions(self._caller, self.preconditions, self.leases)
        request = pb.CommitRequest(
            txn_id=self.txn_id,
            metadata=check.text_map("metadata", self.metadata),
            key_preconditions=keys,
            head_preconditions=heads,
        )
        try:
            response = yield from self._caller.commit("Commit", request, self.txn_id, begun=True)
        except DECIDES as refused:
            if isinstance(refused, errors.LeaseLost):
                tell(self.leases, refused)
            self._end(refused)
            raise
        commit = commit_of(self.txn_id, response)
        self._end(commit)
        return commit

    def _check_whole(self) -> None:
        lost = self._lost
        if lost is not None:
            raise errors.TransactionError(
                f"transaction {self.txn_id} is not committed, for it is not known whether all its"
                f" writes arrived ({lost.message}): begin again",
                code=lost.code,
            ) from lost

    def _worth_repeating(self, failed: errors.StatehouseError) -> bool:
        return self._lost is not None or super()._worth_repeating(failed)

    def _abort(self) -> Steps[None]:
        yield from self._caller.call("Abort", pb.AbortRequest(txn_id=self.txn_id))
        self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))

    def _give_up(self) -> Steps[None]:
        """Aborts the transaction if the daemon can be reached; otherwise it expires."""
        caller = self._caller.within(_FAREWELL)
        try:
            yield from caller.call("Abort", pb.AbortRequest(txn_id=self.txn_id))
        except errors.StatehouseError:
            return
        self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))
