"""Operations of a commit as messages of the contract, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from statehouse import _arguments as check
from statehouse import errors
from statehouse import operations as ops
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.reads import existing
from statehouse._times import moment, moment_message, point_message, to_datetime
from statehouse._values import check_depth, content, to_json, value_of
from statehouse.types import (
    Commit,
    DueRecord,
    KeyVersion,
    LeaseInfo,
    OperationResult,
    RecordName,
)

if TYPE_CHECKING:
    from statehouse._calls import Caller
    from statehouse._effects import Steps

#: Fields of operations that every daemon knows.
_OLD = frozenset(
    ("namespace", "agent_id", "key", "value", "value_json", "delete", "expected_version")
)


class Messages:
    """Makes messages. ``staged``: of a transaction, of which the daemon hears at the commit, so
    that its rules are checked here.
    """

    def __init__(self, caller: Caller, *, staged: bool = False) -> None:
        self._caller = caller
        self._staged = staged

    def of(self, operation: Any) -> pb.TransactOperation:
        """Makes the message of an operation."""
        for kind, make in _MAKERS.items():
            if isinstance(operation, kind):
                return make(self, operation)
        names = ", ".join(f"{kind.__name__}(...)" for kind in _MAKERS)
        raise check.refused("operations", f"operations are {names}, not {check.brief(operation)}")

    def _named(
        self, namespace: str | None, agent_id: str, key: str, *, empty: bool = False, **what: Any
    ) -> pb.TransactOperation:
        """``empty``: the key may be."""
        name = check.name if self._staged else check.text
        return pb.TransactOperation(
            namespace=name("namespace", self._caller.namespace(namespace)),
            agent_id=name("agent_id", agent_id),
            key=check.text("key", key) if empty and not key else name("key", key),
            **what,
        )

    def _expected(self, operation: Any) -> int | None:
        return check.optional_count("expected_version", operation.expected_version)

    def _content(self, operation: ops.Write | ops.Append) -> dict[str, Any]:
        fields = content(operation.value, operation.content_type)
        if self._staged:
            check_depth(operation.value, fields.get("value_json", b""))
        return fields

    def _put(self, operation: ops.Write | ops.Append, **more: Any) -> pb.Put:
        return pb.Put(
            **self._content(operation),
            ttl_ms=check.optional_milliseconds("ttl", operation.ttl),
            **more,
        )

    def _due(self, op: ops.Write) -> dict[str, Any]:
        if op.due_at is not None and op.due_in is not None:
            raise check.refused("due_in", "due_at and due_in say the same: leave out one")
        return {
            "due_at": None if op.due_at is None else moment_message(op.due_at, "due_at"),
            "due_in_ms": check.optional_milliseconds("due_in", op.due_in, least=0),
        }

    def _write(self, op: ops.Write) -> pb.TransactOperation:
        late = any(span is not None for span in (op.ttl, op.due_at, op.due_in))
        raw = isinstance(op.value, (bytes, bytearray, memoryview))
        if not (late or raw or check.flag("if_absent", op.if_absent)):
            what: dict[str, Any] = self._content(op)
        else:
            what = {"put": self._put(op, if_absent=op.if_absent, **self._due(op))}
        expected = self._expected(op)
        return self._named(op.namespace, op.agent_id, op.key, expected_version=expected, **what)

    def _delete(self, op: ops.Delete) -> pb.TransactOperation:
        expected = self._expected(op)
        return self._named(
            op.namespace, op.agent_id, op.key, expected_version=expected, delete=True
        )

    def _append(self, op: ops.Append) -> pb.TransactOperation:
        put = self._put(op, append=True)
        return self._named(op.namespace, op.agent_id, op.prefix, put=put)

    def _increment(self, op: ops.Increment) -> pb.TransactOperation:
        bounds = {"min": op.minimum, "max": op.maximum}
        increment = pb.Increment(
            pointer=check.text("pointer", op.pointer),
            delta=check.json_number("delta", op.delta),
            **{
                name: check.json_number(f"{name}imum", bound)
                for name, bound in bounds.items()
                if bound is not None
            },
        )
        expected = self._expected(op)
        return self._named(
            op.namespace, op.agent_id, op.key, expected_version=expected, increment=increment
        )

    def _merge(self, op: ops.Merge) -> pb.TransactOperation:
        patch, expected = to_json(op.patch), self._expected(op)
        if self._staged:
            check_depth(op.patch, patch)
        return self._named(
            op.namespace, op.agent_id, op.key, expected_version=expected, merge_json=patch
        )

    def _delete_prefix(self, op: ops.DeletePrefix) -> pb.TransactOperation:
        if not check.text("prefix", op.prefix):
            raise check.refused(
                "prefix", "the prefix is empty: to delete all keys of an agent is delete_agent"
            )
        return self._named(op.namespace, op.agent_id, op.prefix, delete_prefix=True)

    def _delete_agent(self, op: ops.DeleteAgent) -> pb.TransactOperation:
        return self._named(op.namespace, op.agent_id, "", empty=True, delete_agent=True)

    def _restore(self, op: ops.Restore) -> pb.TransactOperation:
        if op.at is None:
            raise check.refused("at", "at is None: say which moment's state is to come back")
        restore = pb.Restore(at=point_message(op.at, "at"))
        return self._named(op.namespace, op.agent_id, op.prefix, empty=True, restore=restore)

    def _fork(self, op: ops.Fork) -> pb.TransactOperation:
        fork = pb.Fork(
            namespace=self._caller.namespace(op.namespace),
            agent_id=check.text("agent_id", op.agent_id),
            at=point_message(op.at, "at"),
        )
        return self._named(op.namespace, op.to, "", empty=True, fork=fork)

    def _acquire(self, op: ops.AcquireLease) -> pb.TransactOperation:
        acquire = pb.AcquireLease(
            holder=check.text("holder", op.holder), ttl_ms=check.milliseconds("ttl", op.ttl)
        )
        return self._named(op.namespace, op.agent_id, op.name, acquire=acquire)

    def _release(self, op: ops.ReleaseLease) -> pb.TransactOperation:
        release = pb.ReleaseLease(token=check.count("token", op.token))
        return self._named(op.namespace, op.agent_id, op.name, release=release)

    def _claim(self, op: ops.ClaimDue) -> pb.TransactOperation:
        if not 0 < check.count("limit", op.limit) < 2**32:
            raise check.refused("limit", f"limit must be 1 or more, not {op.limit}")
        claim = pb.ClaimDue(
            holder=check.text("holder", op.holder),
            ttl_ms=check.milliseconds("ttl", op.ttl),
            limit=op.limit,
            all_agents=op.agent_id is None,
        )
        return pb.TransactOperation(
            namespace=self._caller.namespace(op.namespace),
            agent_id="" if op.agent_id is None else check.text("agent_id", op.agent_id),
            key=check.text("prefix", op.prefix),
            claim=claim,
        )

    def _complete(self, op: ops.CompleteDue) -> pb.TransactOperation:
        complete = pb.CompleteDue(token=check.count("token", op.token))
        return self._named(op.namespace, op.agent_id, op.key, complete=complete)


_MAKERS: dict[type, Callable[[Messages, Any], pb.TransactOperation]] = {
    ops.Write: Messages._write,  # noqa: SLF001
    ops.Delete: Messages._delete,  # noqa: SLF001
    ops.Append: Messages._append,  # noqa: SLF001
    ops.Increment: Messages._increment,  # noqa: SLF001
    ops.Merge: Messages._merge,  # noqa: SLF001
    ops.DeletePrefix: Messages._delete_prefix,  # noqa: SLF001
    ops.DeleteAgent: Messages._delete_agent,  # noqa: SLF001
    ops.Restore: Messages._restore,  # noqa: SLF001
    ops.Fork: Messages._fork,  # noqa: SLF001
    ops.AcquireLease: Messages._acquire,  # noqa: SLF001
    ops.ReleaseLease: Messages._release,  # noqa: SLF001
    ops.ClaimDue: Messages._claim,  # noqa: SLF001
    ops.CompleteDue: Messages._complete,  # noqa: SLF001
}


def evaluated(operation: pb.TransactOperation) -> bool:
    """Reports whether what comes of an operation is known at its commit only."""
    put = operation.put if operation.HasField("put") else None
    if put is not None:
        return put.append or put.if_absent
    return any(field.name not in _OLD for field, _ in operation.ListFields())


def newer(request: pb.TransactRequest) -> str:
    """Names something in a request that daemons of the base contract do not know; empty: it has
    nothing of that.
    """
    for operation in request.operations:
        for field, _ in operation.ListFields():
            if field.name not in _OLD:
                return "writes of that kind" if field.name == "put" else f"{field.name} operations"
    return "leases" if any(condition.lease for condition in request.key_preconditions) else ""


def explained(
    caller: Caller, request: pb.TransactRequest, refused: errors.InvalidArgument
) -> Steps[errors.StatehouseError]:
    """Returns the error to raise for a request that was refused as invalid: perhaps the daemon
    only does not know what is in it. A daemon that knows none of it does not know GetAgent.
    """
    what = newer(request)
    if not what:
        return refused
    some = request.operations[0] if request.operations else request.key_preconditions[0]
    probe = pb.GetAgentRequest(namespace=some.namespace, agent_id=some.agent_id)
    try:
        yield from caller.call("GetAgent", probe)
    except errors.Unimplemented:
        old = errors.Unimplemented(f"the daemon does not know {what}", answered=True)
        old._told = refused._told  # noqa: SLF001
        return old
    except errors.StatehouseError:
        pass
    return refused


def transacted(
    request: pb.TransactRequest, response: pb.TransactResponse, *, by_agent: bool = False
) -> Commit:
    """Makes a commit of an answer that names versions in the order of the operations.
    ``by_agent``: each agent's together, as those of transactions are.
    """
    count = len(request.operations)
    results = [result_of(result) for result in response.results]
    if len(results) not in (0, count) or (not results and len(response.versions) != count):
        raise errors.broken(
            f"{len(response.versions)} versions and {len(results)} results for {count} operations"
        )
    if results:
        keys = [(result.key or op.key) for op, result in zip(request.operations, results)]
        numbers = [result.version for result in results]
    else:
        keys = [op.key for op in request.operations]
        numbers = list(response.versions)
    versions = [
        KeyVersion(op.agent_id, key, version, op.namespace)
        for op, key, version in zip(request.operations, keys, numbers)
    ]
    if by_agent:
        versions.sort(key=lambda version: (version.namespace, version.agent_id))
    return Commit(
        txn_id=request.txn_id,
        commit_ts=response.commit_ts,
        timestamp=None if by_agent and not versions else moment(response, "commit_time"),
        versions=tuple(versions),
        results=tuple(results),
    )


def result_of(message: pb.OperationResult) -> OperationResult:
    """Reads what came of an operation."""
    return OperationResult(
        key=message.key,
        version=message.version,
        value=value_of(message),
        content_type=message.content_type,
        existed=message.existed,
        keys=message.keys,
        lease=lease_of(message.lease) if message.HasField("lease") else None,
        claimed=tuple(_due(due) for due in message.claimed),
    )


def _due(message: pb.DueRecord) -> DueRecord:
    entry = message.record
    name = RecordName(entry.agent_id, entry.key, entry.namespace)
    return DueRecord(
        record=existing(name, entry, 0),
        due_at=to_datetime(message.due_at),
        lease=lease_of(message.lease),
    )


def lease_of(message: pb.Lease) -> LeaseInfo:
    """Reads a lease that is held."""
    return LeaseInfo(
        agent_id=message.agent_id,
        name=message.name,
        namespace=message.namespace,
        token=message.token,
        holder=message.holder,
        ttl=message.ttl_ms / 1000,
        deadline=to_datetime(message.deadline),
        acquired_ts=message.acquired_ts,
        acquired_at=to_datetime(message.acquired_at),
    )
