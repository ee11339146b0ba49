"""The contracts that the Claude Agent SDK has for session stores, counted one by one."""

import os
import uuid

import anyio
import pytest
from claude_agent_sdk import InMemorySessionStore
from claude_agent_sdk.testing import run_session_store_conformance

from statehouse import Statehouse
from statehouse.claude_agent import StatehouseSessionStore

CONTRACTS = 14
#: Their numbers in the order in which they are run.
ORDER = [*range(1, 9), 14, *range(9, 14)]


@pytest.fixture(scope="module", params=["asyncio", "trio"])  # the SDK runs under both
def kept(request, url):
    """How many contracts were kept, in their order, and what came then."""
    made = []

    def make():
        made.append(Statehouse(url, namespace=f"suite-{uuid.uuid4()}"))
        own = os.environ.get("ADAPTED_STORE") == "own"
        return InMemorySessionStore() if own else StatehouseSessionStore(made[-1])

    failure = None
    try:
        anyio.run(run_session_store_conformance, make, backend=request.param)
    except AssertionError as failed:
        failure = failed
    for client in made:
        client.close()
    # A store was made to be looked at, and one for each contract that began.
    return len(made) - 1 - (failure is not None), failure


@pytest.mark.parametrize("number", ORDER)
def test_contract(kept, number):
    count, failure = kept
    assert count <= CONTRACTS, "the suite has more than we count"
    if ORDER.index(number) >= count:
        pytest.fail(f"contract {ORDER[count]} is not kept: {failure!r}")
