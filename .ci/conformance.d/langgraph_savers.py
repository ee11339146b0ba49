"""Puts LangGraph's savers to its suite, and Statehouse's to what it promises beyond it.

Writes rows to $CONFORMANCE_ROWS; langgraph.sh says what it finds where.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import uuid
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import langgraph.checkpoint.conformance as suite
import langgraph.checkpoint.conformance.spec as spec
from langgraph.checkpoint.base import BaseCheckpointSaver, create_checkpoint, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import CapabilityResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from statehouse.langgraph import AsyncStatehouseSaver, StatehouseSaver, ThreadConflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROUNDS = 1000
WORK = Path(os.environ["CONFORMANCE_DIR"])
POSTGRES = os.environ.get("POSTGRES")
#: A capability, its method, and the tests of it that releases of the suite do not have yet.
DELTA, DELTA_METHOD = "delta_channel_history", "aget_delta_channel_history"
DELTA_TESTS, DELTA_COMMIT = Path(__file__).parent / "delta_channels", "f09cfe8"


@contextlib.asynccontextmanager
async def awaited() -> AsyncIterator[Any]:
    async with AsyncStatehouseSaver.from_url(namespace=f"suite-{uuid.uuid4()}") as saver:
        yield saver


@contextlib.asynccontextmanager
async def blocking() -> AsyncIterator[Any]:
    with StatehouseSaver.from_url(namespace=f"suite-{uuid.uuid4()}") as saver:
        yield saver


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[Any]:
    yield InMemorySaver()


@contextlib.asynccontextmanager
async def sqlite() -> AsyncIterator[Any]:
    async with AsyncSqliteSaver.from_conn_string(str(WORK / f"{uuid.uuid4()}.db")) as saver:
        yield saver


@contextlib.asynccontextmanager
async def postgres() -> AsyncIterator[Any]:
    async with AsyncPostgresSaver.from_conn_string(str(POSTGRES)) as saver:
        await saver.setup()
        yield saver


def packaged(store: str, name: str) -> str:
    return f"{store} ({name} {metadata.version(name)})"


def savers() -> dict[str, tuple[str, Callable[[], Any]]]:
    """Each saver's name in its row, by what is tested."""
    found = {
        "LangGraph checkpointer, awaited": ("Statehouse", awaited),
        "LangGraph checkpointer, blocking": ("Statehouse", blocking),
        "memory": (packaged("in memory", "langgraph-checkpoint"), memory),
        "sqlite": (packaged("SQLite", "langgraph-checkpoint-sqlite"), sqlite),
    }
    if POSTGRES:
        name = "langgraph-checkpoint-postgres"
        found["postgres"] = (packaged("PostgreSQL", name), postgres)
    return found


def version() -> str:
    """The suite's version: PyPI's, unless a checkout comes before it."""
    own = metadata.version("langgraph-checkpoint-conformance")
    checkout = os.environ.get("LANGGRAPH_SUITE")
    if not checkout:
        return f"{own}, delta channels of the repository at {DELTA_COMMIT}"
    if checkout not in str(suite.__file__):
        raise SystemExit(f"LANGGRAPH_SUITE is {checkout}, but the suite is {suite.__file__}")
    git = ["git", "-C", checkout, "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return f"{own}, of the repository {f'at {commit}' if commit else ''}".strip()


async def delta_channels(make: Callable[[], Any]) -> Any:
    """What the suite says of delta channels, by the tests that lie beside this file."""
    if DELTA_TESTS not in map(Path, spec.__path__):
        spec.__path__.append(str(DELTA_TESTS))
    tests = importlib.import_module(f"{spec.__name__}.test_{DELTA}")
    async with make() as saver:
        base = getattr(BaseCheckpointSaver, DELTA_METHOD)
        if getattr(type(saver), DELTA_METHOD) is base:
            return CapabilityResult(detected=False, passed=None)
        passed, failed, failures = await tests.run_delta_channel_history_tests(saver)
    return CapabilityResult(True, not failed, passed, failed, failures=failures)


async def put_to_the_suite(what: str, store: str, make: Callable[[], Any]) -> dict[str, Any]:
    @checkpointer_test(name=what)
    async def made() -> AsyncIterator[Any]:
        async with make() as saver:
            yield saver

    report = await validate(made)
    results = report.results
    if DELTA not in results:
        results[DELTA] = await delta_channels(make)
    missing = [name for name, result in results.items() if not result.detected]
    failures = [failure[:200] for result in results.values() for failure in result.failures or ()]
    passed = sum(result.tests_passed or 0 for result in results.values())
    row = {
        "suite": "langgraph-checkpoint-conformance",
        "version": version(),
        "tests": what if what.startswith("LangGraph") else "LangGraph checkpointer",
        "store": store,
        "passed": passed,
        "run": passed + sum(result.tests_failed or 0 for result in results.values()),
    }
    if missing:
        row["skipped"] = f"it has no {', '.join(missing)}"
    if failures:
        row["note"] = "failed: " + "; ".join(failure.split(":")[0] for failure in failures)
    if store == "Statehouse" and missing:
        row["run"] += len(missing)  # each is to be there
    return row


def workers(
    store: str, make: Callable[[], contextlib.AbstractContextManager[Any]]
) -> dict[str, Any]:
    """Two workers, each with a saver of its own, read a thread and go on from it."""
    passed = 0
    with make() as one, make() as other:
        for round_ in range(ROUNDS):
            at: Any = {"configurable": {"thread_id": f"workers-{round_ % 10}", "checkpoint_ns": ""}}
            both, went_on = threading.Barrier(2), []

            def work(saver: Any, at: Any = at, both: Any = both, went_on: Any = went_on) -> None:
                found = saver.get_tuple(at)
                both.wait()
                made = create_checkpoint(empty_checkpoint(), None, 0)
                with contextlib.suppress(ThreadConflict):
                    went_on.append(saver.put(found.config if found else at, made, {}, {}))

            threads = [threading.Thread(target=work, args=(saver,)) for saver in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            passed += len(went_on) == 1 and one.get_tuple(at).config == went_on[0]
    return {
        "suite": "two workers resume one thread, exactly one goes on (ours)",
        "version": "of this repository",
        "tests": "LangGraph checkpointer",
        "store": store,
        "passed": passed,
        "run": ROUNDS,
    }


@contextlib.contextmanager
def of_one(saver: Any) -> Iterator[Any]:
    yield saver


def all_workers() -> Iterator[dict[str, Any]]:
    yield workers("Statehouse", lambda: StatehouseSaver.from_url(namespace="workers"))
    kept = InMemorySaver()
    yield workers(packaged("in memory", "langgraph-checkpoint"), lambda: of_one(kept))
    file = str(WORK / "workers.db")
    name = packaged("SQLite", "langgraph-checkpoint-sqlite")
    yield workers(name, lambda: SqliteSaver.from_conn_string(file))
    if POSTGRES:
        name = packaged("PostgreSQL", "langgraph-checkpoint-postgres")
        yield workers(name, lambda: PostgresSaver.from_conn_string(POSTGRES))


def pytest(what: str, file: str) -> dict[str, Any]:
    """Tests of ours that stand for what no suite tests."""
    report = WORK / "report.xml"
    options = ["-q", "--tb=short", f"--junitxml={report}", "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"tests/{file}"], cwd="python", check=False
    )
    counts = {
        name: int(value)
        for name, value in (
            pair.split("=")
            for pair in report.read_text()
            .split("<testsuite ")[1]
            .split(">")[0]
            .replace('"', "")
            .split()
            if pair.split("=")[0] in ("tests", "failures", "errors")
        )
    }
    return {
        "suite": f"python/tests/{file} (ours)",
        "version": "of this repository",
        "tests": what,
        "store": "Statehouse",
        "passed": counts["tests"] - counts["failures"] - counts["errors"],
        "run": counts["tests"],
        "note": "the behaviours of PostgreSQL's store, but for vectors, which are refused",
    }


def main() -> None:
    rows = [
        asyncio.run(put_to_the_suite(what, store, make)) for what, (store, make) in savers().items()
    ]
    rows += all_workers()
    rows.append(pytest("LangGraph store", "test_langgraph_store.py"))
    with Path(os.environ["CONFORMANCE_ROWS"]).open("a") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
