"""What the tests of all adapters use. They run on the real daemon, in an environment of their
framework's: run.sh makes it.
"""

import contextlib
import uuid

import pytest

from statehouse import Statehouse

from proxy import Proxy

pytest_plugins = ["statehouse.testing.plugin"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: not for every run; run.sh all has them")


@pytest.fixture
def client(statehouse_client):
    """A client in a namespace of the test's own."""
    return statehouse_client


@pytest.fixture
def dial(statehouse_daemon, client):
    """Makes further clients of the test's namespace, as other processes have them."""
    with contextlib.ExitStack() as stack:
        yield lambda url=statehouse_daemon.url, **options: stack.enter_context(
            Statehouse(url, namespace=client.namespace, **options)
        )


@pytest.fixture
def proxy(statehouse_daemon):
    """What loses requests, and the answers to them, on the way to the daemon."""
    with Proxy(statehouse_daemon.port) as proxy:
        yield proxy


@pytest.fixture
def lossy(proxy, dial):
    """A client of the test's namespace that talks through the proxy."""
    return dial(proxy.url, timeout=10)


@pytest.fixture
def namespaces(statehouse_daemon):
    """Makes clients in fresh namespaces."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            statehouse_daemon.client(namespace=f"test-{uuid.uuid4()}")
        )


@pytest.fixture
def commits(client):
    """Counts the commits of the test's namespace."""
    return lambda: len(list(client.replay(values=False)))
