"""What happened: histories, agents, replay and watch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from statehouse import _arguments as check
from statehouse._effects import Feed, Steps, endless_stream, operation, stream
from statehouse._feeds import ReplayFeed, WatchFeed
from statehouse._proto import statehouse_pb2 as pb
from statehouse._reads import AS_JSON, Reads, collect, encoding, pages, record
from statehouse._times import commit_ts, instant, point_message, to_datetime
from statehouse._values import from_json
from statehouse.types import Agent, Event, HistoryEntry, Point, Record, RecordName


class Log(Reads):
    """Reads of the log."""

    @operation
    def get_state_at_version(
        self, agent_id: str, key: str, version: int, *, namespace: str | None = None
    ) -> Steps[Record | None]:
        """Reads one version of a record; None when that version was a delete. Raises
        :class:`NotFoundError` when it never was.

        >>> _ = client.write("a1", "memory", {"fact": "Paris"})
        >>> _ = client.write("a1", "memory", {"fact": "London"})
        >>> client.get_state_at_version(agent_id="a1", key="memory", version=1).value
        {'fact': 'Paris'}
        """
        name = RecordName(agent_id, key, self._caller.namespace(namespace))
        response = yield from self._caller.call(
            "GetStateAtVersion",
            pb.GetStateAtVersionRequest(
                namespace=name.namespace,
                agent_id=check.text("agent_id", agent_id),
                key=check.text("key", key),
                version=check.count("version", version),
                encoding=AS_JSON,
            ),
        )
        return record(name, response)

    @stream
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
    ) -> Feed[HistoryEntry]:
        """Iterates over the versions of a record, deletes among them, newest first.

        >>> _ = client.write("a1", "k", {"x": 1}, metadata={"actor": "alice"})
        >>> _ = client.delete("a1", "k")
        >>> for entry in client.history(agent_id="a1", key="k"):
        ...     print(entry.version, entry.deleted, entry.value, entry.metadata)
        2 True None {}
        1 False {'x': 1} {'actor': 'alice'}
        """
        request = pb.GetHistoryRequest(
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            key=check.text("key", key),
            encoding=encoding(values),
            oldest_first=check.flag("oldest_first", oldest_first),
            at=point_message(as_of),
        )

        def items(response: pb.GetHistoryResponse) -> list[HistoryEntry]:
            return [
                HistoryEntry(
                    key=request.key,
                    value=from_json(entry.value_json) if entry.value_json else None,
                    version=entry.version,
                    commit_ts=entry.commit_ts,
                    timestamp=to_datetime(entry.commit_time),
                    txn_id=entry.txn_id,
                    metadata=dict(entry.metadata),
                    deleted=entry.deleted,
                    agent_id=request.agent_id,
                    namespace=request.namespace,
                )
                for entry in response.entries
            ]

        return pages(self._caller, "GetHistory", request, limit, items)

    @operation
    def list_agents(
        self, prefix: str = "", *, limit: int | None = None, namespace: str | None = None
    ) -> Steps[list[Agent]]:
        """Lists the namespace's agents whose names start with ``prefix``, in byte order.

        >>> _ = client.write("a1", "k", {})
        >>> [agent.agent_id for agent in client.list_agents()]
        ['a1']
        """
        request = pb.ListAgentsRequest(
            namespace=self._caller.namespace(namespace), prefix=check.text("prefix", prefix)
        )
        feed: Feed[Agent] = pages(
            self._caller,
            "ListAgents",
            request,
            limit,
            lambda response: [
                Agent(agent.agent_id, agent.namespace, agent.first_ts, agent.head_ts)
                for agent in response.agents
            ],
        )
        return (yield from collect(feed))

    @operation
    def list_namespaces(self) -> Steps[list[str]]:
        """Lists the namespaces that have agents, in byte order.

        >>> _ = client.write("a1", "k", {}, namespace="staging")
        >>> client.list_namespaces()
        ['staging']
        """
        feed: Feed[str] = pages(
            self._caller,
            "ListNamespaces",
            pb.ListNamespacesRequest(),
            None,
            lambda response: response.namespaces,
        )
        return (yield from collect(feed))

    @stream
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
    ) -> Feed[Event]:
        """Iterates over the commits of the past in order: of one agent, or of the whole
        namespace when ``agent_id`` is None.

        >>> with client.begin_transaction() as tx:
        ...     tx.write(agent_id="a1", key="k", value={"x": 1})
        ...     tx.delete(agent_id="a1", key="temp")
        >>> for event in client.replay(agent_id="a1"):
        ...     print(event.commit_ts, [(op.kind, op.key, op.value) for op in event.operations])
        1 [('WRITE', 'k', {'x': 1}), ('DELETE', 'temp', None)]

        Only operations on keys that start with ``prefix``, and commits that have one. Both
        ends of the range belong to it, and each is a commit_ts or a time. When the daemon
        goes away it goes on behind the last event once it is back, for up to the client's
        timeout.
        """
        request = pb.ReplayRequest(
            namespace=self._caller.namespace(namespace),
            key_prefix=check.text("prefix", prefix),
            encoding=encoding(values),
            **_agents(agent_id),
        )
        after = _range(request, from_timestamp, to_timestamp)
        limit = check.optional_count("limit", limit)
        return ReplayFeed(self._caller, request, after, limit).events()

    @endless_stream
    def watch(
        self,
        agent_id: str | None = None,
        prefix: str = "",
        *,
        after: int | None = None,
        timeout: float | None = None,
        values: bool = True,
        namespace: str | None = None,
    ) -> Feed[Event]:
        """Iterates over commits as they are made: of one agent, or of the whole namespace
        when ``agent_id`` is None.

        >>> commit = client.write("a1", "question", {"text": "May I?"})
        >>> _ = client.write("a1", "answer", {"yes": True})
        >>> for event in client.watch(agent_id="a1", after=commit.commit_ts):
        ...     print(event.operations[0].key)
        ...     break
        answer

        ``after`` is a cursor: the ``commit_ts`` of the last event, or commit, that has been
        seen; 0: from the first. None: after the last commit at the moment the iteration
        starts. When the connection breaks the watch opens it again behind the last event,
        however long that takes: nothing is missed and nothing comes twice.

        It ends by itself only when ``timeout`` seconds have passed; None: never.
        """
        request = pb.WatchRequest(
            namespace=self._caller.namespace(namespace),
            key_prefix=check.text("prefix", prefix),
            encoding=encoding(values),
            **_agents(agent_id),
        )
        cursor = check.optional_count("after", after)
        seconds = check.optional_seconds("timeout", timeout)
        return WatchFeed(self._caller, request, cursor, seconds).events()


def _agents(agent_id: str | None) -> dict[str, Any]:
    if agent_id is None:
        return {"all_agents": True}
    return {"agent_id": check.text("agent_id", agent_id)}


def _range(request: pb.ReplayRequest, start: Point | None, end: Point | None) -> int:
    """Puts a range into a request. Answers the commit_ts that it starts after."""
    after = 0
    if isinstance(start, (datetime, str)):
        seconds, nanos, _ = instant(start, "from_timestamp")
        request.start_time.seconds, request.start_time.nanos = seconds, nanos
    elif start is not None:
        after = max(commit_ts(start, "from_timestamp"), 1) - 1
    if isinstance(end, (datetime, str)):
        seconds, _, nanos = instant(end, "to_timestamp")
        request.end_time.seconds, request.end_time.nanos = seconds, nanos
    elif end is not None:
        request.end_ts = commit_ts(end, "to_timestamp")
    return after
