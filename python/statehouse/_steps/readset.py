"""What a transaction has read, which must still hold when it commits.

It is all of one snapshot, that of the answer which came first. Recorded is what the user was
told, and no more: of a list the stretch of keys that was handed out. What the transaction itself
has written is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.staged import READS, name_size, over

if TYPE_CHECKING:
    from statehouse._steps.staged import Name

#: Bytes that an entry takes besides its names, and that a key may have.
_ENTRY, _KEY = 24, 1024


class Stretch:
    """The keys of an agent that a list has handed out so far."""

    def __init__(self, request: pb.ListKeysRequest | pb.ScanPrefixRequest) -> None:
        self._reverse = request.reverse
        self.range = pb.ReadRange(
            namespace=request.namespace, agent_id=request.agent_id, prefix=request.prefix
        )

    def reach(self, key: str | None) -> None:
        """Extends it to a key; None: to the end of the list."""
        if self._reverse:
            self.range.first = key or ""
        else:
            self.range.last = key or ""


class ReadSet:
    """Records and stretches that were read. Its user sees to it that one thread uses it at a
    time.
    """

    def __init__(self, epoch: str) -> None:
        #: That the transaction began in; empty: unknown.
        self.epoch = epoch
        #: The commit that all of it was read after. None: nothing was read.
        self.snapshot: int | None = None
        self._keys: dict[Name, int] = {}
        self._stretches: dict[Stretch, None] = {}
        #: About how many bytes it takes in a request.
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._keys or self._stretches)

    def saw(self, name: Name, version: int) -> None:
        """Adds a record at the version that was read; 0: never written."""
        if name not in self._keys:  # read again at the same snapshot it is the same version
            self._one_more(name_size(name))
            self._keys[name] = version

    def reach(self, stretch: Stretch, key: str | None) -> None:
        """Extends a stretch to a key; None: to the end of the list."""
        if stretch not in self._stretches:
            of = stretch.range
            self._one_more(name_size((of.namespace, of.agent_id, of.prefix)) + _KEY)
            self._stretches[stretch] = None
        stretch.reach(key)

    def _one_more(self, size: int) -> None:
        count = len(self._keys) + len(self._stretches)
        if count >= READS:
            raise over("reads", count + 1, READS)
        self.bytes += _ENTRY + size

    def message(self) -> pb.ReadSet:
        """Makes the message, in which no stretch is twice."""
        stretches = {s.range.SerializeToString(deterministic=True): s for s in self._stretches}
        return pb.ReadSet(
            snapshot_ts=self.snapshot or 0,
            epoch=self.epoch,
            keys=[
                pb.ReadKey(namespace=namespace, agent_id=agent_id, key=key, version=version)
                for (namespace, agent_id, key), version in self._keys.items()
            ],
            ranges=[stretch.range for stretch in stretches.values()],
        )
