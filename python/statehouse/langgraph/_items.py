"""The store: a record an item, all of one agent.

The key of an item is its namespace, each label with a slash after it, a colon, and its own key:
``users/alice/:prefs``. So what is under a namespace is what begins with its labels, and the daemon
lists namespaces as it lists folders, without looking at what is in them.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)

from statehouse import Delete, PreconditionFailed, Record, Write
from statehouse.langgraph._asking import Steps, ask, ask_all
from statehouse.langgraph._filters import conditions
from statehouse.langgraph._layout import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langgraph.store.base import Op, Result, TTLConfig

#: How often a put is tried again when others put the same items meanwhile.
_TRIES = 100


class Items:
    """Steps of a store."""

    ttl_config: TTLConfig | None
    _agent: str

    def _batch(self, ops: Iterable[Op]) -> Steps[list[Result]]:
        """Does all that reads, and then all that writes, in one commit."""
        listed = list(ops)
        for op in listed:
            _check(op)
        results: list[Result] = [None] * len(listed)
        gets = [(at, op) for at, op in enumerate(listed) if isinstance(op, GetOp)]
        if gets:
            items = yield from self._get([op for _, op in gets])
            for (at, _), item in zip(gets, items):
                results[at] = item
        for at, op in enumerate(listed):
            if isinstance(op, SearchOp):
                found = yield from self._search(op)
                results[at] = list(found)
            elif isinstance(op, ListNamespacesOp):
                results[at] = yield from self._list_namespaces(op)
        puts = {item_key(op.namespace, op.key): op for op in listed if isinstance(op, PutOp)}
        if puts:
            yield from self._put(puts)
        return results

    def _get(self, ops: Sequence[GetOp]) -> Steps[list[Item | None]]:
        keys = [item_key(op.namespace, op.key) for op in ops]
        records: list[Record | None] = yield from ask("get_many", self._agent, keys)
        shown = [r if r is not None and self._shown(r) else None for r in records]
        yield from self._refresh(record for record, op in zip(shown, ops) if op.refresh_ttl)
        return [None if record is None else Item(**_parts(record)) for record in shown]

    def _search(self, op: SearchOp) -> Steps[list[SearchItem]]:
        if op.query:
            raise NotImplementedError(
                "a Statehouse store has no vector search: leave query= out and find items by"
                " filter=, or keep embeddings in a vector database beside it"
            )
        where = conditions(op.filter or {})
        prefix, wanted = namespace_key(op.namespace_prefix), op.offset + op.limit
        limit = wanted
        while True:
            records: list[Record] = yield from ask_all(
                "find", self._agent, where, prefix=prefix, order="changed", limit=limit
            )
            shown = [record for record in records if self._shown(record)]
            if len(shown) >= wanted or len(records) < limit:
                break
            limit *= 2  # some have expired
        shown = shown[op.offset : wanted]
        if op.refresh_ttl:
            yield from self._refresh(shown)
        return [SearchItem(**_parts(record)) for record in shown]

    def _refresh(self, records: Iterable[Record | None]) -> Steps[None]:
        """Has items that were read expire later, if they expire at all."""
        keys = [record.key for record in records if record is not None and record.expires_at]
        if keys:
            yield from ask("refresh", self._agent, keys)

    def _shown(self, record: Record) -> bool:
        """Whether an item that has expired, but is not deleted yet, is to be seen."""
        if record.expires_at is None or not (self.ttl_config or {}).get("omit_expired"):
            return True
        return record.expires_at > datetime.now(timezone.utc)

    def _list_namespaces(self, op: ListNamespacesOp) -> Steps[list[tuple[str, ...]]]:
        matches = op.match_conditions or ()
        begin: list[str] = []
        for match in matches:
            if match.match_type == "prefix" and len(literal := _literal(match.path)) > len(begin):
                begin = literal
        folders = yield from ask_all("scan_keys", self._agent, namespace_key(begin), delimiter=":")
        namespaces = (namespace_of(folder) for folder in folders)
        found = {
            namespace[: op.max_depth]
            for namespace in namespaces
            if all(_matches(match, namespace) for match in matches)
        }
        return sorted(found)[op.offset : op.offset + op.limit]

    def _put(self, puts: dict[str, PutOp]) -> Steps[None]:
        """Writes and deletes items in one commit. When others have written one of them since it was
        read here, for the time of its creation, it begins again.
        """
        tried = 0
        while True:
            records: list[Record | None] = yield from ask("get_many", self._agent, list(puts))
            operations: list[Write | Delete] = []
            for (key, op), record in zip(puts.items(), records):
                if op.value is not None:
                    operations.append(self._write(key, op, record))
                elif record is not None:
                    operations.append(Delete(self._agent, key))
            if not operations:
                return
            try:
                yield from ask("transact", operations)
            except PreconditionFailed:
                tried += 1
                if tried == _TRIES:
                    raise
                continue
            return

    def _write(self, key: str, op: PutOp, record: Record | None) -> Write:
        value: dict[str, Any] = {"value": dict(op.value or {})}
        if record is not None:
            value["created_at"] = _created(record).isoformat()
        return Write(
            self._agent,
            key,
            value,
            expected_version=record.version if record is not None else 0,
            ttl=None if op.ttl is None else op.ttl * 60,
        )


def _check(op: Op) -> None:
    """Refuses what the methods of the framework refuse, of operations that come without them."""
    paths: list[tuple[str, ...]] = []
    if isinstance(op, (GetOp, PutOp)):
        paths = [op.namespace]
    elif isinstance(op, SearchOp):
        paths = [op.namespace_prefix]
    elif isinstance(op, ListNamespacesOp):
        paths = [match.path for match in op.match_conditions or ()]
    else:
        raise TypeError(f"{op!r} is no operation of a store")
    for path in paths:
        for label in path:
            if not isinstance(label, str) or not label or "." in label or "\0" in label:
                raise InvalidNamespaceError(
                    f"{label!r} in {path!r} is no label of a namespace: it must be text that is not"
                    " empty and has neither a period nor a NUL"
                )


def namespace_key(namespace: Iterable[str]) -> str:
    """What the keys of all items under a namespace begin with."""
    return "".join(f"{quoted(label, '/:')}/" for label in namespace)


def item_key(namespace: Iterable[str], key: str) -> str:
    """The key of an item's record."""
    return f"{namespace_key(namespace)}:{quoted(key, '')}"


def namespace_of(key: str) -> tuple[str, ...]:
    """Reads the namespace in a key."""
    return tuple(unquoted(label) for label in key.partition(":")[0].split("/")[:-1])


def _parts(record: Record) -> dict[str, Any]:
    return {
        "namespace": namespace_of(record.key),
        "key": unquoted(record.key.partition(":")[2]),
        "value": record.value["value"],
        "created_at": _created(record),
        "updated_at": record.timestamp,
    }


def _created(record: Record) -> datetime:
    """When an item was created: its first write does not say, for then it is when that was made."""
    said = record.value.get("created_at")
    return record.timestamp if said is None else datetime.fromisoformat(said)


def _literal(path: Iterable[str]) -> list[str]:
    """The labels before the first wildcard."""
    labels: list[str] = []
    for label in path:
        if label == "*":
            break
        labels.append(label)
    return labels


def _matches(match: MatchCondition, namespace: tuple[str, ...]) -> bool:
    if match.match_type not in ("prefix", "suffix"):
        raise ValueError(f"the match type {match.match_type!r} is neither 'prefix' nor 'suffix'")
    size = len(match.path)
    if size > len(namespace):
        return False
    part = namespace[:size] if match.match_type == "prefix" else namespace[len(namespace) - size :]
    return all(wanted in ("*", label) for wanted, label in zip(match.path, part))
