"""What a transaction that lives in the client sends: one request, with all it wrote and read."""

import asyncio
import random
import threading
from unittest import mock

import pytest

from statehouse import (
    ConflictError,
    ConnectionError,
    Delete,
    InvalidArgument,
    KeyPrecondition,
    OutcomeUnknown,
    PreconditionFailed,
    RecordName,
    ResourceExhausted,
    Statehouse,
    TransactionCommitted,
    TransactionExpired,
    Unimplemented,
    Write,
)
from statehouse._calls import Caller, Deadline, new_txn_id
from statehouse._capture import words
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps import readset, staged
from statehouse._steps.staged import Staged

from adapter import connection_lost
from recorded import operations


def whole(tx):
    """The request that would commit it."""
    return getattr(tx, "blocking", tx)._whole()


def read(tx):
    """What it says to have read."""
    said = words.asked("transact", whole(tx)).get("reads", {})
    keys = [(k["agent"], k["key"], k["version"]) for k in said.get("keys", ())]
    ranges = [
        (r["agent"], r.get("prefix", ""), r.get("first", ""), r.get("last", ""))
        for r in said.get("ranges", ())
    ]
    return keys, ranges


async def taken(iterator, count):
    """The first items of an iterator that is left then."""
    items = []
    async for item in iterator:
        items.append(item if isinstance(item, str) else item.key)
        if len(items) == count:
            break
    await iterator.aclose()
    return items


@pytest.fixture
def paged(dial, statehouse_daemon):
    """A client with small pages, and ten records."""
    client = dial(statehouse_daemon.url, namespace=f"paged-{new_txn_id()}", page_size=3)
    blocking = getattr(client, "blocking", None) or statehouse_daemon.client(
        namespace=client.namespace
    )
    blocking.transact([Write("a1", f"k{n}", {"n": n}) for n in range(10)])
    return client


async def test_without_reads_it_is_one_transact(dial, daemon, file):
    client = dial(daemon.url, capture=file)
    async with client.begin_transaction(metadata={"actor": "me"}) as tx:
        for n in range(10):
            await tx.write("a1", f"k{n}", {"n": n}, expected_version=0)
        await tx.delete("a1", "k3")
    await client.close()
    probe, commit = operations(file)
    assert probe["in"]["reads"] == {"snapshot": 0}
    asked = commit["in"]
    assert (commit["kind"], asked["txn"], asked["metadata"]) == (
        "transact",
        tx.txn_id,
        {"actor": "me"},
    )
    assert [(w["key"], w.get("delete"), w["expected"]) for w in asked["writes"]] == [
        (f"k{n}", True if n == 3 else None, 0) for n in range(10)
    ]
    assert "reads" not in asked
    assert "keys" not in asked
    assert 29_000 < asked["timeout"] <= 30_000


async def test_what_was_read_is_in_the_request(client):
    await client.transact([Write("a1", "k", {}), Write("a1", "l", {})])
    gone = await client.delete("a1", "l")
    tx = await client.begin_transaction()
    await tx.write("a1", "own", {"x": 1})
    assert (await tx.get_state("a1", "own")).read_ts == 0
    assert read(tx) == ([], [])
    await tx.get_state("a1", "k")
    await client.write("a1", "k", {})
    for _ in range(2):
        assert (await tx.get_state("a1", "k")).version == 1
    names = ["l", "own", "never", RecordName("a2", "k"), "k"]
    records = await tx.get_many("a1", names)
    assert [r and (r.key, r.version) for r in records] == [None, ("own", 0), None, None, ("k", 1)]
    keys, ranges = read(tx)
    assert keys == [("a1", "k", 1), ("a1", "l", 2), ("a1", "never", 0), ("a2", "k", 0)]
    assert ranges == []
    request = whole(tx)
    assert gone.commit_ts <= request.reads.snapshot_ts == tx.snapshot_ts
    assert list(request.key_preconditions) == [pb.KeyPrecondition()]
    with pytest.raises(ConflictError) as caught:
        await tx.commit()
    assert (caught.value.key, caught.value.current_version) == ("k", 2)


async def test_own_writes_alone_are_no_reads(client):
    """Nobody can conflict with them."""
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {"x": 1})
    await tx.get_state("a1", "k")
    await tx.get_many("a1", ["k"])
    await client.write("a1", "k", {"x": 0})
    assert not whole(tx).HasField("reads")
    assert (await tx.commit()).version == 2


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
async def test_the_stretch_is_what_was_handed_out(paged, reverse, count):
    """Not the page that it came on."""
    order = [f"k{n}" for n in range(10)][:: -1 if reverse else 1]
    tx = await paged.begin_transaction()
    assert await taken(tx.scan_prefix("a1", "k", reverse=reverse), count) == order[:count]
    last = order[count - 1]
    stretch = ("a1", "k", last, "") if reverse else ("a1", "k", "", last)
    assert read(tx) == ([], [stretch])
    assert await tx.list_keys("a1", "k", reverse=reverse, limit=count) == order[:count]
    assert read(tx) == ([], [stretch])  # which is the same
    await tx.write("a1", "other", {})
    await paged.write("a1", order[count], {})  # the first that nobody has seen
    await paged.write("a1", f"{order[count]}:new", {})
    await tx.commit()
    tx = await paged.begin_transaction()
    await taken(tx.scan_keys("a1", "k", reverse=reverse), count)
    await paged.write("a1", last, {})
    await tx.write("a1", "other", {})
    with pytest.raises(ConflictError):
        await tx.commit()


async def test_a_list_to_its_end_is_the_whole_prefix(paged):
    for listed in ("k", "none"):
        tx = await paged.begin_transaction()
        assert len(await tx.list_keys("a1", listed)) == (10 if listed == "k" else 0)
        await tx.list_keys("a1", listed, limit=10)
        await tx.list_keys("a1", listed, limit=11)
        await tx.list_keys("a1", listed, reverse=True)
        assert read(tx) == ([], [("a1", listed, "", "")])
        await tx.write("a2", "k", {})
        await paged.write("a1", f"{listed}:new", {})
        with pytest.raises(ConflictError):
            await tx.commit()


async def test_a_list_that_own_writes_cut_short(paged):
    """What is on its last page beyond the limit was not handed out."""
    tx = await paged.begin_transaction()
    await tx.write("a1", "k0:own", {})
    assert (await tx.list_keys("a1", "k", limit=10))[-1] == "k8"
    assert read(tx) == ([], [("a1", "k", "", "k8")])
    await paged.write("a1", "k9", {})
    await tx.commit()


async def test_a_list_that_nobody_looked_at_is_not_read(paged):
    tx = await paged.begin_transaction()
    tx.scan_keys("a1", "k")
    assert await tx.list_keys("a1", "k", limit=0) == []
    assert read(tx) == ([], [])
    assert tx.snapshot_ts == 0


def model(stored, own, prefix, reverse, limit):
    keys = {key for key in stored if key not in own} | {k for k, v in own.items() if v is not None}
    return sorted((k for k in keys if k.startswith(prefix)), reverse=reverse)[:limit]


async def test_lists_show_own_writes(paged):
    """As if they were in the store, whatever the pages are."""
    stored = [f"k{n}" for n in range(10)]
    draw = random.Random(7)
    for _ in range(30):
        tx = await paged.begin_transaction()
        own = {}
        for _ in range(draw.randint(0, 8)):
            key = draw.choice((*stored, "a", "k", "k0:", "k33", "k9:x", "kz", "z"))
            own[key] = draw.choice((None, {"own": key}))
            if own[key] is None:
                await tx.delete("a1", key)
            else:
                await tx.write("a1", key, own[key])
        await tx.write("a2", "k5", {"of": "another"})
        for _ in range(6):
            reverse, limit = draw.random() < 0.5, draw.choice((None, 1, 2, 3, 4, 5, 30))
            prefix = draw.choice(("", "k", "k3", "q"))
            want = model(stored, own, prefix, reverse, limit)
            options = {"reverse": reverse, "limit": limit}
            assert await tx.list_keys("a1", prefix, **options) == want
            records = [r async for r in tx.scan_prefix("a1", prefix, **options)]
            assert [r.key for r in records] == want
            for record in records:
                mine = own.get(record.key)
                assert record.value == (mine or {"n": int(record.key[1:])})
                assert record.version == (0 if mine else 1)
                assert record.read_ts == tx.snapshot_ts
        await tx.abort()


async def test_what_is_written_while_a_list_is_read(paged):
    tx = await paged.begin_transaction()
    keys = []
    async for key in tx.scan_keys("a1", "k"):
        keys.append(key)
        if key == "k0":
            await tx.write("a1", "k8:new", {})
            await tx.delete("a1", "k9")
    assert keys == [*(f"k{n}" for n in range(9)), "k8:new"]


async def test_all_reads_are_of_the_first_ones_commit(client):
    """Of several first reads at once, one is the first."""
    await client.transact([Write("a1", f"k{n}", {"n": 0}) for n in range(8)])
    stop = False

    async def write():
        n = 0
        while not stop:
            n += 1
            await client.transact([Write("a1", f"k{i}", {"n": n}) for i in range(8)])

    writing = asyncio.create_task(write())
    for _ in range(20):
        tx = await client.begin_transaction()
        records = await asyncio.gather(*(tx.get_state("a1", f"k{i}") for i in range(8)))
        records += await tx.get_many("a1", ["k0", "k1"])
        records += [r async for r in tx.scan_prefix("a1", "k")]
        assert len({r.value["n"] for r in records}) == 1
        assert {r.read_ts for r in records} == {tx.snapshot_ts}
        await tx.abort()
    stop = True
    await writing


async def test_only_reading_asks_nothing_at_the_end(lossy, proxy):
    await lossy.write("a1", "k", {})
    async with lossy.begin_transaction() as tx:
        await tx.list_keys("a1")
        await lossy.write("a1", "k", {})
        proxy.lose("request", times=1000)
    assert proxy.lost == 0
    assert tx.committed.commit_ts == tx.snapshot_ts
    proxy.lose("pass")
    tx = await lossy.begin_transaction()
    await tx.get_state("a1", "k")
    tx.preconditions.append(KeyPrecondition("a1", "k", 7))
    with pytest.raises(PreconditionFailed):
        await tx.commit()
    tx = await lossy.begin_transaction()
    tx.preconditions.append(KeyPrecondition("a1", "k", 2))
    commit = await tx.commit()
    assert (commit.versions, commit.timestamp) == ((), None)


async def test_conditions_of_writes_stay(client):
    await client.write("a1", "k", {})
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {"n": 1}, expected_version=1)
    await tx.write("a1", "k", {"n": 2})
    await tx.delete("a1", "k")
    assert (await tx.commit()).version == 2
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {"n": 1}, expected_version=7)
    await tx.write("a1", "k", {"n": 2}, expected_version=2)
    with pytest.raises(PreconditionFailed) as caught:
        await tx.commit()
    assert caught.value.expected_version == 7


async def test_a_commit_in_doubt_is_what_it_was(lossy, proxy):
    """It can be tried again, and nothing can be added to it or taken back."""
    impatient = lossy.with_options(timeout=0.3)
    tx = await impatient.begin_transaction()
    await tx.get_state("a1", "k")
    await tx.write("a1", "k", {"n": 1})
    proxy.lose("reply", times=1000)
    with pytest.raises(OutcomeUnknown):
        await tx.commit()
    for late in (tx.write("a1", "l", {}), tx.get_state("a1", "k")):
        with pytest.raises(TransactionCommitted, match="is being committed"):
            await late
    with pytest.raises(OutcomeUnknown, match="not aborted") as caught:
        await tx.abort()
    assert caught.value.txn_id == tx.txn_id
    assert "being committed" in repr(getattr(tx, "blocking", tx))
    proxy.lose("pass")
    commit = await tx.commit()
    assert [e.txn_id async for e in lossy.replay()] == [tx.txn_id]
    assert tx.committed == commit


async def test_a_refusal_in_doubt_decides_nothing(lossy, proxy):
    """The request that was lost may yet arrive."""
    await lossy.write("a1", "k", {})
    tx = await lossy.with_options(timeout=0.5).begin_transaction()
    await tx.write("a1", "k", {}, expected_version=0)
    proxy.lose("request")
    with pytest.raises(PreconditionFailed) as caught:
        await tx.commit()
    assert caught.value.maybe_applied
    assert "being committed" in repr(getattr(tx, "blocking", tx))
    for _ in range(2):
        with pytest.raises(PreconditionFailed) as caught:
            await tx.commit()
        assert caught.value.maybe_applied
    proxy.down()
    await connection_lost(lossy)
    with pytest.raises(OutcomeUnknown):
        await tx.commit()
    proxy.up()
    await lossy.get_state("a1", "k")
    with pytest.raises(OutcomeUnknown):
        await (await doubtful(lossy, proxy)).abort()


async def doubtful(client, proxy):
    """A transaction whose commit was not answered."""
    tx = await client.with_options(timeout=0.5).begin_transaction()
    await tx.write("a1", "other", {})
    proxy.lose("reply", times=1000)
    with pytest.raises(OutcomeUnknown):
        await tx.commit()
    proxy.lose("pass")
    return tx


async def test_a_commit_that_was_not_sent_leaves_it_open(lossy, proxy):
    impatient = lossy.with_options(timeout=0.2)
    tx = await impatient.begin_transaction()
    await tx.write("a1", "k", {"n": 1})
    proxy.down()
    await connection_lost(lossy)
    with pytest.raises(ConnectionError):
        await tx.commit()
    proxy.up()
    await tx.write("a1", "l", {"n": 2})
    while True:
        try:
            commit = await tx.commit()
            break
        except ConnectionError:
            continue
    assert [v.key for v in commit.versions] == ["k", "l"]


async def test_a_commit_refused_at_a_limit_leaves_it_open(client):
    tx = await client.begin_transaction()
    await tx.write("a1", "k", {"text": "x" * (2 << 20)})
    with pytest.raises(InvalidArgument, match="more than the limit"):
        await tx.commit()  # which decides it: the value will not become smaller


@pytest.mark.parametrize("doubt", [False, True])
def test_the_timeout_counts_down_in_the_request(doubt):
    """What may have been sent is asked about when it is over, and what was not is expired."""
    caller = Caller(
        mock.Mock(timeout=30.0, attempt_timeout=10.0, fail_fast=False),
        Statehouse("localhost:1")._endpoint,
    )
    request = pb.TransactRequest(txn_id="t")
    until = Deadline(0.05)
    steps = caller.commit("Transact", request, "t", begun=False, until=until)
    next(steps)
    call = steps.send(True)
    assert 40 < call.request.timeout_ms <= 50
    until._end -= 1
    steps.throw(ConnectionError("gone", sent=doubt))  # a pause
    if not doubt:
        with pytest.raises(TransactionExpired) as caught:
            steps.send(None)
        assert not caught.value.maybe_applied
        return
    steps.send(None)
    call = steps.send(True)
    assert call.request.timeout_ms == 0
    assert call.request.HasField("timeout_ms")
    with pytest.raises(TransactionExpired) as caught:
        steps.throw(TransactionExpired("late", answered=True))
    assert caught.value.maybe_applied


async def test_limits_refuse_early(client, monkeypatch):
    monkeypatch.setattr(staged, "OPERATIONS", 3)
    tx = await client.begin_transaction()
    for n in range(3):
        await tx.write("a1", f"k{n}", {}, expected_version=0)
    with pytest.raises(ResourceExhausted, match="operations of a transaction: 4, the limit is 3"):
        await tx.delete("a1", "k4")
    with pytest.raises(ResourceExhausted, match="preconditions of a transaction: 4"):
        await tx.write("a1", "k0", {}, expected_version=0)
    await tx.write("a1", "k0", {"again": True})
    monkeypatch.setattr(staged, "BYTES", 100)
    with pytest.raises(ResourceExhausted, match="bytes of a transaction: .*the limit is 100"):
        await tx.write("a1", "k0", {"text": "x" * 100})
    monkeypatch.setattr(readset, "READS", 2)
    await tx.get_many("a1", ["k0", "r1", "r2", "r1"])
    with pytest.raises(ResourceExhausted, match="reads of a transaction: 3, the limit is 2"):
        await tx.get_state("a1", "r3")
    with pytest.raises(ResourceExhausted, match="reads of a transaction: 3, the limit is 2"):
        await tx.list_keys("a1")
    monkeypatch.setattr(staged, "BYTES", 1000)
    monkeypatch.setattr("statehouse._steps.txnreads.TOGETHER", 200)
    with pytest.raises(ResourceExhausted, match="bytes written and read of a transaction"):
        await tx.write("a1", "k1", {"text": "x" * 10})
    await tx.abort()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", ""),
        ("key", "ü" * 513),
        ("agent_id", "ü" * 129),
        ("agent_id", "a\tb"),
        ("key", "ü\0"),
        ("namespace", "n" * 129),
    ],
)
async def test_names_are_refused_as_the_daemon_refuses_them(client, field, value):
    names = {"agent_id": "a1", "key": "k", field: value}
    said = []
    for write in (client.write, (await client.begin_transaction()).write):
        with pytest.raises(InvalidArgument) as caught:
            await write(**names, value={})
        assert caught.value.details["field"] == field
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("deep", [27, 28])
@pytest.mark.parametrize("kind_of", [dict, list])
async def test_values_are_nested_as_deep_as_the_daemon_takes(client, deep, kind_of):
    value = "x"
    for n in range(deep):
        value = {"in": value} if kind_of is dict or n % 2 else [value, 1]
    value = {"out": value, "side": [1]}
    tx = await client.begin_transaction()
    for write in (client.write, tx.write):
        if deep == 27:
            await write("a1", "k", value)
        else:
            with pytest.raises(InvalidArgument, match="nested"):
                await write("a1", "k", value)


async def test_versions_are_in_the_order_of_agents(client):
    async with client.begin_transaction() as tx:
        for agent, key in (("b", "z"), ("a", "y"), ("b", "c"), ("a", "x"), ("b", "z")):
            await tx.write(agent, key, {}, namespace=None)
        await tx.write("0", "k", {}, namespace="zzz")
    assert [(v.agent_id, v.key) for v in tx.committed.versions] == [
        ("a", "y"),
        ("a", "x"),
        ("b", "z"),
        ("b", "c"),
        ("0", "k"),
    ]


async def test_a_daemon_that_knows_no_reads_holds_transactions(client, monkeypatch):
    """It is asked once, with what it refuses."""
    blocking = getattr(client, "blocking", client)
    call = Caller.call

    def older(self, method, request):
        if method == "Transact" and request.HasField("reads"):
            request.ClearField("reads")  # as if it were unknown
        return call(self, method, request)

    monkeypatch.setattr(Caller, "call", older)
    tx = await client.begin_transaction()
    assert tx.held
    await tx.abort()
    assert blocking._endpoint.knows_reads is False
    monkeypatch.undo()
    assert (await client.begin_transaction()).held

    # One that is put in the place of a newer one refuses to commit.
    blocking._endpoint.knows_reads = True
    commit = Caller.commit

    def replaced(self, method, request, *args, **kwargs):
        if method == "Transact" and request.HasField("reads"):
            known = pb.TransactRequest.FromString(request.SerializeToString())
            known.ClearField("reads")
            request = known
        return commit(self, method, request, *args, **kwargs)

    monkeypatch.setattr(Caller, "commit", replaced)
    monkeypatch.setattr(Caller, "call", older)  # it is asked again
    tx = await client.begin_transaction()
    await tx.get_state("a1", "k")
    await tx.write("a1", "k", {})
    with pytest.raises(Unimplemented, match="an older one"):
        await tx.commit()
    assert await client.list_keys("a1") == []
    blocking._endpoint.knows_reads = True
    held = []

    async def work(tx):
        held.append(tx.held)
        await tx.get_state("a1", "k")
        await tx.write("a1", "k", {})

    await client.run_transaction(work)
    assert held == [False, True]


def test_threads_share_a_transaction(statehouse_client):
    tx = statehouse_client.begin_transaction()

    def work(n):
        for i in range(50):
            tx.write(f"a{n}", f"k{i}", {"n": i})
            assert tx.get_state(f"a{n}", f"k{i}").value == {"n": i}
        tx.get_state(f"a{n}", "other")

    threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tx.commit().versions) == 200


def test_staged_writes_count_what_they_hold():
    held = Staged()
    for value in (b"{}", b'{"x":1}', b""):
        held.put(
            pb.TransactOperation(
                namespace="n", agent_id="a", key="ü", value_json=value, delete=not value
            )
        )
        assert held.bytes == 4 + len(value)
    assert len(held) == 1
    assert Delete("a", "ü")
