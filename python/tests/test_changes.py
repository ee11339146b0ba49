"""What the daemon evaluates, bytes, and times to live."""

import asyncio
import datetime
import time
from decimal import Decimal

import pytest

from statehouse import (
    Append,
    Delete,
    EvaluationFailed,
    Increment,
    InvalidArgument,
    Merge,
    PreconditionFailed,
    Record,
    UsageError,
    Write,
)


async def test_append(client):
    first = await client.append("a1", "m/", {"text": "Hello", "list": (1, 2)}, metadata={"a": "b"})
    assert isinstance(first, Record)
    assert (first.key, first.version) == ("m/0000000000000001", 1)
    assert first.value == {"text": "Hello", "list": [1, 2]}
    assert first == await client.get_state("a1", first.key)
    second = await client.append("a1", "m/", b"\x00\xff", content_type="image/png")
    assert (second.value, second.content_type) == (b"\x00\xff", "image/png")
    await client.delete("a1", second.key)
    third = await client.append("a1", "m/", {})
    assert third.key == "m/0000000000000003", "a number is never given twice"
    once = f"{client.namespace}-once"
    again = [await client.append("a1", "m/", {"n": 1}, txn_id=once) for _ in range(2)]
    assert again[0] == again[1]
    many = await asyncio.gather(*(client.append("a1", "n/", {"n": n}) for n in range(20)))
    assert sorted(r.key for r in many) == [f"n/{n:016}" for n in range(1, 21)]


async def test_increment(client):
    assert (await client.increment("a1", "k", "/tokens/used", 5)).value == {"tokens": {"used": 5}}
    assert (await client.increment("a1", "k", "/tokens/used")).value == {"tokens": {"used": 6}}
    for delta in (0.1, Decimal("0.2")):
        record = await client.increment("a1", "k", "/sum", delta)
    assert record.value == {"tokens": {"used": 6}, "sum": 0.3}
    assert record == await client.get_state("a1", "k")
    large = await client.increment("a1", "large", "/n", 2**70)
    assert large.value == {"n": 2**70}
    with pytest.raises(EvaluationFailed) as failed:
        await client.increment("a1", "k", "/sum", -1, minimum=0)
    assert (failed.value.details["key"], failed.value.details["pointer"]) == ("k", "/sum")
    assert not failed.value.maybe_applied
    await client.write("a1", "text", {"n": "1"})
    for key, pointer in (("text", "/n"), ("k", "/tokens")):
        with pytest.raises(EvaluationFailed):
            await client.increment("a1", key, pointer)
    with pytest.raises(PreconditionFailed):
        await client.increment("a1", "k", "/sum", expected_version=1)
    for delta in ("1", True, float("nan"), Decimal("inf")):
        with pytest.raises(InvalidArgument, match="delta must be a (finite )?number, not"):
            await client.increment("a1", "k", "/sum", delta)
    counted = asyncio.gather(*(client.increment("a1", "count", "/n") for _ in range(30)))
    assert sorted(r.value["n"] for r in await counted) == list(range(1, 31))


async def test_merge(client):
    await client.write("a1", "k", {"a": {"b": 1, "c": 2}, "d": [1]})
    record = await client.merge("a1", "k", {"a": {"b": None, "e": 3}, "d": [2]})
    assert record.value == {"a": {"c": 2, "e": 3}, "d": [2]}
    assert record == await client.get_state("a1", "k")
    assert (await client.merge("a1", "new", {"x": None, "y": 1})).value == {"y": 1}
    with pytest.raises(InvalidArgument, match="a value is a dict"):
        await client.merge("a1", "k", [1])


async def test_put_if_absent(client):
    made, created = await client.put_if_absent("a1", "k", {"n": 1}, metadata={"actor": "alice"})
    assert created
    assert made == await client.get_state("a1", "k")
    found, created = await client.put_if_absent("a1", "k", {"n": 2})
    assert not created
    assert found == made
    await client.delete("a1", "k")
    made, created = await client.put_if_absent("a1", "k", {"n": 3})
    assert (made.version, created) == (3, True)
    race = await asyncio.gather(*(client.put_if_absent("a1", "one", {"n": n}) for n in range(10)))
    assert [created for _, created in race].count(True) == 1
    assert len({record.value["n"] for record, _ in race}) == 1


async def test_results_of_a_transact(client):
    commit = await client.transact(
        [
            Write("a1", "k", {"n": 1}),
            Increment("a1", "k", "/n", 2),
            Append("a1", "m/", {}),
            Append("a1", "m/", {}),
            Write("a1", "k2", {}, if_absent=True),
            Merge("a2", "k", {"x": 1}),
            Delete("a1", "gone"),
        ]
    )
    assert [r.key for r in commit.results][2:4] == ["m/0000000000000001", "m/0000000000000002"]
    assert [v.key for v in commit.versions] == [r.key for r in commit.results]
    assert [v.version for v in commit.versions] == [1, 1, 1, 1, 1, 1, 1]
    assert commit.results[1].value == {"n": 3}
    assert commit.results[5].value == {"x": 1}
    assert (await client.transact([Write("a1", "k", {})])).results == ()


async def test_in_a_transaction(client):
    await client.write("a1", "k", {"n": 1})
    async with client.begin_transaction() as tx:
        assert (await tx.get_state("a1", "k")).value == {"n": 1}
        total = await tx.increment("a1", "k", "/n", 4)
        message = await tx.append("a1", "m/", {"text": "Hi"})
        patched = await tx.merge("a1", "p", {"x": 1})
        owner = await tx.put_if_absent("a1", "owner", {"name": "alice"})
        await tx.write("a2", "k", {"n": 2})
        for pending in (total, message, patched, owner):
            with pytest.raises(UsageError, match="when the transaction has committed"):
                _ = pending.version
            assert repr(pending).endswith(": decided at the commit>")
    assert total.value == {"n": 5}
    assert (message.key, message.version) == ("m/0000000000000001", 1)
    assert patched.value == {"x": 1}
    assert (owner.key, owner.existed) == ("owner", False)
    assert (await client.get_state("a2", "k")).value == {"n": 2}
    with pytest.raises(UsageError, match="neither true nor false"):
        bool(owner)


async def test_what_the_commit_decides_cannot_be_read_before(client):
    tx = await client.begin_transaction()
    await tx.increment("a1", "k", "/n")
    await tx.append("a1", "m/", {})
    for read in (
        tx.get_state("a1", "k"),
        tx.get_many("a1", ["x", "k"]),
        tx.list_keys("a1"),
        tx.list_keys("a1", "m/"),
        tx.list_keys("a1", "m/00"),
        taken(tx.scan_prefix("a1", "")),
    ):
        with pytest.raises(UsageError, match="has staged (increment|append)"):
            await read
    assert await tx.list_keys("a1", "x") == []
    assert await tx.get_state("a2", "k") is None
    await tx.write("a1", "k", {"n": 10})
    assert (await tx.get_state("a1", "k")).value == {"n": 10}, "it is what was written after it"
    await tx.increment("a1", "k", "/n")
    with pytest.raises(UsageError):
        await tx.get_state("a1", "k")
    await tx.commit()
    assert (await client.get_state("a1", "k")).value == {"n": 11}
    async with client.begin_transaction() as tx:
        await tx.write("a1", "k", {"n": 1})
        await tx.increment("a1", "k", "/n")
        await tx.write("a1", "k", {"n": 5})  # comes after it, and not in the place of the first
        last = await tx.increment("a1", "k", "/n")
    assert last.value == {"n": 6}
    held = await client.begin_transaction(held=True)
    with pytest.raises(UsageError, match="begin one without held"):
        await held.increment("a1", "k", "/n")
    with pytest.raises(UsageError, match="begin one without held"):
        await held.write("a1", "k", {}, ttl=1)


async def taken(iterator):
    return [item async for item in iterator]


async def test_increments_do_not_conflict(client):
    transactions = [await client.begin_transaction() for _ in range(5)]
    for tx in transactions:
        await tx.increment("a1", "k", "/n")
    for tx in transactions:
        await tx.commit()
    assert (await client.get_state("a1", "k")).value == {"n": 5}


async def test_bytes(client):
    data = bytes(range(256)) * 4
    commit = await client.write("a1", "image", data, content_type="image/png")
    assert commit.version == 1
    record = await client.get_state("a1", "image")
    assert (record.value, record.content_type) == (data, "image/png")
    assert type(record.value) is bytes
    await client.write("a1", "plain", bytearray(b"x"))
    await client.write("a1", "none", b"")
    json = {"$bytes": "eA==", "$content_type": "text/plain"}
    await client.write("a1", "json", json)
    records = {r.key: r async for r in client.scan_prefix("a1")}
    assert records["plain"].value == b"x"
    assert records["plain"].content_type == "application/octet-stream"
    assert records["none"].value == b""
    assert (records["json"].value, records["json"].content_type) == (json, "")
    [many] = await client.get_many("a1", ["image"])
    assert many == record
    assert (await client.get_state_at_version("a1", "image", 1)).value == data
    assert [e.value async for e in client.history("a1", "image")] == [data]
    assert [e.content_type async for e in client.history("a1", "image")] == ["image/png"]
    events = [e async for e in client.replay("a1", "image")]
    assert [(op.value, op.content_type) for e in events for op in e.operations] == [
        (data, "image/png")
    ]
    for refused in (client.merge("a1", "image", {}), client.increment("a1", "image", "/n")):
        with pytest.raises(EvaluationFailed):
            await refused
    with pytest.raises(InvalidArgument, match="content_type is of bytes"):
        await client.write("a1", "k", {}, content_type="text/plain")
    async with client.begin_transaction() as tx:
        await tx.write("a1", "image", b"new", content_type="image/gif")
        mine = await tx.get_state("a1", "image")
        assert (mine.value, mine.content_type) == (b"new", "image/gif")
    assert (await client.get_state("a1", "image")).value == b"new"
    async with client.begin_transaction(held=True) as tx:
        await tx.write("a1", "image", b"held")
        assert (await tx.get_state("a1", "image")).value == b"held"
    made, _ = await client.put_if_absent("a1", "image", {})
    assert made.value == b"held"


async def test_large_bytes(client):
    data = b"\xff" * (1 << 20)
    await client.write("a1", "large", data)
    assert (await client.get_state("a1", "large")).value == data
    with pytest.raises(InvalidArgument, match="more than the limit of"):
        await client.write("a1", "large", b"\xff" * (3 << 20))


async def test_expiry(client):
    commit = await client.write("a1", "k", {"n": 1}, ttl=0.5)
    record = await client.get_state("a1", "k")
    assert record.expires_at == commit.timestamp + datetime.timedelta(seconds=0.5)
    await client.write("a1", "stays", {})
    assert (await client.get_state("a1", "stays")).expires_at is None
    [moved, none, absent] = await client.refresh(
        "a1", ["k", "stays", "absent"], ttl=datetime.timedelta(seconds=1)
    )
    assert (none, absent) == (None, None)
    assert moved > record.expires_at
    assert [e async for e in client.watch("a1", after=commit.commit_ts, timeout=0.3)]
    gone = None
    async for event in client.watch("a1", after=commit.commit_ts, timeout=20):
        if event.cause:
            gone = event
            break
    assert gone is not None
    assert gone.cause == "expired"
    assert gone.timestamp >= moved
    assert [(op.key, op.deleted, op.version) for op in gone.operations] == [("k", True, 2)]
    assert await client.get_state("a1", "k") is None
    [tombstone, _] = [e async for e in client.history("a1", "k")]
    assert (tombstone.cause, tombstone.principal) == ("expired", "statehouse")


async def test_a_head_condition_does_not_see_what_the_daemon_commits(client):
    from statehouse import HeadPrecondition

    commit = await client.write("a1", "k", {}, ttl=0.2)
    end = time.monotonic() + 20
    while await client.get_state("a1", "k") and time.monotonic() < end:
        await asyncio.sleep(0.05)
    await client.transact(
        [Write("a1", "l", {})], preconditions=[HeadPrecondition("a1", commit.commit_ts)]
    )


async def test_what_makes_no_sense(client):
    for options, said in (
        ({"ttl": 0}, "ttl must be a number of seconds above 0"),
        ({"ttl": "1"}, "ttl must be a number of seconds"),
        ({"due_at": 5}, "due_at: an aware datetime"),
        ({"due_at": datetime.datetime(2026, 2, 7)}, "has no time zone"),
        ({"due_in": -1}, "due_in must be a number of seconds"),
        ({"due_at": "2026-02-07T10:00:00Z", "due_in": 1}, "leave out one"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            await client.write("a1", "k", {}, **options)
    with pytest.raises(
        InvalidArgument, match=r"operations are Write\(...\), Delete\(...\), Append"
    ):
        await client.transact(["k"])
    with pytest.raises(InvalidArgument, match="delete_agent"):
        await client.delete_prefix("a1", "")
