"""What delta channels are put together from: the writes since the last value of the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse.langgraph._layout import Saved, Thread, is_checkpoint, saved
from statehouse.langgraph._reading import Reading, writes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import PendingWrite

    from statehouse.langgraph._asking import Steps

#: How many checkpoints are asked for at once.
_BLOCK = 64


class History(Reading):
    """Steps that walk the ancestors of a checkpoint."""

    def _delta_history(
        self, config: RunnableConfig, channels: Sequence[str]
    ) -> Steps[dict[str, Any]]:
        thread = self._thread(config)
        collected: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        seeds: dict[str, Any] = {}
        left = set(channels)
        target = yield from self._find(thread, config["configurable"].get("checkpoint_id"))
        at, block = target, dict[str, Saved]()
        while left and at is not None and at.parent is not None:
            if at.parent not in block:
                block = yield from self._before(thread, at)
            chain = _chain(at, block, left)
            if not chain:
                break
            keys = [
                key
                for one in chain
                for key in (
                    *writes_of(thread, one.id),
                    *(thread.value(c, v) for c, v in one.versions().items() if c in left),
                )
            ]
            records = yield from self._records(thread, keys)
            for one in chain:
                writes = yield from self._writes(thread, one.id, records)
                for write in reversed(writes):
                    if write.channel in left:
                        collected[write.channel].append((write.task_id, write.channel, write.value))
                ends = {c: v for c, v in one.versions().items() if c in left}
                wanted = [thread.value(channel, version) for channel, version in ends.items()]
                values = yield from self._values(thread, wanted, records)
                for channel, key in zip(ends, wanted):
                    seeds[channel] = values[key]
                left -= set(ends)
            at = chain[-1]
        return {
            channel: {"writes": collected[channel][::-1]}
            | ({"seed": seeds[channel]} if channel in seeds else {})
            for channel in channels
        }

    def _before(self, thread: Thread, one: Saved) -> Steps[dict[str, Saved]]:
        """Reads the checkpoints before one, by their ids: as a rule its ancestors."""
        parent = yield from self._number(thread, str(one.parent))
        if parent is None:
            return {}
        numbers = range(parent, max(0, parent - _BLOCK), -1)
        records = yield from self._records(thread, map(thread.checkpoint, numbers))
        return {found.id: found for found in map(saved, filter(is_checkpoint, records.values()))}


def _chain(at: Saved, block: dict[str, Saved], channels: set[str]) -> list[Saved]:
    """The ancestors of a checkpoint in a block, as far as a channel needs them."""
    chain: list[Saved] = []
    missing = set(channels)
    parent = at.parent
    while missing and parent is not None and parent in block:
        chain.append(block[parent])
        missing -= set(chain[-1].body["values"])
        parent = chain[-1].parent
    return chain
