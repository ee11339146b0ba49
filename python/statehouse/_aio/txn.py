# Derived from _sync/txn.py by python/generate_aio.py: change that, and run it.
"""A transaction, awaited."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from statehouse._aio.reads import Reads
from statehouse._leases import BaseLease
from statehouse._pending import Pending
from statehouse._steps.held import HeldSteps
from statehouse._steps.txn import TxnSteps
from statehouse.types import Commit, Content, Duration, LeasePrecondition, Number, Value

if TYPE_CHECKING:
    from statehouse._aio.transport import Transport
    from statehouse._calls import Caller
    from statehouse._steps.txnreads import Begun


class AsyncTxn(TxnSteps, Reads):
    """A transaction, as ``begin_transaction`` gives it.

    It keeps its writes in this process, and reads the state as it was at one commit, that of its
    first read, under its own writes. It is serializable: its commit, which is one request, fails
    with :class:`ConflictError` when something that it read (keys, absent ones, ranges it listed)
    has changed since. Used as a context manager it commits at the end of the block, and aborts
    when an exception leaves the block.

    ``txn_id``
        The id to ask ``get_transaction`` for.
    ``snapshot_ts``
        The commit_ts of the state it reads; 0 before its first read.
    ``timeout``
        Seconds from its begin until it is too late to commit.
    ``metadata``
        Stays with the commit: who did it, why… May be changed until then.
    ``preconditions``
        Further conditions of the commit. May be changed until then.
    ``leases``
        Leases that must be held for the commit. May be changed until then.

    What the daemon evaluates (``append``, ``increment``, ``merge``, ``put_if_absent``,
    ``delete_prefix``) is staged like a write, and decided when the transaction commits: each
    answers a :class:`Pending`, which says what came out once it has. Reading here what such an
    operation changes raises :class:`UsageError`; read before, or after the commit.
    """

    _usage = "async with client.begin_transaction() as tx"

    def __init__(
        self,
        transport: Transport,
        caller: Caller,
        begun: Begun,
        metadata: dict[str, str],
        leases: list[BaseLease | LeasePrecondition] | None = None,
    ) -> None:
        """Made by ``begin_transaction`` and ``run_transaction``."""
        super().__init__(caller, begun, metadata, leases)
        self._transport = transport

    async def write(
        self,
        agent_id: str,
        key: str,
        value: Content,
        *,
        expected_version: int | None = None,
        content_type: str | None = None,
        ttl: Duration | None = None,
        due_at: datetime | str | None = None,
        due_in: Duration | None = None,
        namespace: str | None = None,
    ) -> None:
        """Stages a write: no other reader sees it before the commit. Of several writes of a key
        the last one counts, as one version.

        >>> async with client.begin_transaction() as tx:
        ...     await tx.write(agent_id="a1", key="k1", value={"x": 1})
        ...     await tx.write(agent_id="a1", key="k2", value={"y": 2}, expected_version=0)
        >>> tx.committed.commit_ts
        1

        ``value``
            A JSON object: a dict of what JSON has; or ``bytes``.
        ``expected_version``
            The version the key must be at when the transaction commits; 0: it must not exist.
            None: any.
        ``content_type``
            Of bytes: a media type, such as ``"image/png"``; None: application/octet-stream.
        ``ttl``
            Seconds, or a timedelta, after the commit at which the daemon deletes the record; None:
            it stays.
        ``due_at``, ``due_in``
            When the record becomes due: a time with a zone, or seconds or a timedelta after the
            commit. None: the write leaves that as it is.
        ``namespace``
            None: the client's own.

        Nothing is sent before the commit.

        Raises :class:`InvalidArgument` for a value that JSON cannot carry or a name that breaks a
        rule, :class:`ResourceExhausted` when the transaction would be too large, and
        :class:`TransactionExpired` or another :class:`TransactionError` when it has ended.
        """
        steps = self._write(
            agent_id, key, value, expected_version, content_type, ttl, due_at, due_in, namespace
        )
        return await self._run(steps)

    async def delete(
        self,
        agent_id: str,
        key: str,
        *,
        expected_version: int | None = None,
        namespace: str | None = None,
    ) -> None:
        """Stages a delete.

        ``expected_version``, ``namespace``
            As in ``write``.

        Raises what ``write`` raises.
        """
        return await self._run(self._delete(agent_id, key, expected_version, namespace))

    async def append(
        self,
        agent_id: str,
        prefix: str,
        value: Content,
        *,
        content_type: str | None = None,
        ttl: Duration | None = None,
        namespace: str | None = None,
    ) -> Pending:
        """Stages an append to a sequence: its key is the prefix and the next number at the commit.

        >>> async with client.begin_transaction() as tx:
        ...     message = await tx.append("a1", "message/", {"text": "Hello"})
        ...     await tx.write("a1", "state", {"waiting": True})
        >>> message.key
        'message/0000000000000001'

        ``prefix``
            What the keys of the sequence begin with.
        ``value``, ``content_type``, ``ttl``, ``namespace``
            As in ``write``.

        Raises what ``write`` raises.
        """
        return await self._run(self._append(agent_id, prefix, value, content_type, ttl, namespace))

    async def increment(
        self,
        agent_id: str,
        key: str,
        pointer: str,
        delta: Number = 1,
        *,
        minimum: Number | None = None,
        maximum: Number | None = None,
        expected_version: int | None = None,
        namespace: str | None = None,
    ) -> Pending:
        """Stages an increment, which is made at the commit: so it conflicts with no other.

        >>> async with client.begin_transaction() as tx:
        ...     used = await tx.increment("a1", "usage", "/tokens", 120)
        >>> used.value
        {'tokens': 120}

        ``pointer``, ``delta``, ``minimum``, ``maximum``
            As in ``Statehouse.increment``.
        ``expected_version``, ``namespace``
            As in ``write``.

        Raises what ``write`` raises. The commit raises :class:`EvaluationFailed` when something
        else than a number is there, or the sum would be out of bounds.
        """
        steps = self._increment(
            agent_id, key, pointer, delta, minimum, maximum, expected_version, namespace
        )
        return await self._run(steps)

    async def merge(
        self,
        agent_id: str,
        key: str,
        patch: Value,
        *,
        expected_version: int | None = None,
        namespace: str | None = None,
    ) -> Pending:
        """Stages a JSON Merge Patch (RFC 7396), which is merged at the commit.

        >>> async with client.begin_transaction() as tx:
        ...     plan = await tx.merge("a1", "plan", {"step": 2})
        >>> plan.value
        {'step': 2}

        ``patch``
            As in ``Statehouse.merge``.
        ``expected_version``, ``namespace``
            As in ``write``.

        Raises what ``write`` raises. The commit raises :class:`EvaluationFailed` when the record
        holds bytes.
        """
        return await self._run(self._merge(agent_id, key, patch, expected_version, namespace))

    async def put_if_absent(
        self,
        agent_id: str,
        key: str,
        value: Content,
        *,
        content_type: str | None = None,
        ttl: Duration | None = None,
        namespace: str | None = None,
    ) -> Pending:
        """Stages a write that is made unless the key exists at the commit.

        >>> async with client.begin_transaction() as tx:
        ...     owner = await tx.put_if_absent("a1", "owner", {"name": "alice"})
        >>> owner.existed
        False

        ``value``, ``content_type``, ``ttl``, ``namespace``
            As in ``write``.

        It must be the only operation of the transaction that names its key.

        Raises what ``write`` raises.
        """
        steps = self._put_if_absent(agent_id, key, value, content_type, ttl, namespace)
        return await self._run(steps)

    async def delete_prefix(
        self,
        agent_id: str,
        prefix: str,
        *,
        namespace: str | None = None,
    ) -> Pending:
        """Stages a delete of every key of an agent that starts with ``prefix`` at the commit.

        >>> _ = await client.write("a1", "tool/1", {})
        >>> async with client.begin_transaction() as tx:
        ...     deleted = await tx.delete_prefix("a1", "tool/")
        >>> deleted.result.keys
        1

        ``prefix``, ``namespace``
            As in ``Statehouse.delete_prefix``.

        Raises what ``write`` raises.
        """
        return await self._run(self._delete_prefix(agent_id, prefix, namespace))

    async def commit(self) -> Commit:
        """Makes all that was staged durable, or none of it.

        When it returns, every later read sees the writes. When the answer is lost the whole
        transaction is sent again under its id until the client's timeout passes, and the daemon
        applies it once. Called again it answers the same, unless the outcome was unknown or the
        daemon could not be reached: then it tries again. A transaction that wrote nothing and has
        no preconditions asks nothing.

        Raises :class:`ConflictError` when something the transaction read has changed,
        :class:`PreconditionFailed` when an expected version is not the current one,
        :class:`LeaseLost` when a lease is not held, :class:`EvaluationFailed` when what is there is
        not what an operation asks for, another
        :class:`TransactionError` when the transaction had ended (of all of these nothing is
        applied, but see ``maybe_applied`` in :mod:`statehouse.errors`), and
        :class:`OutcomeUnknown` when the timeout passed without an answer.
        """
        return await self._run(self._commit())

    async def abort(self) -> None:
        """Drops the transaction. Aborting twice is no error.

        Raises :class:`TransactionCommitted` when it has committed, and :class:`OutcomeUnknown`
        when it may have: its commit is under way, or was not answered.
        """
        return await self._run(self._abort())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commits, or aborts when an exception leaves the block. Raises what ``commit`` does."""
        await self._run(self._leave(failing=kind is not None))


class AsyncHeldTxn(HeldSteps, AsyncTxn):
    """A transaction that the daemon holds, as ``begin_transaction(held=True)`` gives it."""
