"""Finding records by what they hold, comparing states, and lineage, blocking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from statehouse._steps.finding import FindSteps
from statehouse._sync.transport import Blocking
from statehouse.filters import Condition
from statehouse.types import AgentDetails, KeyDiff, Point, Record


class Finding(FindSteps, Blocking):
    """Reads that look at many records to answer with some."""

    def find(
        self,
        agent_id: str | None = None,
        where: Condition | Iterable[Condition] = (),
        *,
        prefix: str = "",
        order: str = "key",
        limit: int | None = None,
        values: bool = True,
        metadata: bool = False,
        namespace: str | None = None,
        as_of: Point | None = None,
        min_read_ts: int | None = None,
    ) -> Iterator[Record]:
        """Iterates over the records that meet conditions, of one agent or of all.

        >>> _ = client.write("a1", "task/1", {"status": "open", "cost": 12})
        >>> _ = client.write("a2", "task/1", {"status": "open", "cost": 3})
        >>> _ = client.write("a2", "task/2", {"status": "done"}, metadata={"actor": "bob"})
        >>> open_and_dear = [F("/status") == "open", F("/cost") > 10]
        >>> [(record.agent_id, record.key) for record in client.find(where=open_and_dear)]
        [('a1', 'task/1')]
        >>> [record.key for record in client.find("a2", F.meta("actor") == "bob")]
        ['task/2']

        ``agent_id``
            Of one agent. None: of all agents of the namespace.
        ``where``
            A condition, or several, all of which must hold: comparisons with :class:`F`, a place in
            the value (or, by ``F.meta``, in the metadata of the record's last commit). None: all.
        ``prefix``
            Only records whose keys start with it.
        ``order``
            ``"key"``: by agent and key. ``"changed"``, of one agent: what was changed last first.
        ``limit``
            How many records to hand out at most; None: all.
        ``values``
            False: the values stay where they are, and ``value`` is None.
        ``metadata``
            True: ``record.metadata`` is that of its last commit.
        ``namespace``, ``as_of``, ``min_read_ts``
            As in ``get_state``.

        All records are of one point of the total order: that of the first page. There is no index:
        every record in scope is looked at, a page of work at a time, so what it costs is what a
        scan of them costs, however few are found.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._find(
            agent_id,
            where,
            prefix,
            order,
            limit,
            values,
            metadata,
            namespace,
            as_of,
            min_read_ts,
        )
        return self._iterate(steps, self.find, locals())

    def diff(
        self,
        agent_id: str,
        to_agent_id: str | None = None,
        *,
        from_timestamp: Point | None = None,
        to_timestamp: Point | None = None,
        prefix: str = "",
        limit: int | None = None,
        values: bool = True,
        namespace: str | None = None,
        to_namespace: str | None = None,
    ) -> Iterator[KeyDiff]:
        """Iterates over the keys whose state differs between two points of an agent, or between two
        agents, in byte order.

        >>> before = client.write("a1", "plan", {"goal": "Paris", "step": 1})
        >>> _ = client.write("a1", "plan", {"goal": "Paris", "step": 2})
        >>> _ = client.write("a1", "x", {})
        >>> for key in client.diff("a1", from_timestamp=before.commit_ts):
        ...     print(key.key, key.patch)
        plan [{'op': 'replace', 'path': '/step', 'value': 2}]
        x None

        ``to_agent_id``
            Compares with another agent, such as a fork. None: with the same.
        ``from_timestamp``, ``to_timestamp``
            The points: a commit_ts, a datetime with a zone, or ISO 8601 text. Without the first one
            a single agent is compared with nothing, as it was before its first commit, and two
            agents as they both were at the second. Without the second: now.
        ``prefix``
            Only keys that start with it.
        ``limit``
            How many keys to hand out at most; None: all.
        ``values``
            False: the values stay where they are, and ``value`` of both sides is None.
        ``namespace``, ``to_namespace``
            Of the agent, and of the one it is compared with. None: the client's own, and the same.

        The same value under another version is no difference. ``patch`` is a JSON Patch (RFC 6902)
        that turns ``before.value`` into ``after.value``. All pages are of the two points that the
        first page was of.

        Raises :class:`InvalidArgument` at once, and any other error while it iterates.
        """
        steps = self._diff(
            agent_id,
            to_agent_id,
            from_timestamp,
            to_timestamp,
            prefix,
            limit,
            values,
            namespace,
            to_namespace,
        )
        return self._iterate(steps, self.diff, locals())

    def get_agent(
        self,
        agent_id: str,
        *,
        namespace: str | None = None,
    ) -> AgentDetails | None:
        """Reads an agent's head, what it was forked from, and its forks; None when it never had a
        commit.

        >>> _ = client.write("a1", "k", {})
        >>> _ = client.fork("a1", "a2", at=1)
        >>> origin = client.get_agent("a2").forked_from
        >>> origin.agent_id, origin.commit_ts
        ('a1', 1)
        >>> [fork.agent_id for fork in client.get_agent("a1").forks]
        ['a2']

        ``namespace``
            None: the client's own.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return self._run(self._get_agent(agent_id, namespace))
