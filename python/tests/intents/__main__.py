"""Runs programs against a daemon until the standard input ends, and writes two histories: of
what their users asked (intents.jsonl), and of the requests on the wire (wire.jsonl).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, Callable

from statehouse import AsyncStatehouse, Statehouse
from statehouse._aio import transport

from intents.programs import Env, work
from intents.recorded import Client, drive
from intents.recorder import Recorder

#: Seconds that one try of a call may take: answers that never come are given up soon.
ATTEMPT = 0.4
#: What clients have as their timeout. None: they never give up.
TIMEOUTS = (None, 0.15, 0.15, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="intents")
    parser.add_argument("--address", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--kind", choices=("sync", "async"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="a directory for the histories")
    given = parser.parse_args()
    if given.seed % 2:  # or else too few calls are under way for them to share a stream
        setattr(transport, "BUSY", 0)  # noqa: B010  not exported
    stop = threading.Event()
    threading.Thread(target=_await_end, args=[stop], daemon=True).start()
    runs: Callable[[Any], Any] = drive if given.kind == "sync" else asyncio.run
    runs(_run(given, stop)).write(given.out / "intents.jsonl")


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


async def _run(given: argparse.Namespace, stop: threading.Event) -> Recorder:
    random = Random(given.seed)
    kind = Statehouse if given.kind == "sync" else AsyncStatehouse
    inner: Any = None
    clients, envs = [], []
    recorder: Recorder | None = None
    for n in range(1, given.clients + 1):
        timeout = random.choice(TIMEOUTS)
        if inner is None or random.random() < 0.6:  # some share a connection
            inner = kind(
                given.address,
                attempt_timeout=ATTEMPT,
                page_size=random.randint(1, 6),
                capture=given.out / "wire.jsonl",
            )
            clients.append(inner)
        recorder = recorder or Recorder(inner._capture._now)
        client = Client(recorder, f"c{n}", inner.with_options(timeout=timeout), timeout is None)
        envs.append(Env(client, Random(random.random()), f"c{n}", given.kind == "async"))
    assert recorder is not None
    if given.kind == "sync":
        with ThreadPoolExecutor(len(envs)) as threads:
            list(threads.map(lambda env: drive(work(env, stop.is_set)), envs))
        for one in clients:
            one.close()
    else:
        await asyncio.gather(*(work(env, stop.is_set) for env in envs))
        for one in clients:
            await one.close()
    return recorder


main()
