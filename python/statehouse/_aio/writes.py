# Derived from _sync/writes.py by python/generate_aio.py: change that, and run it.
"""Commits in one round trip, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from statehouse._aio.transport import Awaiting
from statehouse._leases import BaseLease
from statehouse._steps.writes import WriteSteps
from statehouse.types import (
    AnyOperation,
    Commit,
    Content,
    Duration,
    LeasePrecondition,
    Precondition,
    TxnOutcome,
)


class Writes(WriteSteps, Awaiting):
    """Commits of a client, all of whose writes go in one request."""

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
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Writes one record and commits it, as ``transact`` does.

        >>> (await client.write(agent_id="a1", key="config", value={"mode": "fast"})).version
        1
        >>> await client.write("a1", "config", {"mode": "slow"}, expected_version=7)
        Traceback (most recent call last):
        statehouse.errors.PreconditionFailed: …key "config" of agent "a1" is at version 1, not 7…

        ``value``
            A JSON object: a dict of what JSON has; or ``bytes``. It is read back exactly as it was
            written.
        ``expected_version``
            The version the key must be at for the write to be made; 0: it must not exist.
            None: the write is made in any case.
        ``content_type``
            Of bytes: a media type, such as ``"image/png"``; None: application/octet-stream.
        ``ttl``
            Seconds, or a timedelta, after the commit at which the daemon deletes the record, unless
            it is written again, or ``refresh`` moves that; None: it stays.
        ``due_at``, ``due_in``
            When the record becomes due, and a worker can ``claim`` it: a time with a zone, or
            seconds or a timedelta after the commit. None: the write leaves that as it is.
        ``namespace``
            None: the client's own.
        ``metadata``
            Stays with the commit: who did it, why, for which run…
        ``txn_id``
            Names the commit. The daemon applies an id once, so the same write under the same
            id may be sent again, also by another run of the program, and is answered as it
            was the first time. None: a fresh id is made.
        ``leases``
            What ``client.lease`` gave, or :class:`LeasePrecondition`: the write is refused unless
            each of them is still held under its token.

        When it returns, the write is durable and every later read sees it.

        Raises :class:`PreconditionFailed` when the key is not at ``expected_version``,
        :class:`LeaseLost` when a lease is not held any more,
        :class:`InvalidArgument` for a value that JSON cannot carry,
        :class:`TransactionIDReused` when ``txn_id`` stands for another write already,
        :class:`DiskFull`, and :class:`OutcomeUnknown` when the client's timeout passed
        without an answer. After any error but the last the write was not applied (but see
        ``maybe_applied`` in :mod:`statehouse.errors`).
        """
        steps = self._write(
            agent_id,
            key,
            value,
            expected_version,
            content_type,
            ttl,
            due_at,
            due_in,
            namespace,
            metadata,
            txn_id,
            leases,
        )
        return await self._run(steps)

    async def delete(
        self,
        agent_id: str,
        key: str,
        *,
        expected_version: int | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Deletes one record and commits that, as ``transact`` does.

        >>> _ = await client.write("a1", "temp", {"x": 1})
        >>> (await client.delete(agent_id="a1", key="temp")).version
        2

        ``expected_version``, ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``.

        Earlier versions stay readable, and the delete is a version itself.

        Raises what ``write`` raises.
        """
        steps = self._delete(agent_id, key, expected_version, namespace, metadata, txn_id, leases)
        return await self._run(steps)

    async def transact(
        self,
        operations: Iterable[AnyOperation],
        *,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Commits operations in one round trip, all of them or none.

        >>> commit = await client.transact(
        ...     [Write("a1", "plan", {"step": 1}, expected_version=0), Delete("a2", "lock")],
        ...     metadata={"actor": "planner"},
        ... )
        >>> [(v.key, v.version) for v in commit.versions]
        [('plan', 1), ('lock', 1)]

        ``operations``
            :class:`Write`, :class:`Delete`, and what the daemon evaluates when the commit's turn
            comes: see :mod:`statehouse.operations`. Several on one key are applied in their order,
            and make one version; of what is evaluated ``commit.results`` says what came out.
        ``preconditions``
            Further conditions, on keys or agents that are not written. Nothing is committed
            unless all of them hold, and every ``expected_version`` among the operations.
        ``metadata``, ``txn_id``, ``leases``
            As in ``write``. Give a ``txn_id`` that is derived from what is done, for a commit
            that must be made once even if this program is killed and run again.

        When the answer is lost the same request is sent again under the same ``txn_id``, and
        the daemon applies it once.

        Raises what ``write`` raises, and :class:`EvaluationFailed` when what is there is not what
        an operation asks for.
        """
        return await self._run(self._transact(operations, preconditions, metadata, txn_id, leases))

    async def get_transaction(self, txn_id: str) -> TxnOutcome:
        """Reads what became of a transaction, or of any other commit, by its id.

        >>> commit = await client.write("a1", "k", {})
        >>> (await client.get_transaction(commit.txn_id)).state
        <TxnState.COMMITTED: 'committed'>
        >>> (await client.get_transaction("nobody-used-this")).state
        <TxnState.NEVER_SEEN: 'never seen'>

        ``txn_id``
            As in ``Commit.txn_id``, ``Txn.txn_id`` or ``OutcomeUnknown.txn_id``.

        Raises :class:`InvalidArgument` for an id that breaks a rule. An unknown id is no error.
        """
        return await self._run(self._get_transaction(txn_id))
