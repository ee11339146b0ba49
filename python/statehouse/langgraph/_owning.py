"""Who may go on with a thread: whoever has read it as it still is.

Two workers that resume one thread both read its latest checkpoint, and both would put one after
it. Checkpoints of a namespace are numbered, and a put takes the number after the latest one that
its run has read, on the condition that this is still there and the next is not: so one of them is
refused, with :class:`ThreadConflict`. A put that names an older checkpoint as its parent begins a
branch of the history, under the same condition.

What a run has read is kept in its context, for that is what the framework hands on to the threads
and tasks of a run; what this process has put is kept by the saver.
"""

from __future__ import annotations

from collections import OrderedDict
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from statehouse import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse.langgraph._layout import Saved, Thread


class ThreadConflict(PreconditionFailed):
    """Another worker has gone on with the thread since this run read it. Nothing was written.

    ``thread_id``, ``checkpoint_ns``
        Of the thread.
    ``current_checkpoint_id``
        Its latest checkpoint now; None: it has none.
    """

    own_code = "PRECONDITION_FAILED"
    advice = (
        "Leave the thread to the other worker, or read it again and go on from its latest"
        " checkpoint. hold() lets one worker at a time begin"
    )

    def __init__(
        self, thread: Thread, current: str | None, error: PreconditionFailed | None
    ) -> None:
        now = "it has no checkpoint" if current is None else f"its latest checkpoint is {current}"
        of = f" (checkpoint_ns {thread.namespace!r})" if thread.namespace else ""
        super().__init__(
            f"thread {thread.thread_id!r}{of} is not as this run has read it: {now}",
            details=error.details if error else None,
            answered=error.answered if error else False,
        )
        self.maybe_applied = error.maybe_applied if error else False
        self.thread_id = thread.thread_id
        self.checkpoint_ns = thread.namespace
        self.current_checkpoint_id = current


class Place(NamedTuple):
    """The latest checkpoint, as somebody knows it: its number and the version of its record.
    Number 0: there was none.
    """

    number: int
    version: int


NOWHERE = Place(0, 0)
#: Of how many namespaces a context remembers what it has read.
_READ = 64
#: How many checkpoints a saver remembers to have put, and to have written to.
_PUT = 4096
#: Of how many namespaces a saver remembers the latest checkpoint.
_LATEST = 512

_Key = tuple["Memory", str, str]
_read: ContextVar[Mapping[_Key, Place]] = ContextVar("statehouse.langgraph")


class Memory:
    """What a saver, and the runs that use it, know of threads."""

    def __init__(self) -> None:
        self._put: OrderedDict[tuple[str, str, str], Place] = OrderedDict()
        self._latest: OrderedDict[tuple[str, str], Saved] = OrderedDict()
        self._written: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._lock = Lock()

    def has_read(self, thread: Thread, place: Place) -> None:
        """Remembers what the run of this context has read."""
        known = dict(_read.get({}))
        key = (self, thread.agent, thread.namespace)
        known.pop(key, None)
        known[key] = place
        while len(known) > _READ:
            del known[next(iter(known))]
        _read.set(known)

    def has_put(self, thread: Thread, checkpoint_id: str, place: Place) -> None:
        """Remembers where a checkpoint is."""
        with self._lock:
            self._put[thread.agent, thread.namespace, checkpoint_id] = place
            if len(self._put) > _PUT:
                self._put.popitem(last=False)

    def place(self, thread: Thread, checkpoint_id: str) -> Place | None:
        """Where this process has put, or found, a checkpoint."""
        with self._lock:
            return self._put.get((thread.agent, thread.namespace, checkpoint_id))

    def will_write(self, thread: Thread, checkpoint_id: str, count: int) -> int:
        """Counts writes to a checkpoint that are about to be sent, and answers the number that the
        last of them gets, or more if there are some that are not known here.
        """
        with self._lock:
            return self._counted(thread, checkpoint_id, count, 0)

    def has_written(self, thread: Thread, checkpoint_id: str, number: int) -> None:
        """Remembers which number the daemon gave to a write."""
        with self._lock:
            self._counted(thread, checkpoint_id, 0, number)

    def _counted(self, thread: Thread, checkpoint_id: str, more: int, least: int) -> int:
        key = (thread.agent, thread.namespace, checkpoint_id)
        self._written[key] = last = max(self._written.get(key, 0) + more, least)
        self._written.move_to_end(key)
        if len(self._written) > _PUT:
            self._written.popitem(last=False)
        return last

    def is_latest(self, thread: Thread, found: Saved) -> None:
        """Remembers the latest checkpoint, for whoever reads it again to ask for all of it at
        once. Whether it is still the latest, the answer says.
        """
        with self._lock:
            self._latest[thread.agent, thread.namespace] = found
            self._latest.move_to_end((thread.agent, thread.namespace))
            if len(self._latest) > _LATEST:
                self._latest.popitem(last=False)

    def latest(self, thread: Thread) -> Saved | None:
        """The checkpoint that was the latest when this process put or read it."""
        with self._lock:
            return self._latest.get((thread.agent, thread.namespace))

    def base(self, thread: Thread, parent: str | None) -> Place | None:
        """The latest checkpoint as whoever puts one after ``parent`` knows it; None: it does not.

        A run has read the thread at its begin, and knows each checkpoint that it has put since: the
        later of both is what it knows.
        """
        known = [
            place
            for place in (
                _read.get({}).get((self, thread.agent, thread.namespace)),
                self.place(thread, parent) if parent is not None else None,
            )
            if place is not None
        ]
        return max(known, default=None)

    def forget(self, agent: str) -> None:
        """Forgets a thread of which something was deleted."""
        with self._lock:
            for key in [key for key in self._put if key[0] == agent]:
                del self._put[key]
            for name in [name for name in self._latest if name[0] == agent]:
                del self._latest[name]
        kept = {k: place for k, place in _read.get({}).items() if k[:2] != (self, agent)}
        _read.set(kept)
