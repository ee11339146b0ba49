"""What agents ask of a store besides reads and writes, in the members of a history.

Operations that the daemon evaluates, leases, bytes, expiry, forks, filters and differences:
``history/record`` has the same in ``asked.go``, ``leases.go`` and ``find.go``.
"""

from __future__ import annotations

import base64
from typing import Any

from statehouse._proto import statehouse_pb2 as pb

Json = dict[str, Any]

_SIGNS = ("=", "!=", "<", "<=", ">", ">=", "in", "exists")
#: What is evaluated by the field that asks for it.
_OPS = {
    "increment": "increment",
    "merge_json": "merge",
    "delete_prefix": "delete_prefix",
    "delete_agent": "delete_agent",
    "restore": "restore",
    "fork": "fork",
    "acquire": "acquire",
    "release": "release",
    "claim": "claim",
    "complete": "complete",
}


def nanos(time: Any) -> int:
    return int(time.seconds) * 10**9 + int(time.nanos)


def put(out: Json, name: str, value: Any) -> None:
    """Sets a member unless there is nothing to say."""
    if value:
        out[name] = value


def named(message: Any, **more: Any) -> Json:
    return {
        "ns": message.namespace or "default",
        "agent": message.agent_id,
        "key": message.key,
        **more,
    }


def value(message: Any) -> str:
    """Writes a value: JSON text, or bytes as no JSON begins."""
    if message.HasField("value_bytes") or message.content_type:
        data = base64.b64encode(message.value_bytes).decode()
        return f"bytes:{message.content_type};base64,{data}"
    return str(message.value_json.decode())


def moment(out: Json, at: pb.At) -> None:
    """Sets the point that a message names. For 1970 itself stands the nanosecond after."""
    if at.WhichOneof("point") == "time":
        out["at_time"] = nanos(at.time) or 1
    elif at.WhichOneof("point"):
        out["at"] = at.commit_ts


def write(message: pb.TransactOperation) -> Json:
    """Makes an operation of a transact."""
    out = named(message)
    put(out, "value", message.value_json.decode())
    put(out, "delete", message.delete)
    if message.HasField("expected_version"):
        out["expected"] = message.expected_version
    fields = [field.name for field, _ in message.ListFields()]
    asked = next((_OPS[name] for name in fields if name in _OPS), "")
    with_: Json = {}
    if "put" in fields:
        asked = "append" if message.put.append else "if_absent" if message.put.if_absent else asked
        put(out, "value", value(message.put))
        _stays(with_, message.put)
    elif "merge_json" in fields:
        out["value"] = message.merge_json.decode()
    elif asked in _ARGUMENTS:
        _ARGUMENTS[asked](with_, getattr(message, asked))
    put(out, "op", asked)
    put(out, "with", with_)
    return out


def _stays(out: Json, message: pb.Put) -> None:
    put(out, "ttl_ms", message.ttl_ms)
    if message.HasField("due_at"):
        out["due_at"] = nanos(message.due_at) or 1
    if message.HasField("due_in_ms"):
        out["due_in_ms"] = message.due_in_ms


def _increment(out: Json, message: pb.Increment) -> None:
    for name in ("pointer", "delta", "min", "max"):
        put(out, name, getattr(message, name))


def _fork(out: Json, message: pb.Fork) -> None:
    out["ns"], out["agent"] = message.namespace or "default", message.agent_id
    moment(out, message.at)


def _acquire(out: Json, message: pb.AcquireLease) -> None:
    put(out, "holder", message.holder)
    put(out, "ttl_ms", message.ttl_ms)


def _claim(out: Json, message: pb.ClaimDue) -> None:
    put(out, "holder", message.holder)
    put(out, "ttl_ms", message.ttl_ms)
    put(out, "limit", message.limit)
    put(out, "all_agents", message.all_agents)


_ARGUMENTS: dict[str, Any] = {
    "increment": _increment,
    "restore": lambda out, message: moment(out, message.at),
    "fork": _fork,
    "acquire": _acquire,
    "release": lambda out, message: put(out, "token", message.token),
    "claim": _claim,
    "complete": lambda out, message: put(out, "token", message.token),
}


def result(message: pb.OperationResult) -> Json:
    """Makes what came of an operation."""
    out: Json = {}
    put(out, "key", message.key)
    put(out, "version", message.version)
    put(out, "value", value(message))
    put(out, "inexact", message.HasField("inexact"))
    put(out, "existed", message.existed)
    put(out, "keys", message.keys)
    if message.HasField("lease"):
        out["lease"] = lease(message.lease)
    put(out, "claimed", [_due(due) for due in message.claimed])
    return out


def _due(message: pb.DueRecord) -> Json:
    out: Json = {}
    if message.HasField("record"):
        record = named(message.record)
        record["ns"] = message.record.namespace
        state(record, message.record, exists=True)
        out["record"] = record
    put(out, "due_at", nanos(message.due_at))
    if message.HasField("lease"):
        out["lease"] = lease(message.lease)
    return out


def state(out: Json, message: Any, *, exists: bool) -> None:
    """Adds what an answer says of a record."""
    put(out, "exists", exists)
    for name in ("version", "commit_ts"):
        put(out, name, getattr(message, name))
    put(out, "commit_time", nanos(message.commit_time))
    put(out, "value", value(message))
    put(out, "inexact", message.HasField("inexact"))
    put(out, "metadata", dict(getattr(message, "metadata", ())))
    for name in ("erased", "pruned", "principal", "trace_id", "cause"):
        put(out, name, getattr(message, name, None))
    for name in ("expires_at", "due_at"):
        if (at := getattr(message, name, None)) is not None:
            put(out, name, nanos(at))


def lease(message: pb.Lease) -> Json:
    out: Json = {
        "ns": message.namespace,
        "agent": message.agent_id,
        "lease": message.name,
        "token": message.token,
    }
    put(out, "holder", message.holder)
    put(out, "ttl_ms", message.ttl_ms)
    put(out, "deadline", nanos(message.deadline))
    put(out, "acquired_ts", message.acquired_ts)
    put(out, "acquired_at", nanos(message.acquired_at))
    return out


def renewal(message: pb.LeaseRenewal) -> Json:
    out: Json = {
        "ns": message.namespace or "default",
        "agent": message.agent_id,
        "lease": message.lease,
        "token": message.token,
    }
    put(out, "ttl_ms", message.ttl_ms)
    return out


def renewed(message: pb.LeaseRenewed) -> Json:
    out: Json = {}
    put(out, "lost", message.lost)
    put(out, "deadline", nanos(message.deadline))
    return out


def refreshed(message: pb.RefreshedExpiry) -> Json:
    out: Json = {}
    put(out, "expires_at", nanos(message.expires_at))
    put(out, "version", message.version)
    return out


def condition(message: pb.Condition) -> Json:
    """Makes a condition of a find."""
    out: Json = {}
    put(out, "pointer", message.pointer)
    put(out, "metadata", message.metadata)
    known = 0 <= message.comparison < len(_SIGNS)
    out["is"] = _SIGNS[message.comparison] if known else str(message.comparison)
    put(out, "value", message.value)
    put(out, "not", message.negate)
    return out


def versus(out: Json, message: pb.DiffRequest) -> None:
    """Sets the two points that are compared."""
    if message.HasField("from"):
        moment(out, getattr(message, "from"))
    else:
        out["at"] = 0  # which is the same: from nothing
    other: Json = {}
    if message.to_agent_id:
        other["ns"], other["agent"] = message.to_namespace or "default", message.to_agent_id
    else:
        put(other, "ns", message.to_namespace)
    moment(other, message.to)
    put(out, "versus", other)


def difference(message: pb.KeyDiff, question: Json) -> Json:
    """Makes a key whose state differs."""
    here = {"ns": question.get("ns", ""), "agent": question.get("agent", "")}
    other = question.get("versus", {})
    there = {"ns": other["ns"], "agent": other["agent"]} if "agent" in other else here
    out: Json = {"key": message.key}
    for name, side, about in (("before", here, message.before), ("after", there, message.after)):
        out[name] = {**side, "key": message.key}
        state(out[name], about, exists=about.exists)
    put(out, "patch", message.patch_json.decode())
    return out


def origin(message: pb.ForkOrigin) -> Json:
    """Makes what an agent was forked from."""
    out: Json = {
        "ns": message.namespace,
        "agent": message.agent_id,
        "commit_ts": message.commit_ts,
        "forked_ts": message.forked_ts,
    }
    put(out, "forked_at", nanos(message.forked_at))
    return out


def event_operation(message: pb.Operation) -> Json:
    """Makes an operation of an event."""
    out: Json = {
        "ns": message.namespace,
        "agent": message.agent_id,
        "key": message.key,
        "version": message.version,
    }
    put(out, "delete", message.deleted)
    put(out, "value", value(message))
    put(out, "inexact", message.HasField("inexact"))
    put(out, "erased", message.erased)
    put(out, "pruned", message.pruned)
    if message.HasField("lease"):
        out["lease"] = {}
        put(out["lease"], "holder", message.lease.holder)
        put(out["lease"], "ttl_ms", message.lease.ttl_ms)
    put(out, "due", message.due)
    if message.HasField("act"):
        out["act"] = _act(message.act)
    return out


def _act(message: pb.RangeAct) -> Json:
    known = message.kind in pb.RangeAct.Kind.values()
    kind = pb.RangeAct.Kind.Name(message.kind).lower() if known else str(message.kind)
    out: Json = {"kind": kind}
    put(out, "ns", message.namespace)
    put(out, "agent", message.agent_id)
    put(out, "commit_ts", message.commit_ts)
    return out
