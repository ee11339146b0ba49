"""Fixtures for pytest. In ``conftest.py``: ``pytest_plugins = ["statehouse.testing.plugin"]``.

``statehouse_daemon``
    A daemon in memory, one for all tests.
``statehouse_client``
    A client of it, in a namespace of its own for each test: tests do not see each other.
``statehouse_namespace``
    The name of that namespace, for clients that a test makes itself:
    ``statehouse_daemon.async_client(namespace=statehouse_namespace)``, or a program that is told
    ``statehouse_daemon.url``.
``statehouse_clock``
    A daemon in memory whose clock stands at 2026-01-01T00:00:00Z until the test moves it, one for
    each test that asks: ``statehouse_clock.advance(3600)``, ``statehouse_clock.client()``.
``statehouse_on_disk``
    A daemon with a store on disk, one for each test that asks: for ``crash()`` and
    ``restart()``.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from statehouse.testing._daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from statehouse import Statehouse


@pytest.fixture(scope="session")
def statehouse_daemon() -> Iterator[Daemon]:
    """A daemon in memory."""
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def statehouse_namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid.uuid4()}"


@pytest.fixture
def statehouse_client(statehouse_daemon: Daemon, statehouse_namespace: str) -> Iterator[Statehouse]:
    """A client in a fresh namespace."""
    with statehouse_daemon.client(namespace=statehouse_namespace) as client:
        yield client


@pytest.fixture
def statehouse_clock() -> Iterator[Daemon]:
    """A daemon whose clock the test moves."""
    with Daemon(clock=datetime(2026, 1, 1, tzinfo=timezone.utc)) as daemon:
        yield daemon


@pytest.fixture
def statehouse_on_disk(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a store on disk."""
    with Daemon(tmp_path / "data") as daemon:
        yield daemon
