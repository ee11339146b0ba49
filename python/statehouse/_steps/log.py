"""Reads of the log: versions, agents, replay and watch."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.feeds import ReplayFeed, WatchFeed
from statehouse._steps.reads import NATIVE, collect, encoding, pages, record
from statehouse._times import commit_ts, instant, moment, point_message, to_datetime
from statehouse._values import value_of
from statehouse.types import Agent, Event, HistoryEntry, Point, Record, RecordName

if TYPE_CHECKING:
    from statehouse._calls import Caller
    from statehouse._effects import Feed, Steps


class LogSteps:
    """Reads of the log."""

    _caller: Caller

    def _get_state_at_version(
        self,
        agent_id: str,
        key: str,
        version: int,
        namespace: str | None,
    ) -> Steps[Record | None]:
        name = RecordName(agent_id, key, self._caller.namespace(namespace))
        response = yield from self._caller.call(
            "GetStateAtVersion",
            pb.GetStateAtVersionRequest(
                namespace=name.namespace,
                agent_id=check.text("agent_id", agent_id),
                key=check.text("key", key),
                version=check.count("version", version),
                encoding=NATIVE,
            ),
        )
        return record(name, response)

    def _history(
        self,
        agent_id: str,
        key: str,
        oldest_first: bool,
        limit: int | None,
        values: bool,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Feed[HistoryEntry]:
        request = pb.GetHistoryRequest(
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            key=check.text("key", key),
            encoding=encoding(values),
            oldest_first=check.flag("oldest_first", oldest_first),
            at=point_message(as_of),
            min_read_ts=check.optional_count("min_read_ts", min_read_ts),
        )

        def items(response: pb.GetHistoryResponse) -> list[HistoryEntry]:
            return [
                HistoryEntry(
                    key=request.key,
                    value=value_of(entry),
                    version=entry.version,
                    commit_ts=entry.commit_ts,
                    timestamp=to_datetime(entry.commit_time),
                    txn_id=entry.txn_id,
                    metadata=dict(entry.metadata),
                    deleted=entry.deleted,
                    agent_id=request.agent_id,
                    namespace=request.namespace,
                    principal=entry.principal,
                    trace_id=entry.trace_id,
                    erased=entry.erased,
                    pruned=entry.pruned,
                    content_type=entry.content_type,
                    cause=entry.cause,
                )
                for entry in response.entries
            ]

        return pages(self._caller, "GetHistory", request, limit, items)

    def _list_agents(
        self,
        prefix: str,
        limit: int | None,
        namespace: str | None,
    ) -> Steps[list[Agent]]:
        request = pb.ListAgentsRequest(
            namespace=self._caller.namespace(namespace), prefix=check.text("prefix", prefix)
        )
        feed: Feed[Agent] = pages(
            self._caller,
            "ListAgents",
            request,
            limit,
            lambda response: [agent(found) for found in response.agents],
        )
        return (yield from collect(feed))

    def _list_namespaces(self) -> Steps[list[str]]:
        feed: Feed[str] = pages(
            self._caller,
            "ListNamespaces",
            pb.ListNamespacesRequest(),
            None,
            lambda response: response.namespaces,
        )
        return (yield from collect(feed))

    def _replay(
        self,
        agent_id: str | None,
        prefix: str,
        from_timestamp: Point | None,
        to_timestamp: Point | None,
        limit: int | None,
        values: bool,
        namespace: str | None,
        epoch: str | None,
        all_operations: bool,
        with_lineage: bool,
    ) -> Feed[Event]:
        request = pb.ReplayRequest(
            namespace=self._caller.namespace(namespace),
            key_prefix=check.text("prefix", prefix),
            encoding=encoding(values),
            all_operations=check.flag("all_operations", all_operations),
            with_lineage=check.flag("with_lineage", with_lineage),
            **_agents(agent_id),
        )
        after = _range(request, from_timestamp, to_timestamp)
        limit = check.optional_count("limit", limit)
        known = check.text("epoch", epoch or "")
        return ReplayFeed(self._caller, request, after, limit, known).events()

    def _watch(
        self,
        agent_id: str | None,
        prefix: str,
        after: int | None,
        timeout: float | None,
        values: bool,
        namespace: str | None,
        epoch: str | None,
        all_operations: bool,
    ) -> Feed[Event]:
        request = pb.WatchRequest(
            namespace=self._caller.namespace(namespace),
            key_prefix=check.text("prefix", prefix),
            encoding=encoding(values),
            all_operations=check.flag("all_operations", all_operations),
            **_agents(agent_id),
        )
        cursor = check.optional_count("after", after)
        seconds = check.optional_seconds("timeout", timeout)
        known = check.text("epoch", epoch or "")
        return WatchFeed(self._caller, request, cursor, seconds, known).events()


def agent(message: pb.Agent) -> Agent:
    """Reads an agent."""
    return Agent(
        message.agent_id,
        message.namespace,
        message.first_ts,
        message.head_ts,
        moment(message, "head_time"),
    )


def _agents(agent_id: str | None) -> dict[str, Any]:
    if agent_id is None:
        return {"all_agents": True}
    return {"agent_id": check.text("agent_id", agent_id)}


def _range(request: pb.ReplayRequest, start: Point | None, end: Point | None) -> int:
    """Puts a range into a request, and returns the commit_ts that it starts after."""
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
