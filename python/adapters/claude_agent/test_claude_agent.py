"""The session store of the Claude Agent SDK."""

import anyio
import claude_agent_sdk as sdk
import pytest

from statehouse import InvalidArgument, PreconditionFailed
from statehouse.claude_agent import StatehouseSessionStore, _Place

KEY = {"project_key": "-home-ann", "session_id": "4f0c"}
SUB = {**KEY, "subpath": "subagents/agent-1"}


def entry(n, **fields):
    return {"type": "user", "uuid": f"uuid-{n}", "n": n, **fields}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def store(client):
    return StatehouseSessionStore(client)


pytestmark = pytest.mark.anyio


async def test_an_entry_is_appended_once(store):
    await store.append(KEY, [entry(1), entry(2), entry(2)])
    await store.append(KEY, [entry(1), entry(2), entry(3)])  # overlaps
    assert await store.load(KEY) == [entry(1), entry(2), entry(3)]


async def test_an_entry_without_identity_is_appended_each_time(store):
    title = {"type": "custom-title", "customTitle": "Paris"}
    await store.append(KEY, [title, title, {**title, "uuid": ""}, {**title, "uuid": None}])
    await store.append(KEY, [title, {**title, "uuid": ""}, {**title, "uuid": None}])
    assert len(await store.load(KEY)) == 7


async def test_transcripts_know_their_own_entries_only(store):
    for key in (KEY, SUB, {**SUB, "subpath": "subagents/agent-2"}, {**KEY, "session_id": "2"}):
        await store.append(key, [entry(1)])
        assert await store.load(key) == [entry(1)]


async def test_what_is_there_already_is_no_commit(store, commits):
    await store.append(KEY, [entry(1)])
    await store.append(SUB, [entry(1)])
    before = commits()
    await store.append(KEY, [entry(1)])
    await store.append(SUB, [entry(1)])
    await store.append(KEY, [])
    assert commits() == before


async def test_an_append_is_one_commit(store, commits):
    await store.append(KEY, [entry(n) for n in range(20)])
    assert commits() == 1


async def test_an_import_is_a_commit_for_a_thousand_entries(store, commits):
    await store.append(KEY, [{"type": "tag", "n": n} for n in range(1000)])
    assert commits() == 1
    await store.append(SUB, [{"type": "tag", "n": n} for n in range(1001)])
    assert commits() == 3
    assert [said["n"] for said in await store.load(SUB)] == list(range(1001))


@pytest.mark.parametrize("lost", ["request", "reply"])
@pytest.mark.parametrize("after", [0, 1])  # of what is read, and of the commit
async def test_an_answer_is_lost(lossy, proxy, store, lost, after):
    through = StatehouseSessionStore(lossy)
    await through.append(KEY, [{"type": "mode"}])
    proxy.lose(lost, after=after)
    await through.append(KEY, [entry(1), {"type": "tag", "tag": "a"}])
    assert proxy.lost == 1
    assert await store.load(KEY) == [{"type": "mode"}, entry(1), {"type": "tag", "tag": "a"}]


async def test_two_processes_append_to_one_session(dial, store):
    async def write(name):
        own = StatehouseSessionStore(dial())
        for n in range(15):
            await own.append(KEY, [{"type": "user", "uuid": f"{name}{n}"}, {"type": name, "n": n}])

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(write, name)
    entries = await store.load(KEY)
    assert len(entries) == 90
    for name in "abc":
        assert [e["n"] for e in entries if e["type"] == name] == list(range(15))


async def test_two_processes_append_the_same(dial, store):
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            own = StatehouseSessionStore(dial())
            tasks.start_soon(own.append, KEY, [entry(n) for n in range(10)])
            tasks.start_soon(own.append, SUB, [entry(n) for n in range(10)])
    assert await store.load(KEY) == [entry(n) for n in range(10)]
    assert await store.load(SUB) == [entry(n) for n in range(10)]
    assert await store.list_subkeys(KEY) == [SUB["subpath"]]


@pytest.mark.parametrize("key", [KEY, SUB])
async def test_another_appends_the_same_before_the_commit(store, client, monkeypatch, key):
    """Between what is read of the markers, and the commit."""
    run_transaction, others = client.run_transaction, []

    def run(function, **options):
        def wrapped(tx):
            function(tx)
            if not others:
                others.append(key)
                store._append(_Place("claude/", key), key, [entry(1), entry(2)])

        return run_transaction(wrapped, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    await store.append(key, [entry(1), entry(2), entry(3)])
    assert await store.load(key) == [entry(1), entry(2), entry(3)]


async def test_summaries_miss_nothing_that_processes_append_at_once(dial, store):
    fields = ["customTitle", "aiTitle", "lastPrompt", "summary", "gitBranch"]

    async def write(field):
        await StatehouseSessionStore(dial()).append(KEY, [{"type": "x", field: field}])

    async with anyio.create_task_group() as tasks:
        for field in fields:
            tasks.start_soon(write, field)
    [summary] = await store.list_session_summaries(KEY["project_key"])
    assert set(fields) <= set(summary["data"].values()) | {"summary"}
    assert len(summary["data"]) == len(fields) + 1  # and is_sidechain


async def test_a_retried_batch_does_not_change_the_summary(store):
    await store.append(KEY, [entry(1, customTitle="first")])
    await store.append(KEY, [entry(2, customTitle="second")])
    await store.append(KEY, [entry(1, customTitle="first"), entry(3)])
    [summary] = await store.list_session_summaries(KEY["project_key"])
    assert summary["data"]["custom_title"] == "second"


@pytest.mark.parametrize(
    "content",
    ["x" * 5_000_000, "é" * 300_000, "half a pair: \ud800", 10**400, float("inf"), {"a": [[]] * 3}],
)
async def test_entries_that_no_record_can_hold(store, content):
    deep = []
    for _ in range(100):
        deep = [deep, {"deep": 1}]
    entries = [entry(1, content=content), entry(2), entry(3, content=deep)]
    await store.append(KEY, entries)
    assert await store.load(KEY) == entries


async def test_a_batch_that_is_too_large_together(store, client):
    entries = [entry(n, text=f"{n}" * 20_000) for n in range(300)]
    await store.append(KEY, entries)
    assert await store.load(KEY) == entries


async def test_the_same_image_twice_is_stored_once(store, client):
    await store.append(KEY, [{"type": "image", "data": "x" * 1_000_000} for _ in range(3)])
    assert len(await store.load(KEY)) == 3
    assert len(client.list_keys("claude/-home-ann/4f0c", "chunk/")) == 2


async def test_chunks_are_deleted_while_they_are_referred_to(store, client, monkeypatch):
    """A delete of the session between the chunks and the commit that refers to them."""
    large = {"type": "image", "data": "x" * 1_000_000}
    await store.append(KEY, [entry(1)])
    run_transaction, deleted = client.run_transaction, []

    def run(function, **options):
        if not deleted:
            deleted.append(client.delete_prefix("claude/-home-ann/4f0c", "chunk/"))
        return run_transaction(function, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    await store.append(KEY, [large])
    assert deleted[0].keys == 2
    assert await store.load(KEY) == [entry(1), large]
    deleted.clear()
    monkeypatch.setattr("statehouse._adapters.items._TRIES", 1)
    with pytest.raises(PreconditionFailed):
        await store.append(KEY, [{**large, "type": "photo"}])


@pytest.mark.slow
async def test_a_long_session(store):
    entries = [entry(n) for n in range(3000)]
    await store.append(KEY, entries)  # as an import with a large batch_size does
    await store.append(SUB, entries)
    assert await store.load(KEY) == entries
    await store.delete(KEY)
    assert await store.load(KEY) is None
    assert await store.load(SUB) is None
    assert await store.list_sessions("-home-ann") == []
    await store.append(KEY, entries[:1])  # nothing of it is left that could stand in the way
    assert await store.load(KEY) == entries[:1]


async def test_a_deleted_subagent(store):
    await store.append(KEY, [entry(1)])
    await store.append(SUB, [entry(1)])
    await store.delete(SUB)
    assert await store.list_subkeys(KEY) == []
    await store.append(SUB, [entry(1)])
    assert await store.load(SUB) == [entry(1)]
    assert await store.load(KEY) == [entry(1)]


NAMES = [
    "a",
    "a/b",
    "b/a",
    "a~",
    "a%2Fb",
    "é" * 200,
    "é" * 200 + "2",
    "x" * 300,
    "x" * 300 + "y",
    "\x07",
    "",
]


async def test_whatever_projects_and_sessions_are_called(store):
    pairs = [(project, session) for project in NAMES for session in NAMES]
    for n, (project, session) in enumerate(pairs):
        key = {"project_key": project, "session_id": session}
        await store.append(key, [entry(n)])
        await store.append({**key, "subpath": session + "!"}, [entry(-n)])
    for n, (project, session) in enumerate(pairs):
        key = {"project_key": project, "session_id": session}
        assert await store.load(key) == [entry(n)]
        assert await store.list_subkeys(key) == [session + "!"]
        assert await store.load({**key, "subpath": session + "!"}) == [entry(-n)]
    for project in NAMES:
        listed = await store.list_sessions(project)
        assert sorted(s["session_id"] for s in listed) == sorted(NAMES)


async def test_a_subpath_is_not_empty(store):
    with pytest.raises(InvalidArgument, match="subpath is empty"):
        await store.append({**KEY, "subpath": ""}, [entry(1)])


async def test_listed_times_are_the_stores_own(store, client):
    await store.append(KEY, [entry(1, timestamp="2001-01-01T00:00:00Z")])
    [listed] = await store.list_sessions("-home-ann")
    record = client.get_state("claude/-home-ann", "session/4f0c")
    assert listed == {"session_id": "4f0c", "mtime": int(record.timestamp.timestamp() * 1000)}
    [summary] = await store.list_session_summaries("-home-ann")
    assert summary["mtime"] == listed["mtime"]


async def test_metadata_and_prefix(client):
    store = StatehouseSessionStore(client, prefix="team/", metadata={"actor": "ann"})
    await store.append(KEY, [entry(1), {"type": "image", "data": "x" * 1_000_000}])
    await store.delete(KEY)
    assert {event.metadata["actor"] for event in client.replay()} == {"ann"}
    assert [a.agent_id for a in client.list_agents()] == ["team/-home-ann", "team/-home-ann/4f0c"]


SESSION = "6b1f9c1e-2d4b-4c0e-9b44-0a4f8f9d2b11"


async def test_what_the_sdk_does_with_a_store(store, tmp_path):
    """Its own functions on stores: titles, tags, messages, forks, deletes."""
    where = {"directory": str(tmp_path)}
    key = {"project_key": sdk.project_key_for_directory(str(tmp_path)), "session_id": SESSION}
    said = {
        "type": "user",
        "uuid": "7b1f9c1e-2d4b-4c0e-9b44-0a4f8f9d2b11",
        "parentUuid": None,
        "sessionId": SESSION,
        "timestamp": "2026-01-01T00:00:00Z",
        "message": {"role": "user", "content": "How many people live in Paris?"},
    }
    await store.append(key, [said])
    [info] = await sdk.list_sessions_from_store(store, **where)
    assert info.summary == "How many people live in Paris?"
    await sdk.rename_session_via_store(store, SESSION, "Paris", **where)
    await sdk.tag_session_via_store(store, SESSION, "cities", **where)
    info = await sdk.get_session_info_from_store(store, SESSION, **where)
    assert (info.custom_title, info.tag) == ("Paris", "cities")
    [message] = await sdk.get_session_messages_from_store(store, SESSION, **where)
    assert message.message == said["message"]
    forked = await sdk.fork_session_via_store(store, SESSION, **where)
    assert len(await sdk.list_sessions_from_store(store, **where)) == 2
    await sdk.delete_session_via_store(store, SESSION, **where)
    [left] = await sdk.list_sessions_from_store(store, **where)
    assert left.session_id == forked.session_id
