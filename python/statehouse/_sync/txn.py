"""A transaction, blocking."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from statehouse._steps.held import HeldSteps
from statehouse._steps.txn import TxnSteps
from statehouse._sync.reads import Reads
from statehouse.types import Commit, Value

if TYPE_CHECKING:
    from statehouse._calls import Caller
    from statehouse._steps.txnreads import Begun
    from statehouse._sync.transport import Transport


class Txn(TxnSteps, Reads):
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
    """

    _usage = "with client.begin_transaction() as tx"

    def __init__(
        self,
        transport: Transport,
        caller: Caller,
        begun: Begun,
        metadata: dict[str, str],
    ) -> None:
        """Made by ``begin_transaction`` and ``run_transaction``."""
        super().__init__(caller, begun, metadata)
        self._transport = transport

    def write(
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

        >>> with client.begin_transaction() as tx:
        ...     tx.write(agent_id="a1", key="k1", value={"x": 1})
        ...     tx.write(agent_id="a1", key="k2", value={"y": 2}, expected_version=0)
        >>> tx.committed.commit_ts
        1

        ``value``
            A JSON object: a dict of what JSON has.
        ``expected_version``
            The version the key must be at when the transaction commits; 0: it must not exist.
            None: any.
        ``namespace``
            None: the client's own.

        Nothing is sent before the commit.

        Raises :class:`InvalidArgument` for a value that JSON cannot carry or a name that breaks a
        rule, :class:`ResourceExhausted` when the transaction would be too large, and
        :class:`TransactionExpired` or another :class:`TransactionError` when it has ended.
        """
        return self._run(self._write(agent_id, key, value, expected_version, namespace))

    def delete(
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
        return self._run(self._delete(agent_id, key, expected_version, namespace))

    def commit(self) -> Commit:
        """Makes all that was staged durable, or none of it.

        When it returns, every later read sees the writes. When the answer is lost the whole
        transaction is sent again under its id until the client's timeout passes, and the daemon
        applies it once. Called again it answers the same, unless the outcome was unknown or the
        daemon could not be reached: then it tries again. A transaction that wrote nothing and has
        no preconditions asks nothing.

        Raises :class:`ConflictError` when something the transaction read has changed,
        :class:`PreconditionFailed` when an expected version is not the current one, another
        :class:`TransactionError` when the transaction had ended (of all of these nothing is
        applied, but see ``maybe_applied`` in :mod:`statehouse.errors`), and
        :class:`OutcomeUnknown` when the timeout passed without an answer.
        """
        return self._run(self._commit())

    def abort(self) -> None:
        """Drops the transaction. Aborting twice is no error.

        Raises :class:`TransactionCommitted` when it has committed, and :class:`OutcomeUnknown`
        when it may have: its commit is under way, or was not answered.
        """
        return self._run(self._abort())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commits, or aborts when an exception leaves the block. Raises what ``commit`` does."""
        self._run(self._leave(failing=kind is not None))


class HeldTxn(HeldSteps, Txn):
    """A transaction that the daemon holds, as ``begin_transaction(held=True)`` gives it."""
