"""What clients record of themselves, and what the judge makes of it."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from statehouse import (
    EvaluationFailed,
    F,
    NotFoundError,
    PreconditionFailed,
    Statehouse,
    StatehouseError,
    Write,
)
from statehouse._capture import Capture, recording, words
from statehouse._proto import statehouse_pb2 as pb

from proxy import Proxy
from recorded import check, lines, operations


async def session(client):
    """Uses everything, much of it at once."""

    async def count(tx):
        record = await tx.get_state("shared", "count")
        await asyncio.sleep(0.001)
        await tx.write("shared", "count", {"n": record.value["n"] + 1 if record else 1})

    async def work(name):
        for i in range(4):
            await client.write(name, f"k/{i}", {"n": i, "x": 1.0}, metadata={"actor": name})
            await client.run_transaction(count)
            async with client.begin_transaction(timeout=20) as tx:
                await tx.write(name, "a", {"<&>": "é"})
                await tx.write(name, "b", {}, expected_version=0 if i == 0 else None)
                assert len([r async for r in tx.scan_prefix(name)]) >= 3
                await tx.delete(name, "b")
            assert len(await client.list_keys(name, reverse=True)) == i + 2
        with pytest.raises(PreconditionFailed):
            await client.write(name, "a", {}, expected_version=77)
        assert len([e async for e in client.history(name, "a", oldest_first=True)]) == 4
        assert len([e async for e in client.history(name, "a", limit=1, values=False)]) == 1
        await client.get_many(name, ["a", "nothing"], as_of=4)
        assert (await client.get_state_at_version(name, "a", 2)).version == 2
        with pytest.raises(NotFoundError):
            await client.get_state_at_version(name, "a", 99)
        for held in (True, False):
            tx = await client.begin_transaction(held=held)
            await tx.write(name, "never", {})
            await tx.abort()
        async with client.begin_transaction(held=True) as tx:
            await tx.get_state(name, "never")
            await tx.write(name, "held", {"n": 1})
            await tx.delete(name, "never")

    await asyncio.gather(*(work(f"a{n}") for n in range(4)))
    done = await client.transact(
        [Write("a0", "z", {"n": 1}), Write("a9", "z", {}, namespace="other")],
        metadata={"why": "both"},
    )
    assert (await client.get_transaction(done.txn_id)).commit == done
    record = await client.get_state("a0", "z", as_of=done.timestamp)
    assert record.commit_ts == done.commit_ts
    assert await client.list_agents("a9", namespace="other")
    assert len(await client.list_namespaces()) == 2
    seen = [e async for e in client.replay("a1", from_timestamp=2, limit=3)]
    assert len(seen) == 3
    async for _ in client.watch("a0", after=0):
        break


#: What agents ask for besides reads and writes.
ASKED_FOR = {"renew_leases", "list_leases", "refresh_expiry", "find", "diff", "get_agent"}


async def asked_for(client):
    """Uses that, and operations that the daemon evaluates."""
    lease = await client.lease("w", "worker", ttl=0.6)
    await client.increment("w", "k", "/n", 3, maximum=10, leases=[lease])
    with pytest.raises(EvaluationFailed):
        await client.increment("w", "k", "/n", 30, maximum=10)
    await client.merge("w", "k", {"x": 1})
    await client.append("w", "m/", b"\x00both", content_type="text/plain")
    await client.put_if_absent("w", "k", {})
    await client.write("w", "short", {}, ttl=60)
    await client.refresh("w", ["short"], ttl=90)
    assert (await client.get_state("w", "m/0000000000000001")).value == b"\x00both"
    await asyncio.sleep(0.5)  # it is renewed
    assert await client.list_leases()
    done = lease.release()
    if done is not None:
        await done
    await client.fork("w", "f")
    assert await client.list_keys("w", delimiter="/") == ["k", "m/", "short"]
    assert len([r async for r in client.find(where=[F("/n") == 3, ~F.meta("a").exists()])]) == 2
    await client.merge("f", "k", {"x": 2})
    assert [d.key async for d in client.diff("w", "f")] == ["k"]
    assert (await client.get_agent("f")).forked_from.agent_id == "w"
    assert len([e async for e in client.replay("f", all_operations=True, with_lineage=True)]) > 5


async def replays(client):
    for namespace in await client.list_namespaces():
        assert [e async for e in client.replay(namespace=namespace)]


@pytest.mark.parametrize("redact", [False, True])
async def test_a_session_is_judged(dial, daemon, file, redact):
    client = dial(daemon.url, capture=file, capture_redact=redact, page_size=2)
    await session(client)
    await replays(client)
    await client.close()
    code, said = check(file)
    assert code == 0, said
    assert re.search(r"[1-9]\d\d operations, [4-9]\d commits, .*: ok\n", said)

    known = operations(file)
    assert {op["kind"] for op in known} == set(words.KINDS.values()) - ASKED_FOR
    assert {op["outcome"] for op in known} == {"ok", "fail", "unknown"}
    assert [op["id"] for op in known] == list(range(1, len(known) + 1))
    assert any(op["in"].get("page_of") for op in known if op["kind"] == "scan")
    assert lines(file)[-1]["end"] == {"complete": False, "lines": len(lines(file)) - 1}
    text = file.read_text()
    assert ("actor" in text, "digest:" in text) == (True, redact)
    assert ('"n\\":3' in text, '"both"' in text) == (not redact, not redact)

    # One answer edited: the judge sees it.
    at = next(
        op["id"]
        for op in known
        if op["kind"] == "get" and op["outcome"] == "ok" and "value" in op["out"]["records"][0]
    )
    text = re.sub(
        rf'(\{{"op":\{{"id":{at},.*"version":)(\d+)', lambda m: m[1] + str(int(m[2]) + 1), text
    )
    file.write_text(text)
    code, said = check(file)
    assert code == 1, said
    assert f"#{at} get" in said


@pytest.mark.parametrize("redact", [False, True])
async def test_what_agents_ask_for_is_recorded(dial, daemon, file, redact):
    client = dial(daemon.url, capture=file, capture_redact=redact, page_size=2)
    await asked_for(client)
    await replays(client)
    await client.close()
    known = operations(file)
    assert {op["kind"] for op in known} >= ASKED_FOR
    writes = [w for op in known if op["kind"] == "transact" for w in op["in"].get("writes", ())]
    assert {w["op"] for w in writes if "op" in w} == {
        "acquire",
        "append",
        "fork",
        "if_absent",
        "increment",
        "merge",
        "release",
    }
    bytes_ = "bytes:text/plain;base64,AGJvdGg="
    assert [bytes_ in file.read_text(), '"delta":"3"' in file.read_text()] == [not redact] * 2
    assert check(file)[0] != 2, "it can be read"


def test_others_write_to_the_same_store(daemon, file):
    def count(tx):
        record = tx.get_state("a1", "count")
        tx.write("a1", "count", {"n": record.value["n"] + 1 if record else 1})

    def work(client):
        for _ in range(20):
            client.run_transaction(count)
            client.get_state("a1", "count")

    with Statehouse(daemon.url, capture=file) as client, Statehouse(daemon.url) as other:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, [client, other, client, other]))
        list(client.replay())
    code, said = check(file)
    assert code == 0, said
    assert "80 commits (40 of others)" in said


async def test_one_that_is_not_whole_is_not_called_right(dial, daemon, file):
    with Statehouse(daemon.url) as other:
        other.write("a1", "before", {})
    client = dial(daemon.url, capture=file)
    await client.write("a1", "k", {})
    await client.close()
    code, said = check(file)
    assert code == 7
    assert "commits [1] are not in it" in said


@pytest.mark.parametrize("what", ["reply", "request"])
async def test_what_is_sent_again_is_another_operation(dial, daemon, file, what):
    with Proxy(daemon.port) as proxy:
        client = dial(proxy.url, capture=file)
        await client.health()
        proxy.lose(what, times=2)
        commit = await client.write("a1", "k", {"n": 1})
        tx = await client.begin_transaction(held=True)
        proxy.lose(what)
        with pytest.raises(StatehouseError):
            await tx.write("a1", "k", {"n": 2})
        await tx.abort()
        await replays(client)
        await client.close()
    first, second, third, _, write, *_ = operations(file)
    assert [op["in"]["txn"] for op in (first, second, third)] == [commit.txn_id] * 3
    assert [op["outcome"] for op in (first, second, third)] == ["unknown", "unknown", "ok"]
    assert first["return"] < second["call"] < second["return"] < third["call"]
    assert (write["kind"], write["outcome"], write["error"]["code"]) == (
        "write",
        "unknown",
        "unavailable",
    )
    assert check(file)[0] == 0


def test_lanes_are_the_smallest_free(daemon, file):
    op = {}
    captured = Capture(str(file), redact=False)

    def call():
        return captured._call("get", pb.GetStateRequest(agent_id="a", key="k"))

    for name in ("x", "y", "z"):
        op[name] = call()
    captured._answer(op["y"], pb.GetStateResponse(read_ts=1))
    captured._end(op["x"], "unknown", None)
    op["u"], op["v"], op["w"] = call(), call(), call()
    assert [op[n].lane for n in "xyzuvw"] == [1, 2, 3, 1, 2, 4]
    assert [op[n].id for n in "xyzuvw"] == [1, 2, 3, 4, 5, 6]
    captured.close()
    assert [o["outcome"] for o in operations(file)] == ["unknown", "ok"] + ["unknown"] * 4
    assert "return" not in operations(file)[2]  # it was under way


def test_threads_share_a_client(daemon, file):
    def work(n):
        for i in range(25):
            client.write(f"a{n % 3}", "k", {"n": i})
            client.get_state(f"a{n % 3}", "k")

    with Statehouse(daemon.url, capture=file) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
        list(client.replay())
    known = operations(file)
    assert len(known) == 401
    assert {op["client"] for op in known} <= {f"c{n}" for n in range(1, 9)}
    for lane in {op["client"] for op in known}:  # one at a time in each
        mine = [op for op in known if op["client"] == lane]
        assert all(a["return"] <= b["call"] for a, b in zip(mine, mine[1:]))
    code, said = check(file)
    assert code == 0, said


async def test_a_stream_under_way_when_the_client_is_closed(dial, daemon, file):
    client = dial(daemon.url, capture=file)
    await client.write("a1", "k", {})
    watch = client.watch(after=0)
    assert (await watch.__anext__()).commit_ts == 1
    while '"batch"' not in file.read_text():  # it does not wait for the end
        await asyncio.sleep(0.01)
    await client.close()
    with pytest.raises(StatehouseError):
        await watch.__anext__()
    assert [(op["kind"], op["outcome"]) for op in operations(file)] == [
        ("transact", "ok"),
        ("watch", "unknown"),
    ]
    assert [line["batch"]["cursor"] for line in lines(file) if "batch" in line][-1] == 1
    assert check(file)[0] == 0


def test_long_replays_do_not_wait_in_memory(daemon, file, monkeypatch):
    monkeypatch.setattr(recording, "_HELD", 1)
    with Statehouse(daemon.url, capture=file) as client:
        client.write("a1", "k", {"n": 1})
        assert len(list(client.replay())) == 1
    assert [op["outcome"] for op in operations(file)] == ["ok", "unknown"]
    assert check(file)[0] == 0


async def test_a_cancelled_request_is_unknown(daemon, file):
    async with daemon.async_client(capture=file) as client:
        await client.health()
        daemon.pause()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.write("a1", "k", {}), 0.1)
        daemon.resume()
        await client.write("a1", "l", {})
        await replays(client)
    first = operations(file)[0]
    assert (first["outcome"], first["error"]["code"]) == ("unknown", "canceled")
    assert check(file)[0] == 0
