"""Fixtures for pytest. In ``conftest.py``: ``pytest_plugins = ["statehouse.testing.plugin"]``.

``statehouse_daemon``
    A daemon in memory, one for all tests.
``statehouse_client``
    A client of it, in a namespace of its own for each test: tests do not see each other.
``statehouse_on_disk``
    A daemon with a store on disk, one for each test that asks: for ``crash()`` and
    ``restart()``.
"""

from __future__ import annotations

import uuid
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
def statehouse_client(statehouse_daemon: Daemon) -> Iterator[Statehouse]:
    """A client in a fresh namespace."""
    with statehouse_daemon.client(namespace=f"test-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture
def statehouse_on_disk(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a store on disk."""
    with Daemon(tmp_path / "data") as daemon:
        yield daemon
