"""Every call outlives a daemon that refuses connections for a while, as one does that is
started again.
"""

import asyncio

import pytest

from statehouse import AsyncStatehouse, AsyncTxn, ConnectionError, ReleaseLease, Write

from adapter import connection_lost


async def listed(iterator):
    return [item async for item in iterator]


async def first(iterator):
    return await iterator.__anext__()


async def write_two(tx):
    await tx.write("a1", "x", {"n": 1})
    await tx.delete("a1", "y")


async def released(client):
    lease = await client.lease("a1", "worker")
    await client.transact([ReleaseLease("a1", "worker", lease.token)])


CALLS = {
    "append": lambda c: c.append("a2", "m/", {}),
    "claim": lambda c: c.claim("a1"),
    "delete_agent": lambda c: c.delete_agent("a2"),
    "delete_prefix": lambda c: c.delete_prefix("a2", "m/"),
    "diff": lambda c: listed(c.diff("a1")),
    "find": lambda c: listed(c.find("a1")),
    "fork": lambda c: c.fork("a1", "a2"),
    "get_agent": lambda c: c.get_agent("a1"),
    "increment": lambda c: c.increment("a2", "k", "/n"),
    "lease": released,
    "list_leases": lambda c: c.list_leases("a1"),
    "list_refusals": lambda c: c.list_refusals(),
    "list_streams": lambda c: c.list_streams(),
    "merge": lambda c: c.merge("a2", "k", {}),
    "put_if_absent": lambda c: c.put_if_absent("a2", "k", {}),
    "refresh": lambda c: c.refresh("a1", "k", ttl=60),
    "restore": lambda c: c.restore("a2", 1),
    "begin_transaction": lambda c: c.begin_transaction(),
    "delete": lambda c: c.delete("a1", "k2"),
    "get_many": lambda c: c.get_many("a1", ["k", "none"]),
    "get_state": lambda c: c.get_state("a1", "k"),
    "get_state_at_version": lambda c: c.get_state_at_version("a1", "k", 1),
    "get_transaction": lambda c: c.get_transaction("nobody-used-this"),
    "history": lambda c: listed(c.history("a1", "k")),
    "list_agents": lambda c: c.list_agents(),
    "list_keys": lambda c: c.list_keys("a1"),
    "list_namespaces": lambda c: c.list_namespaces(),
    "replay": lambda c: listed(c.replay()),
    "run_transaction": lambda c: c.run_transaction(write_two),
    "scan_keys": lambda c: listed(c.scan_keys("a1")),
    "scan_prefix": lambda c: listed(c.scan_prefix("a1")),
    "status": lambda c: c.status(),
    "transact": lambda c: c.transact([Write("a1", "k3", {})]),
    "version": lambda c: c.version(),
    "watch": lambda c: first(c.watch(after=0)),
    "write": lambda c: c.write("a1", "k4", {}),
}
#: It is asked to find out.
ASKS_ONCE = {"health"}
TALKLESS = {"agent", "close", "namespace", "with_options"}

#: They are staged, which says nothing.
STAGED = {"append", "increment", "merge", "put_if_absent", "delete_prefix"}

IN_TXN = {
    "abort": lambda t: t.abort(),
    "commit": lambda t: t.commit(),
    "delete": lambda t: t.delete("a1", "k"),
    "get_many": lambda t: t.get_many("a1", ["k", "none"]),
    "get_state": lambda t: t.get_state("a1", "k"),
    "list_keys": lambda t: t.list_keys("a1"),
    "scan_keys": lambda t: listed(t.scan_keys("a1")),
    "scan_prefix": lambda t: listed(t.scan_prefix("a1")),
    "write": lambda t: t.write("a1", "k", {}),
}


def public(kind):
    return {
        name
        for name in dir(kind)
        if not name.startswith("_") and not isinstance(getattr(kind, name), property)
    }


def test_every_method_is_here():
    assert set(CALLS) | ASKS_ONCE | TALKLESS - {"namespace"} == public(AsyncStatehouse)
    assert set(IN_TXN) | STAGED == public(AsyncTxn)


async def outlives(proxy, client, call):
    """Makes a call while connections are refused, and lets them be taken again."""
    proxy.down()
    await connection_lost(client)
    calling = asyncio.ensure_future(call)
    try:
        await asyncio.sleep(0.15)
        assert not calling.done(), "it did not try again"
    finally:
        proxy.up()
    return await calling


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("name", CALLS)
async def test_calls(lossy, dial, proxy, name, connected):
    await lossy.write("a1", "k", {"n": 1})
    client = lossy if connected else dial(proxy.url, namespace=lossy.namespace)

    async def call():
        return await CALLS[name](client)

    result = await outlives(proxy, client, call())
    assert len([e async for e in lossy.replay("a1")]) == 1 + (
        name in ("delete", "run_transaction", "transact", "write")
    )
    if name == "list_keys":
        assert result == ["k"]
    elif name == "list_namespaces":
        assert lossy.namespace in result
    elif name == "list_agents":
        assert [agent.agent_id for agent in result] == ["a1"]


@pytest.mark.parametrize("name", IN_TXN)
@pytest.mark.parametrize("held", [True, False])
async def test_calls_in_transactions(lossy, proxy, name, held):
    if not held and name in ("abort", "delete", "write"):
        return  # they say nothing
    await lossy.write("a1", "k", {"n": 1})
    tx = await lossy.begin_transaction(held=held)
    await tx.write("a1", "l", {})

    async def call():
        return await IN_TXN[name](tx)

    await outlives(proxy, lossy, call())
    if name != "abort":
        await tx.commit()
    assert len([e async for e in lossy.replay("a1")]) == 1 + (name != "abort")


async def test_all_pages_of_a_list(lossy, dial, proxy):
    """The connection is lost between them."""
    await lossy.transact([Write("a1", f"k{n}", {}) for n in range(10)])
    client = dial(proxy.url, namespace=lossy.namespace, page_size=3)
    keys = []
    async for key in client.scan_keys("a1"):
        keys.append(key)
        if len(keys) == 4:
            proxy.down()
            asyncio.get_running_loop().call_later(0.1, proxy.up)
    assert keys == [f"k{n}" for n in range(10)]


async def test_health_asks_once(lossy, proxy):
    proxy.down()
    await connection_lost(lossy)
    with pytest.raises(ConnectionError, match="connection refused"):
        await lossy.health()
    proxy.up()
