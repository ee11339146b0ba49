"""One-shot commits: all writes go in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import new_txn_id
from statehouse._proto import statehouse_pb2 as pb
from statehouse._times import to_datetime
from statehouse._values import to_json
from statehouse.types import (
    Commit,
    Delete,
    HeadPrecondition,
    KeyPrecondition,
    KeyVersion,
    Precondition,
    TxnOutcome,
    TxnState,
    Value,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from statehouse._calls import Caller
    from statehouse._effects import Steps


class WriteSteps:
    """Commits in one round trip, and what became of them."""

    _caller: Caller

    def _write(
        self,
        agent_id: str,
        key: str,
        value: Value,
        expected_version: int | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
    ) -> Steps[Commit]:
        write = Write(agent_id, key, value, expected_version, namespace)
        return self._transact([write], (), metadata, txn_id)

    def _delete(
        self,
        agent_id: str,
        key: str,
        expected_version: int | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
    ) -> Steps[Commit]:
        delete = Delete(agent_id, key, expected_version, namespace)
        return self._transact([delete], (), metadata, txn_id)

    def _transact(
        self,
        operations: Iterable[Write | Delete],
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
    ) -> Steps[Commit]:
        given = check.items("operations", operations)
        txn_id = new_txn_id() if txn_id is None else check.text("txn_id", txn_id)
        keys, heads = conditions(self._caller, preconditions)
        request = pb.TransactRequest(
            txn_id=txn_id,
            operations=[self._operation(op) for op in given],
            key_preconditions=keys,
            head_preconditions=heads,
            metadata=check.text_map("metadata", metadata),
        )
        response = yield from self._caller.commit("Transact", request, txn_id, begun=False)
        return transacted(request, response)

    def _get_transaction(self, txn_id: str) -> Steps[TxnOutcome]:
        response = yield from self._caller.call(
            "GetTransaction", pb.GetTransactionRequest(txn_id=check.text("txn_id", txn_id))
        )
        if response.state not in _STATES:
            raise errors.broken(f"transaction state {response.state}")
        state = _STATES[response.state]
        committed = state is TxnState.COMMITTED
        return TxnOutcome(txn_id, state, commit_of(txn_id, response) if committed else None)

    def _operation(self, operation: Write | Delete) -> pb.TransactOperation:
        if not isinstance(operation, (Write, Delete)):
            raise check.refused(
                "operations",
                f"operations are Write(...) and Delete(...), not {check.brief(operation)}",
            )
        writes = isinstance(operation, Write)
        return pb.TransactOperation(
            namespace=self._caller.namespace(operation.namespace),
            agent_id=check.text("agent_id", operation.agent_id),
            key=check.text("key", operation.key),
            value_json=to_json(operation.value) if isinstance(operation, Write) else None,
            delete=not writes,
            expected_version=check.optional_count("expected_version", operation.expected_version),
        )


def conditions(
    caller: Caller, preconditions: Iterable[Precondition]
) -> tuple[list[pb.KeyPrecondition], list[pb.HeadPrecondition]]:
    """Makes the messages for a commit's preconditions."""
    keys, heads = [], []
    for condition in check.items("preconditions", preconditions):
        if not isinstance(condition, (KeyPrecondition, HeadPrecondition)):
            raise check.refused(
                "preconditions",
                "preconditions are KeyPrecondition(...) and HeadPrecondition(...),"
                f" not {check.brief(condition)}",
            )
        namespace = caller.namespace(condition.namespace)
        agent_id = check.name("agent_id", condition.agent_id)
        if isinstance(condition, KeyPrecondition):
            version = check.count("expected_version", condition.expected_version)
            keys.append(
                pb.KeyPrecondition(
                    namespace=namespace,
                    agent_id=agent_id,
                    key=check.name("key", condition.key),
                    expected_version=version,
                )
            )
        else:
            head = check.count("expected_head", condition.expected_head)
            heads.append(
                pb.HeadPrecondition(namespace=namespace, agent_id=agent_id, expected_head=head)
            )
    return keys, heads


def transacted(
    request: pb.TransactRequest, response: pb.TransactResponse, *, by_agent: bool = False
) -> Commit:
    """Makes a commit of an answer that names versions in the order of the operations.
    ``by_agent``: each agent's together, as those of transactions are.
    """
    if len(response.versions) != len(request.operations):
        raise errors.broken(
            f"{len(response.versions)} versions for {len(request.operations)} operations"
        )
    versions = [
        KeyVersion(op.agent_id, op.key, version, op.namespace)
        for op, version in zip(request.operations, response.versions)
    ]
    if by_agent:
        versions.sort(key=lambda version: (version.namespace, version.agent_id))
    return Commit(
        txn_id=request.txn_id,
        commit_ts=response.commit_ts,
        timestamp=None if by_agent and not versions else to_datetime(response.commit_time),
        versions=tuple(versions),
    )


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
