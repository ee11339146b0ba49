"""One-shot commits: all writes go in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import new_txn_id
from statehouse._leases import BaseLease
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.operations import Messages, evaluated, explained, transacted
from statehouse._times import to_datetime
from statehouse.types import (
    AnyOperation,
    Commit,
    Content,
    Delete,
    Duration,
    HeadPrecondition,
    KeyPrecondition,
    KeyVersion,
    LeasePrecondition,
    Precondition,
    TxnOutcome,
    TxnState,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from statehouse._calls import Caller
    from statehouse._effects import Steps

    #: What a commit may require to be held.
    Leases = Iterable["BaseLease | LeasePrecondition"]


class WriteSteps:
    """Commits in one round trip, and what became of them."""

    _caller: Caller

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
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        write = Write(
            agent_id, key, value, expected_version, namespace, content_type, ttl, due_at, due_in
        )
        return self._transact([write], (), metadata, txn_id, leases)

    def _delete(
        self,
        agent_id: str,
        key: str,
        expected_version: int | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        delete = Delete(agent_id, key, expected_version, namespace)
        return self._transact([delete], (), metadata, txn_id, leases)

    def _transact(
        self,
        operations: Iterable[AnyOperation],
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return commit_of_operations(
            self._caller, operations, preconditions, metadata=metadata, txn_id=txn_id, leases=leases
        )

    def _get_transaction(self, txn_id: str) -> Steps[TxnOutcome]:
        response = yield from self._caller.call(
            "GetTransaction", pb.GetTransactionRequest(txn_id=check.text("txn_id", txn_id))
        )
        if response.state not in _STATES:
            raise errors.broken(f"transaction state {response.state}")
        state = _STATES[response.state]
        committed = state is TxnState.COMMITTED
        return TxnOutcome(txn_id, state, commit_of(txn_id, response) if committed else None)


def commit_of_operations(
    caller: Caller,
    operations: Iterable[AnyOperation],
    preconditions: Iterable[Precondition] = (),
    *,
    metadata: Mapping[str, str] | None = None,
    txn_id: str | None = None,
    leases: Leases = (),
) -> Steps[Commit]:
    """Commits operations in one request."""
    messages = Messages(caller)
    made = [messages.of(op) for op in check.items("operations", operations)]
    txn_id = new_txn_id() if txn_id is None else check.text("txn_id", txn_id)
    keys, heads = conditions(caller, preconditions, leases)
    request = pb.TransactRequest(
        txn_id=txn_id,
        operations=made,
        key_preconditions=keys,
        head_preconditions=heads,
        metadata=check.text_map("metadata", metadata),
    )
    if any(evaluated(op) for op in made):
        request.encoding = pb.VALUE_ENCODING_NATIVE
    try:
        response = yield from caller.commit("Transact", request, txn_id, begun=False)
    except errors.LeaseLost as lost:
        tell(leases, lost)
        raise
    except errors.InvalidArgument as refused:
        raise (yield from explained(caller, request, refused)) from None
    return transacted(request, response)


def conditions(
    caller: Caller, preconditions: Iterable[Precondition], leases: Leases = ()
) -> tuple[list[pb.KeyPrecondition], list[pb.HeadPrecondition]]:
    """Makes the messages for a commit's preconditions."""
    keys, heads = [], []
    given = check.items("preconditions", preconditions)
    for condition in [*given, *map(_required, check.items("leases", leases))]:
        if not isinstance(condition, (KeyPrecondition, HeadPrecondition, LeasePrecondition)):
            raise check.refused(
                "preconditions",
                "preconditions are KeyPrecondition(...), HeadPrecondition(...) and"
                f" LeasePrecondition(...), not {check.brief(condition)}",
            )
        named = {
            "namespace": caller.namespace(condition.namespace),
            "agent_id": check.name("agent_id", condition.agent_id),
        }
        if isinstance(condition, KeyPrecondition):
            version = check.count("expected_version", condition.expected_version)
            key = check.name("key", condition.key)
            keys.append(pb.KeyPrecondition(**named, key=key, expected_version=version))
        elif isinstance(condition, LeasePrecondition):
            token = check.count("token", condition.token)
            lease = check.text("name", condition.name)
            keys.append(pb.KeyPrecondition(**named, lease=lease, expected_version=token))
        else:
            head = check.count("expected_head", condition.expected_head)
            heads.append(pb.HeadPrecondition(**named, expected_head=head))
    return keys, heads


def _required(lease: Any) -> LeasePrecondition:
    """Makes the condition that a lease is. One that is known to be lost is refused at once."""
    if isinstance(lease, LeasePrecondition):
        return lease
    if not isinstance(lease, BaseLease):
        raise check.refused(
            "leases", f"leases are what client.lease() gives, not {check.brief(lease)}"
        )
    lease.check()
    return lease.condition()


def tell(leases: Leases, lost: errors.LeaseLost) -> None:
    """Tells the leases that a commit required which of them the daemon says is lost."""
    for lease in leases:
        if isinstance(lease, BaseLease) and lease._is_of(lost):  # noqa: SLF001
            lease._lose(lost)  # noqa: SLF001


_STATES = {
    pb.TRANSACTION_STATE_OPEN: TxnState.OPEN,
    pb.TRANSACTION_STATE_COMMITTED: TxnState.COMMITTED,
    pb.TRANSACTION_STATE_ABORTED: TxnState.ABORTED,
    pb.TRANSACTION_STATE_EXPIRED: TxnState.EXPIRED,
    pb.TRANSACTION_STATE_NEVER_SEEN: TxnState.NEVER_SEEN,
    pb.TRANSACTION_STATE_TOO_OLD: TxnState.TOO_OLD,
}


def commit_of(txn_id: str, message: Any) -> Commit:
    """Makes a commit of an answer that names its keys."""
    return Commit(
        txn_id=txn_id,
        commit_ts=message.commit_ts,
        timestamp=to_datetime(message.commit_time) if message.HasField("commit_time") else None,
        versions=tuple(
            KeyVersion(v.agent_id, v.key, v.version, v.namespace) for v in message.versions
        ),
    )
