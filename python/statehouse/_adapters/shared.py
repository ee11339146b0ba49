"""Items that many records have in common, such as the messages of a history that grows: each is
stored once, under a number, and a record has the numbers.

An agent has items by their numbers, the number of each by its digest, and how many there are.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Callable

from statehouse._adapters import items

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from statehouse import Statehouse, Txn

_DIGESTS = "digest/"
#: Items of a commit, of which each takes two writes.
_BATCH = 1000
#: Agents of which it is remembered what they have.
_REMEMBERED = 16


class _Forgotten(Exception):
    """What was remembered does not hold any more."""


class Shared:
    """Items of agents under a prefix.

    What an agent has is remembered, so that an addition to a long history reads little. It holds
    for one version of the count, which whatever adds or restores items changes.
    """

    def __init__(
        self, client: Statehouse, prefix: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        self._client, self._metadata = client, metadata
        self._prefix, self._count = prefix + "/", f"{prefix}s"
        self._known: OrderedDict[str, tuple[int, dict[str, int]]] = OrderedDict()

    def save(
        self,
        agent_id: str,
        contents: list[Any],
        others: Iterable[items.Packed],
        also: Callable[[Txn, list[list[int]]], None],
    ) -> None:
        """Writes what the agent does not have yet, and in the same commit something else, which is
        given the ranges of numbers. Of very many the first are written before.
        """
        for at in range(0, len(contents) - _BATCH, _BATCH):
            self._save(agent_id, contents[at : at + _BATCH], (), lambda *_: None)
        self._save(agent_id, contents, others, also)

    def _save(
        self,
        agent_id: str,
        contents: list[Any],
        others: Iterable[items.Packed],
        also: Callable[[Txn, list[list[int]]], None],
    ) -> None:
        of = {_digest(content): content for content in contents}
        digests = [_digest(content) for content in contents]
        _, remembered = self._known.get(agent_id, (0, {}))
        unseen = [digest for digest in of if digest not in remembered]
        packed = dict(zip(unseen, items.pack_all(of[digest] for digest in unseen)))

        def run(tx: Txn) -> tuple[int, dict[str, int]]:
            # All read it, so of two who number items at once one comes again.
            record = tx.get_state(agent_id, self._count)
            version, count = (0, 0) if record is None else (record.version, record.value["count"])
            known = self._valid(agent_id, version)
            self._look_up(tx, agent_id, known, list(of))
            new = [digest for digest in of if digest not in known]
            for number, digest in enumerate(new, count + 1):
                if digest not in packed:
                    raise _Forgotten
                known[digest] = number
                tx.write(agent_id, self._key(number), packed[digest].value)
                tx.write(agent_id, _DIGESTS + digest, {"number": number})
            if new:
                tx.write(agent_id, self._count, {"count": count + len(new)})
            also(tx, ranges([known[digest] for digest in digests]))
            return version + bool(new), known

        try:
            made = items.commit(
                self._client, {agent_id: [*others, *packed.values()]}, run, self._metadata
            )
        except _Forgotten:
            del self._known[agent_id]
            self._save(agent_id, contents, others, also)
        else:
            self._remember(agent_id, made)

    def _look_up(self, tx: Txn, agent_id: str, known: dict[str, int], digests: list[str]) -> None:
        asked = [digest for digest in digests if digest not in known]
        found = tx.get_many(agent_id, [_DIGESTS + digest for digest in asked])
        for digest, record in zip(asked, found):
            if record is not None:
                known[digest] = record.value["number"]

    def _valid(self, agent_id: str, version: int) -> dict[str, int]:
        at, known = self._known.get(agent_id, (0, {}))
        return dict(known) if at == version else {}

    def _remember(self, agent_id: str, made: tuple[int, dict[str, int]]) -> None:
        self._known[agent_id] = made
        self._known.move_to_end(agent_id)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def load(self, agent_id: str, ranges: list[list[int]]) -> list[Any]:
        """Reads items back. Raises LookupError if one was deleted."""
        keys = [self._key(n) for first, last in ranges for n in range(first, last + 1)]
        values = []
        for key, record in zip(keys, self._client.get_many(agent_id, keys)):
            if record is None:
                raise LookupError(f"{key} of {agent_id} was deleted")
            values.append(record.value)
        return items.unpack(self._client, agent_id, values)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:016d}"


def ranges(numbers: list[int]) -> list[list[int]]:
    """Writes numbers as ranges, first and last: a history that grows is one.

    >>> ranges([1, 2, 3, 7, 8, 3])
    [[1, 3], [7, 8], [3, 3]]
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
