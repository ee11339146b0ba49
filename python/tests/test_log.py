"""Replay, watch and pages."""

import asyncio
from datetime import timedelta

import pytest

from statehouse import Delete, InvalidArgument, UsageError, Write


async def collect(iterator, count):
    out = []
    async for item in iterator:
        out.append(item)
        if len(out) == count:
            break
    return out


async def fill(client, agent_id, count):
    return [await client.write(agent_id, "k", {"n": n}) for n in range(count)]


async def test_replay(client):
    commits = await fill(client, "a1", 3)
    await client.transact([Write("a2", "k", {}), Delete("a1", "k"), Write("a1", "m", {})])
    events = [e async for e in client.replay(agent_id="a1")]
    assert [e.commit_ts for e in events[:3]] == [c.commit_ts for c in commits]
    assert [e.timestamp for e in events[:3]] == [c.timestamp for c in commits]
    assert [e.txn_id for e in events[:3]] == [c.txn_id for c in commits]
    assert [e.operations[0].value for e in events[:3]] == [{"n": n} for n in range(3)]
    assert [(op.kind, op.key, op.value, op.version) for op in events[3].operations] == [
        ("DELETE", "k", None, 4),
        ("WRITE", "m", {}, 1),
    ]
    assert {op.agent_id for e in events for op in e.operations} == {"a1"}
    whole = [e async for e in client.replay()]
    assert [(op.agent_id, op.key) for op in whole[-1].operations] == [
        ("a1", "k"),
        ("a1", "m"),
        ("a2", "k"),
    ]
    assert [e async for e in client.replay("nobody")] == []


async def test_replay_filters(client):
    commits = await fill(client, "a1", 5)
    await client.write("a1", "other", {}, namespace=f"{client.namespace}-2")

    at = [c.commit_ts for c in commits]  # not in a row: the daemon ends leases of other tests

    async def ts(**query):
        return [at.index(e.commit_ts) async for e in client.replay("a1", **query)]

    assert await ts(from_timestamp=at[1], to_timestamp=at[3]) == [1, 2, 3]
    assert await ts(limit=2) == [0, 1]
    assert await ts(limit=0) == []
    assert await ts(prefix="no") == []
    times = [c.timestamp for c in commits]
    got = await ts(from_timestamp=times[1], to_timestamp=times[3].isoformat())
    assert {1, 2, 3} <= set(got)
    assert await ts(to_timestamp=times[0] - timedelta(seconds=1)) == []
    assert await ts(from_timestamp=times[4] + timedelta(seconds=1)) == []
    assert len(await ts(from_timestamp=times[0].isoformat().replace("+00:00", "Z"))) == 5
    assert [e.operations[0].value async for e in client.replay("a1", values=False, limit=1)] == [
        None
    ]
    other = [e async for e in client.replay("a1", namespace=f"{client.namespace}-2")]
    assert [e.operations[0].key for e in other] == ["other"]
    with pytest.raises(InvalidArgument, match="from_timestamp: 'noon' is not a time"):
        await ts(from_timestamp="noon")


async def test_replay_goes_on_where_it_broke(dial, statehouse_on_disk):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    commits = await fill(client, "a1", 400)  # more than the daemon sends in one batch
    seen = []
    async for event in client.replay("a1"):
        seen.append(event.commit_ts)
        if event.commit_ts in (3, 200):
            daemon.restart()
    assert seen == [c.commit_ts for c in commits]


async def test_watch(client):
    first = (await fill(client, "a1", 1))[0]
    await client.write("a2", "k", {})
    last = await client.write("a1", "k", {"n": 7})
    events = await collect(client.watch(agent_id="a1", after=first.commit_ts), 1)
    assert [(e.commit_ts, e.operations[0].value) for e in events] == [(last.commit_ts, {"n": 7})]
    assert len(await collect(client.watch(after=0), 3)) == 3

    async def write_later():
        await asyncio.sleep(0.1)
        await fill(client, "a1", 3)

    writing = asyncio.create_task(write_later())
    events = await collect(client.watch("a1"), 3)  # from now
    await writing
    assert [e.operations[0].value["n"] for e in events] == [0, 1, 2]
    assert events[0].commit_ts > last.commit_ts


async def test_watch_ends_with_its_timeout(client):
    await client.write("a1", "k", {})
    assert len([e async for e in client.watch("a1", after=0, timeout=0.3)]) == 1
    with pytest.raises(InvalidArgument):
        [e async for e in client.watch("a1", timeout=0)]
    with pytest.raises(InvalidArgument):
        [e async for e in client.watch("a1", after=10**9, timeout=5)]


async def test_watch_resumes(dial, statehouse_on_disk):
    """No gap and no duplicate across kills of the daemon and losses of the connection."""
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    count = 60
    ready = asyncio.Event()

    async def write():
        await ready.wait()
        for n in range(count):
            if n in (20, 40):
                await asyncio.to_thread(daemon.restart)
            await client.write("a1", "k", {"n": n})

    await client.write("a1", "k", {"n": -1})
    writing = asyncio.create_task(write())
    seen = []
    async for event in client.watch("a1", after=0):
        ready.set()
        seen.append((event.commit_ts, event.operations[0].value["n"]))
        if len(seen) == count + 1:
            break
    await writing
    assert seen == [(n + 2, n) for n in range(-1, count)]


async def test_closing_ends_a_watch(dial, statehouse_daemon):
    client = dial(statehouse_daemon.url, namespace="closing")
    await client.write("a1", "k", {})
    seen = []

    async def watch():
        async for event in client.watch("a1", after=0):
            seen.append(event)

    watching = asyncio.create_task(watch())
    while not seen:
        await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(UsageError, match="closed"):
        await watching
    with pytest.raises(UsageError, match="closed"):
        await client.get_state("a1", "k")


async def test_a_broken_off_iteration_frees_its_stream(client, statehouse_daemon):
    """The daemon serves 1,024 streams at once; 1,100 that were broken off are no bother."""
    await fill(client, "a1", 2)
    for _ in range(1100):
        iterator = client.watch("a1", after=0)
        async for _event in iterator:
            break
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


@pytest.mark.parametrize("method", ["scan_prefix", "list_keys", "history"])
async def test_pages_agree_while_everything_changes(dial, statehouse_daemon, kind, method):
    client = dial(statehouse_daemon.url, namespace=f"pages-{kind}-{method}", page_size=7)
    keys = [f"k{n:03}" for n in range(100)]

    async def write(generation):
        # Each generation has its own keys beside those that all have.
        drop = [Delete("a1", f"g{generation - 1}")] if generation else []
        writes = [Write("a1", key, {"generation": generation}) for key in keys]
        return await client.transact([*drop, *writes, Write("a1", f"g{generation}", {})])

    await write(0)
    done = asyncio.Event()

    async def keep_writing():
        generation = 0
        while not done.is_set():
            generation += 1
            await write(generation)

    writing = asyncio.create_task(keep_writing())
    try:
        for _ in range(5):
            if method == "scan_prefix":
                records = [r async for r in client.scan_prefix("a1")]
                assert len(records) == 101
                assert len({r.value["generation"] for r in records if r.key[0] == "k"}) == 1
                assert len({r.read_ts for r in records}) == 1
            elif method == "list_keys":
                listed = await client.list_keys("a1")
                assert len(listed) == 101
                assert listed[1:] == keys
            else:
                versions = [e.version async for e in client.history("a1", "k000")]
                assert versions == list(range(len(versions), 0, -1))
    finally:
        done.set()
        await writing
