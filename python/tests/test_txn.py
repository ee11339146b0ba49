"""Transactions."""

import asyncio

import pytest

from statehouse import (
    Append,
    ConflictError,
    InvalidArgument,
    KeyPrecondition,
    PreconditionFailed,
    TransactionAborted,
    TransactionCommitted,
    TransactionError,
    TransactionExpired,
    TxnState,
)


async def test_commits_at_the_end_of_the_block(client):
    async with client.begin_transaction(metadata={"actor": "test"}) as tx:
        await tx.write(agent_id="agent-1", key="k", value={"x": 1})
        await tx.write(agent_id="agent-2", key="k", value={"x": 2})
        await tx.delete(agent_id="agent-2", key="gone")
        tx.metadata["reason"] = "because"
        assert await client.get_state("agent-1", "k") is None
        assert tx.committed is None
    assert [(v.agent_id, v.key, v.version) for v in tx.committed.versions] == [
        ("agent-1", "k", 1),
        ("agent-2", "k", 1),
        ("agent-2", "gone", 1),
    ]
    assert (await client.get_state("agent-2", "k")).value == {"x": 2}
    [event] = [e async for e in client.replay("agent-1")]
    assert event.metadata == {"actor": "test", "reason": "because"}
    assert (event.txn_id, event.commit_ts) == (tx.txn_id, tx.committed.commit_ts)


async def test_aborts_on_an_exception(client):
    with pytest.raises(KeyError):
        async with client.begin_transaction() as tx:
            await tx.write("a1", "k", {})
            raise KeyError("mine")
    assert await client.get_state("a1", "k") is None
    assert (await client.get_transaction(tx.txn_id)).state is TxnState.NEVER_SEEN
    for call in (tx.commit, lambda: tx.write("a1", "k", {}), lambda: tx.get_state("a1", "k")):
        with pytest.raises(TransactionAborted):
            await call()


async def test_by_hand(client):
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {"x": 1})
    assert (await client.get_transaction(tx.txn_id)).state is TxnState.NEVER_SEEN
    commit = await tx.commit()
    assert await tx.commit() == commit == tx.committed
    assert (await client.get_transaction(tx.txn_id)).commit == commit
    with pytest.raises(TransactionCommitted):
        await tx.write("a1", "k", {"x": 2})
    with pytest.raises(TransactionCommitted):
        await tx.abort()
    async with client.begin_transaction() as tx:
        await tx.write("a1", "k", {"x": 3})
        await tx.abort()
        await tx.abort()
    assert (await client.get_state("a1", "k")).value == {"x": 1}
    assert tx.committed is None


async def test_reads_inside(client):
    before = await client.write("a1", "k", {"x": 1})
    async with client.begin_transaction() as tx:
        assert tx.snapshot_ts == 0
        assert (await tx.get_state("a1", "k")).read_ts == before.commit_ts == tx.snapshot_ts
        await client.write("a2", "unrelated", {})
        assert await tx.get_state("a2", "unrelated2") is None
        assert await tx.list_keys("a2") == []
        await client.write("a1", "later", {})
        await tx.write("a1", "l", {"x": 2})
        await tx.delete("a1", "k")
        assert await tx.get_state("a1", "k") is None
        assert (await tx.get_state("a1", "l")).value == {"x": 2}
        assert [r and r.value for r in await tx.get_many("a1", ["k", "l"])] == [None, {"x": 2}]
        assert await tx.list_keys("a1") == ["l"]
        assert [r.value async for r in tx.scan_prefix("a1")] == [{"x": 2}]
        assert [k async for k in tx.scan_keys("a1")] == ["l"]
        for read in (tx.get_state("a1", "k", as_of=1), tx.get_many("a1", ["k"], as_of=1)):
            with pytest.raises(InvalidArgument, match="leave as_of out"):
                await read
        with pytest.raises(InvalidArgument, match="leave as_of out"):
            _ = [k async for k in tx.scan_keys("a1", as_of=1)]
        with pytest.raises(InvalidArgument):
            await tx.list_keys("a1", limit=-1)
        await tx.abort()
    assert await client.list_keys("a1") == ["k", "later"]


async def test_only_reading_commits_nothing(client):
    before = await client.write("a1", "k", {})
    async with client.begin_transaction() as tx:
        await tx.get_state("a1", "k")
    assert tx.committed.commit_ts == before.commit_ts
    assert tx.committed.versions == ()
    assert tx.committed.version == 0


async def test_conflict(client):
    await client.write("a1", "k", {"x": 1})
    with pytest.raises(TransactionError) as caught:
        async with client.begin_transaction() as tx:
            await tx.get_state("a1", "k")
            await client.write("a1", "k", {"x": 2})
            await tx.write("a1", "other", {})
    error = caught.value
    assert isinstance(error, ConflictError)
    assert not isinstance(error, PreconditionFailed)
    assert (error.key, error.agent_id, error.namespace) == ("k", "a1", client.namespace)
    assert (error.expected_version, error.current_version) == (1, 2)
    assert "run_transaction" in str(error)
    assert await client.get_state("a1", "other") is None
    with pytest.raises(ConflictError):
        await tx.commit()


async def test_conditions_inside(client):
    await client.write("a1", "k", {})
    for version, fails in ((1, False), (1, True)):
        tx = await client.begin_transaction()
        await tx.write("a1", "k", {}, expected_version=version)
        if fails:
            with pytest.raises(PreconditionFailed) as caught:
                await tx.commit()
            assert (caught.value.expected_version, caught.value.current_version) == (1, 2)
        else:
            await tx.commit()
    tx = await client.begin_transaction()
    tx.preconditions.append(KeyPrecondition("a1", "k", 7))
    await tx.write("a1", "z", {})
    with pytest.raises(PreconditionFailed):
        await tx.commit()


async def test_a_refusal_of_a_key_is_no_older_daemon(client):
    """A daemon that knows what a transaction has read refuses keys for reasons of its own."""
    await client.transact([Append("a1", "events/", {"n": 1})])
    async with client.begin_transaction() as tx:
        keys = [record.key async for record in tx.scan_prefix("a1", "events/")]
        await tx.delete("a1", keys[0])
        await tx.append("a1", "events/", {"n": 2})
        with pytest.raises(InvalidArgument, match="names key"):
            await tx.commit()
        await tx.abort()
    async with client.begin_transaction() as tx:  # held by the client, as before
        await tx.get_state("a1", keys[0])
        await tx.append("a1", "events/", {"n": 2})


async def test_expiry(client):
    tx = await client.begin_transaction(timeout=0.01)
    assert tx.timeout == 0.01
    await tx.write("a1", "k", {})
    await asyncio.sleep(0.02)
    for call in (tx.commit, lambda: tx.write("a1", "l", {}), lambda: tx.get_state("a1", "k")):
        with pytest.raises(TransactionExpired, match="Do the slow work outside"):
            await call()
    await tx.abort()
    assert await client.list_keys("a1") == []
    for timeout in (0, -1, "3", float("nan")):
        with pytest.raises(InvalidArgument, match="timeout"):
            await client.begin_transaction(timeout=timeout)


async def test_the_default_timeout_is_half_a_minute(client):
    tx = await client.begin_transaction()
    assert tx.timeout == 30
    await tx.abort()


async def test_run_transaction(client):
    async def count(tx):
        record = await tx.get_state("a1", "n")
        n = record.value["n"] + 1 if record else 1
        await tx.write("a1", "n", {"n": n})
        return n

    assert [await client.run_transaction(count) for _ in range(3)] == [1, 2, 3]

    async def fails(tx):
        await tx.write("a1", "n", {"n": 0})
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await client.run_transaction(fails)
    assert (await client.get_state("a1", "n")).value == {"n": 3}


async def test_run_transaction_repeats_conflicts_in_fresh_transactions(client):
    seen = []

    async def work(tx):
        tx.metadata["try"] = str(len(seen) + 1)
        seen.append((await tx.get_state("a1", "k"), tx.txn_id))
        if len(seen) < 3:
            await client.write("a1", "k", {"n": len(seen)})
        await tx.write("a1", "result", {"tries": len(seen)})

    await client.run_transaction(work, metadata={"actor": "test"})
    assert len({txn_id for _, txn_id in seen}) == 3
    assert [record and record.value["n"] for record, _ in seen] == [None, 1, 2]
    events = [e async for e in client.replay("a1", "result")]
    assert [e.metadata for e in events] == [{"actor": "test", "try": "3"}]


async def test_run_transaction_ends_when_its_time_is_over(client):
    tries = 0

    async def hopeless(tx):
        nonlocal tries
        tries += 1
        await tx.get_state("a1", "k")
        await client.write("a1", "k", {})
        await tx.write("a1", "k", {})

    with pytest.raises(ConflictError):
        await client.with_options(timeout=0.5).run_transaction(hopeless)
    assert tries > 2


async def test_run_transaction_does_not_repeat_failed_preconditions(client):
    tries = 0

    async def work(tx):
        nonlocal tries
        tries += 1
        await tx.write("a1", "k", {}, expected_version=5)

    with pytest.raises(PreconditionFailed):
        await client.run_transaction(work)
    assert tries == 1


async def test_concurrent_read_modify_write(client):
    """One client, used by many threads or tasks at once: no increment is lost."""
    workers, rounds = 16, 8

    async def add(tx):
        record = await tx.get_state("a1", "n")
        await tx.write("a1", "n", {"n": record.value["n"] + 1 if record else 1})

    async def work():
        for _ in range(rounds):
            await client.run_transaction(add)

    await asyncio.gather(*(work() for _ in range(workers)))
    record = await client.get_state("a1", "n")
    assert record.value == {"n": workers * rounds}
    assert record.version == workers * rounds


async def test_many_at_once(client):
    """Answers are not mixed up between the threads or tasks of one client."""

    async def work(n):
        await client.write("a1", f"k{n}", {"n": n})
        assert (await client.get_state("a1", f"k{n}")).value == {"n": n}
        assert [r.value async for r in client.scan_prefix("a1", f"k{n}", limit=1)] == [{"n": n}]

    await asyncio.gather(*(work(n) for n in range(200)))
    assert len(await client.list_keys("a1")) == 200
