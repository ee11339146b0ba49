"""Calls whose answer never comes although no connection broke: the client was closed meanwhile,
or gRPC has dropped it.
"""

import asyncio
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from statehouse import ConnectionError, OutcomeUnknown, TxnState, UsageError
from statehouse._proto import statehouse_pb2 as pb


@pytest.fixture
def wordless():
    """A server that at first ends each call well and without a message, as which gRPC 1.60
    tells of one that is cancelled just as its answer comes.
    """
    answers = {
        "BeginTransaction": pb.BeginTransactionResponse(txn_id="t"),
        "GetState": pb.GetStateResponse(exists=True, value_json=b"{}", version=1),
        "Health": pb.HealthResponse(status="ok"),
        "Transact": pb.TransactResponse(commit_ts=7, versions=[1]),
    }

    class Server(grpc.GenericRpcHandler):
        def __init__(self):
            self.asked = []

        def service(self, call):
            method = call.method.rpartition("/")[2]
            self.asked.append(method)
            again = self.asked.count(method) > 1
            said = [answers[method].SerializeToString()] if again and method in answers else []
            return grpc.unary_stream_rpc_method_handler(lambda *_: iter(said))

    service = Server()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[service])
    service.url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()


async def test_no_message_is_no_answer(dial, wordless):
    """What may be repeated is; of what may not nobody knows whether it arrived."""
    client = dial(wordless.url)
    assert (await client.get_state("a1", "k")).version == 1
    assert (await client.write("a1", "k", {})).commit_ts == 7
    asked = [method for method in wordless.asked if method != "Session"]
    assert asked == ["GetState"] * 2 + ["Transact"] * 2
    with pytest.raises(ConnectionError, match="ended without a message"):
        await client.health()
    tx = await client.begin_transaction(held=True)
    with pytest.raises(ConnectionError, match="ended without a message") as caught:
        await tx.write("a1", "k", {})
    assert not caught.value.answered


async def test_no_message_because_the_client_was_closed(dial, kind, statehouse_daemon):
    client = dial(statehouse_daemon.url, namespace=f"wordless-{uuid.uuid4()}")
    await client.health()
    transport = getattr(client, "blocking", client)._transport
    transport._endpoint.sessions = False

    def closed(*_, **__):
        transport._closed = True

    async def closed_meanwhile(*_, **__):
        closed()

    for call, error in (
        (lambda: client.get_state("a1", "k"), UsageError),
        (lambda: client.write("a1", "k", {}), OutcomeUnknown),
    ):
        transport._calls = dict.fromkeys(
            transport._calls, closed if kind == "sync" else closed_meanwhile
        )
        with pytest.raises(error, match="the client was closed"):
            await call()
        transport._closed = False  # so that it can be closed


async def close_while_waiting(client, proxy, call):
    """Closes a client once the daemon has answered its call, and before it hears that."""
    answered = threading.Event()
    proxy.after_loss = answered.set
    proxy.lose("silence")
    waiting = asyncio.ensure_future(call)
    assert await asyncio.to_thread(answered.wait, 10)
    await client.close()
    await waiting


async def test_a_commit_whose_client_is_closed_meanwhile(lossy, proxy, statehouse_daemon):
    """It may be made all the same, as these are."""
    tx = await lossy.begin_transaction()
    await tx.write("a1", "k", {"n": 1})
    with pytest.raises(OutcomeUnknown, match="the client was closed") as caught:
        await close_while_waiting(lossy, proxy, tx.commit())
    assert caught.value.txn_id == tx.txn_id
    other = statehouse_daemon.client(namespace=lossy.namespace)
    assert other.get_transaction(tx.txn_id).state is TxnState.COMMITTED
    with pytest.raises(OutcomeUnknown, match="the client is closed"):
        await tx.commit()  # which stays unknown


async def test_a_write_whose_client_is_closed_meanwhile(lossy, proxy, statehouse_daemon):
    await lossy.health()
    with pytest.raises(OutcomeUnknown, match="the client was closed") as caught:
        await close_while_waiting(lossy, proxy, lossy.write("a1", "k", {"n": 1}))
    other = statehouse_daemon.client(namespace=lossy.namespace)
    assert other.get_transaction(caught.value.txn_id).state is TxnState.COMMITTED


async def test_a_read_whose_client_is_closed_meanwhile(lossy, proxy):
    await lossy.health()
    with pytest.raises(UsageError, match="the client was closed"):
        await close_while_waiting(lossy, proxy, lossy.get_state("a1", "k"))
