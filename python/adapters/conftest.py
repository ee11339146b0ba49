"""What the tests of all adapters use. They run on the real daemon, in an environment of their
framework's: run.sh makes it.
"""

import contextlib
import os
import uuid

import pytest

from statehouse import Statehouse

from proxy import Proxy

pytest_plugins = ["statehouse.testing.plugin"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: not for every run; run.sh all has them")


@pytest.fixture(scope="session")
def url(request):
    """The daemon: the one that conformance is asked of, or else one in memory."""
    address = os.environ.get("STATEHOUSE_ADDRESS")
    return address or request.getfixturevalue("statehouse_daemon").url


@pytest.fixture
def client(url):
    """A client in a namespace of the test's own."""
    with Statehouse(url, namespace=f"test-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture
def dial(url, client):
    """Makes further clients of the test's namespace, as other processes have them."""
    with contextlib.ExitStack() as stack:
        yield lambda url=url, **options: stack.enter_context(
            Statehouse(url, namespace=client.namespace, **options)
        )


@pytest.fixture
def proxy(url):
    """What loses requests, and the answers to them, on the way to the daemon."""
    with Proxy(int(url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
def lossy(proxy, dial):
    """A client of the test's namespace that talks through the proxy."""
    return dial(proxy.url, timeout=10)


@pytest.fixture
def commits(client):
    """Counts the commits of the test's namespace."""
    return lambda: len(list(client.replay(values=False)))
