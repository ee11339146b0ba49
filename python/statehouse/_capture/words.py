"""Requests, answers and errors as members of a history (docs/HISTORY.md).

``history/record`` is the same in Go: for the same calls both write the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from statehouse._proto import methods
from statehouse._proto import statehouse_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

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
}
STREAMS = ("replay", "watch")
_IN_NAMESPACE = {
    KINDS[method.name]
    for method in methods()
    if method.name in KINDS and "namespace" in method.request.DESCRIPTOR.fields_by_name
}


def nanos(time: Any) -> int:
    return int(time.seconds) * 10**9 + int(time.nanos)


def _named(message: Any, **more: Any) -> Json:
    return {
        "ns": message.namespace or "default",
        "agent": message.agent_id,
        "key": message.key,
        **more,
    }


def _write(message: pb.TransactOperation) -> Json:
    out = _named(message)
    if message.value_json:
        out["value"] = message.value_json.decode()
    if message.delete:
        out["delete"] = True
    if message.HasField("expected_version"):
        out["expected"] = message.expected_version
    return out


def _conditions(messages: Any) -> list[Json]:
    """Leaves out the empty one, which stands beside reads for daemons that do not know these."""
    return [_named(k, expected=k.expected_version) for k in messages if k.key or k.agent_id]


def _reads(message: pb.ReadSet) -> Json:
    out: Json = {"snapshot": message.snapshot_ts}
    _set(out, "keys", [_named(key, version=key.version) for key in message.keys])
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
    "operations": ("writes", lambda writes: [_write(w) for w in writes]),
    "key_preconditions": ("keys", _conditions),
    "head_preconditions": ("heads", lambda heads: [_head(h) for h in heads]),
    "metadata": ("metadata", dict),
    "names": ("names", lambda names: [_named(n) for n in names]),
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
}
#: Fields that :func:`asked` treats by themselves: ``at``, ``encoding`` and ``timeout_ms``. A page
#: token becomes the number of the operation that it came from. Values are JSON text, never
#: Structs. A history is of one epoch and does not say which.
OTHER_FIELDS = {"at", "encoding", "epoch", "page_token", "strict", "timeout_ms", "value"}


def asked(kind: str, request: Message) -> Json:
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
            if value.WhichOneof("point") == "time":
                out["at_time"] = nanos(value.time)
            else:
                out["at"] = value.commit_ts
        elif field.name == "encoding" and value == pb.VALUE_ENCODING_NONE:
            out["no_values"] = True
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


def _set(out: Json, name: str, value: Any) -> None:
    if value:
        out[name] = value


def _begun(out: Json, _: Json, response: pb.BeginTransactionResponse) -> None:
    out["txn"] = response.txn_id
    _set(out, "snapshot", response.snapshot_ts)


def _committed(out: Json, _: Json, response: Any) -> None:
    _set(out, "commit_ts", response.commit_ts)
    _set(out, "commit_time", nanos(response.commit_time))
    _set(out, "versions", [_named(v, version=v.version) for v in response.versions])


def _transacted(out: Json, question: Json, response: pb.TransactResponse) -> None:
    _set(out, "commit_ts", response.commit_ts)
    _set(out, "commit_time", nanos(response.commit_time))
    names = [{name: w[name] for name in ("ns", "agent", "key")} for w in question.get("writes", ())]
    names += [{"ns": "", "agent": "", "key": ""}] * (len(response.versions) - len(names))
    out["versions"] = [{**name, "version": v} for name, v in zip(names, response.versions)]


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
    _set(out, "exists", exists)
    _set(out, "version", message.version)
    _set(out, "commit_ts", message.commit_ts)
    _set(out, "commit_time", nanos(message.commit_time))
    _set(out, "value", message.value_json.decode())
    return out


def _state(out: Json, question: Json, response: Any) -> None:
    out["records"] = [_record(_name(question), response, response.exists)]


def _states(out: Json, question: Json, response: pb.BatchGetStateResponse) -> None:
    names = question.get("names", [])
    names = names + [_name({})] * (len(response.states) - len(names))
    _set(out, "records", [_record(n, s, s.exists) for n, s in zip(names, response.states)])


def _scanned(out: Json, question: Json, response: pb.ScanPrefixResponse) -> None:
    name = _name(question)
    _set(out, "records", [_record({**name, "key": e.key}, e, True) for e in response.entries])


def _versions(out: Json, question: Json, response: pb.GetHistoryResponse) -> None:
    records = []
    for entry in response.entries:
        record = _record(_name(question), entry, not entry.deleted)
        _set(record, "txn", entry.txn_id)
        _set(record, "metadata", dict(entry.metadata))
        records.append(record)
    _set(out, "records", records)


def _agents(out: Json, _: Json, response: pb.ListAgentsResponse) -> None:
    agents = [
        {"ns": a.namespace, "agent": a.agent_id, "first_ts": a.first_ts, "head_ts": a.head_ts}
        for a in response.agents
    ]
    _set(out, "agents", agents)


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
    "list_keys": lambda out, _, response: _set(out, "keys", list(response.keys)),
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
    out["ops"] = [_event_op(op) for op in message.operations]
    return out


def _event_op(message: pb.Operation) -> Json:
    out = {
        "ns": message.namespace,
        "agent": message.agent_id,
        "key": message.key,
        "version": message.version,
    }
    _set(out, "delete", message.deleted)
    _set(out, "value", message.value_json.decode())
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
