#!/usr/bin/env python3
"""Measures the LangGraph checkpointer: python langgraph_bench.py [--postgres URI].

Times put and get_tuple of a thread of 20 messages, with PostgreSQL's saver beside it in turns, so
that what else the machine does meets both; what 1,000 steps of a growing conversation take on disk
beside the bytes of their values; and pages of a list of 10,000 checkpoints. The daemon is one of
its own, on disk, and syncs.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint

from statehouse.langgraph import StatehouseSaver
from statehouse.testing import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint


class Conversation:
    """A thread whose channel of messages grows by one a step."""

    def __init__(self, saver: BaseCheckpointSaver[Any], words: int = 30) -> None:
        self.saver = saver
        self.config: Any = {"configurable": {"thread_id": str(uuid.uuid4()), "checkpoint_ns": ""}}
        self.thread = self.config
        self.messages: list[Any] = []
        self.versions: dict[str, Any] = {}
        self.step = -1
        self.words = words

    def next(self) -> tuple[Any, Checkpoint, Any, Any]:
        """Makes the arguments of the next put."""
        self.step += 1
        kind = AIMessage if self.step % 2 else HumanMessage
        said = f"{self.step}: " + " ".join(uuid.uuid4().hex[:6] for _ in range(self.words))
        self.messages = [*self.messages, kind(said, id=str(uuid.uuid4()))]
        before = self.versions.get("messages")
        new = {"messages": self.saver.get_next_version(before, None)}
        self.versions = {**self.versions, **new}
        checkpoint = create_checkpoint(empty_checkpoint(), None, self.step)
        checkpoint["v"] = 4
        checkpoint["channel_values"] = {"messages": self.messages}
        checkpoint["channel_versions"] = self.versions
        checkpoint["versions_seen"] = {"model": dict(self.versions)}
        return self.config, checkpoint, {"source": "loop", "step": self.step, "parents": {}}, new

    def put(self) -> None:
        """Puts the next step."""
        self.config = self.saver.put(*self.next())


def times(savers: dict[str, Any], rounds: int) -> None:
    """Prints the median of put and get_tuple of a thread of 20 messages."""
    took: dict[tuple[str, str], list[float]] = {}

    def timed(name: str, what: str, call: Callable[[], Any]) -> None:
        begin = time.perf_counter()
        call()
        took.setdefault((what, name), []).append(time.perf_counter() - begin)

    for _ in range(rounds):
        for name, saver in savers.items():
            talk = Conversation(saver)
            for _ in range(19):
                talk.put()
            arguments = talk.next()
            timed(name, "put", lambda s=saver, a=arguments: s.put(*a))
            for _ in range(3):
                timed(name, "get_tuple", lambda s=saver, t=talk: s.get_tuple(t.thread))
                # By a saver that does not know the thread: of another process, or after a restart.
                other = StatehouseSaver(saver.client) if name == "statehouse" else saver
                timed(name, "get_tuple, first", lambda s=other, t=talk: s.get_tuple(t.thread))
    for what in ("put", "get_tuple", "get_tuple, first"):
        mine = statistics.median(took[what, "statehouse"]) * 1e3
        line = f"{what}, 20 messages, p50: statehouse {mine:.3f} ms"
        if (what, "postgres") in took:
            other = statistics.median(took[what, "postgres"]) * 1e3
            line += f", postgres {other:.3f} ms: {other / mine:.2f} times as fast"
        print(line)


def storage(daemon: Daemon, directory: Path, steps: int) -> None:
    """Prints what a growing conversation takes on disk, beside the bytes of its values."""
    saver = StatehouseSaver(daemon.client(namespace="storage"))
    talk = Conversation(saver)
    before, bytes_of_values = size(directory), 0
    for _ in range(steps):
        talk.put()
        bytes_of_values += len(saver.serde.dumps_typed(talk.messages)[1])
    taken = size(directory) - before
    print(
        f"{steps} steps of a growing conversation: {taken:,} bytes on disk for values of"
        f" {bytes_of_values:,}: {taken / bytes_of_values:.2f}"
    )


def size(directory: Path) -> int:
    """The bytes of all files in a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def pages(daemon: Daemon, checkpoints: int) -> None:
    """Prints what pages of a list cost at its begin and far down."""
    saver = StatehouseSaver(daemon.client(namespace="pages"))
    talk = Conversation(saver, words=3)
    for _ in range(checkpoints):
        talk.messages = talk.messages[-3:]
        talk.put()
    took: dict[int, list[float]] = {}
    for _ in range(5):
        before, number = None, 0
        while True:
            begin = time.perf_counter()
            page = list(saver.list(talk.thread, before=before, limit=10))
            if not page:
                break
            number += 1
            took.setdefault(number, []).append(time.perf_counter() - begin)
            before = page[-1].config
    for number in (1, 2, 100, len(took) - 1):
        print(f"page {number} of {checkpoints} checkpoints, by 10: {at(took[number])}")


def at(seconds: list[float]) -> str:
    """Shows a median."""
    return f"{statistics.median(seconds) * 1e3:.2f} ms"


@contextlib.contextmanager
def postgres(uri: str | None) -> Iterator[dict[str, Any]]:
    """PostgreSQL's saver, if there is one to compare with."""
    if uri is None:
        yield {}
        return
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(uri) as saver:
        saver.setup()
        yield {"postgres": saver}


def main() -> int:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--postgres", help="the URI of a database to measure beside")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--checkpoints", type=int, default=10_000)
    given = parser.parse_args()
    with Daemon(on_disk=True) as daemon, postgres(given.postgres) as others:
        times({"statehouse": StatehouseSaver(daemon.client()), **others}, given.rounds)
        if given.steps:
            storage(daemon, Path(daemon.data_dir), given.steps)
        if given.checkpoints:
            pages(daemon, given.checkpoints)
    return 0


if __name__ == "__main__":
    sys.exit(main())
