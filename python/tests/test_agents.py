"""The methods that are about one agent, without naming it each time."""

import inspect

import pytest

from statehouse import (
    AgentState,
    AsyncAgentState,
    AsyncStatehouse,
    InvalidArgument,
    LeaseHeld,
    Statehouse,
    Write,
)

PAIRS = [(AgentState, Statehouse), (AsyncAgentState, AsyncStatehouse)]


@pytest.mark.parametrize(("about", "client"), PAIRS)
def test_it_has_all_that_is_about_an_agent(about, client):
    named = {
        name
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_") and "agent_id" in inspect.signature(method).parameters
    } - {"agent"}
    assert named == {n for n in vars(about) if not n.startswith("_")}
    some = about(None, "a1")
    for name in named:
        here, there = getattr(some, name), getattr(client, name)
        assert here.__doc__ == there.__doc__
        parameters = list(inspect.signature(there).parameters)
        assert parameters[1] == "agent_id", "it is the first of them"
        assert list(inspect.signature(here).parameters) == parameters[2:]


def test_blocking(statehouse_client):
    session = statehouse_client.agent("s7")
    assert repr(session).startswith("<AgentState 's7' of Statehouse(")
    assert session.namespace == statehouse_client.namespace
    assert session.append("m/", {"text": "Hi"}).key == "m/0000000000000001"
    session.write("k", {"n": 1}, expected_version=0)
    assert session.increment("k", "/n").value == {"n": 2}
    statehouse_client.transact([Write("s8", "k", {})])
    assert session.list_keys() == ["k", "m/0000000000000001"]
    assert [record.key for record in session.find()] == ["k", "m/0000000000000001"]
    assert len(list(session.replay())) == 3
    with session.lease("worker") as lease:
        session.write("k", {"n": 3}, leases=[lease])
        with pytest.raises(LeaseHeld):
            session.lease("worker")
    with pytest.raises(InvalidArgument, match="agent_id must be a str"):
        statehouse_client.agent(7)


async def test_awaited(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="agents") as client:
        session = client.agent("s7")
        assert (await session.append("m/", {"text": "Hi"})).agent_id == "s7"
        assert [record.key async for record in session.scan_prefix()] == ["m/0000000000000001"]
        async with session.lease("worker") as lease:
            await session.write("k", {}, leases=[lease])
