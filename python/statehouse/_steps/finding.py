"""Finding records by what they hold, comparing states, and where an agent comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from statehouse import _arguments as check
from statehouse import errors
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.log import agent
from statehouse._steps.reads import encoding, existing, may_be_stale, pages
from statehouse._times import point_message, to_datetime
from statehouse.filters import Condition
from statehouse.types import AgentDetails, ForkOrigin, KeyDiff, Point, Record, RecordName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from statehouse._calls import Caller
    from statehouse._effects import Feed, Steps

_COMPARISONS = {
    "==": pb.COMPARISON_EQUAL,
    "!=": pb.COMPARISON_NOT_EQUAL,
    "<": pb.COMPARISON_LESS,
    "<=": pb.COMPARISON_LESS_OR_EQUAL,
    ">": pb.COMPARISON_GREATER,
    ">=": pb.COMPARISON_GREATER_OR_EQUAL,
    "in": pb.COMPARISON_IN,
    "exists": pb.COMPARISON_EXISTS,
}
_ORDERS = {"key": pb.FIND_ORDER_KEY, "changed": pb.FIND_ORDER_CHANGED}


class FindSteps:
    """Reads that look at many records to answer with some."""

    _caller: Caller

    def _find(
        self,
        agent_id: str | None,
        where: Condition | Iterable[Condition],
        prefix: str,
        order: str,
        limit: int | None,
        values: bool,
        metadata: bool,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Feed[Record]:
        request = pb.FindRequest(
            namespace=self._caller.namespace(namespace),
            agent_id="" if agent_id is None else check.text("agent_id", agent_id),
            all_agents=agent_id is None,
            prefix=check.text("prefix", prefix),
            where=[_condition(one) for one in _conditions(where)],
            at=point_message(as_of),
            encoding=encoding(values),
            order=_order(order),
            min_read_ts=check.optional_count("min_read_ts", min_read_ts),
            with_metadata=check.flag("metadata", metadata),
        )

        def items(response: pb.FindResponse) -> list[Record]:
            found = [
                existing(
                    RecordName(entry.agent_id, entry.key, entry.namespace), entry, response.read_ts
                )
                for entry in response.entries
            ]
            if not metadata:
                return found
            return [
                replace(record, metadata=dict(entry.metadata))
                for record, entry in zip(found, response.entries)
            ]

        may_be_stale(self._caller, request)
        return pages(self._caller, "Find", request, limit, items)

    def _diff(
        self,
        agent_id: str,
        to_agent_id: str | None,
        from_timestamp: Point | None,
        to_timestamp: Point | None,
        prefix: str,
        limit: int | None,
        values: bool,
        namespace: str | None,
        to_namespace: str | None,
    ) -> Feed[KeyDiff]:
        space = self._caller.namespace(namespace)
        other = to_agent_id is not None or to_namespace is not None
        to_space = space if to_namespace is None else self._caller.namespace(to_namespace)
        to_agent = agent_id if to_agent_id is None else to_agent_id
        request = pb.DiffRequest(
            namespace=space,
            agent_id=check.text("agent_id", agent_id),
            to=point_message(to_timestamp, "to_timestamp"),
            to_namespace=to_space if other else "",
            to_agent_id=check.text("to_agent_id", to_agent) if other else "",
            prefix=check.text("prefix", prefix),
            encoding=encoding(values),
        )
        begin = point_message(from_timestamp, "from_timestamp")
        if begin is not None:
            request.MergeFrom(pb.DiffRequest(**{"from": begin}))  # type: ignore[arg-type]
        left = check.optional_count("limit", limit)
        sides = (space, request.agent_id), (to_space, to_agent)

        def items(response: pb.DiffResponse) -> list[KeyDiff]:
            return [_difference(sides, key, response) for key in response.keys]

        return self._differences(request, left, items, now=begin is None and other)

    def _differences(
        self, request: pb.DiffRequest, limit: int | None, items: Any, *, now: bool
    ) -> Feed[KeyDiff]:
        """``now``: two agents are compared as they are now, both at one commit."""
        if now:
            if not request.HasField("to"):
                some = pb.ListKeysRequest(
                    namespace=request.namespace, agent_id=request.agent_id, limit=1
                )
                listed = yield from self._caller.call("ListKeys", some)
                request.to.commit_ts = listed.read_ts
            request.MergeFrom(pb.DiffRequest(**{"from": request.to}))  # type: ignore[arg-type]
        yield from pages(self._caller, "Diff", request, limit, items)

    def _get_agent(self, agent_id: str, namespace: str | None) -> Steps[AgentDetails | None]:
        request = pb.GetAgentRequest(
            namespace=self._caller.namespace(namespace), agent_id=check.text("agent_id", agent_id)
        )
        response = yield from self._caller.call("GetAgent", request)
        if not response.HasField("agent"):
            return None
        origin = response.forked_from if response.HasField("forked_from") else None
        return AgentDetails(
            **vars(agent(response.agent)),
            forked_from=None
            if origin is None
            else ForkOrigin(
                agent_id=origin.agent_id,
                namespace=origin.namespace,
                commit_ts=origin.commit_ts,
                forked_ts=origin.forked_ts,
                forked_at=to_datetime(origin.forked_at),
            ),
            forks=tuple(agent(fork) for fork in response.forks),
        )


def _conditions(where: Any) -> list[Condition]:
    given = [where] if isinstance(where, Condition) else check.items("where", where)
    for one in given:
        if not isinstance(one, Condition):
            raise check.refused(
                "where", f'conditions are such as F("/status") == "open", not {check.brief(one)}'
            )
    return given


def _condition(condition: Condition) -> pb.Condition:
    place = condition.place
    return pb.Condition(
        pointer=place._pointer,  # noqa: SLF001
        metadata=place._metadata,  # noqa: SLF001
        comparison=_COMPARISONS[condition.comparison],
        value=condition.operand,
        negate=condition.negated,
    )


def _order(order: str) -> pb.FindOrder:
    if not isinstance(order, str) or order not in _ORDERS:
        raise check.refused("order", f'order is "key" or "changed", not {check.brief(order)}')
    return _ORDERS[order]


def _difference(
    sides: tuple[tuple[str, str], tuple[str, str]], diff: pb.KeyDiff, response: pb.DiffResponse
) -> KeyDiff:
    states = (diff.before, response.from_ts), (diff.after, response.to_ts)
    before, after = (
        existing(RecordName(agent_id, diff.key, namespace), state, read_ts)
        if state.exists
        else None
        for (namespace, agent_id), (state, read_ts) in zip(sides, states)
    )
    return KeyDiff(diff.key, before, after, _patch(diff.patch_json))


def _patch(text: bytes) -> list[dict[str, Any]] | None:
    if not text:
        return None
    try:
        return list(json.loads(text))
    except ValueError as error:
        raise errors.broken(f"a patch that is not JSON: {error}") from None
