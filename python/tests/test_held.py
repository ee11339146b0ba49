"""Transactions that the daemon holds."""

import asyncio

import pytest
from test_unanswered import close_while_waiting

from statehouse import (
    ConflictError,
    ConnectionError,
    InvalidArgument,
    PreconditionFailed,
    TransactionAborted,
    TransactionCommitted,
    TransactionError,
    TransactionExpired,
    TransactionNotFound,
    TxnState,
    UsageError,
)

LOST = ["reply", "request"]


async def events(client):
    return [e async for e in client.replay()]


async def test_the_daemon_knows_of_it(client):
    before = (await client.status()).open_transactions
    tx = await client.begin_transaction(held=True)
    assert (await client.status()).open_transactions > before
    await tx.write("a1", "k", {"x": 1})
    assert (await client.get_transaction(tx.txn_id)).state is TxnState.OPEN
    commit = await tx.commit()
    assert await tx.commit() == commit == tx.committed
    with pytest.raises(TransactionCommitted):
        await tx.write("a1", "k", {"x": 2})
    with pytest.raises(TransactionCommitted):
        await tx.abort()
    with pytest.raises(KeyError):
        async with client.begin_transaction(held=True) as tx:
            await tx.write("a1", "k", {})
            raise KeyError("mine")
    assert (await client.get_transaction(tx.txn_id)).state is TxnState.ABORTED
    with pytest.raises(TransactionAborted):
        await tx.commit()
    with pytest.raises(InvalidArgument, match="held"):
        await client.begin_transaction(held="yes")


async def test_its_snapshot_is_that_of_the_begin(client):
    before = await client.write("a1", "k", {"x": 1})
    async with client.begin_transaction(held=True) as tx:
        assert tx.snapshot_ts == before.commit_ts
        await client.write("a1", "later", {})
        await tx.write("a1", "l", {"x": 2})
        await tx.delete("a1", "k")
        assert await tx.get_state("a1", "k") is None
        assert (await tx.get_state("a1", "l")).value == {"x": 2}
        assert [r and r.value for r in await tx.get_many("a1", ["k", "l"])] == [None, {"x": 2}]
        assert await tx.list_keys("a1", "l", limit=1) == ["l"]
        assert [r.value async for r in tx.scan_prefix("a1", "l", limit=1)] == [{"x": 2}]
        for read in (tx.get_state("a1", "k", as_of=1), tx.get_many("a1", ["k"], as_of=1)):
            with pytest.raises(InvalidArgument, match="leave as_of out"):
                await read
        await tx.abort()
    assert tx.committed is None


async def test_conflict_and_condition(client):
    await client.write("a1", "k", {"x": 1})
    with pytest.raises(ConflictError) as caught:
        async with client.begin_transaction(held=True) as tx:
            await tx.get_state("a1", "k")
            await client.write("a1", "k", {"x": 2})
            await tx.write("a1", "other", {})
    assert not isinstance(caught.value, PreconditionFailed)
    with pytest.raises(PreconditionFailed):
        async with client.begin_transaction(held=True) as tx:
            await tx.write("a1", "k", {}, expected_version=1)


async def test_expiry(client):
    tx = await client.begin_transaction(timeout=0.001, held=True)
    assert tx.timeout == 0.001
    while (await client.get_transaction(tx.txn_id)).state is TxnState.OPEN:
        await asyncio.sleep(0.001)
    with pytest.raises(TransactionExpired, match="Do the slow work outside"):
        await tx.commit()


async def test_unknown_to_the_daemon(client):
    tx = await client.begin_transaction(held=True)
    await tx.abort()
    blocking = getattr(tx, "blocking", tx)
    blocking.txn_id = "00000000-0000-7000-8000-000000000000"
    with pytest.raises(TransactionNotFound):
        await tx.write("a1", "k", {})


async def test_killed_in_mid_transaction(dial, statehouse_on_disk):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    with pytest.raises(TransactionNotFound, match="do not survive|not") as caught:
        async with client.begin_transaction(held=True) as tx:
            await tx.write("a1", "k", {"n": 1})
            daemon.crash()
            daemon.restart()
    assert isinstance(caught.value, TransactionError)
    assert await client.get_state("a1", "k") is None


@pytest.mark.parametrize("step", ["write", "delete"])
async def test_a_staged_write_whose_client_is_closed_meanwhile(lossy, proxy, step):
    tx = await lossy.begin_transaction(held=True)
    staged = tx.write("a1", "k", {}) if step == "write" else tx.delete("a1", "k")
    with pytest.raises(UsageError, match="the client was closed"):
        await close_while_waiting(lossy, proxy, staged)


@pytest.mark.parametrize("what", LOST)
async def test_a_staged_write_is_not_repeated(lossy, proxy, what):
    """A late duplicate could undo a later write of the same key."""
    tx = await lossy.begin_transaction(held=True)
    await tx.write("a1", "k", {"n": 1})
    proxy.lose(what)
    with pytest.raises(ConnectionError) as caught:
        await tx.write("a1", "k", {"n": 2})
    assert proxy.lost == 1
    assert not caught.value.answered
    for _ in range(2):
        with pytest.raises(TransactionError, match="begin again") as caught:
            await tx.commit()
        assert isinstance(caught.value.__cause__, ConnectionError)
    assert await events(lossy) == []
    await tx.abort()
    # The block does not commit it either when the failure was passed over.
    with pytest.raises(TransactionError, match="begin again"):
        async with lossy.begin_transaction(held=True) as tx:
            proxy.lose(what)
            with pytest.raises(ConnectionError):
                await tx.delete("a1", "k")
    assert await events(lossy) == []
    # It is told to abort only if it hears; otherwise the timeout does it.
    assert (await lossy.get_transaction(tx.txn_id)).state is not TxnState.COMMITTED


@pytest.mark.parametrize("passed_over", [False, True])
async def test_run_transaction_begins_again_after_a_lost_write(lossy, proxy, passed_over):
    """Which sends writes only where the daemon is too old for anything else."""
    getattr(lossy, "blocking", lossy)._endpoint.knows_reads = False
    tries = 0

    async def work(tx):
        nonlocal tries
        tries += 1
        if tries == 1:
            proxy.lose("reply")
        try:
            await tx.write("a1", "k", {"try": tries})
        except ConnectionError:
            if not passed_over:
                raise
        await tx.write("a1", "l", {})

    await lossy.run_transaction(work)
    assert tries == 2
    [event] = await events(lossy)
    assert event.operations[0].value == {"try": 2}
