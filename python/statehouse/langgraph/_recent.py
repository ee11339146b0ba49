"""The latest checkpoint in one request, for whoever has not read the thread yet: as a rule the
records of the thread that were changed last are what it consists of. They are listed from the last
change back, without a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from statehouse.langgraph._layout import (
    UNWRITTEN,
    Saved,
    Thread,
    is_checkpoint,
    number_of,
    saved,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from statehouse import Record

#: How many records are asked for. A step of a conversation changes about five: its checkpoint and
#: that one's number, the messages, what to do next, and what a task wrote. Of the step before it
#: the checkpoint has to be among them.
RECENT = 8


class Recent(NamedTuple):
    """What the records that were changed last say of the latest checkpoint."""

    #: None: none is here.
    latest: Saved | None
    #: Whether that is certain; otherwise it may be another, or there may be one.
    certain: bool
    #: By their keys; under that of a checkpoint's index the checkpoint, where only that is here.
    records: dict[str, Record]
    #: The writes to it, in their order; None: there may be others.
    writes: list[Record] | None


def recent(thread: Thread, records: Sequence[Record]) -> Recent:
    """Finds the latest checkpoint in the records that were changed last.

    If all records are here it is the one of the highest number. Otherwise that has to have been
    written once. Numbers go on without a gap, so a later one was put after it, and would stand
    before it. But what the thread had when it was copied, and what was last changed before what the
    log still has, comes at the end, in the order of keys. So one of a lower number has to stand
    after it.
    """
    found = [
        (number_of(record), at)
        for at, record in enumerate(records)
        if record.key.startswith(thread.checkpoints)
    ]
    whole = len(records) < RECENT
    number, at = max(found, default=(0, -1))
    if at < 0 or not is_checkpoint(records[at]):
        return Recent(None, whole and at < 0, {}, None)
    latest = saved(records[at])
    follows = any(other < number and place > at for other, place in found)
    certain = whole or (latest.version == 1 and follows)
    by_key = {one.key: one for one in records}
    for _, place in found:
        if is_checkpoint(records[place]):  # and so is its index
            by_key.setdefault(thread.index(saved(records[place]).id), records[place])
    # To one that was put again there may have been writes before.
    once = certain and by_key[thread.index(latest.id)].version == 1
    writes = None
    if whole or (once and latest.body.get(UNWRITTEN)):
        first = f"{thread.writes(latest.id)}0"
        writes = sorted(
            (one for one in records if one.key.startswith(first)), key=lambda one: one.key
        )
    return Recent(latest, certain, by_key, writes)
