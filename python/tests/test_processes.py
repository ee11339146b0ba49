"""Threads, forks, event loops, and other people's protobuf."""

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import pytest

from statehouse import AsyncStatehouse, Statehouse, UsageError, _forks

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def in_child(function):
    """Runs a function in a forked child; raises when it fails or hangs there."""
    gc.collect()  # awaited clients of other tests, on whose remains grpcio < 1.80 trips
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == 0


@forks
def test_a_forked_child_must_make_its_own_client(statehouse_daemon):
    """And its parent notices nothing."""
    with statehouse_daemon.client(namespace="forked") as client:
        client.write("a1", "k", {"n": -1})
        unused = statehouse_daemon.client(namespace="forked")
        tx = client.begin_transaction()

        def use_it(n):
            for call in (client.health, tx.commit, lambda: next(client.replay())):
                with pytest.raises(UsageError, match="one in each process"):
                    call()
            unused.write("a1", "k", {"n": n})
            with Statehouse(statehouse_daemon.url, "forked") as fresh:
                assert fresh.get_state("a1", "k").value == {"n": n}

        for n in range(5):
            in_child(lambda n=n: use_it(n))
            assert client.get_state("a1", "k").value == {"n": n}
        tx.write("a1", "l", {})
        tx.commit()
        assert client.list_keys("a1") == ["k", "l"]


@forks
def test_a_fork_in_mid_call_of_other_threads(statehouse_daemon):
    """GRPC does not survive it in the child: refused, instead of a crash now and then."""
    client = statehouse_daemon.client(namespace="fork-in-mid-call")
    with client.begin_transaction() as tx:
        tx.write("a1", "k", {})
    events = client.watch("a1", after=0, timeout=50)
    next(events)
    watching = threading.Thread(target=lambda: next(events))
    watching.start()
    time.sleep(0.1)  # a fork while it enters gRPC may even kill the child, which nobody can mend
    assert _forks.talking - {threading.get_ident()}

    def use_it():
        with pytest.raises(UsageError, match="spawn or forkserver"):
            Statehouse(statehouse_daemon.url).health()

    try:
        for _ in range(5):
            in_child(use_it)
    finally:
        client.write("a1", "k", {})  # what it waits for, however long that took
        watching.join()
    assert client.health() == "ok"


@forks
def test_closing_in_the_child_is_nothing_to_the_parent(statehouse_client):
    statehouse_client.write("a1", "k", {})
    in_child(statehouse_client.close)
    assert statehouse_client.get_state("a1", "k")


@forks
def test_an_awaited_client_does_not_survive_a_fork(statehouse_daemon):
    async def main():
        client = AsyncStatehouse(statehouse_daemon.url)
        await client.health()

        def use_it():
            asyncio.events._set_running_loop(None)  # the child is in the parent's coroutine

            async def call():
                with pytest.raises(UsageError, match="one in each process"):
                    await client.health()

            asyncio.run(call())

        in_child(use_it)
        await client.health()
        await client.close()

    asyncio.run(main())


def work(url, n):
    from statehouse import Statehouse

    with Statehouse(url, namespace="multiprocessing") as client:
        client.write("a1", f"k{n}", {})
    return n


def test_multiprocessing(statehouse_client, statehouse_daemon):
    for method in {"spawn", "fork"} & set(multiprocessing.get_all_start_methods()):
        with multiprocessing.get_context(method).Pool(2) as pool:
            done = pool.starmap_async(work, [(statehouse_daemon.url, n) for n in range(4)])
            assert done.get(timeout=30) == [0, 1, 2, 3]


def test_an_awaited_client_belongs_to_one_loop(statehouse_daemon):
    client = AsyncStatehouse(statehouse_daemon.url)  # may be made outside of any
    assert asyncio.run(client.health()) == "ok"
    with pytest.raises(UsageError, match="event loop"):
        asyncio.run(client.health())


def run(source, **environment):
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        check=True,
        timeout=30,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_other_stubs_of_the_contract_in_the_same_program():
    """A program that generated stubs for itself, of whatever version, is not in the way."""
    run("""
        from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2, struct_pb2

        rival = descriptor_pb2.FileDescriptorProto(
            name="statehouse/v1/statehouse.proto", package="statehouse.v1", syntax="proto3")
        rival.message_type.add(name="GetStateRequest")
        descriptor_pool.Default().AddSerializedFile(rival.SerializeToString())

        import statehouse
        from statehouse._proto import statehouse_pb2

        assert statehouse_pb2.GetStateRequest(agent_id="a").agent_id == "a"
    """)


def test_pure_python_protobuf(statehouse_daemon):
    run(
        f"""
        from statehouse import Statehouse, PreconditionFailed

        client = Statehouse({statehouse_daemon.url!r}, namespace="pure")
        client.write("a1", "k", {{"n": 2**70}}, expected_version=0)
        assert client.get_state("a1", "k").value == {{"n": 2**70}}
        assert [e.operations[0].key for e in client.replay("a1")] == ["k"]
        try:
            client.write("a1", "k", {{}}, expected_version=0)
        except PreconditionFailed as error:
            assert error.current_version == 1
        """,
        PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python",
    )


def test_a_program_ends_without_closing_anything(statehouse_daemon):
    run(f"""
        from statehouse import Statehouse

        client = Statehouse({statehouse_daemon.url!r})
        client.write("ends", "k", {{}})
        watch = client.watch("ends", after=0)
        next(watch)
        tx = client.begin_transaction()
    """)
