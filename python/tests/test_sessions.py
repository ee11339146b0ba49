"""Reads of the awaited client that share a stream."""

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from statehouse import (
    AsyncStatehouse,
    ConnectionError,
    DeadlineExceeded,
    InvalidArgument,
    NotFoundError,
    Statehouse,
    Unauthenticated,
    UsageError,
    Write,
)
from statehouse._aio import session as sessions
from statehouse._calls import new_txn_id
from statehouse._proto import statehouse_pb2 as pb

from recorded import operations


@pytest.fixture
def kind():
    return "async"


@pytest.fixture
def sharing(monkeypatch):
    """Every read shares a stream."""
    monkeypatch.setattr("statehouse._aio.transport.BUSY", 0)


def streams(client):
    session = client._transport._session
    return None if session is None else session._stream


async def reads(client, count=32):
    records = await asyncio.gather(*(client.get_state("a1", f"k{n}") for n in range(count)))
    assert [record.value["n"] for record in records] == list(range(count))


async def written(client, count=32):
    await client.transact([Write("a1", f"k{n}", {"n": n}) for n in range(count)])


async def test_many_reads_share_a_stream_and_few_do_not(client):
    await written(client)
    for n in range(8):
        assert (await client.get_state("a1", f"k{n}")).value == {"n": n}
    await reads(client, 2)
    assert streams(client) is None
    before = (await client.status()).sessions
    for _ in range(3):
        await reads(client)
    assert streams(client) is not None
    assert (await client.status()).sessions > before
    keys, records = await asyncio.gather(
        client.list_keys("a1"), client.get_many("a1", [f"k{n}" for n in range(40)])
    )
    assert len(keys) == 32
    assert [r is not None for r in records] == [True] * 32 + [False] * 8


async def test_it_can_be_turned_off(dial, statehouse_daemon):
    client = dial(statehouse_daemon.url, namespace=f"off-{new_txn_id()}", sessions=False)
    await written(client)
    await reads(client)
    assert streams(client) is None
    with pytest.raises(InvalidArgument, match="sessions must be True or False"):
        dial(statehouse_daemon.url, sessions="no")


async def test_errors_are_those_of_calls(client, sharing):
    await written(client)
    with pytest.raises(NotFoundError) as caught:
        await client.get_state_at_version("a1", "k1", 7)
    assert (caught.value.code, caught.value.answered) == ("VERSION_NOT_FOUND", True)
    with pytest.raises(InvalidArgument) as caught:
        await client.get_state("", "k")
    assert caught.value.details["field"] == "agent_id"
    assert streams(client) is not None


async def test_a_daemon_that_knows_no_sessions(dial):
    """Is asked once."""
    asked = []
    answer = pb.GetStateResponse(exists=True, value_json=b"{}", version=1).SerializeToString()

    class Server(grpc.GenericRpcHandler):
        def service(self, call):
            asked.append(call.method.rpartition("/")[2])
            if asked[-1] == "Session":
                return None
            return grpc.unary_unary_rpc_method_handler(lambda *_: answer)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Server()])
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = dial(url)
    for _ in range(3):
        records = await asyncio.gather(*(client.get_state("a1", "k") for _ in range(20)))
        assert {record.version for record in records} == {1}
    assert asked.count("Session") == 1
    assert asked.count("GetState") == 60
    assert client._endpoint.sessions is False  # for good
    server.stop(None).wait()


async def test_a_refused_session_is_not_asked_for_again_at_once(dial, sharing):
    asked = []

    class Server(grpc.GenericRpcHandler):
        def service(self, call):
            asked.append(call.method.rpartition("/")[2])

            def refuse(request, context):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")

            kind = grpc.unary_unary_rpc_method_handler
            return (grpc.stream_stream_rpc_method_handler if asked[-1] == "Session" else kind)(
                refuse
            )

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Server()])
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = dial(url, timeout=5)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await client.get_state("a1", "k")
    assert asked == ["Session", "GetState", "GetState", "GetState"]
    server.stop(None).wait()


async def test_a_lost_answer_is_a_lost_try(dial, proxy, file, sharing):
    client = dial(proxy.url, namespace=f"lost-{new_txn_id()}", capture=file)
    await written(client)
    await reads(client, 1)
    proxy.lose("reply")
    await reads(client, 1)
    await client.close()
    assert [op["outcome"] for op in operations(file)] == ["ok", "ok", "unknown", "ok"]


async def test_what_is_given_up_is_cancelled(dial, sharing):
    heard = []
    over = threading.Event()

    class Server(grpc.GenericRpcHandler):
        def service(self, call):
            def serve(frames, context):
                for frame in frames:
                    heard.extend((r.id, r.method, r.cancel) for r in frame.requests)
                    if any(r.cancel for r in frame.requests):
                        over.set()
                yield from ()

            return grpc.stream_stream_rpc_method_handler(
                serve, request_deserializer=pb.SessionRequests.FromString
            )

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Server()])
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = dial(url)
    waiting = asyncio.ensure_future(client.get_state("a1", "k"))
    while not heard:
        await asyncio.sleep(0.01)
    waiting.cancel()
    assert await asyncio.to_thread(over.wait, 10)
    assert heard == [(1, "GetState", False), (1, "", True)]
    await client.close()
    server.stop(None).wait()


async def test_no_more_are_under_way_than_the_daemon_wants(dial, sharing):
    frames = []
    answer = pb.GetStateResponse(exists=True, value_json=b"{}", version=1).SerializeToString()

    class Server(grpc.GenericRpcHandler):
        def service(self, call):
            def serve(stream, context):
                for frame in stream:
                    frames.append(len(frame.requests))
                    answers = [pb.SessionAnswer(id=r.id, answer=answer) for r in frame.requests]
                    yield pb.SessionAnswers(answers=answers, window=2)

            return grpc.stream_stream_rpc_method_handler(
                serve,
                request_deserializer=pb.SessionRequests.FromString,
                response_serializer=pb.SessionAnswers.SerializeToString,
            )

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Server()])
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    client = dial(url)
    for most in (20, 2, 2):
        records = await asyncio.gather(*(client.get_state("a1", "k") for _ in range(20)))
        assert [record.version for record in records] == [1] * 20
        assert sum(frames) == 20
        assert max(frames) <= most
        frames.clear()
    await client.close()
    server.stop(None).wait()


async def test_a_stream_that_breaks(lossy, proxy, sharing):
    await written(lossy)
    for what in ("reply", "request") * 3:
        proxy.lose(what)
        await reads(lossy)
    assert proxy.lost == 6


async def test_a_deadline_ends_its_own_request(dial, statehouse_on_disk, sharing):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    await written(client)
    await reads(client)
    stream = streams(client)
    daemon.pause()
    impatient = client.with_options(timeout=0.1)
    waiting = asyncio.ensure_future(client.get_state("a1", "k1"))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await impatient.get_state("a1", "k2")
    assert time.monotonic() - began < 5
    assert not waiting.done()
    daemon.resume()
    assert (await waiting).value == {"n": 1}
    await reads(client)
    assert streams(client) is stream
    assert not client._transport._session._waiting


async def test_cancelled_reads_are_forgotten(client, sharing):
    await written(client)
    for n in range(40):
        tasks = [asyncio.ensure_future(client.get_state("a1", f"k{n}")) for n in range(8)]
        await asyncio.sleep(n / 10_000)
        for task in tasks[::2]:
            task.cancel()
        for at, task in enumerate(tasks):
            with contextlib.suppress(asyncio.CancelledError):
                assert (await task).value == {"n": at}
    session = client._transport._session
    assert not session.over
    assert not session._waiting


async def test_an_idle_session_ends(client, sharing, monkeypatch):
    monkeypatch.setattr(sessions, "_IDLE", 0.05)
    await written(client)
    for _ in range(3):
        await reads(client)
        session = client._transport._session
        assert not session.over
        while not all(task.done() for task in session._tasks):
            await asyncio.sleep(0.01)
        assert session.over


async def test_close_in_mid_call(lossy, proxy, sharing):
    await written(lossy)
    await reads(lossy)
    proxy.lose("silence", times=1000)
    waiting = [asyncio.ensure_future(lossy.get_state("a1", f"k{n}")) for n in range(8)]
    await asyncio.sleep(0.1)
    await lossy.close()
    for one in waiting:
        with pytest.raises(UsageError, match="the client was closed"):
            await one


async def test_large_answers_and_requests(client, sharing):
    text = "x" * ((1 << 20) - 20)
    await asyncio.gather(*(client.write("a1", f"k{n}", {"t": text}) for n in range(6)))
    records = await asyncio.gather(*(client.get_state("a1", f"k{n}") for n in range(6)))
    assert all(record.value == {"t": text} for record in records)
    assert len(await client.get_many("a1", [f"k{n}" for n in range(6)])) == 6
    assert len(await client.get_many("a1", ["n" * 1000 + str(n) for n in range(50)])) == 50


async def test_the_daemon_is_restarted_under_readers(dial, statehouse_on_disk, sharing):
    daemon = statehouse_on_disk
    client = dial(daemon.url)
    await written(client)
    stop = False

    async def work():
        count = 0
        while not stop:
            await reads(client, 8)
            count += 1
        return count

    working = [asyncio.ensure_future(work()) for _ in range(4)]
    for _ in range(3):
        await asyncio.sleep(0.2)
        await asyncio.to_thread(daemon.restart)
    await asyncio.sleep(0.2)
    stop = True
    assert min(await asyncio.gather(*working)) > 3


async def test_what_there_is_no_connection_for_was_not_sent(dial, sharing):
    client = dial("localhost:1", fail_fast=True)
    with pytest.raises(ConnectionError) as caught:
        await client.get_state("a1", "k")
    assert not caught.value._sent


@pytest.mark.parametrize("closed", [True, False])
def test_a_program_ends_quietly(statehouse_daemon, closed):
    with Statehouse(statehouse_daemon.url, "quiet") as client:
        client.transact([Write("a1", f"k{n}", {"n": n}) for n in range(32)])
    program = f"""
        import asyncio
        from statehouse import AsyncStatehouse

        async def main():
            client = AsyncStatehouse({statehouse_daemon.url!r}, "quiet")
            for _ in range(3):
                await asyncio.gather(*(client.get_state("a1", f"k{{n}}") for n in range(32)))
            assert client._transport._session is not None
            if {closed}:
                await client.close()

        asyncio.run(main())
        print("ended")
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("ended\n", "")


def test_loops_have_their_own(statehouse_daemon):
    async def use():
        async with AsyncStatehouse(statehouse_daemon.url, f"loops-{new_txn_id()}") as client:
            await written(client)
            await reads(client)

    for _ in range(3):
        asyncio.run(use())
