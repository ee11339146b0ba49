"""Writing down what a client asks and is told, as a history (docs/HISTORY.md).

It sits between the logic, which says what it wants done, and whoever does it
(``_effects``), so blocking and awaited clients are recorded by the same code: what is
written down is each request that is sent, retries and all.
"""

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
#: How many transactions that are not whole are remembered.
_HOLES = 100_000
#: How many bytes of a replay are held back until it is known how it ended. Of a longer
#: one that stays unknown.
_HELD = 16 << 20


class Operation:
    """One request."""

    __slots__ = ("asked", "batches", "call", "complete", "held", "id", "kind", "lane", "written")

    def __init__(self, kind: str, asked: Json) -> None:
        self.kind = kind
        self.asked = asked
        self.id = self.lane = self.call = 0
        self.complete = True  # False: it goes on with something that was not recorded
        # Of a stream: messages that came and are not written, with the times at which
        # they did.
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
    """A recorded stream under way."""

    def __init__(self, capture: Capture, op: Operation | None, inner: OpenStream) -> None:
        self.capture, self.op, self.inner = capture, op, inner

    def cancel(self) -> Any:
        self.capture.left(self.op)
        return self.inner.cancel()


class Capture:
    """What becomes a file. Many clients of one daemon may share it."""

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
        self._dead = False  # it could not be opened, or there is a mistake in here
        self._closed = False
        self._began = time.monotonic_ns() - 1  # no time is 0
        self._ids = 0
        self._lanes = 0
        self._free: list[int] = []
        self._under_way: dict[int, Operation] = {}
        self._pages: OrderedDict[str, int] = OrderedDict()
        #: Transactions of which something is missing. Of those that were asked for and are
        #: not here a reader thinks that somebody else made them; half a one is a riddle.
        self._holes: set[str] = set()

    def follow(self, logic: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Hands on what logic wants done, and writes down what becomes of it."""
        try:
            effect = next(logic)
            while True:
                op, mine = self._before(effect)
                try:
                    result = yield mine
                except GeneratorExit:
                    self.left(op)
                    raise
                except BaseException as failed:  # logic's to handle
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
        """Writes down that something is about to be sent."""
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
                self._holes.add(getattr(response, "txn_id", ""))  # of one that it began
            elif token := getattr(response, "next_page_token", ""):
                self._pages[token] = op.id  # the last one that was told it counts
                self._pages.move_to_end(token)
                if len(self._pages) > _PAGES:
                    self._pages.popitem(last=False)

    def _end(self, op: Operation, outcome: str, error: Json | None) -> None:
        """Writes down how a request failed, or that a stream came to its end."""
        with self._lock:
            if (end := self._over(op)) and not op.written:
                self._put_stream(op, lambda: op.line(outcome, end, error=error))

    def left(self, op: Operation | None) -> None:
        """Writes down that nobody waits any longer: what would have come is unknown."""
        if op is not None:
            with self._lock:
                if self._over(op) and not op.written:
                    self._put_stream(op, lambda: op.line("unknown"))

    def _batch(self, op: Operation, message: Any) -> None:
        """Writes down a message of a stream."""
        with self._lock:
            if op.id not in self._under_way:
                return
            now, size = self._now(), message.ByteSize()
            if op.written:
                if not self._put(
                    op, lambda: [{"batch": words.batch(op.id, now, message)}], size, 0
                ):
                    self._over(op)  # what comes after a hole would look as if that was skipped
                return
            op.batches.append((now, message))
            op.held += size
            # A watch goes on for ever; the operation's line comes before its batches'.
            if op.kind == "watch" or op.held > _HELD:
                self._put_stream(op, lambda: op.line("unknown"))

    def _put_stream(self, op: Operation, line: Any) -> None:
        """Puts an operation and what has come of it so far."""
        batches, op.batches = op.batches, []

        def lines() -> list[Json]:
            return [line(), *({"batch": words.batch(op.id, at, m)} for at, m in batches)]

        op.written = True
        if not self._put(op, lines, op.held, 1):
            self._over(op)  # what follows has nothing to follow

    def _over(self, op: Operation) -> int:
        """Answers when an operation ended: now. 0: it is over already."""
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
            self._holes.clear()  # of those before these hardly anything comes any more
        self._holes.add(op.asked.get("txn", ""))
        return False

    def _open(self) -> bool:
        """Makes the file when there is something to write."""
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
        """Goes on without a history: programs do not fail because nobody writes theirs."""
        log.warning("statehouse: %s is recorded no longer: %r", self.path, error)
        self._dead = True

    def close(self) -> None:
        """Writes what is known and ends the file. It can be gone on with."""
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
        """Tells whether it can be gone on with, and does."""
        if self._dead or (self._lines is not None and not self._lines.resume()):
            return False
        self._closed = False
        return True

    def forked(self) -> None:
        """Begins anew in a child: the file is its parent's. Nobody knows which of the clients
        are used in here, so each that is closed ends the file, and the next goes on.
        """
        self.users, self._forked = 0, True
        if self._lines is not None:
            self._lines.forget()
        self._reset()
