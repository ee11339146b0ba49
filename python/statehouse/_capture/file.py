"""The file of a history.

A thread of its own writes it, so that no request waits for the disk. Whatever happens to the
disk, the file consists of whole lines.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

try:
    import fcntl
except ImportError:  # Windows, where two processes may write one file
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    from statehouse._capture.words import Json

log = logging.getLogger("statehouse")

#: How many bytes of messages may wait to be written; what does not fit is counted as lost.
MAX_WAITING = 64 << 20
#: The longest line that a reader takes.
MAX_LINE = 16 << 20
#: How many bytes are cut off a file that cannot grow, to make room for its last lines.
_ROOM = 1024
#: Seconds that closing waits for a disk.
_PATIENCE = 10.0
#: Seconds for which lines are collected: waking the thread for each line would slow requests.
_PAUSE = 0.05
#: How many names are tried for a file that is taken.
_NAMES = 1000

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class Entry(NamedTuple):
    """Lines to be made and written; none of them if there is no room for all."""

    make: Callable[[], list[Json]]
    size: int  #: about how much memory it holds, in bytes
    call: int  #: the time at which its operation was called
    operations: int  #: how many it records; 0: further lines of one that is written


class Lines:
    """A history's file, from its header to its end."""

    def __init__(self, path: str, header: Json, now: Callable[[], int]) -> None:
        self._now = now
        self._fd, self.path = _open(path)
        os.ftruncate(self._fd, 0)
        self._size = 0
        self._count = 0
        #: Of each of the last lines: where it begins, and call and operations of its entry.
        self._last: deque[tuple[int, int, int]] = deque(maxlen=10_000)
        self._failed: str | None = None
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._waiting = 0
        self._lost: list[int] = []  # from, to, how many; empty: nothing is lost
        self._why = ""
        self._thread: threading.Thread | None = None
        self._header = header
        self._resume_at: tuple[int, int] | None = None  # size and lines without the end

    def put(self, entry: Entry) -> bool:
        """Accepts lines to be written. Never waits. False: there was no room."""
        with self._lock:
            if self._failed is None and self._waiting + entry.size <= MAX_WAITING:
                if self._lost:
                    self._put_gap()
                self._waiting += entry.size
                self._entries.put(entry)
                if self._thread is None:
                    self._start()
                return True
            self.lose(entry.call, entry.operations, "the disk was too slow")
            return False

    def lose(self, call: int, operations: int, why: str) -> None:
        """Counts operations that will not be in the file."""
        with self._lock:
            now = self._now()
            if not self._lost:
                self._lost, self._why = [call, now, 0], why
            start, _, lost = self._lost
            self._lost = [min(start, call), now, lost + operations]
            self._why = self._failed or self._why  # the first reason, unless writing failed

    def close(self) -> None:
        """Writes what is left, and the end."""
        with self._lock:
            if self._lost and self._failed is None:
                self._put_gap()
            if self._thread is None:
                self._start()
            thread, self._thread = self._thread, None
            self._entries.put(None)
            self._closing.set()
        assert thread is not None  # noqa: S101  started above
        thread.join(_PATIENCE)
        if thread.is_alive():
            log.warning("statehouse: %s has no end: its disk does not answer", self.path)
            self._resume_at = None

    def resume(self) -> bool:
        """Continues a file that was closed. False: another program has changed it."""
        if self._resume_at is None or self._failed is not None:
            return False
        try:
            fd, path = _open(self.path)
            if path == self.path and os.fstat(fd).st_size == self._size:
                size, self._count = self._resume_at
                os.ftruncate(fd, size)
                self._fd, self._size, self._resume_at = fd, size, None
                return True
            os.close(fd)
        except OSError:
            pass
        return False

    def forget(self) -> None:
        """Leaves the file to the process that this one was forked from."""
        os.close(self._fd)

    def _start(self) -> None:
        self._closing.clear()
        self._thread = threading.Thread(target=self._work, name="statehouse-capture", daemon=True)
        self._thread.start()

    def _put_gap(self) -> None:
        gap = self._gap()
        start, _, lost = self._lost
        self._lost = []
        # Should this line be lost, what it counts is counted again.
        self._entries.put(Entry(lambda: [gap], 0, start, lost))

    def _gap(self) -> Json:
        start, end, lost = self._lost
        return {"gap": {"from": start, "to": end, "lost": lost, "why": self._why}}

    def _work(self) -> None:
        """Writes until the end."""
        if self._count == 0:
            self._write([self._header], 0, 0)
        while (entry := self._entries.get()) is not None:
            if self._entries.empty():
                self._closing.wait(_PAUSE)  # to write several at once
            if self._failed is None:
                try:
                    lines = entry.make()
                except Exception as error:
                    self._fail(error)
                else:
                    self._write(lines, entry.call, entry.operations)
            else:
                self.lose(entry.call, entry.operations, self._failed)
            with self._lock:
                self._waiting -= entry.size
        self._finish()

    def _write(self, lines: list[Json], call: int, operations: int) -> None:
        texts = [_encode(line).encode(errors="replace") + b"\n" for line in lines]
        if any(len(text) > MAX_LINE for text in texts):
            self.lose(call, operations, "it does not fit into a line")
            return
        at = self._size
        for text in texts:
            self._last.append((at, call, operations))
            at, operations = at + len(text), 0  # the lines that follow are of the same one
        data, at = b"".join(texts), self._size
        self._size += len(data)
        self._count += len(texts)
        try:
            _write_all(self._fd, data, at)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stops writing. Cuts off the last lines, to make room for the end of the file."""
        log.warning("statehouse: %s is recorded no longer: %s", self.path, error)
        with self._lock:
            self._failed = f"writing stopped: {error}"
        self._cut(os.fstat(self._fd).st_size - _ROOM)

    def _cut(self, size: int) -> None:
        while self._last and self._size > size:
            self._size, call, operations = self._last.pop()
            self._count -= 1
            self.lose(call, operations, "")
        os.ftruncate(self._fd, self._size)

    def _finish(self) -> None:
        try:
            for _ in range(5):
                if self._count == 0:
                    break  # there was no room for anything
                lines = [self._gap()] if self._lost else []
                count = self._count + len(lines)
                lines.append({"end": {"complete": False, "lines": count}})
                data = b"".join(_encode(line).encode() + b"\n" for line in lines)
                try:
                    _write_all(self._fd, data, self._size)
                except OSError:
                    self._cut(self._size - _ROOM)  # and again
                    continue
                if self._failed is None:
                    self._resume_at = self._size, self._count
                self._size += len(data)
                break
            else:
                log.warning("statehouse: there is no room for the end of %s", self.path)
        finally:
            os.close(self._fd)


def _write_all(fd: int, data: bytes, at: int) -> None:
    os.lseek(fd, at, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _open(path: str) -> tuple[int, str]:
    """Opens a file that no other process is writing: the one of that name or, if that is
    taken, one with a number in its name.
    """
    given = Path(path)
    for n in range(1, _NAMES):
        name = given if n == 1 else given.with_name(f"{given.stem}-{n}{given.suffix}")
        fd = os.open(name, _FLAGS, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        if n > 1:
            log.warning("statehouse: %s is being written already; recording into %s", path, name)
        return fd, str(name)
    raise FileExistsError(path)
