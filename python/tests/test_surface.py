"""The blocking and the awaited client are the same, and show nothing of gRPC."""

import inspect
import pydoc
import typing

import pytest

import statehouse
from statehouse import AsyncStatehouse, AsyncTxn, Statehouse, Txn

PAIRS = [(Statehouse, AsyncStatehouse), (Txn, AsyncTxn)]
STREAMS = {"scan_keys", "scan_prefix", "history", "replay", "watch"}


def surface(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_same_methods_and_signatures(blocking, awaited):
    assert surface(blocking) == surface(awaited)
    for name in surface(blocking):
        here, there = getattr(blocking, name), getattr(awaited, name)
        if not callable(here):
            continue
        takes, returns = inspect.signature(here), inspect.signature(there)
        if name not in ("begin_transaction", "run_transaction"):
            assert takes.parameters == returns.parameters, name
        if name in STREAMS:
            assert f"Async{takes.return_annotation}" == returns.return_annotation
        elif name not in ("begin_transaction", "with_options"):
            assert takes.return_annotation == returns.return_annotation
        assert not inspect.iscoroutinefunction(here)
        if name not in STREAMS | {"begin_transaction", "with_options"}:
            assert inspect.iscoroutinefunction(there), name
        assert here.__doc__
        assert here.__name__ == name


@pytest.mark.parametrize("kind", [Statehouse, AsyncStatehouse, Txn, AsyncTxn])
def test_help_shows_what_methods_return(kind):
    """And not the generators that they are made of."""
    shown = pydoc.plain(pydoc.render_doc(kind))
    for inner in ("Steps", "Feed", "ParamSpec", "P.args"):
        assert inner not in shown
    for name in surface(kind):
        if callable(method := getattr(kind, name)):
            assert not hasattr(method, "__wrapped__")
            assert method.__annotations__["return"] == inspect.signature(method).return_annotation
    if kind is Statehouse:
        assert "-> 'Commit'" in pydoc.plain(pydoc.render_doc(kind.write))
        assert "-> 'Iterator[Event]'" in pydoc.plain(pydoc.render_doc(kind.replay))
        for word in ("expected_version", "txn_id", "must not exist", "applies an id once"):
            assert word in kind.write.__doc__


async def test_representations(client, kind):
    """They say what a thing is and how far it is."""
    commit = await client.write("a1", "k", {})
    tx = await client.begin_transaction()
    assert f"Txn {tx.txn_id} of what was at {commit.commit_ts}: open>" in shown(tx)
    await tx.write("a1", "l", {})
    done = await tx.commit()
    assert f": committed as {done.commit_ts}>" in shown(tx)
    tx = await client.begin_transaction()
    await tx.abort()
    assert ": TXN_ABORTED>" in shown(tx)
    events = getattr(client, "blocking", client).replay("a1", limit=2)
    if kind == "sync":
        assert repr(events) == "<replay('a1', limit=2): 0 handed out>"
        next(events)
        assert repr(events) == "<replay('a1', limit=2): 1 handed out>"
        list(events)
        assert repr(events) == "<replay('a1', limit=2): 2 handed out, ended>"
    else:
        assert repr(events) == "<replay('a1', limit=2): not ended>"
        assert len([event async for event in events]) == 2
        assert repr(events) == "<replay('a1', limit=2): ended>"
        beginning = client.begin_transaction()
        assert repr(beginning) == "<begin_transaction(): not awaited yet>"
        await (await beginning).abort()
        assert repr(beginning) == "<begin_transaction(): begun>"


def shown(thing):
    return repr(getattr(thing, "blocking", thing))


def test_transactions_read_as_clients_do():
    reads = {"get_state", "get_many", "list_keys", "scan_keys", "scan_prefix"}
    for name in reads:
        assert inspect.signature(getattr(Txn, name)) == inspect.signature(getattr(Statehouse, name))


def test_everything_public_is_documented():
    for name in statehouse.__all__:
        thing = getattr(statehouse, name)
        if inspect.isclass(thing):
            assert thing.__doc__, name
    assert sorted(set(statehouse.__all__)) == sorted(statehouse.__all__)


def test_nothing_of_grpc_or_protobuf_is_public():
    for name in statehouse.__all__:
        module = getattr(getattr(statehouse, name), "__module__", "statehouse")
        assert module.partition(".")[0] in ("statehouse", "typing", "builtins"), name
    for kind, _ in PAIRS:
        for name in surface(kind):
            if callable(getattr(kind, name)):
                signature = str(inspect.signature(getattr(kind, name)))
                assert "pb." not in signature
                assert "grpc" not in signature


def test_results_can_be_introspected():
    for name in statehouse.types.__all__:
        thing = getattr(statehouse, name)
        if inspect.isclass(thing) and hasattr(thing, "__dataclass_fields__"):
            assert typing.get_type_hints(thing)


async def test_nobody_sees_grpc_or_protobuf_in_what_comes_back(client):
    def check(thing):
        assert type(thing).__module__.partition(".")[0] in ("builtins", "statehouse", "datetime")
        if isinstance(thing, dict):
            thing = list(thing.items())
        if isinstance(thing, (list, tuple)):
            for part in thing:
                check(part)
        elif hasattr(thing, "__dataclass_fields__"):
            for part in vars(thing).values():
                check(part)

    commit = await client.write("a1", "k", {"x": [1]}, metadata={"a": "b"})
    check(commit)
    check(await client.get_state("a1", "k"))
    check(await client.get_many("a1", ["k", "l"]))
    check(await client.list_keys("a1"))
    check([r async for r in client.scan_prefix("a1")])
    check([e async for e in client.history("a1", "k")])
    check([e async for e in client.replay("a1")])
    check(await client.list_agents())
    check(await client.get_transaction(commit.txn_id))
    check(await client.status())
    try:
        await client.write("a1", "k", {}, expected_version=9)
    except statehouse.PreconditionFailed as error:
        check(list(vars(error).values()))
        cause = error
        while cause:
            assert type(cause).__module__.startswith("statehouse")
            cause = cause.__cause__
