"""Puts our session in the place of the SDK's SQLiteSession, for the SDK's own tests of that:
a plugin of pytest. Tests that look into SQLite are about that, and skipped.
"""

import inspect
import os
import uuid
from pathlib import Path

import agents
import agents.memory
import pytest

from statehouse import Statehouse
from statehouse.openai_agents import StatehouseSession

#: What tests mention that are about SQLite: its module, connections, locks, close.
ABOUT_SQLITE = ("sqlite3", "session._", "_connection", "_lock", "is closed")
TESTS = "tests/memory/test_session.py tests/memory/test_session_limit.py"
_clients = {}


class InThePlaceOfSQLite(StatehouseSession):
    """A database file is a namespace, and one in memory a namespace of its own."""

    def __init__(self, session_id, db_path=":memory:", session_settings=None, **_):
        file = str(uuid.uuid4()) if str(db_path) == ":memory:" else str(Path(db_path).absolute())
        namespace = f"file-{uuid.uuid5(uuid.NAMESPACE_URL, file)}"
        if namespace not in _clients:
            _clients[namespace] = Statehouse(os.environ["STATEHOUSE_ADDRESS"], namespace=namespace)
        super().__init__(session_id, _clients[namespace], session_settings=session_settings)

    def close(self):
        """SQLite has files to close."""


if os.environ.get("ADAPTED_STORE") != "own":
    agents.SQLiteSession = InThePlaceOfSQLite
    agents.memory.SQLiteSession = InThePlaceOfSQLite


def pytest_collection_modifyitems(items):
    for item in items:
        source = inspect.getsource(item.function)
        found = next((word for word in ABOUT_SQLITE if word in source), None)
        if found:
            item.add_marker(pytest.mark.skip(reason="about SQLite"))
