"""What each public method is asked and answers, in the members of a history (docs/HISTORY.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from statehouse import Commit, Event, KeyPrecondition, Record, RecordName, Write, errors

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Kinds that commit: of these every error is definite that does not say otherwise.
COMMITS = ("transact", "commit")
#: Kinds that are never sent again.
ONCE = ("write", "delete")


@dataclass(frozen=True)
class Words:
    """How a method is written down."""

    kind: str
    asked: Callable[[str, Json], Json]  # from the client's namespace and the arguments
    #: Puts an answer, or an item of it, into the member ``out``.
    told: Callable[[Json, Json, Any], None] = lambda _out, _asked, _answer: None
    #: The answer is a list, whole or as an iterator: ``told`` takes one item after the other.
    items: bool = False


def present(**members: Any) -> Json:
    """Leaves out what is at its default, as histories do."""
    return {name: value for name, value in members.items() if value not in (None, "", 0, {}, [])}


def nanos(time: datetime | None) -> int:
    return 0 if time is None else (time - _EPOCH) // timedelta(microseconds=1) * 1000


def text(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def named(ns: str, thing: Any) -> Json:
    namespace = ns if thing.namespace is None else thing.namespace
    return {"ns": namespace, "agent": thing.agent_id, "key": thing.key}


def _point(given: Json) -> Json:
    """As of when a read is: a datetime is the whole microsecond that it names."""
    point = given.get("as_of")
    if isinstance(point, datetime):
        return {"at_time": nanos(point) + 999}
    return {} if point is None else {"at": point}


def _space(ns: str, given: Json) -> str:
    return given.get("namespace") or ns


def written(ns: str, operation: Any) -> Json:
    more: Json = {"delete": True}
    if isinstance(operation, Write):
        more = {"value": text(operation.value)}
    if operation.expected_version is not None:
        more["expected"] = operation.expected_version
    return {**named(ns, operation), **more}


def conditions(ns: str, preconditions: Any) -> Json:
    keys, heads = [], []
    for one in preconditions:
        if isinstance(one, KeyPrecondition):
            keys.append({**named(ns, one), "expected": one.expected_version})
        else:
            space = ns if one.namespace is None else one.namespace
            heads.append({"ns": space, "agent": one.agent_id, "expected": one.expected_head})
    return present(keys=keys, heads=heads)


def _one(ns: str, given: Json) -> Json:
    return {"ns": _space(ns, given), "agent": given["agent_id"], "key": given["key"]}


def _single(ns: str, given: Json) -> Json:
    write = _one(ns, given)
    write.update({"value": text(given["value"])} if "value" in given else {"delete": True})
    if given["expected_version"] is not None:
        write["expected"] = given["expected_version"]
    return {"writes": [write], **present(metadata=given["metadata"])}


def _batch(ns: str, given: Json) -> Json:
    writes = [written(ns, op) for op in given["operations"]]
    more = present(writes=writes, metadata=given["metadata"])
    return {**conditions(ns, given["preconditions"]), **more}


def _staged(ns: str, given: Json) -> Json:
    more = present(value=text(given.get("value")))
    if given["expected_version"] is not None:
        more["expected"] = given["expected_version"]
    return {**_one(ns, given), **more}


def _many(ns: str, given: Json) -> Json:
    default = given["namespace"]
    names = [
        key if isinstance(key, RecordName) else RecordName(given["agent_id"], key, default)
        for key in given["keys"]
    ]
    return {"names": [named(_space(ns, given), name) for name in names], **_point(given)}


def _listed(ns: str, given: Json) -> Json:
    options = {name: given.get(name) for name in ("prefix", "reverse", "limit", "oldest_first")}
    return {
        "ns": _space(ns, given),
        **present(agent=given.get("agent_id"), key=given.get("key"), **options),
        **present(no_values=not given.get("values", True)),
        **_point(given),
    }


def _stream(ns: str, given: Json) -> Json:
    out = _listed(ns, given)
    if given["agent_id"] is None:
        out["all_agents"] = True
    for member, name in (("from", "from_timestamp"), ("to", "to_timestamp"), ("from", "after")):
        if given.get(name) is not None:
            out[member] = given[name]
    return out


def committed(out: Json, _asked: Json, commit: Commit | None) -> None:
    if commit is not None:
        versions = [{**named("", v), "version": v.version} for v in commit.versions]
        time = nanos(commit.timestamp)
        out.update(present(commit_ts=commit.commit_ts, commit_time=time, versions=versions))


def _became(out: Json, asked: Json, outcome: Any) -> None:
    committed(out, asked, outcome.commit)
    out["state"] = outcome.state.value.replace(" ", "_")


def _shown(record: Any, exists: bool) -> Json:
    return {
        **named("", record),
        **present(
            exists=exists,
            version=record.version,
            commit_ts=record.commit_ts,
            commit_time=nanos(record.timestamp),
            value=text(record.value),
        ),
    }


def _record(out: Json, name: Json, record: Record | None) -> None:
    """Of an absent record the user is told neither its version nor when that was."""
    if record is not None:
        out.update(present(read_ts=record.read_ts))
    shown = dict(name) if record is None else _shown(record, True)
    out.setdefault("records", []).append(shown)


def _got(out: Json, asked: Json, record: Record | None) -> None:
    _record(out, {name: asked[name] for name in ("ns", "agent", "key")}, record)


def _got_many(out: Json, asked: Json, records: list[Record | None]) -> None:
    names = asked["names"] + [{"ns": "", "agent": "", "key": ""}] * len(records)
    for name, record in zip(names, records):
        _record(out, name, record)


def _entry(out: Json, _asked: Json, entry: Any) -> None:
    shown = _shown(entry, not entry.deleted)
    shown.update(present(txn=entry.txn_id, metadata=entry.metadata))
    out.setdefault("records", []).append(shown)


def _key(out: Json, _asked: Json, key: str) -> None:
    out.setdefault("keys", []).append(key)


def _agent(out: Json, _asked: Json, agent: Any) -> None:
    shown = {"ns": agent.namespace, "agent": agent.agent_id}
    shown.update(first_ts=agent.first_ts, head_ts=agent.head_ts)
    out.setdefault("agents", []).append(shown)


def event(seen: Event) -> Json:
    ops = [
        {
            **named("", op),
            "version": op.version,
            **present(delete=op.deleted, value=text(op.value)),
        }
        for op in seen.operations
    ]
    time = nanos(seen.timestamp)
    out = {"commit_ts": seen.commit_ts, "commit_time": time, "txn": seen.txn_id, "ops": ops}
    return {**out, **present(metadata=seen.metadata)}


_READS = {
    "get_state": Words("get", lambda ns, given: {**_one(ns, given), **_point(given)}, _got),
    "get_many": Words("batch_get", _many, _got_many),
    "list_keys": Words("list_keys", _listed, _key, items=True),
    "scan_keys": Words("list_keys", _listed, _key, items=True),
    "scan_prefix": Words("scan", _listed, _record, items=True),
}
#: Of a client. begin_transaction and run_transaction are in ``recorded``.
CALLS = {
    **_READS,
    "write": Words("transact", _single, committed),
    "delete": Words("transact", _single, committed),
    "transact": Words("transact", _batch, committed),
    "get_transaction": Words("get_transaction", lambda _ns, _given: {}, _became),
    "get_state_at_version": Words(
        "get_version", lambda ns, given: {**_one(ns, given), "version": given["version"]}, _got
    ),
    "history": Words("history", _listed, _entry, items=True),
    "list_agents": Words("agents", _listed, _agent, items=True),
    "list_namespaces": Words("namespaces", lambda _ns, _given: {}, _key, items=True),
    "replay": Words("replay", _stream, items=True),
    "watch": Words("watch", _stream, items=True),
}
#: Of a transaction.
TXN_CALLS = {
    **_READS,
    "write": Words("write", _staged),
    "delete": Words("delete", _staged),
    "commit": Words("commit", lambda _ns, _given: {}, committed),
    "abort": Words("abort", lambda _ns, _given: {}),
}
#: What is no operation of a history.
#: What the daemon evaluates, and what is on many keys: the programs do not use it.
_EVALUATED = {"append", "delete_prefix", "increment", "merge", "put_if_absent"}
UNRECORDED = _EVALUATED | {
    "agent",
    "claim",
    "close",
    "delete_agent",
    "diff",
    "find",
    "fork",
    "get_agent",
    "health",
    "lease",
    "list_leases",
    "list_refusals",
    "list_streams",
    "namespace",
    "refresh",
    "restore",
    "status",
    "version",
    "with_options",
}
TXN_UNRECORDED = _EVALUATED | {
    "leases",
    "committed",
    "held",
    "metadata",
    "preconditions",
    "snapshot_ts",
    "timeout",
    "txn_id",
}


def outcome(kind: str, failed: BaseException) -> tuple[str, Json]:
    """What an error leaves the user to know."""
    if not isinstance(failed, errors.StatehouseError):
        return "unknown", {"code": "canceled", "message": repr(failed)}
    details = {name: str(value) for name, value in failed.details.items()}
    error = {"code": failed.code, **present(message=failed.message, details=details)}
    unsure = isinstance(failed, errors.OutcomeUnknown) or failed.maybe_applied
    if unsure or (not failed.answered and kind not in COMMITS):
        return "unknown", error
    return "fail", error


def passing(failed: BaseException | None) -> bool:
    """Whether a client without a timeout would have tried again."""
    if isinstance(failed, errors.OutcomeUnknown):
        refused = (errors.OutcomeUnknown, errors.ResourceExhausted)
        return isinstance(failed.__cause__, refused) or passing(failed.__cause__)
    return isinstance(failed, errors.ConnectionError) and not failed._lasting
