"""Reading and writing records."""

from datetime import datetime, timedelta, timezone

import pytest

from statehouse import (
    ConflictError,
    Delete,
    HeadPrecondition,
    InvalidArgument,
    KeyPrecondition,
    NotFoundError,
    PreconditionFailed,
    RecordName,
    TxnState,
    Write,
)
from statehouse._calls import Caller


async def test_write_and_read(client):
    commit = await client.write("a1", "memory", {"fact": "Paris is in France"})
    record = await client.get_state(agent_id="a1", key="memory")
    assert record
    assert record.value == {"fact": "Paris is in France"}
    assert (record.key, record.agent_id, record.namespace) == ("memory", "a1", client.namespace)
    assert record.version == commit.version == 1
    assert record.commit_ts == commit.commit_ts
    assert record.timestamp == commit.timestamp
    assert record.read_ts >= record.commit_ts
    assert abs(datetime.now(timezone.utc) - record.timestamp) < timedelta(minutes=1)


async def test_missing_and_deleted_is_none(client):
    assert await client.get_state("a1", "k") is None
    await client.write("a1", "k", {})
    record = await client.get_state("a1", "k")
    assert record  # an empty value is a value
    assert record.value == {}
    assert (await client.delete("a1", "k")).version == 2
    assert await client.get_state("a1", "k") is None
    assert (await client.get_state_at_version("a1", "k", 1)).value == {}
    assert await client.get_state_at_version("a1", "k", 2) is None
    for version in (0, 3):
        with pytest.raises(NotFoundError) as caught:
            await client.get_state_at_version("a1", "k", version)
        assert caught.value.code == "VERSION_NOT_FOUND"
        assert caught.value.details["version"] == str(version)
        assert isinstance(caught.value, LookupError)


async def test_transact(client):
    commit = await client.transact(
        [
            Write("a1", "x", {"n": 1}, expected_version=0),
            Delete("a2", "y"),
            Write("a1", "x", {"n": 2}),
        ],
        metadata={"actor": "test"},
    )
    assert [(v.agent_id, v.key, v.version) for v in commit.versions] == [
        ("a1", "x", 1),
        ("a2", "y", 1),
        ("a1", "x", 1),
    ]
    assert (await client.get_state("a1", "x")).value == {"n": 2}
    outcome = await client.get_transaction(commit.txn_id)
    assert outcome.state is TxnState.COMMITTED
    assert outcome.commit.commit_ts == commit.commit_ts
    assert (await client.get_transaction("never")).state is TxnState.NEVER_SEEN


async def test_same_id_takes_effect_once(client):
    operations = [Write("a1", "k", {"n": 1})]
    txn_id = f"{client.namespace}-once"
    first = await client.transact(operations, txn_id=txn_id)
    await client.write("a1", "k", {"n": 2})
    assert await client.transact(operations, txn_id=txn_id) == first
    assert (await client.get_state("a1", "k")).value == {"n": 2}


async def test_preconditions(client):
    first = await client.write("a1", "k", {"n": 1}, expected_version=0)
    with pytest.raises(ConflictError) as caught:
        await client.write("a1", "k", {"n": 2}, expected_version=0)
    assert isinstance(caught.value, PreconditionFailed)
    assert (caught.value.key, caught.value.agent_id) == ("k", "a1")
    assert (caught.value.expected_version, caught.value.current_version) == (0, 1)
    assert "version 1, not 0" in str(caught.value)
    await client.transact(
        [Write("a2", "k", {})],
        preconditions=[KeyPrecondition("a1", "k", 1), HeadPrecondition("a1", first.commit_ts)],
    )
    for bad in (KeyPrecondition("a1", "k", 2), HeadPrecondition("a1", 0)):
        with pytest.raises(PreconditionFailed) as caught:
            await client.transact([Write("a2", "k", {})], preconditions=[bad])
    assert (caught.value.expected_head, caught.value.current_head) == (0, first.commit_ts)
    assert (await client.get_state("a2", "k")).version == 1


async def test_get_many(client):
    await client.write("a1", "x", {"n": 1})
    await client.write("a2", "x", {"n": 2})
    names = ["x", "absent", RecordName("a2", "x")]
    records = await client.get_many("a1", names)
    assert [r and (r.agent_id, r.key, r.value["n"]) for r in records] == [
        ("a1", "x", 1),
        None,
        ("a2", "x", 2),
    ]
    assert await client.get_many("a1", []) == []
    with pytest.raises(InvalidArgument, match=r"write \['x'\]"):
        await client.get_many("a1", "x")


async def test_get_many_of_more_than_an_answer_holds(client):
    big = {"text": "x" * 900_000}
    for n in range(12):
        await client.write("a1", f"k{n}", {**big, "n": n})
    records = await client.get_many("a1", [f"k{n}" for n in range(12)])
    assert [record.value["n"] for record in records] == list(range(12))
    assert len({record.read_ts for record in records}) == 1
    async with client.begin_transaction() as tx:
        records = await tx.get_many("a1", [f"k{n}" for n in range(12)])
        assert [record.value["n"] for record in records] == list(range(12))


async def test_get_many_of_more_names_than_the_daemon_takes(client, monkeypatch):
    """Another daemon may have another limit."""
    await client.write("a1", "k2599", {})
    monkeypatch.setattr("statehouse._steps.reads._BATCH", 100_000)
    records = await client.get_many("a1", [f"k{n}" for n in range(2600)])
    assert [n for n, record in enumerate(records) if record] == [2599]


async def test_get_many_does_not_repeat_what_is_wrong_with_a_name(client, monkeypatch):
    asked = []
    call = Caller.call
    monkeypatch.setattr(Caller, "call", lambda *a: asked.append(a) or call(*a))
    with pytest.raises(InvalidArgument):
        await client.get_many("a1", ["a", "b", "c", "\0", "d"])
    assert len(asked) == 1


async def test_more_names_than_fit_one_request_are_read_at_one_point(client):
    await client.write("a1", "k2500", {"n": 1})
    records = await client.get_many("a1", [f"k{n}" for n in range(2600)])
    assert [r.key for r in records if r] == ["k2500"]
    assert len(records) == 2600


async def test_lists(client):
    keys = ["config", "memory:a", "memory:b", "memory:ü", "state"]
    await client.transact([Write("a1", key, {"key": key}) for key in keys])
    await client.write("a1", "gone", {})
    await client.delete("a1", "gone")
    assert await client.list_keys(agent_id="a1") == keys
    assert await client.list_keys("a1", "memory:", reverse=True) == keys[3:0:-1]
    assert await client.list_keys("a1", limit=2) == keys[:2]
    assert await client.list_keys("a1", limit=0) == []
    assert [k async for k in client.scan_keys("a1", "m")] == keys[1:4]
    records = [r async for r in client.scan_prefix("a1", "memory:")]
    assert [(r.key, r.value["key"], r.version) for r in records] == [(k, k, 1) for k in keys[1:4]]
    assert await client.list_keys("nobody") == []
    await client.write("a1", "k", {}, namespace=f"{client.namespace}-other")
    assert await client.list_keys("a1", namespace=f"{client.namespace}-other") == ["k"]
    assert client.namespace in await client.list_namespaces()


async def test_list_agents(client):
    first = await client.write("a1", "k", {})
    last = await client.write("a1", "k", {})
    await client.write("b1", "k", {})
    agents = await client.list_agents()
    assert [a.agent_id for a in agents] == ["a1", "b1"]
    assert (agents[0].first_ts, agents[0].head_ts) == (first.commit_ts, last.commit_ts)
    assert [a.agent_id for a in await client.list_agents("b")] == ["b1"]


async def test_as_of(client):
    first = await client.write("a1", "k", {"n": 1})
    second = await client.write("a1", "k", {"n": 2})
    await client.write("a1", "l", {})

    async def n(as_of):
        record = await client.get_state("a1", "k", as_of=as_of)
        return record and record.value["n"]

    assert [await n(at) for at in (first.commit_ts - 1, first.commit_ts, None)] == [None, 1, 2]
    # A record is there as of its own timestamp, although that has lost the nanoseconds.
    if first.timestamp < second.timestamp:
        assert await n(first.timestamp) == 1
    assert await n(second.timestamp) == 2
    assert await n(second.timestamp.isoformat()) == 2
    assert await n(second.timestamp.astimezone(timezone(timedelta(hours=5)))) == 2
    assert await n("2001-02-03T04:05:06Z") is None
    assert await client.list_keys("a1", as_of=second.commit_ts) == ["k"]
    records = [r async for r in client.scan_prefix("a1", as_of=first.commit_ts)]
    assert [r.value["n"] for r in records] == [1]
    assert (await client.get_many("a1", ["k"], as_of=first.commit_ts))[0].value == {"n": 1}
    for bad in ("yesterday", "2026-02-07T10:00:00", datetime(2026, 2, 7), 1.5, True, -1):
        with pytest.raises(InvalidArgument) as caught:
            await client.get_state("a1", "k", as_of=bad)
        assert caught.value.details["field"] == "as_of"
    with pytest.raises(InvalidArgument, match="has not happened yet"):
        await client.get_state("a1", "k", as_of=10**9)


async def test_history(client):
    await client.write("a1", "k", {"n": 1}, metadata={"actor": "alice"})
    await client.write("a1", "k", {"n": 2})
    await client.delete("a1", "k")
    entries = [e async for e in client.history("a1", "k")]
    assert [(e.version, e.deleted, e.value) for e in entries] == [
        (3, True, None),
        (2, False, {"n": 2}),
        (1, False, {"n": 1}),
    ]
    assert entries[2].metadata == {"actor": "alice"}
    assert entries[0].key == "k"
    assert entries[0].timestamp >= entries[2].timestamp
    oldest = [e async for e in client.history("a1", "k", oldest_first=True, limit=1, values=False)]
    assert [(e.version, e.value) for e in oldest] == [(1, None)]
    assert [e async for e in client.history("a1", "never")] == []


async def test_health_version_status(client):
    assert await client.health() == "ok"
    assert (await client.version()).version
    status = await client.status()
    assert not status.durable
    assert status.writes_refused == ""
