# Derived from _sync/reads.py by python/generate_aio.py: change that, and run it.
"""Reads of records, awaited: what a client and a transaction have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from statehouse._aio.transport import Awaiting
from statehouse._steps.reads import ReadSteps
from statehouse.types import Point, Record, RecordName


class Reads(ReadSteps, Awaiting):
    """Reads of one namespace, now or at an earlier point, or inside a transaction."""

    async def get_state(
        self,
        agent_id: str,
        key: str,
        *,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> Record | None:
        """Reads a record; None when it does not exist.

        >>> (await client.write(agent_id="a1", key="memory", value={"fact": "Paris"})).version
        1
        >>> record = await client.get_state(agent_id="a1", key="memory")
        >>> record.value, record.version
        ({'fact': 'Paris'}, 1)
        >>> await client.get_state(agent_id="a1", key="memory", as_of=0) is None
        True

        ``namespace``
            None: the client's own.
        ``as_of``
            Reads the state at an earlier point: after a commit_ts, or at a time. None: now.
            A transaction reads at its own snapshot and refuses it.
        ``min_read_ts``
            The ``commit_ts`` of a commit that the read must not be before, such as one's own last
            one, wherever that was acknowledged. A daemon that does not have it refuses the read.

        A read sees every commit that was acknowledged before it began.

        Raises :class:`InvalidArgument` for a name that breaks a rule, and for a commit_ts
        that is yet to come.
        """
        return await self._run(self._get_state(agent_id, key, namespace, as_of, min_read_ts))

    async def get_many(
        self,
        agent_id: str,
        keys: Iterable[str | RecordName],
        *,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> list[Record | None]:
        """Reads many records at one point of the total order: one entry per key, in the order
        of the keys, None where there is no record.

        >>> _ = await client.write("a1", "x", {"n": 1})
        >>> records = await client.get_many("a1", ["x", "y", RecordName("a2", "x")])
        >>> [record and record.value for record in records]
        [{'n': 1}, None, None]

        ``keys``
            Keys of the agent. A :class:`RecordName` among them names a record of another
            agent or namespace.
        ``namespace``, ``as_of``, ``min_read_ts``
            As in ``get_state``.

        Many keys take several requests, of which the later ones read at the point that the
        first one read at.

        Raises what ``get_state`` raises, and :class:`ResourceExhausted` for one record that
        is larger than an answer may be.
        """
        return await self._run(self._get_many(agent_id, keys, namespace, as_of, min_read_ts))

    async def list_keys(
        self,
        agent_id: str,
        prefix: str = "",
        *,
        reverse: bool = False,
        limit: int | None = None,
        delimiter: str | None = None,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> list[str]:
        """Lists an agent's keys that start with ``prefix``, in byte order.

        >>> _ = await client.transact([Write("a1", "state", {}), Write("a1", "config", {})])
        >>> await client.list_keys(agent_id="a1")
        ['config', 'state']

        ``reverse``
            From the last key to the first.
        ``limit``
            How many keys to list at most; None: all. For more keys than fit into memory
            there is ``scan_keys``.
        ``delimiter``
            Shows what is like folders: keys that have this text after the prefix are listed as one,
            up to and with it. ``delimiter="/"`` lists ``"plan"`` and ``"tool/"``, however many keys
            begin with ``"tool/"``.
        ``namespace``, ``as_of``, ``min_read_ts``
            As in ``get_state``.

        All keys are of one point of the total order, whatever is written meanwhile.

        Raises what ``get_state`` raises.
        """
        steps = self._list_keys(
            agent_id, prefix, reverse, limit, delimiter, namespace, as_of, min_read_ts
        )
        return await self._run(steps)

    def scan_keys(
        self,
        agent_id: str,
        prefix: str = "",
        *,
        reverse: bool = False,
        limit: int | None = None,
        delimiter: str | None = None,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> AsyncIterator[str]:
        """Iterates over the keys that ``list_keys`` lists, and fetches them page by page.

        ``prefix``, ``reverse``, ``limit``, ``delimiter``, ``namespace``, ``as_of``, ``min_read_ts``
            As in ``list_keys``.

        All keys are of one point of the total order: that of the first page.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._scan_keys(
            agent_id, prefix, reverse, limit, delimiter, namespace, as_of, min_read_ts
        )
        return self._iterate(steps, self.scan_keys, locals())

    def scan_prefix(
        self,
        agent_id: str,
        prefix: str = "",
        *,
        reverse: bool = False,
        limit: int | None = None,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> AsyncIterator[Record]:
        """Iterates over an agent's records whose keys start with ``prefix``, in byte order of
        the keys, and fetches them page by page.

        >>> _ = await client.write("a1", "session:2026-02-07:question", {"text": "Why?"})
        >>> async for record in client.scan_prefix("a1", "session:2026-02-07:"):
        ...     print(record.key, record.value)
        session:2026-02-07:question {'text': 'Why?'}

        ``prefix``, ``reverse``, ``limit``, ``namespace``, ``as_of``, ``min_read_ts``
            As in ``list_keys``.

        All records are of one point of the total order: that of the first page.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._scan_prefix(agent_id, prefix, reverse, limit, namespace, as_of, min_read_ts)
        return self._iterate(steps, self.scan_prefix, locals())
