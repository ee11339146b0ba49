"""Requests, answers and errors as members of a history (docs/HISTORY.md).

``history/record`` is the same in Go: for the same calls both write the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from statehouse._capture import asked as more
from statehouse._capture.asked import nanos
from statehouse._capture.asked import put as _set
from statehouse._proto import methods
from statehouse._proto import statehouse_pb2 as pb

if TYPE_CHECKING:
    from statehouse._status import Told

Json = dict[str, Any]

#: The kind of operation that a method is. Others (Health, Version…) are not recorded.
KINDS = {
    "BeginTransaction": "begin",
    "Write": "write",
    "Delete": "delete",
    "Commit": "commit",
    "Abort": "abort",
    "Transact": "transact",
    "GetState": "get",
    "GetStateAtVersion": "get_version",
    "BatchGetState": "batch_get",
    "ListKeys": "list_keys",
    "ScanPrefix": "scan",
    "GetHistory": "history",
    "ListAgents": "agents",
    "ListNamespaces": "namespaces",
    "GetTransaction": "get_transaction",
    "ReplayBatches": "replay",
    "Watch": "watch",
    "RenewLeases": "renew_leases",
    "ListLeases": "list_leases",
    "RefreshExpiry": "refresh_expiry",
    "Find": "find",
    "Diff": "diff",
    "GetAgent": "get_agent",
}
STREAMS = ("replay", "watch")
_IN_NAMESPACE = {
    KINDS[method.name]
    for method in methods()
    if method.name in KINDS and "namespace" in method.request.DESCRIPTOR.fields_by_name
}


def _conditions(messages: Any) -> list[Json]:
    """Leaves out the empty one, which stands beside reads for daemons that do not know these."""
    found = [k for k in messages if k.key or k.agent_id]
    return [
        more.named(k, expected=k.expected_version, **({"lease": k.lease} if k.lease else {}))
        for k in found
    ]


def _reads(message: pb.ReadSet) -> Json:
    out: Json = {"snapshot": message.snapshot_ts}
    _set(out, "keys", [more.named(key, version=key.version) for key in message.keys])
    _set(out, "ranges", [_range(listed) for listed in message.ranges])
    return out


def _range(message: pb.ReadRange) -> Json:
    out = {"ns": message.namespace or "default", "agent": message.agent_id}
    for name in ("prefix", "first", "last"):
        _set(out, name, getattr(message, name))
    return out


def _head(message: pb.HeadPrecondition) -> Json:
    return {
        "ns": message.namespace or "default",
        "agent": message.agent_id,
        "expected": message.expected_head,
    }


def _same(value: Any) -> Any:
    return value


#: Fields of requests: their name in a history, and their value there.
FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "txn_id": ("txn", _same),
    "namespace": ("ns", _same),
    "agent_id": ("agent", _same),
    "key": ("key", _same),
    "value_json": ("value", bytes.decode),
    "expected_version": ("expected", _same),
    "operations": ("writes", lambda writes: [more.write(w) for w in writes]),
    "key_preconditions": ("keys", _conditions),
    "head_preconditions": ("heads", lambda heads: [_head(h) for h in heads]),
    "metadata": ("metadata", dict),
    "names": ("names", lambda names: [more.named(n) for n in names]),
    "version": ("version", _same),
    "prefix": ("prefix", _same),
    "key_prefix": ("prefix", _same),
    "limit": ("limit", _same),
    "reads": ("reads", _reads),
    "reverse": ("reverse", _same),
    "oldest_first": ("oldest_first", _same),
    "all_agents": ("all_agents", _same),
    "start_ts": ("from", _same),
    "end_ts": ("to", _same),
    "after_ts": ("from", _same),
    "start_time": ("from_time", nanos),
    "end_time": ("to_time", nanos),
    "leases": ("renewals", lambda leases: [more.renewal(lease) for lease in leases]),
    "ttl_ms": ("ttl_ms", _same),
    "where": ("where", lambda where: [more.condition(one) for one in where]),
    "order": ("by_change", lambda order: order == pb.FIND_ORDER_CHANGED),
    "with_metadata": ("with_metadata", _same),
    "min_read_ts": ("min_read_ts", _same),
    "max_staleness_ms": ("max_staleness_ms", _same),
    "delimiter": ("delimiter", _same),
    "all_operations": ("all_operations", _same),
    "with_lineage": ("lineage", _same),
    "lease": ("lease", _same),
    "due": ("due", _same),
}
#: Fields that :func:`asked` treats by themselves: points, ``encoding``, ``timeout_ms`` and bytes. A
#: page token becomes the number of the operation that it came from. Values are JSON text or bytes,
#: never Structs. A history is of one epoch and does not say which.
OTHER_FIELDS = {
    "at",
    "content_type",
    "encoding",
    "epoch",
    "from",
    "page_token",
    "strict",
    "timeout_ms",
    "to",
    "to_agent_id",
    "to_namespace",
    "value",
    "value_bytes",
}


def _all_agents(out: Json, request: pb.ListLeasesRequest) -> None:
    _set(out, "all_agents", not request.agent_id)


#: What more of a request is said, by its kind.
_MORE: dict[str, Callable[[Json, Any], None]] = {
    "diff": more.versus,
    "list_leases": _all_agents,
    "write": lambda out, request: _set(out, "value", more.value(request)),
}


def asked(kind: str, request: Any) -> Json:
    """Makes the member ``in`` of a request."""
    out: Json = {}
    for field, value in request.ListFields():
        if known := FIELDS.get(field.name):
            name, say = known
            said = say(value)
            if said != []:
                out[name] = said
        elif field.name == "timeout_ms":
            out["timeout" if kind == "transact" else "limit"] = value
        elif field.name == "at":
            more.moment(out, value)
        elif field.name == "encoding":
            _set(out, "no_values", value == pb.VALUE_ENCODING_NONE)
            _set(out, "native", value == pb.VALUE_ENCODING_NATIVE)
    if kind in _MORE:
        _MORE[kind](out, request)
    if kind in _IN_NAMESPACE:
        out.setdefault("ns", "default")
    return out


def answered(kind: str, question: Json, response: Any) -> Json:
    """Makes the member ``out`` of an answer."""
    out: Json = {}
    if kind in _ANSWERS:
        _ANSWERS[kind](out, question, response)
    _set(out, "read_ts", getattr(response, "read_ts", 0))
    _set(out, "more", bool(getattr(response, "next_page_token", "")))
    return out


def _begun(out: Json, _: Json, response: pb.BeginTransactionResponse) -> None:
    out["txn"] = response.txn_id
    _set(out, "snapshot", response.snapshot_ts)


def _committed(out: Json, _: Json, response: Any) -> None:
    _set(out, "commit_ts", response.commit_ts)
    _set(out, "commit_time", nanos(response.commit_time))
    _set(out, "versions", [more.named(v, version=v.version) for v in response.versions])


def _transacted(out: Json, question: Json, response: pb.TransactResponse) -> None:
    _set(out, "commit_ts", response.commit_ts)
    _set(out, "commit_time", nanos(response.commit_time))
    names = [{name: w[name] for name in ("ns", "agent", "key")} for w in question.get("writes", ())]
    names += [{"ns": "", "agent": "", "key": ""}] * (len(response.versions) - len(names))
    versions = [{**name, "version": v} for name, v in zip(names, response.versions)]
    for write, version, result in zip(question.get("writes", ()), versions, response.results):
        if write.get("op") == "append":
            version["key"] = result.key
    changed = [*response.versions, *(result.keys for result in response.results)]
    if any(changed) or any(w.get("op") == "fork" for w in question.get("writes", ())):
        _set(out, "versions", versions)  # or all came to nothing: there is no commit
    _set(out, "results", [more.result(result) for result in response.results])


def _outcome(out: Json, question: Json, response: pb.GetTransactionResponse) -> None:
    known = response.state in pb.TransactionState.values()
    name = pb.TransactionState.Name(response.state) if known else str(response.state)
    out["state"] = name.removeprefix("TRANSACTION_STATE_").lower()
    _committed(out, question, response)


def _name(question: Json) -> Json:
    return {
        "ns": question.get("ns", ""),
        "agent": question.get("agent", ""),
        "key": question.get("key", ""),
    }


def _record(name: Json, message: Any, exists: bool) -> Json:
    out = dict(name)
    more.state(out, message, exists=exists)
    return out


def _state(out: Json, question: Json, response: Any) -> None:
    out["records"] = [_record(_name(question), response, response.exists)]


def _states(out: Json, question: Json, response: pb.BatchGetStateResponse) -> None:
    names = question.get("names", [])
    names = names + [_name({})] * (len(response.states) - len(names))
    _set(out, "records", [_record(n, s, s.exists) for n, s in zip(names, response.states)])


def _scanned(out: Json, question: Json, response: Any) -> None:
    name = _name(question)
    _set(out, "records", [_record(_of_entry(name, e), e, True) for e in response.entries])


def _of_entry(name: Json, entry: pb.StateEntry) -> Json:
    """Names a record of a list, which is of the agent that was asked for unless it says other."""
    return {
        "ns": entry.namespace or name["ns"],
        "agent": entry.agent_id or name["agent"],
        "key": entry.key,
    }


def _found(out: Json, question: Json, response: pb.FindResponse) -> None:
    _scanned(out, question, response)
    _set(out, "scanned", response.scanned)


def _listed(out: Json, _: Json, response: pb.ListKeysResponse) -> None:
    _set(out, "keys", list(response.keys))
    _set(out, "folders", list(response.folders))


def _differs(out: Json, question: Json, response: pb.DiffResponse) -> None:
    _set(out, "diffs", [more.difference(key, question) for key in response.keys])
    _set(out, "from_ts", response.from_ts)
    _set(out, "to_ts", response.to_ts)


def _known(out: Json, _: Json, response: pb.GetAgentResponse) -> None:
    if response.HasField("agent"):
        out["agents"] = [_agent(response.agent)]
    if response.HasField("forked_from"):
        out["origin"] = more.origin(response.forked_from)
    _set(out, "forks", [_agent(fork) for fork in response.forks])


def _versions(out: Json, question: Json, response: pb.GetHistoryResponse) -> None:
    records = []
    for entry in response.entries:
        record = _record(_name(question), entry, not entry.deleted)
        _set(record, "txn", entry.txn_id)
        records.append(record)
    _set(out, "records", records)


def _agents(out: Json, _: Json, response: pb.ListAgentsResponse) -> None:
    _set(out, "agents", [_agent(agent) for agent in response.agents])


def _agent(message: pb.Agent) -> Json:
    out = {
        "ns": message.namespace,
        "agent": message.agent_id,
        "first_ts": message.first_ts,
        "head_ts": message.head_ts,
    }
    _set(out, "head_time", nanos(message.head_time))
    return out


_ANSWERS: dict[str, Callable[[Json, Json, Any], None]] = {
    "begin": _begun,
    "commit": _committed,
    "transact": _transacted,
    "get_transaction": _outcome,
    "get": _state,
    "get_version": _state,
    "batch_get": _states,
    "scan": _scanned,
    "history": _versions,
    "agents": _agents,
    "list_keys": _listed,
    "find": _found,
    "diff": _differs,
    "get_agent": _known,
    "renew_leases": lambda out, _, response: _set(
        out, "renewed", [more.renewed(lease) for lease in response.leases]
    ),
    "list_leases": lambda out, _, response: _set(
        out, "leases", [more.lease(lease) for lease in response.leases]
    ),
    "refresh_expiry": lambda out, _, response: _set(
        out, "refreshed", [more.refreshed(record) for record in response.records]
    ),
    "namespaces": lambda out, _, response: _set(out, "keys", list(response.namespaces)),
}


def batch(op: int, time: int, message: pb.EventBatch) -> Json:
    """Makes the line of a message of a stream."""
    out: Json = {"op": op, "time": time}
    _set(out, "events", [_event(event) for event in message.events])
    out["cursor"] = message.cursor
    return out


def _event(message: pb.ReplayEvent) -> Json:
    out: Json = {
        "commit_ts": message.commit_ts,
        "commit_time": nanos(message.commit_time),
        "txn": message.txn_id,
    }
    _set(out, "metadata", dict(message.metadata))
    for name, said in (
        ("principal", message.principal),
        ("trace_id", message.trace_id),
        ("cause", message.cause),
    ):
        _set(out, name, said)
    out["ops"] = [more.event_operation(op) for op in message.operations]
    return out


def outcome(failed: BaseException) -> tuple[str, Json]:
    """Returns the outcome that an error is, and its member ``error``.

    The daemon's own errors say whether the operation may have been applied. Those of gRPC or a
    proxy do not, so after them the outcome is unknown.
    """
    told: Told | None = getattr(failed, "_told", None)
    if told is None:  # the call was cancelled
        return "unknown", {"code": "canceled", "message": type(failed).__name__}
    error: Json = {"code": told.code}
    _set(error, "message", getattr(failed, "message", ""))
    _set(error, "details", dict(getattr(failed, "details", {})))
    return ("fail" if told.refused else "unknown"), error
