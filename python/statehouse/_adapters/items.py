"""Items of a framework as records: messages, events, entries of a transcript.

An item is whatever ``json`` writes and reads. It is a record ``{"item": …}`` as long as the daemon
takes that. What is too large (an image in a message), nested too deep or no Unicode is kept as the
bytes of its JSON text, in chunks that are named after their content, and the record says which:
``{"chunks": DIGEST, "count": N}``. Chunks are written before the record, so they need not fit into
its transaction; that carries the condition that they are still there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse._values import check_depth, to_json
from statehouse.errors import InvalidArgument, PreconditionFailed
from statehouse.operations import KeyPrecondition, Value, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from statehouse import Statehouse, Txn

T = TypeVar("T")

CHUNKS = "chunk/"
#: Bytes of a value from which on it is cut, of a chunk, and of all values of a transaction. The
#: daemon takes 1 MiB and 3.5 MiB, unless its operator says otherwise.
_LARGE, _CHUNK, _TOGETHER = 256 << 10, 512 << 10, 2 << 20
_SMALL = 1 << 10
_TYPE = "application/json"
#: How often chunks are written again that were deleted before they were referred to.
_TRIES = 5


@dataclass(frozen=True)
class Packed:
    """An item as a record's value, and the chunks that it refers to, by their keys."""

    value: Value
    size: int
    chunks: Mapping[str, bytes]


def pack_all(items: Iterable[Any]) -> list[Packed]:
    """Packs what is to be written in one transaction, so that it fits into one."""
    items = list(items)
    packed = [_pack(item, _LARGE) for item in items]
    if sum(one.size for one in packed) > _TOGETHER:
        packed = [_pack(item, _SMALL) for item in items]
    return packed


def _pack(item: Any, largest: int) -> Packed:
    value = {"item": item}
    try:
        text = to_json(value)
        check_depth(value, text)
        if len(text) <= largest:
            return Packed(value, len(text), {})
    except InvalidArgument:
        pass  # not as a value, but perhaps as text
    text = json.dumps(item, separators=(",", ":")).encode()
    digest = hashlib.sha256(text).hexdigest()
    parts = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    chunks = {_chunk(digest, number): chunk for number, chunk in enumerate(parts)}
    return Packed({"chunks": digest, "count": len(chunks)}, 100, chunks)


def _chunk(digest: str, number: int) -> str:
    return f"{CHUNKS}{digest}/{number:06d}"


def unpack(client: Statehouse, agent_id: str, values: Sequence[Value]) -> list[Any]:
    """Reads items back, given the values of their records."""
    names = [
        _chunk(value["chunks"], number)
        for value in values
        if "chunks" in value
        for number in range(value["count"])
    ]
    # By name, for several items may refer to one chunk.
    found = dict(zip(names, client.get_many(agent_id, names))) if names else {}
    return [_unpack(value, found) for value in values]


def _unpack(value: Value, found: Mapping[str, Any]) -> Any:
    if "chunks" not in value:
        return value["item"]
    names = [_chunk(value["chunks"], number) for number in range(value["count"])]
    return json.loads(b"".join(found[name].value for name in names))


def commit(
    client: Statehouse,
    packed: Mapping[str, Iterable[Packed]],
    function: Callable[[Txn], T],
    metadata: Mapping[str, str] | None = None,
) -> T:
    """Runs a function in a transaction, as ``run_transaction`` does, that stages records of agents
    with the values of packed items: ``packed`` has those of each agent.
    """
    chunks = {
        (agent_id, key): chunk
        for agent_id, items in packed.items()
        for one in items
        for key, chunk in one.chunks.items()
    }
    for tries in range(_TRIES):
        needed = _write_chunks(client, chunks, metadata)

        def run(tx: Txn, needed: list[KeyPrecondition] = needed) -> T:
            tx.preconditions.extend(needed)
            return function(tx)

        try:
            return client.run_transaction(run, metadata=metadata)
        except PreconditionFailed as failed:
            ours = (failed.key or "").startswith(CHUNKS)
            if not ours or tries == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _write_chunks(
    client: Statehouse,
    chunks: Mapping[tuple[str, str], bytes],
    metadata: Mapping[str, str] | None,
) -> list[KeyPrecondition]:
    """Writes chunks that are not there yet, and returns the conditions that they all are."""
    needed: list[KeyPrecondition] = []
    batch: list[Write] = []
    for (agent_id, key), chunk in chunks.items():
        batch.append(Write(agent_id, key, chunk, content_type=_TYPE, if_absent=True))
        if len(batch) * _CHUNK >= _TOGETHER:
            needed += _write(client, batch, metadata)
            batch = []
    if batch:
        needed += _write(client, batch, metadata)
    return needed


def _write(
    client: Statehouse, batch: list[Write], metadata: Mapping[str, str] | None
) -> list[KeyPrecondition]:
    done = client.transact(batch, metadata=metadata).results
    return [
        KeyPrecondition(write.agent_id, write.key, one.version) for write, one in zip(batch, done)
    ]
