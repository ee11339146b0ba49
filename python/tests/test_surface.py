"""The blocking and the awaited client are the same, help() and editors show what they take,
and nothing of gRPC is to be seen.
"""

import doctest
import inspect
import pydoc
import re
import sys
import typing

import pytest

import generate_aio
import statehouse
import statehouse.testing
from statehouse import AsyncStatehouse, AsyncTxn, Statehouse, Txn
from statehouse._aio.client import Beginning

PAIRS = [(Statehouse, AsyncStatehouse), (Txn, AsyncTxn)]
STREAMS = {"scan_keys", "scan_prefix", "history", "replay", "watch", "find", "diff"}
#: What answers a thing to enter, or to ask, which the two clients do in their own way.
ENTERED = {"begin_transaction", "lease", "agent"}
#: Parameters that need no more words than the first sentence has.
PLAIN = {"self", "agent_id", "key"}


def surface(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def methods(kind):
    return {name: made for name in surface(kind) if inspect.isroutine(made := getattr(kind, name))}


METHODS = [
    pytest.param(kind, name, id=f"{kind.__name__}.{name}")
    for pair in PAIRS
    for kind in pair
    for name in sorted(methods(kind))
]


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_a_method_is_what_it_looks_like(kind, name):
    """It is written out, so that what reads the source sees what what runs it sees."""
    method = getattr(kind, name)
    asynchronous = inspect.iscoroutinefunction(method)
    written = inspect.getsource(method).lstrip()
    assert written.startswith(f"{'async ' * asynchronous}def {name}(")
    assert not hasattr(method, "__wrapped__")
    signature = inspect.signature(method)
    assert signature.return_annotation == method.__annotations__["return"]
    for parameter in list(signature.parameters.values())[1:]:
        assert parameter.annotation is not parameter.empty, parameter
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    if sys.version_info >= (3, 10):  # 3.9 cannot evaluate int | None
        hints = typing.get_type_hints(method)
        assert set(hints) == {*list(signature.parameters)[1:], "return"}
    shown = pydoc.plain(pydoc.render_doc(method))
    assert f"-> '{signature.return_annotation}'" in shown
    for inner in ("Steps", "Feed", "ParamSpec", "pb."):
        assert inner not in shown


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_a_method_says_what_it_takes_and_raises(kind, name):
    method = getattr(kind, name)
    said = method.__doc__
    summary = said.partition("\n\n")[0]
    for parameter in inspect.signature(method).parameters:
        assert parameter in PLAIN or f"``{parameter}``" in said, parameter
    assert summary.rstrip().endswith((".", ".)")), "the first sentence stands alone"
    if name != "close":
        assert "Raises " in said
    for error in re.findall(r"Raises .*", said, re.DOTALL):
        for named in re.findall(r":class:`(\w+)`", error):
            assert named in statehouse.__all__
    if "timeout" in inspect.signature(method).parameters and "As in" not in said:
        assert re.search(r"\b[Ss]econds\b", said)


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_the_two_clients_agree_parameter_by_parameter(blocking, awaited):
    assert surface(blocking) == surface(awaited)
    assert inspect.signature(blocking) == inspect.signature(awaited) or blocking is Txn
    for name, here in methods(blocking).items():
        there = getattr(awaited, name)
        takes, returns = inspect.signature(here), inspect.signature(there)
        if name != "run_transaction":  # whose function is a coroutine function
            assert takes.parameters == returns.parameters, name
        assert list(takes.parameters) == list(returns.parameters), name
        if name in STREAMS:
            assert f"Async{takes.return_annotation}" == returns.return_annotation
        elif name not in ENTERED:
            own = re.sub(r"\bClaim\b", "AsyncClaim", takes.return_annotation)
            assert own == returns.return_annotation
        assert not inspect.iscoroutinefunction(here)
        if name not in STREAMS | ENTERED | {"with_options"}:
            assert inspect.iscoroutinefunction(there), name
        if name not in ENTERED | {"run_transaction"}:
            assert prose(here) == prose(there), name


def prose(method):
    """What a docstring says beside its examples."""
    parts = doctest.DocTestParser().parse(method.__doc__)
    return [part.strip() for part in parts if isinstance(part, str)]


@pytest.mark.parametrize("kind", [Statehouse, AsyncStatehouse, Txn, AsyncTxn])
def test_a_method_has_its_logic_beside_it(kind):
    """Parameters are passed on by position, so these must be the same."""
    for name, method in methods(kind).items():
        logic = getattr(kind, f"_{name}", None)
        if logic is not None:
            parameters = list(inspect.signature(method).parameters)
            assert list(inspect.signature(logic).parameters) == parameters
            written = re.sub(r"\s", "", inspect.getsource(method)).replace(",)", ")")
            assert f"self._{name}({','.join(parameters[1:])})" in written
        else:
            own = ENTERED | {"close", "run_transaction", "with_options"}
            assert name in own, name


@pytest.mark.parametrize("name", generate_aio.MODULES)
def test_what_is_awaited_is_derived(name):
    """Run python/generate_aio.py when it is not."""
    made = generate_aio.PACKAGE / "_aio" / f"{name}.py"
    assert made.read_text() == generate_aio.derive(name)


def test_help_of_a_client():
    shown = pydoc.plain(pydoc.render_doc(Statehouse))
    assert "url: 'str | None' = None" in shown
    assert "Seconds that a call may take" in shown
    assert "-> 'Commit'" in shown
    assert "-> 'Iterator[Event]'" in shown
    for word in ("expected_version", "txn_id", "must not exist", "applies an id once"):
        assert word in Statehouse.write.__doc__


PUBLIC = [
    pytest.param(thing, id=name)
    for module in (statehouse, statehouse.testing)
    for name in module.__all__
    if inspect.isclass(thing := getattr(module, name)) or inspect.isroutine(thing)
]


@pytest.mark.parametrize("thing", [*PUBLIC, pytest.param(Beginning, id="Beginning")])
def test_everything_public_is_documented_and_typed(thing):
    assert thing.__doc__
    if inspect.isroutine(thing):
        assert all(
            thing.__annotations__[p] for p in [*inspect.signature(thing).parameters, "return"]
        )
        return
    for name, part in vars(thing).items():
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(part, property):
            assert part.__doc__, name
            assert part.fget.__annotations__["return"], name
        elif inspect.isfunction(part):
            assert part.__doc__ or name == "__init__", name
            assert "return" in part.__annotations__, name
            for parameter in list(inspect.signature(part).parameters)[1:]:
                assert parameter in part.__annotations__, (name, parameter)


async def test_representations(client, kind):
    """They say what a thing is and how far it is."""
    commit = await client.write("a1", "k", {})
    tx = await client.begin_transaction()
    assert f"Txn {tx.txn_id}: open>" in shown(tx)
    await tx.get_state("a1", "k")
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


def test_public_names_are_there_once():
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
