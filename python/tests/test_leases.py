"""Leases: one worker at a time, renewed in the background, and told when it is lost."""

import asyncio
import contextlib
import copy
import pickle
import threading
import time

import pytest

from statehouse import (
    AcquireLease,
    AsyncStatehouse,
    InvalidArgument,
    LeaseHeld,
    LeaseLost,
    LeasePrecondition,
    ReleaseLease,
    Statehouse,
    UsageError,
    Write,
)
from statehouse._aio import leases as awaited
from statehouse._leases import Renewals
from statehouse._steps import leases as steps
from statehouse._sync import leases as blocking

#: The shortest time to live that the daemon takes is 100 ms.
SHORT = 0.4


async def released(lease):
    """Releases a lease of either client."""
    done = lease.release()
    if done is not None:
        await done


async def lost_to_another(client, lease):
    """Takes a lease away: as if it had lapsed and another had acquired it."""
    await client.transact([ReleaseLease(lease.agent_id, lease.name, lease.token)])


async def test_one_at_a_time(client):
    first = await client.lease("a1", "worker", ttl=30, holder="alice")
    assert (first.agent_id, first.name, first.holder, first.ttl) == ("a1", "worker", "alice", 30)
    assert first.held
    assert not first.lost.is_set()
    with pytest.raises(LeaseHeld) as held:
        await client.lease("a1", "worker")
    assert held.value.holder == "alice"
    assert held.value.details["token"] == str(first.token)
    other = await client.lease("a1", "other")
    await client.lease("a2", "worker")
    assert [(i.agent_id, i.name) for i in await client.list_leases("a1")] == [
        ("a1", "other"),
        ("a1", "worker"),
    ]
    assert [i.name for i in await client.list_leases("a1", "work")] == ["worker"]
    assert len(await client.list_leases()) == 3
    assert len(await client.list_leases(limit=2)) == 2
    await released(first)
    await released(first)
    assert not first.held
    with pytest.raises(UsageError, match="was released"):
        first.check()
    second = await client.lease("a1", "worker")
    assert second.token > first.token
    await released(other)


async def test_commits_under_a_lease(client):
    lease = await client.lease("a1", "worker")
    await client.write("a1", "k", {"n": 1}, leases=[lease])
    await client.increment("a1", "k", "/n", leases=[lease])
    await client.transact([Write("a1", "l", {})], preconditions=[lease.condition()])
    async with client.begin_transaction(leases=[lease]) as tx:
        await tx.write("a1", "k", {"n": 3})
    async with client.begin_transaction(held=True, leases=[lease]) as tx:
        await tx.write("a1", "k", {"n": 4})

    async def work(tx):
        await tx.write("a1", "k", {"n": 5})

    await client.run_transaction(work, leases=[lease])
    await lost_to_another(client, lease)
    assert lease.held, "nobody has told this process"
    condition = lease.condition()
    for commit in (
        client.write("a1", "k", {}, leases=[condition]),
        client.delete("a1", "k", leases=[condition]),
        client.append("a1", "k/", {}, leases=[condition]),
        client.merge("a1", "k", {}, leases=[condition]),
        client.put_if_absent("a1", "m", {}, leases=[condition]),
        client.run_transaction(work, leases=[condition]),
    ):
        with pytest.raises(LeaseLost) as lost:
            await commit
        assert not lost.value.maybe_applied
    for held in (True, False):
        with pytest.raises(LeaseLost):
            async with client.begin_transaction(held=held, leases=[condition]) as tx:
                await tx.write("a1", "k", {})
    with pytest.raises(LeaseLost):
        await client.write("a1", "k", {}, leases=[lease])
    assert lease.lost.is_set()
    with pytest.raises(LeaseLost, match="not held"):
        lease.check()
    with pytest.raises(LeaseLost):
        await client.write("a1", "k", {}, leases=[lease])
    assert (await client.get_state("a1", "k")).value == {"n": 5}
    with pytest.raises(LeaseLost):
        await released(lease)


@pytest.mark.parametrize("held", [False, True])
async def test_a_transaction_finds_out(client, held):
    lease = await client.lease("a1", "worker")
    with pytest.raises(LeaseLost):
        async with client.begin_transaction(held=held, leases=[lease]) as tx:
            await tx.write("a1", "k", {})
            await lost_to_another(client, lease)
    assert lease.lost.is_set()


async def test_it_is_renewed_and_its_token_stays(client):
    lease = await client.lease("a1", "worker", ttl=SHORT)
    deadline, end = lease.deadline, time.monotonic() + 3 * SHORT
    while time.monotonic() < end:
        lease.check()
        await asyncio.sleep(0.02)
    assert lease.deadline > deadline
    [info] = await client.list_leases("a1")
    assert info.token == lease.token
    await client.write("a1", "k", {}, leases=[lease])
    await released(lease)
    events = [e async for e in client.replay("a1", all_operations=True)]
    kinds = [(op.kind, op.deleted) for e in events for op in e.operations]
    assert kinds == [("LEASE", False), ("WRITE", False), ("LEASE", True)], "no renewal is an event"


async def test_one_whose_renewal_is_not_answered_keeps_no_other(statehouse_daemon, monkeypatch):
    real = awaited.renew
    async with AsyncStatehouse(statehouse_daemon.url, namespace="keeps-no-other") as client:
        slow = await client.lease("a1", "slow", ttl=SHORT)
        asked, answered, run = asyncio.Event(), asyncio.Event(), client._transport.run

        async def running(generator):
            if generator is slow:
                asked.set()
                await answered.wait()
                return None
            return await run(generator)

        monkeypatch.setattr(client._transport, "run", running)
        monkeypatch.setattr(
            awaited, "renew", lambda caller, due: slow if slow in due else real(caller, due)
        )
        await asyncio.wait_for(asked.wait(), 10)
        other = await client.lease("a1", "other", ttl=SHORT)
        await asyncio.sleep(3 * SHORT)
        other.check()
        answered.set()
        await asyncio.wait_for(slow.lost.wait(), 10)


def test_nor_in_a_thread(statehouse_client, monkeypatch):
    real, asked, answered = blocking.renew, threading.Event(), threading.Event()
    slow = statehouse_client.lease("a1", "slow", ttl=SHORT)

    def renew(caller, due):
        if slow in due:
            asked.set()
            answered.wait(10)
        return real(caller, due)

    monkeypatch.setattr(blocking, "renew", renew)
    assert asked.wait(10)
    other = statehouse_client.lease("a1", "other", ttl=SHORT)
    time.sleep(3 * SHORT)
    other.check()
    answered.set()
    assert slow.lost.wait(10)


async def test_one_that_is_renewed_sooner_than_others(client):
    await client.lease("a1", "long", ttl=60)
    await asyncio.sleep(0.05)  # until that is waited for
    lease = await client.lease("a1", "short", ttl=SHORT)
    await asyncio.sleep(2 * SHORT)
    lease.check()


async def test_it_lapses_with_its_process(client, dial, statehouse_daemon):
    other = dial(statehouse_daemon.url, namespace=client.namespace)
    token = (await other.transact([AcquireLease("a1", "worker", SHORT)])).results[0].lease.token
    with pytest.raises(LeaseHeld):
        await client.lease("a1", "worker")
    before = time.monotonic()
    lease = await client.lease("a1", "worker", wait=20)
    assert time.monotonic() - before < 10
    assert lease.token > token
    with pytest.raises(LeaseLost):
        await other.write("a1", "k", {}, leases=[LeasePrecondition("a1", "worker", token)])
    causes = [e.cause async for e in client.replay("a1", all_operations=True)]
    assert causes == ["", "lapsed", ""]


async def test_waiting(client):
    first = await client.lease("a1", "worker")
    with pytest.raises(LeaseHeld):
        await client.lease("a1", "worker", wait=0.3)
    waiting = [asyncio.ensure_future(acquired(client, wait)) for wait in (20, 20, None)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in waiting)
    await released(first)
    got = await asyncio.gather(*waiting)
    assert len({lease.token for lease in got}) == 3


async def test_a_release_between_looking_and_watching(client, statehouse_daemon, monkeypatch):
    first = await client.lease("a1", "worker")
    commit = steps.commit_of_operations
    with Statehouse(statehouse_daemon.url, namespace=client.namespace) as other:

        def looks(*arguments, **options):
            try:
                return (yield from commit(*arguments, **options))
            except LeaseHeld:
                other.transact([ReleaseLease("a1", "worker", first.token)])
                raise

        monkeypatch.setattr(steps, "commit_of_operations", looks)
        second = await client.lease("a1", "worker", wait=5)
    assert second.token > first.token


async def acquired(client, wait):
    lease = await client.lease("a1", "worker", wait=wait)
    await asyncio.sleep(0.05)
    await released(lease)
    return lease


async def test_a_daemon_that_is_gone(daemon, dial):
    client = dial(daemon.url)
    lease = await client.lease("a1", "worker", ttl=SHORT)
    daemon.pause()
    try:
        await asyncio.sleep(SHORT * 1.5)
        assert lease.lost.is_set()
        assert not lease.held
        with pytest.raises(LeaseLost, match="no renewal was answered within its 0.4 s"):
            lease.check()
    finally:
        daemon.resume()


async def test_a_client_that_is_closed(client, statehouse_daemon, dial):
    other = dial(statehouse_daemon.url, namespace=client.namespace)
    lease = await other.lease("a1", "worker", ttl=SHORT)
    await other.close()
    assert lease.lost.is_set()
    with pytest.raises(LeaseLost, match="was closed"):
        lease.check()
    await client.lease("a1", "worker", wait=20)


async def test_arguments(client):
    for options, said in (
        ({"ttl": 0}, "ttl must be a number of seconds"),
        ({"ttl": "30"}, "ttl must be a number of seconds"),
        ({"wait": -1}, "wait must be a number of seconds"),
        ({"holder": 1}, "holder must be a str"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            await client.lease("a1", "worker", **options)
    with pytest.raises(InvalidArgument, match="leases are what client.lease"):
        await client.write("a1", "k", {}, leases=["worker"])
    lease = await client.lease("a1", "worker")
    for copied in (copy.copy, pickle.dumps):
        with pytest.raises(UsageError, match=r"condition\(\)"):
            copied(getattr(lease, "blocking", lease))
    shown = repr(getattr(lease, "blocking", lease))
    assert shown.endswith(f"Lease 'worker' of 'a1', token {lease.token}: held>")


def test_a_block_of_the_blocking_client(statehouse_client):
    client = statehouse_client
    with client.lease("a1", "worker") as lease:
        client.write("a1", "k", {}, leases=[lease])
    assert client.list_leases("a1") == []
    with pytest.raises(KeyError), client.lease("a1", "worker"):
        raise KeyError("mine")
    assert client.list_leases("a1") == []
    with pytest.raises(LeaseLost), client.lease("a1", "worker") as lease:
        client.transact([ReleaseLease("a1", "worker", lease.token)])
    with pytest.raises(KeyError), client.lease("a1", "worker") as lease:
        client.transact([ReleaseLease("a1", "worker", lease.token)])
        raise KeyError("mine")
    with client.lease("a1", "worker") as lease:
        lease.release()


def test_a_thread_is_told(statehouse_client):
    client = statehouse_client
    with contextlib.suppress(LeaseLost), client.lease("a1", "worker", ttl=SHORT) as lease:
        client.transact([ReleaseLease("a1", "worker", lease.token)])
        assert lease.lost.wait(10)
        with pytest.raises(LeaseLost, match="not held under token"):
            client.write("a1", "k", {}, leases=[lease])
    assert client.get_state("a1", "k") is None


async def test_a_task_is_cancelled(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="cancelled") as client:
        reached = []
        with pytest.raises(LeaseLost, match="not held under token") as lost:
            async with client.lease("a1", "worker", ttl=SHORT) as lease:
                await lost_to_another(client, lease)
                reached.append("asleep")
                await asyncio.sleep(30)
                reached.append("awake")
        assert isinstance(lost.value.__cause__, asyncio.CancelledError)
        assert reached == ["asleep"]
        task = asyncio.current_task()
        assert not hasattr(task, "cancelling") or task.cancelling() == 0
        await asyncio.sleep(0)  # goes on: the cancellation is over


async def test_a_task_that_is_cancelled_by_others(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="by-others") as client:

        async def work():
            async with client.lease("a1", "worker"):
                await asyncio.sleep(30)

        task = asyncio.ensure_future(work())
        while not await client.list_leases("a1"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.lease("a1", "worker", wait=10)


async def test_an_acquisition_that_is_cancelled(statehouse_daemon):
    """The daemon has acquired it, and this loop has not seen the answer."""
    options = {"namespace": "given-up"}
    async with AsyncStatehouse(statehouse_daemon.url, **options) as client:
        await client.get_state("a1", "k")

        async def work(wait):
            async with client.lease("a1", "worker", wait=wait):
                await asyncio.sleep(30)

        with Statehouse(statehouse_daemon.url, **options) as other:
            for wait in (0, 20):
                task = asyncio.ensure_future(work(wait))
                while not client._transport._calling:
                    await asyncio.sleep(0)
                for _ in range(9):
                    await asyncio.sleep(0)  # until gRPC has sent it
                while not other.list_leases("a1"):
                    time.sleep(0.01)  # nor does it see it now
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert other.list_leases("a1") == [], wait


@pytest.mark.skipif(not hasattr(asyncio.Task, "uncancel"), reason="it cannot be told before 3.11")
async def test_a_task_that_others_cancel_as_well(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="as-well") as client:
        reached = []

        async def work(patient):
            async with client.lease("a1", "worker", ttl=SHORT) as lease:
                await lost_to_another(client, lease)
                reached.append(lease)
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    if not patient:
                        raise

        for patient in (False, True):
            task = asyncio.ensure_future(work(patient))
            while not reached:
                await asyncio.sleep(0)
            lost = LeaseLost("lost")
            reached.pop()._lose(lost)  # and before the task runs again
            task.cancel()
            with pytest.raises(LeaseLost if patient else asyncio.CancelledError):
                await task
            await asyncio.sleep(0)


@pytest.mark.skipif(not hasattr(asyncio.Task, "uncancel"), reason="it cannot be told before 3.11")
async def test_a_task_that_others_cancel_at_its_end(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="at-its-end") as client:

        async def work():
            async with client.lease("a1", "worker", ttl=SHORT) as lease:
                await lost_to_another(client, lease)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(30)
                asyncio.current_task().cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(work())


async def test_a_task_that_swallows_it(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="swallows") as client:
        with pytest.raises(LeaseLost):
            async with client.lease("a1", "worker", ttl=SHORT) as lease:
                await lost_to_another(client, lease)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(30)
        with pytest.raises(KeyError):
            async with client.lease("a1", "worker", ttl=SHORT) as lease:
                await lost_to_another(client, lease)
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    raise KeyError("mine") from None
        await asyncio.sleep(0)


async def test_the_task_that_finds_out_is_not_cancelled(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="finds-out") as client:
        with pytest.raises(LeaseLost):
            async with client.lease("a1", "worker") as lease:
                await lost_to_another(client, lease)
                with pytest.raises(LeaseLost):
                    await client.write("a1", "k", {}, leases=[lease])
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)


async def test_misused(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="misused") as client:
        with pytest.raises(UsageError, match="write: async with"), client.lease("a1", "worker"):
            pass
        leasing = client.lease("a1", "worker")
        assert repr(leasing) == "<lease(): not awaited yet>"
        lease = await leasing
        with pytest.raises(UsageError, match="asked for already"):
            await leasing
        with pytest.raises(UsageError, match="write: async with"), lease:
            pass
    with Statehouse(statehouse_daemon.url, namespace="misused") as client:
        lease = client.lease("a1", "other")
        with pytest.raises(UsageError, match="write: with"):
            async with lease:
                pass


def test_one_thread_renews_all_of_them_together(statehouse_client, monkeypatch):
    client = statehouse_client
    counts = []
    run = client._transport.run

    def counting(steps):
        counts.append(threading.current_thread().name)
        return run(steps)

    monkeypatch.setattr(client._transport, "run", counting)
    other = client.with_options(timeout=5)
    leases = [c.lease(f"a{n}", "worker", ttl=1.2) for n in range(20) for c in (client, other)[:1]]
    leases += [other.lease(f"b{n}", "worker", ttl=1.2) for n in range(20)]
    threads = [t for t in threading.enumerate() if t.name == "statehouse-leases"]
    assert len(threads) == 1
    del counts[:]
    time.sleep(2)
    for lease in leases:
        lease.check()
    assert set(counts) == {"statehouse-leases"}
    assert 3 <= len(counts) <= 12, counts
    for lease in leases:
        lease.release()
    threads[0].join(5)
    assert not threads[0].is_alive(), "the thread ends with the last lease"


class Plan:
    """A lease as Renewals knows one."""

    def __init__(self, ttl, sent):
        self.ttl, self._sent, self._why = ttl, sent, None

    def _left(self):
        return self._sent + self.ttl - time.monotonic()


def test_what_is_due_together(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    renewals = Renewals()
    soon, later, long = Plan(30, 100), Plan(30, 102), Plan(3000, 100)
    for lease in (soon, later, long):
        renewals.add(lease)
    assert renewals.wait() == 10
    now[0] = 110
    assert renewals.due() == [soon, later], "one goes along, what is long does not"
    assert renewals.due() == [], "and nothing is asked for twice at a time"
    assert renewals.wait() == 990, "what is long waits for no answer to others"
    soon._sent = later._sent = 110
    renewals.settle([soon, later])
    assert renewals.wait() == 10
    now[0] = 120
    renewals.settle(renewals.due())  # nothing was answered
    assert 0 < renewals.wait() <= 2, "it is tried again soon"
    soon._why = later._why = long._why = LeaseLost("lost")
    renewals.settle([soon, later, long])
    assert not renewals, "what is lost is not renewed"
