"""Finding records by what they hold, folders, differences, forks, restoring."""

from decimal import Decimal

import pytest

from statehouse import (
    Delete,
    F,
    Fork,
    HeadPrecondition,
    InvalidArgument,
    OutOfRange,
    PreconditionFailed,
    RecordName,
    UsageError,
    Write,
)


async def listed(iterator):
    return [item async for item in iterator]


async def keys(client, *where, agent="a1", **options):
    return [record.key for record in await listed(client.find(agent, where, **options))]


@pytest.fixture
def tasks(client):
    """Writes some records to find."""

    async def write():
        await client.transact(
            [
                Write("a1", "t/1", {"status": "open", "cost": 12, "tags": ["x"]}),
                Write("a1", "t/2", {"status": "open", "cost": 1.5}),
                Write("a1", "t/3", {"status": "done", "cost": "12", "error": None}),
                Write("a1", "u", {"status": None}),
                Write("a2", "t/1", {"status": "open"}),
            ],
            metadata={"actor": "alice"},
        )
        return await client.write("a1", "t/2", {"status": "open", "cost": 3}, metadata={"n": "1"})

    return write


async def test_find(client, tasks):
    await tasks()
    assert await keys(client, F("/status") == "open") == ["t/1", "t/2"]
    assert await keys(client, F("/status") != "open") == ["t/3", "u"]
    assert await keys(client, ~(F("/status") == "open")) == ["t/3", "u"]
    assert await keys(client, F("/cost") != 12) == ["t/2", "t/3"]
    assert await keys(client, ~(F("/cost") == 12)) == ["t/2", "t/3", "u"]
    assert await keys(client, F("/cost") >= 3, F("/cost") < Decimal("12.0")) == ["t/2"]
    assert await keys(client, F("/cost") > "1") == ["t/3"]
    assert await keys(client, F("/cost").in_([3, "12"])) == ["t/2", "t/3"]
    assert await keys(client, F("/error").exists()) == ["t/3"]
    assert await keys(client, ~F("/error").exists(), prefix="t/") == ["t/1", "t/2"]
    assert await keys(client, F("/tags/0") == "x") == ["t/1"]
    assert await keys(client, F("/tags") == ["x"]) == ["t/1"]
    assert await keys(client, F("") == {"status": None}) == ["u"]
    assert await keys(client, F.meta("actor") == "alice") == ["t/1", "t/3", "u"]
    assert await keys(client, F.meta("n").exists()) == ["t/2"]
    assert await keys(client) == ["t/1", "t/2", "t/3", "u"]
    assert await keys(client, limit=2) == ["t/1", "t/2"]
    assert await keys(client, order="changed", limit=1) == ["t/2"]
    everywhere = await listed(client.find(where=F("/status") == "open"))
    assert [(r.agent_id, r.key) for r in everywhere] == [
        ("a1", "t/1"),
        ("a1", "t/2"),
        ("a2", "t/1"),
    ]
    [record] = await listed(client.find("a1", F("/cost") == 3, metadata=True))
    assert record == await client.get_state("a1", "t/2")
    assert record.metadata == {"n": "1"}
    [record] = await listed(client.find("a1", F("/cost") == 3, values=False))
    assert record.value is None
    assert record.metadata is None


async def test_find_at_a_moment_and_page_by_page(client, tasks):
    last = await tasks()
    await client.write("a1", "t/1", {"status": "done"})
    assert await keys(client, F("/cost") == 1.5, as_of=last.commit_ts - 1) == ["t/2"]
    assert await keys(client, F("/status") == "open", min_read_ts=last.commit_ts) == ["t/2"]
    small = client.with_options()
    options = getattr(small, "blocking", small)._caller.options
    object.__setattr__(options, "page_size", 1)
    try:
        assert await keys(small, F("/status") != "x") == ["t/1", "t/2", "t/3", "u"]
    finally:
        object.__setattr__(options, "page_size", 1000)
    with pytest.raises(InvalidArgument) as refused:
        await client.get_state("a1", "t/1", min_read_ts=2**60)
    assert refused.value.details["field"] == "min_read_ts"
    for read in (
        client.get_many("a1", ["t/1"], min_read_ts=last.commit_ts),
        client.list_keys("a1", min_read_ts=last.commit_ts),
        listed(client.scan_prefix("a1", min_read_ts=last.commit_ts)),
        listed(client.history("a1", "t/1", min_read_ts=last.commit_ts)),
    ):
        assert await read
    async with client.begin_transaction() as tx:
        with pytest.raises(InvalidArgument, match="at its snapshot"):
            await tx.get_state("a1", "t/1", min_read_ts=1)


def test_conditions():
    assert repr(F("/a") == 1) == "F('/a') == 1"
    assert repr(~(F("/a") <= "x")) == "~(F('/a') <= 'x')"
    assert repr(~F.meta("k").in_(["a", "b"])) == "~F.meta('k').in_(['a', 'b'])"
    assert repr(~~F("/a").exists()) == "F('/a').exists()"
    assert (F("/n") == Decimal("1.10")).operand == "1.10"
    assert (F("/n") > 2**70).operand == str(2**70)
    with pytest.raises(UsageError, match="neither true nor false"):
        _ = F("/a") == 1 and F("/b") == 2
    with pytest.raises(UsageError, match="neither true nor false"):
        _ = 1 < F("/a") < 3
    for made, said in (
        (lambda: F("status"), "write '/status'"),
        (lambda: F(1), "pointer must be a str"),
        (lambda: F.meta(""), "the key is empty"),
        (lambda: F("/a") == {1}, "cannot be written as JSON"),
        (lambda: F("/a") == F("/b"), "compared with a value"),
        (lambda: F("/a").in_("text"), r"write \["),
    ):
        with pytest.raises(InvalidArgument, match=said):
            made()


async def test_what_find_refuses(client):
    for where in ("open", ["open"], [True], {"/status": "open"}):
        with pytest.raises(InvalidArgument, match="conditions are such as|where is one"):
            await listed(client.find("a1", where))
    with pytest.raises(InvalidArgument, match='order is "key" or "changed"'):
        await listed(client.find("a1", order="age"))
    for where in (F("/a") < [1], F.meta("k") < "x", F.meta("k") == 1):
        with pytest.raises(InvalidArgument) as refused:
            await listed(client.find("a1", where))
        assert refused.value.details["field"] == "where"


async def test_folders(client):
    await client.transact([Write("a1", key, {}) for key in ("a/1", "a/2/x", "b", "c/1", "c0")])
    assert await client.list_keys("a1", delimiter="/") == ["a/", "b", "c/", "c0"]
    assert await client.list_keys("a1", "a/", delimiter="/") == ["a/1", "a/2/"]
    assert await client.list_keys("a1", delimiter="/", reverse=True) == ["c0", "c/", "b", "a/"]
    assert await client.list_keys("a1", delimiter="/", limit=2) == ["a/", "b"]
    assert await listed(client.scan_keys("a1", delimiter="/", as_of=0)) == []
    small = client.with_options()
    options = getattr(small, "blocking", small)._caller.options
    object.__setattr__(options, "page_size", 1)
    try:
        assert await small.list_keys("a1", delimiter="/") == ["a/", "b", "c/", "c0"]
    finally:
        object.__setattr__(options, "page_size", 1000)
    with pytest.raises(InvalidArgument, match="the delimiter is empty"):
        await client.list_keys("a1", delimiter="")


async def test_folders_in_a_transaction(client):
    await client.transact([Write("a1", key, {}) for key in ("a/1", "a/2", "b")])
    async with client.begin_transaction() as tx:
        await tx.write("a1", "c/1", {})
        await tx.delete("a1", "b")
        assert await tx.list_keys("a1", delimiter="/") == ["a/", "c/"]
        assert await tx.list_keys("a1", delimiter="/", limit=1) == ["a/"]
        assert await tx.list_keys("a1", delimiter="/", reverse=True) == ["c/", "a/"]
    held = await client.begin_transaction(held=True)
    assert await held.list_keys("a1", delimiter="/") == ["a/", "c/"]
    await held.abort()


async def test_diff(client):
    first = await client.transact(
        [Write("a1", "k", {"a": 1, "b": [1, 2]}), Write("a1", "gone", {}), Write("a1", "same", {})]
    )
    last = await client.transact(
        [Write("a1", "k", {"a": 2, "b": [1, 2]}), Delete("a1", "gone"), Write("a1", "new", {})]
    )
    changed = await listed(client.diff("a1", from_timestamp=first.commit_ts))
    assert [(d.key, d.before and d.before.value, d.after and d.after.value) for d in changed] == [
        ("gone", {}, None),
        ("k", {"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 2]}),
        ("new", None, {}),
    ]
    assert [d.patch for d in changed] == [
        None,
        [{"op": "replace", "path": "/a", "value": 2}],
        None,
    ]
    assert (changed[1].before.version, changed[1].after.version) == (1, 2)
    assert changed[1].after.read_ts == last.commit_ts
    back = listed(
        client.diff("a1", from_timestamp=last.commit_ts, to_timestamp=first.commit_ts, prefix="k")
    )
    assert [d.patch for d in await back] == [[{"op": "replace", "path": "/a", "value": 1}]]
    assert [d.key for d in await listed(client.diff("a1"))] == ["k", "new", "same"]
    assert await listed(client.diff("a1", from_timestamp=last.commit_ts)) == []
    await client.transact([Write("a2", "k", {"a": 3}), Write("a2", "same", {})])
    agents = await listed(client.diff("a1", "a2"))
    assert [d.key for d in agents] == ["k", "new"]
    assert (agents[0].before.agent_id, agents[0].after.agent_id) == ("a1", "a2")
    assert [d.key for d in await listed(client.diff("a1", "a2", limit=1))] == ["k"]
    bare = await listed(client.diff("a1", "a2", values=False))
    assert [d.before.value for d in bare] == [None, None]


async def test_agents(client):
    commit = await client.write("a1", "k", {})
    [agent] = await client.list_agents()
    assert agent.head_time == commit.timestamp
    assert await client.get_agent("nobody") is None


async def test_fork(client):
    first = await client.write("a1", "k", {"n": 1})
    decision = await client.transact([Write("a1", "k", {"n": 2}), Write("a1", "l", {})])
    await client.write("a1", "k", {"n": 3})
    commit = await client.fork("a1", "f1", at=decision.commit_ts, metadata={"why": "what if"})
    record = await client.get_state("f1", "k")
    assert (record.value, record.version, record.agent_id) == ({"n": 2}, 2, "f1")
    assert (await client.write("f1", "k", {"n": 20}, expected_version=2)).version == 3
    assert (await client.get_state("a1", "k")).value == {"n": 3}
    details = await client.get_agent("f1")
    origin = details.forked_from
    assert (origin.agent_id, origin.commit_ts, origin.forked_ts) == (
        "a1",
        decision.commit_ts,
        commit.commit_ts,
    )
    assert details.first_ts == commit.commit_ts
    assert [fork.agent_id for fork in (await client.get_agent("a1")).forks] == ["f1"]
    assert [d.key for d in await listed(client.diff("a1", "f1"))] == ["k"]
    with pytest.raises(PreconditionFailed):
        await client.fork("a1", "f1")
    with pytest.raises(PreconditionFailed):
        await client.fork("nobody", "f2")
    with pytest.raises(PreconditionFailed):
        await client.fork("a1", "f2", preconditions=[HeadPrecondition("a1", 1)])
    again = [await client.fork("a1", "f3", txn_id=f"{client.namespace}-f3") for _ in range(2)]
    assert again[0] == again[1]
    events = await listed(client.replay("f1", all_operations=True))
    [act] = [op.act for op in events[0].operations]
    assert (act.kind, act.agent_id, act.commit_ts) == ("forked", "a1", decision.commit_ts)
    lineage = await listed(client.replay("f1", all_operations=True, with_lineage=True))
    assert [e.commit_ts for e in lineage][:2] == [first.commit_ts, decision.commit_ts]
    plain = await listed(client.replay("f1"))
    assert sorted(op.key for op in plain[0].operations) == ["k", "l"]
    await client.transact([Fork("a1", "f4"), Write("a1", "forked", {"to": "f4"})])
    assert await client.list_keys("f4") == ["k", "l"]


async def test_delete_many(client):
    await client.transact(
        [Write("a1", f"t/{n}", {"n": n}) for n in range(5)] + [Write("a1", "u", {})]
    )
    commit = await client.delete_prefix("a1", "t/", metadata={"why": "done"})
    assert commit.keys == 5
    assert await client.list_keys("a1") == ["u"]
    assert [e.version async for e in client.history("a1", "t/1")] == [2, 1]
    async with client.begin_transaction() as tx:
        gone = await tx.delete_prefix("a1", "u")
        with pytest.raises(UsageError, match="has staged delete_prefix"):
            await tx.get_state("a1", "u")
        await tx.write("a2", "k", {})
    assert gone.result.keys == 1
    restored = await client.restore("a1", commit.commit_ts - 1, prefix="t/")
    assert restored.keys == 5
    assert (await client.get_state("a1", "t/3")).value == {"n": 3}
    assert (await client.get_state("a1", "t/3")).version == 3
    assert (await client.delete_agent("a1")).keys == 5
    assert await client.list_keys("a1") == []
    with pytest.raises(PreconditionFailed):
        await client.delete_agent("a2", preconditions=[HeadPrecondition("a2", 1)])
    with pytest.raises(InvalidArgument, match="at is None"):
        await client.restore("a1", None)
    with pytest.raises((InvalidArgument, OutOfRange)):
        await client.restore("a1", 2**60)


async def test_refresh_takes_names(client):
    await client.write("a1", "k", {}, ttl=60)
    assert len(await client.refresh("a1", ["k", RecordName("a2", "k")])) == 2
