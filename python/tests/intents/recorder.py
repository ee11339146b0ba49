"""The operations of a history of intents, and its lines."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Callable

from intents.words import Json, outcome, passing, present

if TYPE_CHECKING:
    from pathlib import Path

#: The key in a commit's metadata that names the call which asked for it.
TAG = "intent"


class Op:
    """A call."""

    def __init__(self, number: int, client: str, kind: str, call: int, asked: Json) -> None:
        self.id, self.client, self.kind, self.call, self.asked = number, client, kind, call, asked
        self.end = 0
        self.outcome = "unknown"
        self.out: Json = {}
        self.error: Json = {}
        self.batches: list[Json] = []

    @property
    def tag(self) -> str:
        return f"{self.client}-{self.id}"

    def line(self) -> Json:
        line: Json = {"id": self.id, "client": self.client, "kind": self.kind, "call": self.call}
        line.update({"return": self.end} if self.end else {}, outcome=self.outcome)
        for name, member in (("in", self.asked), ("out", self.out), ("error", self.error)):
            line.update({name: member} if member else {})
        return line


class Recorder:
    """Writes down what users of clients asked and were told. Threads may use it at once."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._clock = now  # that of the history of the wire
        self._lock = threading.Lock()
        self._last = 0
        self._ops: list[Op] = []
        self._titles: dict[str, str] = {}  # of transactions, by the ids that users know
        self._begun: list[tuple[Op, Any]] = []

    def now(self) -> int:
        """Returns a moment: no two are the same."""
        with self._lock:
            return self._moment()

    def _moment(self) -> int:
        self._last = max(self._last + 1, self._clock())
        return self._last

    def call(self, client: str, kind: str, asked: Json) -> Op:
        with self._lock:
            op = Op(len(self._ops) + 1, client, kind, self._moment(), asked)
            self._ops.append(op)
            return op

    def tagged(self, client: str, kind: str, asked: Json) -> Op:
        """Is ``call`` of one that commits."""
        op = self.call(client, kind, dict(asked))
        op.asked.setdefault("txn", op.tag)
        op.asked["metadata"] = {**op.asked.get("metadata", {}), TAG: op.tag}
        return op

    def title(self, txn_id: str | None) -> str | None:
        with self._lock:
            return self._titles.get(txn_id or "")

    def learn(self, txn_id: str, title: str) -> None:
        with self._lock:
            self._titles.setdefault(txn_id, title)

    def ok(self, op: Op, out: Json) -> None:
        with self._lock:
            op.end, op.outcome, op.out = self._moment(), "ok", out

    def begun(self, op: Op, txn: Any) -> None:
        """Writes down that a transaction has begun. Its snapshot is that of its first read."""
        self.ok(op, {"txn": op.tag})
        self._begun.append((op, txn))

    def failed(self, op: Op, failed: BaseException, *, tireless: bool = False) -> None:
        """Writes down an error. ``tireless``: the call was to be tried again for ever. Of one that
        was cancelled its user knows nothing.
        """
        with self._lock:
            op.outcome, op.error = outcome(op.kind, failed)
            if isinstance(failed, Exception):
                op.end = self._moment()
            if tireless and passing(failed):
                self._gave_up(op)

    def gave_up(self, op: Op) -> None:
        with self._lock:
            self._gave_up(op)

    def _gave_up(self, op: Op) -> None:
        op.error["details"] = {**op.error.get("details", {}), "gave_up": op.error["code"]}

    def batch(self, op: Op, cursor: int, event: Json | None) -> None:
        with self._lock:
            batch = {"op": op.id, "time": self._moment(), "cursor": cursor}
            op.batches.append(batch if event is None else {**batch, "events": [event]})

    def write(self, path: Path) -> None:
        header = {"format": "statehouse-history", "version": 1, "source": "intent", "unit": "ns"}
        lines: list[Json] = [header]
        for op, txn in self._begun:
            op.out.update(present(snapshot=txn.snapshot_ts))
        for op in self._ops:
            lines.append({"op": op.line()})
            lines += ({"batch": batch} for batch in op.batches)
        lines.append({"end": {"complete": False, "lines": len(lines)}})
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
