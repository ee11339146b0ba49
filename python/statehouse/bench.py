"""Measures this client: ``python -m statehouse.bench``.

One-shot commits and reads a second of one process, the blocking client one call at a
time and the awaited one with many in flight; how much of a call the conversion of values
is; what transactions take beside one-shot commits, in turn, so that noise hits all alike;
and the Go client on the same daemon, when ``statehousectl`` is found. It starts a
daemon of its own on disk, unless told of one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Callable

from statehouse import AsyncStatehouse, Statehouse
from statehouse._values import from_json, to_json
from statehouse.testing import BinaryNotFound, Daemon, find_binary

#: A step of an agent, 310 bytes of JSON.
VALUE = {
    "step": 3,
    "goal": "Find the population of Paris and of London, and compare them",
    "tool": {"name": "search", "arguments": {"query": "population of Paris", "limit": 5}},
    "result": ["2.1 million in the city", "13 million in the region"],
    "score": 0.875,
    "done": False,
    "messages": [{"role": "user", "content": "Which one is larger?"}],
}
KEYS = 100


@dataclass
class Measurement:
    """One line of the report."""

    name: str
    client: str
    in_flight: int
    per_second: float


@dataclass
class Ratio:
    """Compares measurements with an aim."""

    name: str
    value: float
    aim: str
    met: bool


def measure_blocking(url: str, namespace: str, seconds: float) -> list[Measurement]:
    """One call after the other."""
    with Statehouse(url, namespace) as client:
        calls: dict[str, Callable[[int], Any]] = {
            "commit": lambda n: client.write("bench", f"k{n % KEYS}", VALUE),
            "get": lambda n: client.get_state("bench", f"k{n % KEYS}"),
        }
        out = []
        for name, call in calls.items():
            for n in range(KEYS):
                call(n)
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds:
                call(count)
                count += 1
            out.append(Measurement(name, "python, blocking", 1, count / elapsed))
        return out


async def measure_awaited(
    url: str, namespace: str, seconds: float, in_flight: int
) -> list[Measurement]:
    """Many calls at once."""
    async with AsyncStatehouse(url, namespace) as client:

        async def commit(n: int) -> None:
            await client.write("bench", f"k{n % KEYS}", VALUE)

        async def get(n: int) -> None:
            await client.get_state("bench", f"k{n % KEYS}")

        out = []
        for name, call in (("commit", commit), ("get", get)):
            await asyncio.gather(*(call(n) for n in range(KEYS)))
            count, start = 0, time.perf_counter()
            end = start + seconds

            async def worker(call: Any, end: float) -> int:
                done = 0
                while time.perf_counter() < end:
                    await call(done)
                    done += 1
                return done

            count = sum(await asyncio.gather(*(worker(call, end) for _ in range(in_flight))))
            elapsed = time.perf_counter() - start
            out.append(Measurement(name, "python, awaited", in_flight, count / elapsed))
        return out


def measure_transactions(url: str, namespace: str, seconds: float) -> dict[str, float]:
    """Takes the median milliseconds of transactions, and of what does the same without them."""
    with Statehouse(url, namespace) as client:

        def transaction(reads: int, writes: int) -> None:
            with client.begin_transaction() as tx:
                for n in range(reads):
                    tx.get_state("bench", f"k{n}")
                for n in range(writes):
                    tx.write("bench", f"k{n}", VALUE)

        def read_and_write() -> None:
            client.get_state("bench", "k0")
            client.write("bench", "k0", VALUE)

        calls: dict[str, Callable[[], None]] = {
            "one-shot": lambda: void(client.write("bench", "k0", VALUE)),
            "1 write": lambda: transaction(0, 1),
            "10 writes": lambda: transaction(0, 10),
            "read, one-shot": read_and_write,
            "1 read, 1 write": lambda: transaction(1, 1),
        }
        took: dict[str, list[float]] = {name: [] for name in calls}
        end = time.perf_counter() + seconds * len(calls)
        while time.perf_counter() < end:
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                took[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) * 1e3 for name, each in took.items()}


def void(_: object) -> None:
    """Forgets a result."""


def transaction_ratios(p50: dict[str, float]) -> list[Ratio]:
    """Compares transactions with what does the same without them."""
    out = []
    for name, base, most in (
        ("1 write", "one-shot", 1.2),
        ("10 writes", "one-shot", 1.3),
        ("1 read, 1 write", "read, one-shot", 1.2),
    ):
        ratio = p50[name] / p50[base]
        out.append(Ratio(f"transaction, {name} / {base}", ratio, f"<= {most}", ratio <= most))
    return out


def measure_go(url: str, seconds: float, in_flight: int) -> list[Measurement]:
    """The Go client, by ``statehouse-bench``; nothing when there is none."""
    try:
        program = find_binary("statehouse-bench")
    except BinaryNotFound:
        return []
    flags = [f"--address={url}", "--json", "--yes", "--rounds=1", "--connections=1"]
    flags += [f"--clients=1,{in_flight}", f"--duration={seconds}s"]
    flags += ["--cases=read,commit", "--records=1000"]
    run = subprocess.run([program, *flags], capture_output=True, text=True, timeout=600, check=True)
    names = {"read": "get", "commit": "commit"}
    return [
        # The Go client sends its calls in a session by itself.
        Measurement(names[m["case"]], "go", m["clients"], m["per_second"])
        for m in json.loads(run.stdout)["measurements"]
        if m["case"] in names and m["target"] == "statehouse, session" and m["per_second"]
    ]


def conversion_seconds() -> dict[str, float]:
    """Measures converting the value: to JSON for a commit, from it for a read."""
    text = to_json(VALUE)
    return {
        "commit": _best(lambda: to_json(VALUE)),
        "get": _best(lambda: from_json(text)),
    }


def _best(call: Callable[[], object], rounds: int = 5, calls: int = 2000) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def ratios(measured: list[Measurement], conversion: dict[str, float]) -> list[Ratio]:
    """Compares what was measured with what is aimed at."""
    blocking = {m.name: m.per_second for m in measured if m.client == "python, blocking"}
    awaited = {m.name: m.per_second for m in measured if m.client == "python, awaited"}
    out = []
    for name in ("commit", "get"):
        speedup = awaited[name] / blocking[name]
        out.append(Ratio(f"{name}: awaited / blocking", speedup, ">= 3", speedup >= 3))
    for client, rates in (("blocking", blocking), ("awaited", awaited)):
        for name, rate in rates.items():
            share = conversion[name] * rate
            text = f"{name}, {client}: converting the value / the call"
            out.append(Ratio(text, share, "< 0.1", share < 0.1))
    for m in measured:
        if m.client == "go":
            rates = blocking if m.in_flight == 1 else awaited
            ratio = rates[m.name] / m.per_second
            out.append(Ratio(f"{m.name}, {m.in_flight} in flight: python / go", ratio, "", True))
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m statehouse.bench", description=__doc__)
    parser.add_argument("--url", help="a running daemon; what is written stays there")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement; 3")
    parser.add_argument("--in-flight", type=int, default=64, help="of the awaited client; 64")
    parser.add_argument("--no-go", action="store_true", help="leave the Go client out")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args(arguments)
    with ExitStack() as stack:
        url = args.url or stack.enter_context(Daemon(on_disk=True)).url
        namespace = f"bench-{uuid.uuid4()}"
        measured = measure_blocking(url, namespace, args.seconds)
        p50 = measure_transactions(url, namespace, args.seconds)
        measured += asyncio.run(measure_awaited(url, namespace, args.seconds, args.in_flight))
        if not args.no_go:
            measured += measure_go(url, args.seconds, args.in_flight)
    conversion = conversion_seconds()
    compared = ratios(measured, conversion) + transaction_ratios(p50)
    if args.json:
        report = {
            "measurements": [asdict(m) for m in measured],
            "transaction_p50_ms": p50,
            "conversion_us": {name: s * 1e6 for name, s in conversion.items()},
            "ratios": [asdict(r) for r in compared],
        }
        print(json.dumps(report, indent=2))
        return 0
    print(f"{'':10} {'client':20} {'in flight':>10} {'per second':>12}")
    for m in measured:
        print(f"{m.name:10} {m.client:20} {m.in_flight:10} {m.per_second:12,.0f}")
    print(f"\n{'blocking, one client':31} {'p50 ms':>8}")
    for name, median in p50.items():
        print(f"{name:31} {median:8.3f}")
    print(f"\n{'ratio':56} {'value':>8}   aim")
    for r in compared:
        print(f"{r.name:56} {r.value:8.3f}   {r.aim}{'' if r.met else '  missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
