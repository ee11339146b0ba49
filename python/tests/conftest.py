"""Tests that take ``dial`` or ``client`` run twice: on the blocking client and on the
awaited one. They are coroutine functions, each run in an event loop of its own.
"""

import asyncio
import contextlib
import inspect
import socket
import threading
import uuid

import pytest

from statehouse import AsyncStatehouse, Statehouse
from statehouse.testing import Daemon

from adapter import Adapted
from proxy import Proxy

pytest_plugins = ["statehouse.testing.plugin"]


def pytest_collection_modifyitems(items):
    """What forks comes first: gRPC survives a fork only while none of its threads is at work,
    and clients that other tests left behind may still try to connect.
    """
    items.sort(key=lambda item: item.path.name != "test_processes.py")


@pytest.fixture(params=["sync", "async", "session"])
def kind(request, monkeypatch):
    """The client that is tested; "session": the awaited one, all of whose reads share a stream."""
    if request.param == "session":
        monkeypatch.setattr("statehouse._aio.transport.BUSY", 0)
    return request.param


@pytest.fixture
def at_end():
    """Coroutine functions to await when the test is over, in its event loop."""
    return []


@pytest.fixture
def dial(kind, at_end):
    """Makes clients of the kind that is tested."""

    def dial(url, **options):
        if kind == "sync":
            client = Adapted(Statehouse(url, **options))
        else:
            client = AsyncStatehouse(url, **options)
        at_end.append(client.close)
        return client

    return dial


@pytest.fixture
def client(dial, statehouse_daemon):
    """A client in a namespace of its own."""
    return dial(statehouse_daemon.url, namespace=f"test-{uuid.uuid4()}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def run():
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            for end in pyfuncitem.funcargs.get("at_end", []):
                await end()

    asyncio.run(run())
    return True


@pytest.fixture
def daemon():
    """A daemon in memory of the test's own: its whole log is what the test did."""
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def file(tmp_path):
    """Where a client records its history."""
    return tmp_path / "history.jsonl"


@pytest.fixture
def proxy(statehouse_daemon):
    """What loses requests and replies on the way to the daemon in memory."""
    with Proxy(statehouse_daemon.port) as proxy:
        yield proxy


@pytest.fixture
def lossy(dial, proxy):
    """A client that talks through the proxy."""
    return dial(proxy.url, namespace=f"test-{uuid.uuid4()}", timeout=10)


@pytest.fixture
def listener():
    """Somebody who listens and does not speak the contract; a function says what he does."""
    with contextlib.ExitStack() as stack:

        def listen(act):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            kept = []

            def accept():
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = server.accept()
                        kept.append(connection)
                        act(connection)

            threading.Thread(target=accept, daemon=True).start()
            stack.callback(server.shutdown, socket.SHUT_RDWR)
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield listen
