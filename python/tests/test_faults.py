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
    EpochChanged,
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
    proxy.lose(what, times=2)
    async with lossy.begin_transaction() as tx:
        assert (await tx.get_state("a1", "k")).value == {"n": 1}
    proxy.lose(what)
    assert len(await events(lossy)) == 1
    assert proxy.lost == 5


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


async def test_a_transaction_outlives_the_daemon(dial, statehouse_on_disk):
    """It is in the client, and of the daemon it asks only what is on the disk."""
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    await client.write("a1", "kept", {"n": 1})
    async with client.begin_transaction() as tx:
        assert (await tx.get_state("a1", "kept")).value == {"n": 1}
        await tx.write("a1", "k", {"n": 1})
        daemon.crash()
        daemon.restart()
        assert await tx.list_keys("a1") == ["k", "kept"]
    assert tx.committed.commit_ts == 2


async def test_a_snapshot_that_is_gone(dial, daemon):
    """As with a daemon that keeps nothing and was started again."""
    client = dial(daemon.url)
    await client.write("a1", "k", {"n": 1})
    runs = 0

    async def work(tx):
        nonlocal runs
        runs += 1
        await tx.get_state("a1", "k")
        if runs == 1:
            daemon.restart()
        await tx.write("a1", "runs", {"n": runs})

    async with client.begin_transaction() as tx:
        await tx.get_state("a1", "k")
        daemon.restart()
        await tx.write("a1", "l", {})
        with pytest.raises(TransactionNotFound, match="a state that is gone"):
            await tx.get_state("a1", "k2")
        with pytest.raises(EpochChanged, match="began epoch"):
            await tx.commit()
    await client.write("a1", "k", {"n": 1})
    await client.run_transaction(work)
    assert runs == 2


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
    held = await client.begin_transaction(held=True)

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
            fails(client.begin_transaction(held=True)),
            fails(tx.get_state("a1", "l")),
            fails(held.write("a1", "l", {})),
            fails(events(client)),
            fails(client.write("a1", "k", {}), OutcomeUnknown),
        )
        assert isinstance(unknown.__cause__, TimeoutError)
        with pytest.raises(TransactionError, match="begin again"):
            await held.commit()
        await tx.write("a1", "l", {})
        await fails(tx.commit(), OutcomeUnknown)
    finally:
        daemon.resume()
    while True:
        with contextlib.suppress(OutcomeUnknown):
            assert (await tx.commit()).version == 1
            break
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
