"""Reads of the log, blocking: versions, agents, replay and watch."""

from __future__ import annotations

from collections.abc import Iterator

from statehouse._steps.log import LogSteps
from statehouse._sync.transport import Blocking
from statehouse.types import Agent, Event, HistoryEntry, Point, Record


class Log(LogSteps, Blocking):
    """What happened, as the log has it."""

    def get_state_at_version(
        self, agent_id: str, key: str, version: int, *, namespace: str | None = None
    ) -> Record | None:
        """Reads one version of a record; None when that version was a delete.

        >>> _ = client.write("a1", "memory", {"fact": "Paris"})
        >>> _ = client.write("a1", "memory", {"fact": "London"})
        >>> client.get_state_at_version(agent_id="a1", key="memory", version=1).value
        {'fact': 'Paris'}

        ``version``
            Counts the writes and deletes of the key: 1, 2, 3…
        ``namespace``
            None: the client's own.

        Raises :class:`NotFoundError` when the record never had that version.
        """
        return self._run(self._get_state_at_version(agent_id, key, version, namespace))

    def history(
        self,
        agent_id: str,
        key: str,
        *,
        oldest_first: bool = False,
        limit: int | None = None,
        values: bool = True,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> Iterator[HistoryEntry]:
        """Iterates over the versions of a record, deletes among them, newest first, and fetches
        them page by page.

        >>> _ = client.write("a1", "k", {"x": 1}, metadata={"actor": "alice"})
        >>> _ = client.delete("a1", "k")
        >>> for entry in client.history(agent_id="a1", key="k"):
        ...     print(entry.version, entry.deleted, entry.value, entry.metadata)
        2 True None {}
        1 False {'x': 1} {'actor': 'alice'}

        ``oldest_first``
            From version 1 on.
        ``limit``
            How many versions to hand out at most; None: all.
        ``values``
            False: the values stay where they are, and ``value`` is None.
        ``namespace``
            None: the client's own.
        ``as_of``
            Leaves out what was committed after that commit_ts or time.
        ``min_read_ts``
            As in ``get_state``.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._history(
            agent_id, key, oldest_first, limit, values, namespace, as_of, min_read_ts
        )
        return self._iterate(steps, self.history, locals())

    def list_agents(
        self, prefix: str = "", *, limit: int | None = None, namespace: str | None = None
    ) -> list[Agent]:
        """Lists the namespace's agents whose names start with ``prefix``, in byte order.

        >>> _ = client.write("a1", "k", {})
        >>> [agent.agent_id for agent in client.list_agents()]
        ['a1']

        ``limit``
            How many agents to list at most; None: all.
        ``namespace``
            None: the client's own.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return self._run(self._list_agents(prefix, limit, namespace))

    def list_namespaces(self) -> list[str]:
        """Lists the namespaces that have agents, in byte order.

        >>> _ = client.write("a1", "k", {}, namespace="staging")
        >>> client.list_namespaces()
        ['staging']

        Raises :class:`ConnectionError` when the daemon cannot be reached.
        """
        return self._run(self._list_namespaces())

    def replay(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        from_timestamp: Point | None = None,
        to_timestamp: Point | None = None,
        limit: int | None = None,
        values: bool = True,
        namespace: str | None = None,
        epoch: str | None = None,
        all_operations: bool = False,
        with_lineage: bool = False,
    ) -> Iterator[Event]:
        """Iterates over the commits of the past in the order of their commit_ts.

        >>> _ = client.transact([Write("a1", "k", {"x": 1}), Delete("a1", "temp")])
        >>> for event in client.replay(agent_id="a1"):
        ...     print(event.commit_ts, [(op.kind, op.key, op.value) for op in event.operations])
        1 [('WRITE', 'k', {'x': 1}), ('DELETE', 'temp', None)]

        ``agent_id``
            Of one agent. None: of the whole namespace.
        ``prefix``
            Only operations on keys that start with it, and commits that have one.
        ``from_timestamp``, ``to_timestamp``
            The range, both ends included: a commit_ts or a time each. None: no end.
        ``limit``
            How many events to hand out at most; None: all.
        ``values``
            False: the values stay where they are, and ``value`` is None.
        ``namespace``
            None: the client's own.
        ``epoch``
            In which ``from_timestamp`` is that commit, as ``event.epoch`` said. None: not checked.
        ``all_operations``
            Also what happens to leases and when records become due, and what was done to all keys
            under a prefix as one operation (``operation.act``). Otherwise that is a write or delete
            of each key: of a commit with very many in several events, one after another, which have
            its ``commit_ts``.
        ``with_lineage``
            Of an agent that was forked: first the events of what it was forked from, up to there.

        When the daemon goes away it goes on after the last event once the daemon is back, for
        up to the client's timeout: no event is missed and none comes twice.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._replay(
            agent_id,
            prefix,
            from_timestamp,
            to_timestamp,
            limit,
            values,
            namespace,
            epoch,
            all_operations,
            with_lineage,
        )
        return self._iterate(steps, self.replay, locals())

    def watch(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        after: int | None = None,
        timeout: float | None = None,
        values: bool = True,
        namespace: str | None = None,
        epoch: str | None = None,
        all_operations: bool = False,
    ) -> Iterator[Event]:
        """Iterates over commits as they are made, in the order of their commit_ts.

        >>> commit = client.write("a1", "question", {"text": "May I?"})
        >>> _ = client.write("a1", "answer", {"yes": True})
        >>> for event in client.watch(agent_id="a1", after=commit.commit_ts):
        ...     print(event.operations[0].key)
        ...     break
        answer

        ``agent_id``, ``prefix``, ``values``, ``namespace``, ``all_operations``
            As in ``replay``.
        ``after``
            A cursor: the ``commit_ts`` of the last event, or commit, that has been seen; 0:
            from the first. None: after the last commit at the moment the iteration starts.
        ``timeout``
            Seconds after which it ends. None: never.
        ``epoch``
            In which ``after`` is that commit: save ``event.epoch`` with ``event.commit_ts``. Raises
            :class:`EpochChanged` when the store was restored to a commit before it since. None:
            unknown, and then ``after`` may not be past the commit to which a store was restored.

        When the connection breaks the watch opens it again after the last event, however long
        that takes: no event is missed and none comes twice.

        Raises :class:`InvalidArgument` at once, and while it iterates any error that waiting
        cannot help, such as :class:`Unauthenticated`.
        """
        steps = self._watch(
            agent_id, prefix, after, timeout, values, namespace, epoch, all_operations
        )
        return self._iterate(steps, self.watch, locals(), endless=True)
