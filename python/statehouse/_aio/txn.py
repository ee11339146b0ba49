# Derived from _sync/txn.py by python/generate_aio.py: change that, and run it.
"""A transaction, awaited."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from statehouse._aio.reads import Reads
from statehouse._steps.txn import TxnSteps
from statehouse.types import Commit, Value

if TYPE_CHECKING:
    from statehouse._aio.transport import Transport
    from statehouse._calls import Caller
    from statehouse._proto import statehouse_pb2 as pb


class AsyncTxn(TxnSteps, Reads):
    """A transaction held open in the daemon, as ``begin_transaction`` gives it.

    It reads a snapshot taken at begin, under its own writes, and is serializable: its commit
    fails with :class:`ConflictError` when something that it read (keys, absent ones, ranges it
    listed) has changed since. Used as a context manager it commits at the end of the block, and
    aborts when an exception leaves the block.

    ``txn_id``
        The id to ask ``get_transaction`` for.
    ``snapshot_ts``
        The commit_ts of the state it reads.
    ``timeout``
        Seconds from its begin until the daemon aborts it.
    ``metadata``
        Stays with the commit: who did it, why… May be changed until then.
    ``preconditions``
        Further conditions of the commit. May be changed until then.
    """

    _usage = "async with client.begin_transaction() as tx"

    def __init__(
        self,
        transport: Transport,
        caller: Caller,
        begun: pb.BeginTransactionResponse,
        metadata: dict[str, str],
    ) -> None:
        """Made by ``begin_transaction`` and ``run_transaction``."""
        super().__init__(caller, begun, metadata)
        self._transport = transport

    async def write(
        self,
        agent_id: str,
        key: str,
        value: Value,
        *,
        expected_version: int | None = None,
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
            A JSON object: a dict of what JSON has.
        ``expected_version``
            The version the key must be at when the transaction commits; 0: it must not exist.
            None: any.
        ``namespace``
            None: the client's own.

        When the answer is lost the write is not sent again, for a late duplicate could undo a
        later write of the same key. The transaction cannot commit then, and
        ``run_transaction`` begins another.

        Raises :class:`InvalidArgument` for a value that JSON cannot carry, and
        :class:`TransactionExpired`, :class:`TransactionNotFound` or another
        :class:`TransactionError` when the transaction has ended.
        """
        return await self._run(self._write(agent_id, key, value, expected_version, namespace))

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

    async def commit(self) -> Commit:
        """Makes all that was staged durable, or none of it.

        When it returns, every later read sees the writes. When the answer is lost it is asked
        for again until the client's timeout passes. Called again it answers the same, unless
        the outcome was unknown or the daemon could not be reached: then it tries again.

        Raises :class:`ConflictError` when something the transaction read has changed,
        :class:`PreconditionFailed` when an expected version is not the current one, another
        :class:`TransactionError` when the transaction had ended (of all of these nothing is
        applied), and :class:`OutcomeUnknown` when the timeout passed without an answer.
        """
        return await self._run(self._commit())

    async def abort(self) -> None:
        """Drops the transaction. Aborting twice is no error.

        Raises :class:`TransactionCommitted` when the commit was faster.
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
