"""What the client makes of lost replies, and of daemons that die or stand still."""

import asyncio
import contextlib
import socket
import time

import grpc
import pytest

from statehouse import (
    ConnectionError,
    DeadlineExceeded,
    OutcomeUnknown,
    PreconditionFailed,
    Statehouse,
    StatehouseError,
    TransactionError,
    TransactionNotFound,
    TxnState,
    Write,
)
from statehouse._calls import Caller, Deadline, Options
from statehouse._effects import Call, Reach
from statehouse._status import from_rpc

LOST = ["reply", "request"]


async def events(client):
    return [e async for e in client.replay()]


@pytest.mark.parametrize("what", LOST)
async def test_a_one_shot_whose_answer_is_lost_takes_effect_once(lossy, proxy, what):
    await lossy.health()
    proxy.lose(what, times=3)
    commit = await lossy.write("a1", "k", {"n": 1}, expected_version=0)
    assert proxy.lost == 3
    [event] = await events(lossy)
    assert (event.txn_id, event.commit_ts) == (commit.txn_id, commit.commit_ts)
    assert commit.version == 1


@pytest.mark.parametrize("what", LOST)
async def test_a_commit_whose_answer_is_lost_takes_effect_once(lossy, proxy, what):
    async with lossy.begin_transaction() as tx:
        await tx.write("a1", "k", {"n": 1})
        proxy.lose(what, times=2)
    assert proxy.lost == 2
    [event] = await events(lossy)
    assert (event.txn_id, event.commit_ts) == (tx.txn_id, tx.committed.commit_ts)


@pytest.mark.parametrize("what", LOST)
async def test_reads_and_begin_are_repeated(lossy, proxy, what):
    await lossy.write("a1", "k", {"n": 1})
    proxy.lose(what, times=2)
    assert (await lossy.get_state("a1", "k")).value == {"n": 1}
    proxy.lose(what)
    tx = await lossy.begin_transaction()
    await tx.abort()
    proxy.lose(what)
    assert len(await events(lossy)) == 1
    assert proxy.lost == 4


@pytest.mark.parametrize("what", LOST)
async def test_a_staged_write_is_not_repeated(lossy, proxy, what):
    """A late duplicate could undo a later write of the same key."""
    tx = await lossy.begin_transaction()
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
        async with lossy.begin_transaction() as tx:
            proxy.lose(what)
            with pytest.raises(ConnectionError):
                await tx.delete("a1", "k")
    assert await events(lossy) == []
    # It is told to abort only if it hears; otherwise the timeout does it.
    assert (await lossy.get_transaction(tx.txn_id)).state is not TxnState.COMMITTED


@pytest.mark.parametrize("passed_over", [False, True])
async def test_run_transaction_begins_again_after_a_lost_write(lossy, proxy, passed_over):
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


async def test_an_outcome_that_stays_unknown(lossy, proxy):
    await lossy.health()
    proxy.lose("reply", times=1000)
    impatient = lossy.with_options(timeout=0.5)
    operations = [Write("a1", "k", {"n": 1})]
    with pytest.raises(OutcomeUnknown, match="get_transaction") as caught:
        await impatient.transact(operations, txn_id=f"{lossy.namespace}-mine")
    error = caught.value
    assert error.txn_id == f"{lossy.namespace}-mine"
    assert error.txn_id in str(error)
    assert error.code == "OUTCOME_UNKNOWN"
    assert not isinstance(error, (TransactionError, ConnectionError))  # those are definite
    assert isinstance(error.__cause__, ConnectionError)
    proxy.lose("pass")
    outcome = await lossy.get_transaction(error.txn_id)
    assert outcome.state is TxnState.COMMITTED
    assert (await lossy.transact(operations, txn_id=error.txn_id)) == outcome.commit
    assert len(await events(lossy)) == 1


async def test_an_interactive_outcome_that_stays_unknown(lossy, proxy):
    impatient = lossy.with_options(timeout=0.5)
    with pytest.raises(OutcomeUnknown) as caught:
        async with impatient.begin_transaction() as tx:
            await tx.write("a1", "k", {})
            proxy.lose("reply", times=1000)
    assert caught.value.txn_id == tx.txn_id
    assert tx.committed is None
    proxy.lose("pass")
    assert await tx.commit() == (await lossy.get_transaction(tx.txn_id)).commit
    assert len(await events(lossy)) == 1


async def test_a_refusal_after_doubt_says_so(lossy, proxy):
    """The lost request could yet arrive when the key is absent again."""
    await lossy.write("a1", "k", {})
    proxy.lose("request")
    with pytest.raises(PreconditionFailed) as caught:
        await lossy.write("a1", "k", {}, expected_version=0)
    assert caught.value.maybe_applied
    with pytest.raises(PreconditionFailed) as caught:
        await lossy.write("a1", "k", {}, expected_version=0)
    assert not caught.value.maybe_applied


async def test_a_connection_that_takes_its_time(dial, proxy):
    """As TLS to another continent does. Health and fail_fast do not try again."""
    proxy.delay = 0.5
    assert await dial(proxy.url, fail_fast=True).health() == "ok"


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


@pytest.mark.parametrize("fail_fast", [True, False])
async def test_nobody_listens(dial, fail_fast):
    client = dial(closed_port(), timeout=20 if fail_fast else 0.5, fail_fast=fail_fast)

    async def fails(call):
        began = time.monotonic()
        with pytest.raises(ConnectionError, match="Is statehoused running|allow more") as caught:
            await call
        took = time.monotonic() - began
        assert took < 15 if fail_fast else 0.3 < took < 5
        assert isinstance(caught.value, OSError)  # as the built-in ConnectionError is
        assert isinstance(caught.value, DeadlineExceeded) is not fail_fast
        assert caught.value.code == "UNAVAILABLE"

    await asyncio.gather(
        fails(client.get_state("a1", "k")),
        fails(client.write("a1", "k", {})),  # not OutcomeUnknown: it was certainly not sent
        fails(client.begin_transaction()),
        fails(events(client)),
    )


async def test_killed_in_mid_transaction(dial, statehouse_on_disk):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    kept = await client.write("a1", "kept", {"n": 1})
    with pytest.raises(TransactionNotFound, match="do not survive|not") as caught:
        async with client.begin_transaction() as tx:
            await tx.write("a1", "k", {"n": 1})
            daemon.crash()
            daemon.restart()
    assert isinstance(caught.value, TransactionError)
    assert await client.get_state("a1", "k") is None
    assert await client.get_transaction(kept.txn_id)
    tries = 0

    async def work(tx):
        nonlocal tries
        tries += 1
        await tx.write("a1", "k", {"try": tries})
        if tries == 1:
            daemon.restart()
        await tx.write("a1", "l", {"try": tries})

    await client.run_transaction(work)
    assert tries == 2
    assert (await client.get_state("a1", "k")).value == {"try": 2}
    assert [e.commit_ts async for e in client.replay("a1")] == [1, 2]


async def test_killed_under_writers(dial, statehouse_on_disk):
    """Every write is acknowledged, although the daemon is killed again and again, and each
    took effect once.
    """
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    workers, rounds = 8, 40
    done = 0

    async def work(worker):
        nonlocal done
        for n in range(rounds):
            await client.write(f"w{worker}", "n", {"n": n}, expected_version=n)
            done += 1

    async def kill():
        for part in (1, 2, 3):
            while done < workers * rounds * part / 4:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(daemon.restart)

    await asyncio.gather(kill(), *(work(w) for w in range(workers)))
    for worker in range(workers):
        values = [e.operations[0].value["n"] async for e in client.replay(f"w{worker}")]
        assert values == list(range(rounds))


async def test_a_daemon_that_stands_still(dial, statehouse_on_disk):
    daemon = statehouse_on_disk
    client = dial(daemon.url, timeout=0.6, attempt_timeout=0.25)
    await client.write("a1", "k", {})
    tx = await client.begin_transaction()

    async def fails(call, error=DeadlineExceeded):
        began = time.monotonic()
        with pytest.raises(error) as caught:
            await call
        assert 0.2 < time.monotonic() - began < 5  # left alone it would take 10 s and more
        return caught.value

    daemon.pause()
    try:
        *_, unknown = await asyncio.gather(
            fails(client.get_state("a1", "k")),
            fails(client.list_keys("a1")),
            fails(client.health()),
            fails(client.begin_transaction()),
            fails(tx.write("a1", "l", {})),
            fails(events(client)),
            fails(client.write("a1", "k", {}), OutcomeUnknown),
        )
        assert isinstance(unknown.__cause__, TimeoutError)
        with pytest.raises(TransactionError, match="begin again"):
            await tx.commit()
    finally:
        daemon.resume()
    patient = client.with_options(timeout=30, attempt_timeout=10)
    state = (await patient.get_transaction(unknown.txn_id)).state
    assert state in (TxnState.OPEN, TxnState.COMMITTED, TxnState.NEVER_SEEN)
    assert (await patient.get_state("a1", "k")).version in (1, 2)


async def test_without_bounds(dial, statehouse_daemon):
    client = dial(statehouse_daemon.url, timeout=None, attempt_timeout=None, namespace="unbound")
    await client.write("a1", "k", {})
    assert (await client.get_state("a1", "k")).value == {}
    assert len(await events(client)) >= 1


async def test_a_cancelled_commit_can_be_asked_about(client, kind):
    if kind == "sync":
        pytest.skip("threads cannot be cancelled")
    for n in range(20):
        writing = asyncio.create_task(client.write("a1", "k", {}, txn_id=f"{client.namespace}-{n}"))
        await asyncio.sleep(n / 10_000)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        outcome = await client.get_transaction(f"{client.namespace}-{n}")
        assert outcome.state in (TxnState.OPEN, TxnState.COMMITTED, TxnState.NEVER_SEEN)


async def test_errors_are_of_one_tree(client):
    with pytest.raises(StatehouseError):
        await client.get_state("", "k")


@pytest.mark.parametrize("answered", [False, True])
async def test_a_deadline_that_passes_is_called_so(lossy, proxy, answered):
    """However short it is, and wherever the call is when it passes: before there is an
    answer, or as it comes, when some calls are in time.
    """
    await lossy.write("a1", "k", {})
    if not answered:
        proxy.lose("silence", times=1000)
    late = contextlib.suppress(DeadlineExceeded) if answered else pytest.raises(DeadlineExceeded)
    for n in range(100):
        with late:
            await lossy.with_options(timeout=0.0001 + n * 0.00004).get_state("a1", "k")


@pytest.mark.parametrize("code", ["CANCELLED", "UNAVAILABLE", "INTERNAL"])
@pytest.mark.parametrize("late", [True, False])
def test_what_a_late_failure_is_called(code, late):
    """What stands between client and daemon ends a call in many ways at its deadline."""

    class Failed(grpc.RpcError):
        def code(self):
            return grpc.StatusCode[code]

        def details(self):
            return "gone"

        def trailing_metadata(self):
            return ()

    endpoint = Statehouse("localhost:1")._endpoint
    caller = Caller(Options("n", 60.0, 0.02 if late else 60.0, True, 10), endpoint)
    steps = caller.attempt("GetState", None, Deadline(60.0))
    assert isinstance(next(steps), Reach)
    assert isinstance(steps.send(True), Call)
    if late:
        time.sleep(0.03)
    with pytest.raises(ConnectionError, match="gone") as caught:
        steps.throw(from_rpc(Failed()))
    assert isinstance(caught.value, DeadlineExceeded) is late
    assert caught.value._sent
    assert caught.value._told.refused is False
