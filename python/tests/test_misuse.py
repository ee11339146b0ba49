"""What cannot work is refused in words that say what does, and every error that leaves this
package is its own.
"""

import asyncio
import contextlib
import copy
import datetime
import functools
import inspect
import os
import pickle
import signal
import threading
import warnings

import grpc
import pytest

from statehouse import (
    AsyncStatehouse,
    AsyncTxn,
    Delete,
    HeadPrecondition,
    InvalidArgument,
    KeyPrecondition,
    RecordName,
    Statehouse,
    StatehouseError,
    Txn,
    UsageError,
    Write,
)


async def coroutine_function(tx):
    await tx.write("a1", "k", {})


def generator_function(tx):
    yield tx.write("a1", "k", {})


async def async_generator_function(tx):
    yield await tx.write("a1", "k", {})


def plain_function(tx):
    tx.write("a1", "k", {})


class Callable:
    def __init__(self, function):
        self.function = function

    def method(self, tx):
        return self.function(tx)


def callable_of(function):
    """An object whose __call__ is of the same kind as a function."""

    class Object:
        __call__ = staticmethod(function)

    return Object()


def method_of(function):
    class Object:
        async def coroutine_function(self, tx):
            await tx.write("a1", "k", {})

        def generator_function(self, tx):
            yield tx.write("a1", "k", {})

        async def async_generator_function(self, tx):
            yield await tx.write("a1", "k", {})

    return getattr(Object(), function.__name__)


LATE = [coroutine_function, generator_function, async_generator_function]
DRESSED = {
    "itself": lambda function: function,
    "a partial of it": lambda function: functools.partial(function),
    "a partial of a partial": lambda f: functools.partial(functools.partial(f)),
    "a callable object": callable_of,
    "a partial of a callable object": lambda f: functools.partial(callable_of(f)),
    "a bound method": method_of,
    "what returns its result": lambda function: lambda tx: function(tx),
    "its result": lambda function: function(None),
}


@pytest.fixture(autouse=True)
def no_warnings():
    """Such as of coroutines that were never awaited."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("dress", DRESSED)
@pytest.mark.parametrize("function", LATE, ids=lambda f: f.__name__)
def test_run_transaction_wants_a_function_that_does_its_work(statehouse_client, function, dress):
    dressed = DRESSED[dress](function)
    before = statehouse_client.status().open_transactions
    with pytest.raises(UsageError, match="coroutine|generator"):
        statehouse_client.run_transaction(dressed)
    assert statehouse_client.list_keys("a1") == []
    assert statehouse_client.status().open_transactions <= before


NOT_AWAITED = [generator_function, async_generator_function]


@pytest.mark.parametrize("dress", DRESSED)
@pytest.mark.parametrize("function", NOT_AWAITED, ids=lambda f: f.__name__)
async def test_awaited_run_transaction_wants_a_coroutine_function(
    statehouse_daemon, function, dress
):
    async with AsyncStatehouse(statehouse_daemon.url, "misuse-awaited") as client:
        with pytest.raises(UsageError, match="generator|cannot be awaited"):
            await client.run_transaction(DRESSED[dress](function))
        assert await client.list_keys("a1") == []


async def test_awaited_run_transaction_and_plain_functions(statehouse_daemon):
    async with AsyncStatehouse(statehouse_daemon.url, "misuse-plain") as client:
        for function in (lambda tx: 7, lambda tx: None, callable_of(lambda tx: tx.txn_id)):
            with pytest.raises(UsageError, match=r"cannot be awaited.*async def"):
                await client.run_transaction(function)

        async def late(tx):
            return coroutine_function(tx)

        with pytest.raises(UsageError, match="returned a coroutine"):
            await client.run_transaction(late)
        assert await client.list_keys("a1") == []
        # What returns an awaitable is as good as a coroutine function.
        await client.run_transaction(lambda tx: coroutine_function(tx))
        await client.run_transaction(functools.partial(coroutine_function))
        await client.run_transaction(callable_of(coroutine_function))
        assert await client.list_keys("a1") == ["k"]


def test_run_transaction_takes_what_is_callable(statehouse_client):
    for function in (
        plain_function,
        functools.partial(plain_function),
        callable_of(plain_function),
        Callable(plain_function).method,
        lambda tx: plain_function(tx),
    ):
        statehouse_client.run_transaction(function)
    assert len(list(statehouse_client.replay())) == 5


@pytest.mark.timeout(20)
def test_a_signal_handler_that_writes_while_the_channel_is_made(statehouse_daemon, monkeypatch):
    client = statehouse_daemon.client(namespace="signal")
    make = grpc.insecure_channel
    handled, interrupts = [], []

    def interrupted(*args, **kwargs):
        if not interrupts:
            interrupts.append(None)
            os.kill(os.getpid(), signal.SIGUSR1)
        return make(*args, **kwargs)

    def handle(*_):
        handled.append(client.write("a1", "of the handler", {}))

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        monkeypatch.setattr(grpc, "insecure_channel", interrupted)
        client.write("a1", "k", {})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(handled) == 1
    assert client.list_keys("a1") == ["k", "of the handler"]


@pytest.mark.timeout(20)
def test_a_signal_handler_that_uses_a_transaction_whenever(statehouse_daemon):
    client = statehouse_daemon.client(namespace="signal-txn")
    tx = client.begin_transaction()
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(tx.get_state("a1", "k")))
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    try:
        for n in range(4000):
            tx.write("a1", f"k{n}", {})
            tx.list_keys("a1", f"k{n}") if n % 100 == 0 else None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled
    assert len(tx.commit().versions) == 4000


def test_without_an_event_loop_of_asyncio(statehouse_daemon):
    """As under trio, or curio, which drive coroutines of their own."""
    client = AsyncStatehouse(statehouse_daemon.url)
    for call in (
        client.health(),
        client.run_transaction(coroutine_function),
        client.begin_transaction().__await__(),
        client.watch().__anext__(),
    ):
        with pytest.raises(UsageError, match=r"event loop of asyncio.*trio"):
            call.send(None)


async def test_blocks_of_the_wrong_kind(statehouse_daemon):
    client = AsyncStatehouse(statehouse_daemon.url, "blocks")
    with pytest.raises(UsageError, match="async with"):
        with client:
            pass
    with pytest.raises(UsageError, match="async with"):
        with client.begin_transaction():
            pass
    beginning = client.begin_transaction()
    async with beginning as tx:
        assert isinstance(tx, AsyncTxn)
    with pytest.raises(UsageError, match="for each"):
        await beginning
    async with await client.begin_transaction() as tx:  # which is as good
        with pytest.raises(UsageError, match="async with"):
            with tx:
                pass
        await tx.write("a1", "k", {})
    assert tx.committed
    await client.close()
    with Statehouse(statehouse_daemon.url) as blocking:
        for block in (blocking, blocking.begin_transaction()):
            with pytest.raises(UsageError, match="write: with"):
                async with block:
                    pass


def test_what_cannot_be_copied_or_sent_elsewhere(statehouse_client):
    for thing in (statehouse_client, statehouse_client.begin_transaction()):
        for send in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(UsageError, match="cannot be copied or sent to another process"):
                send(thing)


async def test_after_close(dial, statehouse_daemon):
    client = dial(statehouse_daemon.url)
    tx = await client.begin_transaction()
    watch = client.watch("a1", after=0)
    await client.close()
    await client.close()
    for call in (
        lambda: client.health(),
        lambda: client.begin_transaction(),
        lambda: tx.commit(),
        lambda: watch.__anext__(),
        lambda: client.list_keys("a1"),
        lambda: client.with_options(namespace="other").status(),
    ):
        with pytest.raises(UsageError, match="closed"):
            await call()


async def test_closed_in_mid_call(dial, statehouse_daemon):
    for n in range(10):
        client = dial(statehouse_daemon.url, namespace=f"closed-{n}")
        await client.health()
        working = [asyncio.ensure_future(work(client)) for _ in range(4)]
        await asyncio.sleep(0.01)
        await client.close()
        for failed in await asyncio.gather(*working, return_exceptions=True):
            assert isinstance(failed, StatehouseError), repr(failed)


async def work(client):
    while True:
        await client.get_state("a1", "k")


def test_an_iterator_is_for_one_thread_at_a_time(statehouse_client):
    statehouse_client.write("a1", "k", {})
    watch = statehouse_client.watch(timeout=0.5)
    waiting = threading.Thread(target=lambda: list(watch))
    waiting.start()
    while not watch._items.gi_running:
        pass
    for use in (lambda: next(watch), watch.close):
        with pytest.raises(UsageError, match="thread"):
            use()
    waiting.join()


@pytest.mark.parametrize(
    "place", ["argument", "options", "client", "name", "operation", "condition"]
)
async def test_an_empty_namespace_is_no_namespace(dial, statehouse_daemon, place):
    """On the wire it is ``default``, which a variable that was never set does not mean."""
    client = dial(statehouse_daemon.url, namespace="production")
    with pytest.raises(UsageError, match="namespace is empty: leave it out"):
        if place == "argument":
            await client.write("of-nobody", "k", {}, namespace="")
        elif place == "options":
            await client.with_options(namespace="").write("of-nobody", "k", {})
        elif place == "client":
            await dial(statehouse_daemon.url, namespace="").write("of-nobody", "k", {})
        elif place == "name":
            await client.get_many("of-nobody", [RecordName("of-nobody", "k", namespace="")])
        elif place == "operation":
            await client.transact([Write("of-nobody", "k", {}, namespace="")])
        else:
            condition = KeyPrecondition("of-nobody", "k", 0, namespace="")
            await client.transact([Write("of-nobody", "k", {})], preconditions=[condition])
    assert await client.list_keys("of-nobody", namespace="default") == []


WRONG = [
    None,
    7,
    -1,
    2**64,
    10**5000,
    1.5,
    float("nan"),
    float("inf"),
    True,
    b"bytes",
    "",
    "text",
    "\ud800",
    "a\0b",
    [],
    ["k"],
    [("a", "b")],
    [None],
    {},
    {"a": 1},
    {1: "a"},
    {"a": {"b": object()}},
    {"a": float("nan")},
    {"n": 10**400},
    object(),
    type,
    lambda: None,
    datetime.datetime(2020, 1, 1),
    datetime.datetime.max.replace(tzinfo=datetime.timezone.utc),
    datetime.date(2020, 1, 1),
    Write("a1", "k", {}),
    [Write(None, "k", {})],
    [Write("a1", 7, {})],
    [Write("a1", "k", 7)],
    [Write("a1", "k", {}, expected_version=-1)],
    [Delete("a1", "k", namespace=7)],
    [KeyPrecondition("a1", "k", "1")],
    [HeadPrecondition("a1", -1)],
    [RecordName(None, "k")],
]
GOOD = {
    "agent_id": "a1",
    "key": "k",
    "keys": ["k"],
    "value": {},
    "version": 1,
    "txn_id": "nobody-used-this",
    "operations": [Write("a1", "k", {})],
    "function": lambda tx: None,
    "prefix": "p/",
    "pointer": "/n",
    "patch": {},
    "to": "a2",
    "at": 1,
    "name": "worker",
}


def parameters(method):
    return {n: p for n, p in inspect.signature(method).parameters.items() if n != "self"}


async def use(target, name, arguments):
    """Calls a method, and fetches something of what it iterates over."""
    made = getattr(target, name)(**arguments)
    if not hasattr(made, "__aiter__"):
        return await made if inspect.isawaitable(made) else made
    try:
        return await made.__anext__()
    except StopAsyncIteration:
        return None
    finally:
        await made.aclose()


METHODS = [
    (kind, name)
    for kind in (Statehouse, Txn)
    for name in sorted(dir(kind))
    if not name.startswith("_")
    and not isinstance(getattr(kind, name), property)
    and parameters(getattr(kind, name))
    and name != "with_options"
]


def makes_sense(name, parameter, wrong):
    """Tells what is not wrong after all: it would be waited for, or raised as it is."""
    if name == "watch" and parameter in ("after", "prefix", "agent_id", "namespace"):
        return wrong is None or isinstance(wrong, (str, int))
    if name in ("lease", "claim") and parameter == "wait":
        return wrong is None or isinstance(wrong, (int, float))
    return parameter == "function" and (callable(wrong) or wrong is None)


@pytest.mark.parametrize(("of", "name"), METHODS, ids=[f"{k.__name__}.{n}" for k, n in METHODS])
async def test_every_error_is_of_this_package(dial, kind, statehouse_daemon, of, name):
    client = dial(statehouse_daemon.url, namespace=f"fuzz-{name}", timeout=5)
    await client.write("a1", "k", {})
    takes = parameters(getattr(of, name))
    good = {n: GOOD[n] for n, p in takes.items() if p.default is p.empty}
    if name == "run_transaction":
        good["function"] = coroutine_function
    if name == "watch":
        good["after"] = 0
    for parameter in takes:
        target = client if of is Statehouse else await client.begin_transaction()
        for wrong in WRONG:
            if makes_sense(name, parameter, wrong):
                continue
            if (kind, parameter) == ("sync", "function"):
                continue  # the adapter makes a function of whatever it is
            error = None
            try:
                await use(target, name, {**good, parameter: wrong})
            except StatehouseError as raised:  # and nothing else
                error = raised
            if error is not None:
                assert "\n" not in str(error)
            if type(error) is InvalidArgument and not error.answered:
                inside = ("agent_id", "key", "namespace", "value", "expected_version")
                assert error.details["field"] in (parameter, *inside, "expected_head")


async def test_every_option_of_a_client(kind):
    make = Statehouse if kind == "sync" else AsyncStatehouse
    client = make("localhost")
    for call in (make, client.with_options):
        for parameter in parameters(call):
            for wrong in WRONG:
                with contextlib.suppress(UsageError):  # and nothing else
                    await closed(call(**{parameter: wrong}))


async def closed(client):
    closing = client.close()
    if closing is not None:
        await closing


@pytest.mark.parametrize("given", ["begin_transaction", "run_transaction", "write", "transact"])
@pytest.mark.parametrize("wrong", [[("actor", "alice")], "actor", 7, {"actor": 1}, {1: "a"}])
async def test_metadata_of_commits(client, given, wrong):
    async def write(tx):
        await tx.write("a1", "k", {})

    arguments = {
        "begin_transaction": (),
        "run_transaction": (write,),
        "write": ("a1", "k", {}),
        "transact": ([Write("a1", "k", {})],),
    }[given]
    with pytest.raises(UsageError, match="metadata"):
        await getattr(client, given)(*arguments, metadata=wrong)
    assert await client.list_keys("a1") == []


async def test_metadata_that_is_changed_to_nonsense(client):
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {})
    getattr(tx, "blocking", tx).metadata = [("actor", "alice")]
    with pytest.raises(UsageError, match=r"must be a dict from str to str.*dict\(metadata\)"):
        await tx.commit()
    getattr(tx, "blocking", tx).metadata = {"actor": "alice"}
    await tx.commit()
    [entry] = [e async for e in client.history("a1", "k")]
    assert entry.metadata == {"actor": "alice"}
