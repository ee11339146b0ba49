"""Due records: claimed by one worker at a time, completed once."""

import asyncio
import time

import pytest

from statehouse import AsyncStatehouse, LeaseLost, ReleaseLease, Statehouse, Write


def test_a_claim_is_completed_once(statehouse_client):
    client = statehouse_client
    client.write("queue", "mail/1", {"to": "alice"}, due_in=0.2)
    assert client.claim("queue") == []
    [job] = client.claim("queue", wait=20, holder="w1")
    assert (job.record.key, job.record.value, job.holder) == ("mail/1", {"to": "alice"}, "w1")
    assert client.claim("queue") == []
    with job:
        assert job.held
    with pytest.raises(LeaseLost):
        client.transact([ReleaseLease(job.agent_id, job.name, job.token)])
    assert client.claim("queue") == []
    assert client.get_state("queue", "mail/1").due_at is None


def test_a_claim_is_handed_on(statehouse_client):
    client = statehouse_client
    client.write("queue", "mail/1", {}, due_in=0.01)
    [first] = client.claim(wait=20)
    with pytest.raises(KeyError), first:
        raise KeyError("mine")
    [second] = client.claim("queue", "mail/", limit=5)
    client.transact([ReleaseLease(second.agent_id, second.name, second.token)])  # as if it lapsed
    [third] = client.claim("queue")
    with pytest.raises(LeaseLost):
        second.complete([Write("queue", "sent/1", {})])
    assert second.lost.is_set()
    third.complete([Write("queue", "sent/1", {})])
    assert client.list_keys("queue") == ["mail/1", "sent/1"]
    assert client.claim("queue") == []


async def test_a_claim_is_renewed(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, namespace="renewed-claim") as client:
        await client.write("queue", "mail/1", {}, due_in=0.01)
        [job] = await client.claim("queue", wait=20, ttl=0.4)
        async with job:
            await asyncio.sleep(1)
            assert await client.claim("queue") == []
        assert await client.claim("queue") == []


async def test_a_claim_that_is_cancelled(statehouse_daemon):
    """The daemon has made it, and this loop has not seen the answer."""
    options = {"namespace": "given-up-claim"}
    async with AsyncStatehouse(statehouse_daemon.url, **options) as client:
        await client.get_state("queue", "k")
        with Statehouse(statehouse_daemon.url, **options) as other:
            other.write("queue", "mail/1", {}, due_in=0.01)
            other.claim(wait=20)[0].release()

            def commits():
                return len(list(other.replay("queue", all_operations=True)))

            before = commits()

            async def work():
                [job] = await client.claim("queue")
                async with job:
                    await asyncio.sleep(30)

            task = asyncio.ensure_future(work())
            while not client._transport._calling:
                await asyncio.sleep(0)
            for _ in range(9):
                await asyncio.sleep(0)  # until gRPC has sent it
            while commits() == before:
                time.sleep(0.01)  # nor does it see it now
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(other.claim("queue")) == 1
