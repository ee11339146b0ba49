"""The record of what users ask and are told, by which ``statehouse-sim live --python`` judges."""

import asyncio
import inspect
import json

import pytest

from statehouse import AsyncStatehouse, OutcomeUnknown, Statehouse, Txn, errors

from intents import recorded, words
from intents.recorder import Recorder

#: Written down by methods of their own.
OWN = {"begin_transaction", "run_transaction"}


def recorder():
    moments = iter(range(1, 10_000))
    return Recorder(lambda: next(moments))


def wrapped(client):
    """A client of either kind, recorded; the tests know it adapted to being awaited."""
    record = recorder()
    inner = getattr(client, "blocking", client)
    return record, recorded.Client(record, "c1", inner, tireless=False)


def kinds(record):
    return [(op.kind, op.outcome) for op in record._ops]


@pytest.mark.parametrize(
    ("kind", "calls", "left"),
    [
        (Statehouse, words.CALLS, words.UNRECORDED),
        (AsyncStatehouse, words.CALLS, words.UNRECORDED),
        (Txn, words.TXN_CALLS, words.TXN_UNRECORDED),
    ],
)
def test_every_public_method_is_recorded_or_said_not_to_be(kind, calls, left):
    attributes = {name for name in dir(kind) if not name.startswith("_")}
    if kind is Txn:
        attributes |= words.TXN_UNRECORDED  # most of them are set when it is made
    own = OWN if kind is not Txn else set()
    assert attributes == {*calls, *left, *own}
    assert not set(calls) & (left | own)


#: Arguments that every method takes, by the name of the parameter.
ARGUMENTS = {
    "agent_id": "a1",
    "key": "k",
    "keys": ["k"],
    "value": {},
    "version": 1,
    "operations": [],
    "txn_id": "some-id",
}


async def called(client, name):
    takes = inspect.signature(getattr(client._inner, name)).parameters
    given = {name: ARGUMENTS[name] for name in takes if takes[name].default is inspect._empty}
    if "timeout" in takes:
        given["timeout"] = 0.05
    try:
        answer = getattr(client, name)(**given)
        if inspect.isawaitable(answer):
            await answer
        else:
            async for _ in answer:
                pass
    except errors.StatehouseError:
        pass


async def test_each_call_is_an_operation(client):
    record, mine = wrapped(client)
    for name in words.CALLS:
        before = len(record._ops)
        await called(mine, name)
        made = record._ops[before:]
        assert [op.kind for op in made] == [words.CALLS[name].kind], name
    for name in words.TXN_CALLS:
        tx = await mine.begin_transaction()
        before = len(record._ops)
        await called(tx, name)
        assert [op.kind for op in record._ops[before:]] == [words.TXN_CALLS[name].kind], name
    await client.status()  # the client is still in order


async def test_a_commit_carries_the_tag_of_its_call(client, tmp_path):
    record, mine = wrapped(client)
    await mine.write("a1", "k", {"x": 1}, metadata={"actor": "me"})

    async def count(tx):
        await tx.write("a1", "k", {"x": 2})

    await mine.run_transaction(count)
    async with await mine.begin_transaction() as tx:
        await tx.delete("a1", "k")
    log = [event async for event in client.replay()]
    commits = [op for op in record._ops if op.kind in words.COMMITS]
    tags = [{"actor": "me", "intent": "c1-1"}] + [{"intent": op.tag} for op in commits[1:]]
    assert [event.metadata for event in log] == tags
    assert [op.out["commit_ts"] for op in commits] == [event.commit_ts for event in log]
    record.write(tmp_path / "intents.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "intents.jsonl").open()]
    assert lines[0]["source"] == "intent"
    assert lines[-1]["end"]["lines"] == len(lines) - 1


async def test_runs_of_a_function_are_transactions(client):
    record, mine = wrapped(client)
    runs = 0

    async def count(tx):
        nonlocal runs
        runs += 1
        await tx.get_state("a1", "k")
        if runs == 1:
            await mine.write("a1", "k", {})
        await tx.write("a1", "k", {"n": 1})

    await mine.run_transaction(count)
    assert kinds(record) == [
        ("begin", "ok"),
        ("get", "ok"),
        ("transact", "ok"),
        ("write", "ok"),
        ("commit", "fail"),
        ("begin", "ok"),
        ("get", "ok"),
        ("write", "ok"),
        ("commit", "ok"),
    ]


@pytest.mark.parametrize(
    ("kind", "failed", "outcome"),
    [
        ("transact", errors.ConnectionError("no"), "fail"),
        ("transact", errors.ConflictError("no", answered=True), "fail"),
        ("transact", OutcomeUnknown("no", sent=True), "unknown"),
        ("commit", asyncio.CancelledError(), "unknown"),
        ("write", errors.ConnectionError("no", sent=True), "unknown"),
        ("get", errors.NotFoundError("no", answered=True), "fail"),
    ],
)
def test_an_error_is_what_it_says(kind, failed, outcome):
    assert words.outcome(kind, failed)[0] == outcome


def test_a_client_that_gives_up_is_told_of():
    record = recorder()
    for failed in (errors.ConnectionError("no"), errors.ConflictError("no", answered=True)):
        op = record.call("c1", "get", {})
        record.failed(op, failed, tireless=True)
    assert [op.error.get("details") for op in record._ops] == [{"gave_up": "UNAVAILABLE"}, None]
