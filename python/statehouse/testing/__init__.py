"""A private daemon for tests.

>>> from statehouse.testing import Daemon
>>> with Daemon() as daemon:
...     client = daemon.client()
...     client.write("a1", "k", {"x": 1}).version
1

With pytest, put ``pytest_plugins = ["statehouse.testing.plugin"]`` into ``conftest.py``; see
:mod:`statehouse.testing.plugin` for the fixtures.
"""

from statehouse.testing._binary import BinaryNotFound, find_binary
from statehouse.testing._daemon import Daemon, DaemonFailed

__all__ = ["BinaryNotFound", "Daemon", "DaemonFailed", "find_binary"]
