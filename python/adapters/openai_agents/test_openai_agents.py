"""What the session of the OpenAI Agents SDK does beyond what the SDK asks for."""

import threading
from types import SimpleNamespace

import agents.memory
import anyio
import anyio.from_thread
import pytest

from statehouse import ResourceExhausted
from statehouse.openai_agents import StatehouseSession

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def session(client):
    return StatehouseSession("user-123", client)


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize("lost", ["request", "reply"])
async def test_an_answer_is_lost(lossy, proxy, session, lost):
    through = StatehouseSession("user-123", lossy)
    await through.add_items([user("0")])
    proxy.lose(lost)
    await through.add_items([user("1"), user("2")])
    proxy.lose(lost, after=1)  # the commit, after the read
    assert await through.pop_item() == user("2")
    assert await session.get_items() == [user("0"), user("1")]
    proxy.lose(lost)
    await through.clear_session()
    assert await session.get_items() == []


async def test_each_call_is_one_commit(session, commits):
    await session.add_items([user(str(n)) for n in range(30)])
    assert commits() == 1
    await session.pop_item()
    assert commits() == 2
    await session.clear_session()
    assert commits() == 3
    await session.add_items([])
    assert await session.get_items(limit=-1) == []
    assert commits() == 3


@pytest.mark.parametrize("theirs", ["append", "pop"])
async def test_another_comes_between_a_pop_and_its_commit(session, client, monkeypatch, theirs):
    """The pop is of what is last when it commits."""
    run_transaction, others = client.run_transaction, []
    await session.add_items([user("1"), user("2"), user("3")])

    def run(function, **options):
        def wrapped(tx):
            result = function(tx)
            if not others:
                others.append(theirs)
                if theirs == "append":
                    session._add_items([user("4")])
                else:
                    assert session._pop_item() == user("3")
            return result

        return run_transaction(wrapped, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    if theirs == "append":
        assert await session.pop_item() == user("4")
        assert await session.get_items() == [user("1"), user("2"), user("3")]
    else:
        assert await session.pop_item() == user("2")
        assert await session.get_items() == [user("1")]


async def test_items_of_any_size(session, client):
    image = {"role": "user", "content": [{"type": "input_image", "image_url": "x" * 5_000_000}]}
    items = [image, user("What is it?"), image, user("half a pair: \ud800")]
    await session.add_items(items)
    assert await session.get_items() == items
    assert await session.get_items(2) == items[2:]
    assert await session.pop_item() == items[3]
    assert await session.pop_item() == image
    assert len(client.list_keys(session.agent_id, "chunk/")) == 10 + 1  # the image is there once
    await session.clear_session()
    assert client.list_keys(session.agent_id) == []


async def test_too_many_items_for_a_commit_are_refused_as_a_whole(session):
    with pytest.raises(ResourceExhausted):
        await session.add_items([user("x")] * 5001)
    assert await session.get_items() == []


@pytest.mark.slow
async def test_a_long_conversation(session):
    for n in range(3):
        await session.add_items([user(f"{n} {m}") for m in range(2500)])
    items = await session.get_items()
    said = [item["content"] for item in items]
    assert said == [f"{n} {m}" for n in range(3) for m in range(2500)]
    assert await session.get_items(3000) == items[-3000:]
    await session.clear_session()
    assert await session.get_items() == []


async def test_settings_limit_what_is_read(client):
    kind = getattr(agents.memory, "SessionSettings", SimpleNamespace)  # which 0.2.0 has not
    settings = kind(limit=2)
    session = StatehouseSession("user-123", client, session_settings=settings)
    assert session.session_settings is settings
    await session.add_items([user(str(n)) for n in range(5)])
    assert await session.get_items() == [user("3"), user("4")]
    assert await session.get_items(3) == [user("2"), user("3"), user("4")]
    settings.limit = None
    assert len(await session.get_items()) == 5


@pytest.mark.skipif(
    not hasattr(agents.memory, "SessionSettings"), reason="session settings are of newer versions"
)
async def test_settings_may_be_a_dict(client):
    session = StatehouseSession("user-123", client, session_settings={"limit": 1})
    assert session.session_settings == agents.memory.SessionSettings(limit=1)
    await session.add_items([user("1"), user("2")])
    assert await session.get_items() == [user("2")]
    with pytest.raises(TypeError, match="Unknown session settings: many, most"):
        StatehouseSession("user-123", client, session_settings={"most": 1, "many": 2})


async def test_a_cancelled_call_is_waited_for(session, client, monkeypatch):
    """Whoever cancels may look at once at what came of it."""
    run_transaction, began, cancelled = client.run_transaction, anyio.Event(), threading.Event()

    def run(function, **options):
        anyio.from_thread.run_sync(began.set)
        assert cancelled.wait(10)
        return run_transaction(function, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.add_items, [user("1")])
        await began.wait()
        tasks.cancel_scope.cancel()
        cancelled.set()
    assert await session.get_items() == [user("1")]


async def test_metadata_and_prefix(client):
    session = StatehouseSession("u/1", client, prefix="team/", metadata={"actor": "ann"})
    await session.add_items([user("x"), user("x" * 300_000)])
    await session.pop_item()
    await session.clear_session()
    assert {event.metadata["actor"] for event in client.replay()} == {"ann"}
    assert [a.agent_id for a in client.list_agents()] == ["team/u%2F1"] == [session.agent_id]
