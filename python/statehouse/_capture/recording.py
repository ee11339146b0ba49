"""Recording operations: which lines of the history one gives, and when they are written."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from statehouse._capture import words
from statehouse._capture.digests import Digests
from statehouse._capture.file import Entry, Lines, log
from statehouse._effects import Call, Open, Receive
from statehouse._version import __version__

if TYPE_CHECKING:
    from collections.abc import Generator

    from google.protobuf.message import Message

    from statehouse._capture.words import Json
    from statehouse._effects import OpenStream

T = TypeVar("T")

#: How many page tokens are remembered.
_PAGES = 10_000
#: How many incomplete transactions are remembered.
_HOLES = 100_000
#: How many bytes of a replay are held back until its outcome is known. The outcome of a longer
#: one is recorded as unknown.
_HELD = 16 << 20


class Operation:
    """One request, which is one operation of the history."""

    __slots__ = ("asked", "batches", "call", "complete", "held", "id", "kind", "lane", "written")

    def __init__(self, kind: str, asked: Json) -> None:
        self.kind = kind
        self.asked = asked
        self.id = self.lane = self.call = 0
        self.complete = True  # False: it continues something that was not recorded
        # Of a stream: messages that have arrived and are not written yet, with their times.
        self.batches: list[tuple[int, Any]] = []
        self.held = 0
        self.written = False

    def line(self, outcome: str, end: int = 0, **more: Json | None) -> Json:
        out: Json = {
            "id": self.id,
            "client": f"c{self.lane}",
            "kind": self.kind,
            "call": self.call,
        }
        if end:
            out["return"] = end
        if self.asked:
            out["in"] = self.asked
        out["outcome"] = outcome
        out.update((name, said) for name, said in more.items() if said)
        return {"op": out}


class Stream:
    """A stream under way that is recorded."""

    def __init__(self, capture: Capture, op: Operation | None, inner: OpenStream) -> None:
        self.capture, self.op, self.inner = capture, op, inner

    def cancel(self) -> Any:
        self.capture.left(self.op)
        return self.inner.cancel()


class Capture:
    """Records into one file. Many clients of one daemon may share it."""

    def __init__(self, path: str, redact: bool) -> None:
        self.path = path
        self.users = 0
        self._forked = False
        self._digests = Digests(os.urandom(32)) if redact else None
        self._reset()

    def _reset(self) -> None:
        # The garbage collector may end a stream while its thread holds the lock.
        self._lock = threading.RLock()
        self._lines: Lines | None = None
        self._dead = False  # the file could not be opened, or this module has a bug
        self._closed = False
        self._began = time.monotonic_ns() - 1  # no time is 0
        self._ids = 0
        self._lanes = 0
        self._free: list[int] = []
        self._under_way: dict[int, Operation] = {}
        self._pages: OrderedDict[str, int] = OrderedDict()
        #: Transactions of which a part is missing. The rest of them is left out too: a reader
        #: takes a transaction that is not in the file for another client's, but cannot make
        #: sense of half a one.
        self._holes: set[str] = set()

    def follow(self, logic: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Passes on the effects of some logic, and records the requests among them."""
        try:
            effect = next(logic)
            while True:
                op, mine = self._before(effect)
                try:
                    result = yield mine
                except GeneratorExit:
                    self.left(op)
                    raise
                except BaseException as failed:  # for the logic to handle
                    self._failed(op, failed)
                    effect = logic.throw(failed)
                else:
                    effect = logic.send(self._after(op, effect, result))
        except StopIteration as end:
            return cast("T", end.value)
        finally:
            logic.close()

    def _before(self, effect: Any) -> tuple[Operation | None, Any]:
        if isinstance(effect, Receive) and isinstance(effect.stream, Stream):
            return effect.stream.op, Receive(effect.stream.inner)
        if isinstance(effect, (Call, Open)) and (kind := words.KINDS.get(effect.method)):
            try:
                return self._call(kind, effect.request), effect
            except Exception as error:
                self._give_up(error)
        return None, effect

    def _after(self, op: Operation | None, effect: Any, result: Any) -> Any:
        try:
            if isinstance(effect, Open):
                return Stream(self, op, result)
            if op is not None and isinstance(effect, Call):
                self._answer(op, result)
            elif op is not None and isinstance(effect, Receive):
                if result is None:
                    self._end(op, "ok", error=None)
                else:
                    self._batch(op, result)
        except Exception as error:
            self._give_up(error)
        return result

    def _failed(self, op: Operation | None, failed: BaseException) -> None:
        if op is not None:
            try:
                outcome, error = words.outcome(failed)
                self._end(op, outcome, error=error)
            except Exception as mistake:
                self._give_up(mistake)

    def _now(self) -> int:
        return time.monotonic_ns() - self._began

    def _call(self, kind: str, request: Message) -> Operation | None:
        """Records that a request is about to be sent."""
        op = Operation(kind, words.asked(kind, request))
        token = getattr(request, "page_token", "")
        with self._lock:
            if not self._open():
                return None
            if token:
                page = self._pages.get(token)
                op.complete = page is not None
                op.asked["page_of"] = page
            op.complete = op.complete and op.asked.get("txn") not in self._holes
            self._ids += 1
            op.id = self._ids
            if self._free:
                op.lane = heapq.heappop(self._free)
            else:
                self._lanes += 1
                op.lane = self._lanes
            self._under_way[op.id] = op
            op.call = self._now()
        return op

    def _answer(self, op: Operation, response: Message) -> None:
        def lines() -> list[Json]:
            return [op.line("ok", end, out=words.answered(op.kind, op.asked, response))]

        with self._lock:
            if not (end := self._over(op)):
                return
            if not self._put(op, lines, response.ByteSize(), 1):
                self._holes.add(getattr(response, "txn_id", ""))  # if it began one
            elif token := getattr(response, "next_page_token", ""):
                self._pages[token] = op.id  # of several with this token the last one counts
                self._pages.move_to_end(token)
                if len(self._pages) > _PAGES:
                    self._pages.popitem(last=False)

    def _end(self, op: Operation, outcome: str, error: Json | None) -> None:
        """Records how a request failed, or that a stream came to its end."""
        with self._lock:
            if (end := self._over(op)) and not op.written:
                self._put_stream(op, lambda: op.line(outcome, end, error=error))

    def left(self, op: Operation | None) -> None:
        """Records that the client has given up: the outcome is unknown."""
        if op is not None:
            with self._lock:
                if self._over(op) and not op.written:
                    self._put_stream(op, lambda: op.line("unknown"))

    def _batch(self, op: Operation, message: Any) -> None:
        """Records a message of a stream."""
        with self._lock:
            if op.id not in self._under_way:
                return
            now, size = self._now(), message.ByteSize()
            if op.written:
                if not self._put(
                    op, lambda: [{"batch": words.batch(op.id, now, message)}], size, 0
                ):
                    self._over(op)  # later messages would look as if the daemon skipped some
                return
            op.batches.append((now, message))
            op.held += size
            # The line of an operation comes before those of its batches, and a watch never ends.
            if op.kind == "watch" or op.held > _HELD:
                self._put_stream(op, lambda: op.line("unknown"))

    def _put_stream(self, op: Operation, line: Any) -> None:
        """Writes the line of a stream, and those of the messages so far."""
        batches, op.batches = op.batches, []

        def lines() -> list[Json]:
            return [line(), *({"batch": words.batch(op.id, at, m)} for at, m in batches)]

        op.written = True
        if not self._put(op, lines, op.held, 1):
            self._over(op)  # batches without their operation mean nothing

    def _over(self, op: Operation) -> int:
        """Ends an operation and returns the time. 0: it has ended already."""
        if self._under_way.pop(op.id, None) is None:
            return 0
        now = self._now()
        heapq.heappush(self._free, op.lane)
        return now

    def _put(self, op: Operation, lines: Any, size: int, operations: int) -> bool:
        assert self._lines is not None  # noqa: S101  an operation was called
        if not op.complete:
            self._lines.lose(op.call, operations, "what it goes on with is missing")
        else:

            def make() -> list[Json]:
                made = lines()
                if self._digests is not None:
                    made = self._digests.redact(made)
                return cast("list[Json]", made)

            if self._lines.put(Entry(make, size + 500, op.call, operations)):
                return True
        if len(self._holes) > _HOLES:
            self._holes.clear()  # the oldest of them have ended long ago
        self._holes.add(op.asked.get("txn", ""))
        return False

    def _open(self) -> bool:
        """Opens the file when there is something to write. False: nothing is recorded."""
        if self._closed and self._forked:
            self.again()
        if self._dead or self._closed:
            return False
        if self._lines is None:
            header: Json = {
                "format": "statehouse-history",
                "version": 1,
                "source": "client",
                "build": f"statehouse-python {__version__}",
                "unit": "ns",
            }
            if self._digests is not None:
                header["redaction"] = "digest"
            try:
                self._lines = Lines(self.path, header, self._now)
            except OSError as error:
                self._give_up(error)
        return not self._dead

    def _give_up(self, error: Exception) -> None:
        """Stops recording. The program goes on without a history."""
        log.warning("statehouse: %s is recorded no longer: %r", self.path, error)
        self._dead = True

    def close(self) -> None:
        """Writes what is known and ends the file. :meth:`again` continues it."""
        with self._lock:
            if self._closed:
                return
            for op in list(self._under_way.values()):
                self.left(op)
            self._closed = True
            lines = self._lines
            if lines is not None and self._dead:
                lines.lose(1, 0, "recording stopped")
        if lines is not None:
            lines.close()

    def again(self) -> bool:
        """Continues a file that was ended. False: it cannot."""
        if self._dead or (self._lines is not None and not self._lines.resume()):
            return False
        self._closed = False
        return True

    def forked(self) -> None:
        """Starts anew in a forked child, for the file is its parent's. Which clients the child
        uses is unknown, so each one that is closed ends the file, and the next continues it.
        """
        self.users, self._forked = 0, True
        if self._lines is not None:
            self._lines.forget()
        self._reset()
