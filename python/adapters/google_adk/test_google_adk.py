"""What the session service of the Agent Development Kit does beyond what the kit asks for."""

import datetime
import json

import anyio
import anyio.from_thread
import pytest
from google.adk.agents.base_agent import BaseAgent
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.runners import Runner
from google.adk.sessions.session import Session
from google.genai import types

from statehouse import OutcomeUnknown
from statehouse.google_adk import SessionNotFound, StaleSession, StatehouseSessionService

pytestmark = pytest.mark.anyio
OWNER = {"app_name": "app", "user_id": "ann"}
ONE = {**OWNER, "session_id": "s1"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def service(client):
    return StatehouseSessionService(client)


def event(name="inv", delta=None, **fields):
    return Event(
        invocation_id=name, author="user", actions=EventActions(state_delta=delta or {}), **fields
    )


async def names_of_events(service):
    return [e.invocation_id for e in (await service.get_session(**ONE)).events]


@pytest.mark.parametrize("lost", ["request", "reply"])
@pytest.mark.parametrize("after", [0, 1])  # of what is read, and of the commit
async def test_an_answer_is_lost(lossy, proxy, service, lost, after):
    through = StatehouseSessionService(lossy)
    proxy.lose(lost)
    session = await through.create_session(**ONE, state={"app:n": 1})
    for n in range(3):
        proxy.lose(lost, after=after)
        await through.append_event(session, event(str(n), {"user:n": n}))
    assert await names_of_events(service) == ["0", "1", "2"]
    proxy.lose(lost, after=after)
    await through.delete_session(**ONE)
    assert await service.get_session(**ONE) is None


async def test_an_append_whose_outcome_was_not_known_is_made_once(service, client, monkeypatch):
    """The commit was made, nobody heard of it, and the caller appends the same event again."""
    session = await service.create_session(**ONE)
    one, run_transaction = event("1", {"k": 1}), client.run_transaction

    def lost(function, **options):
        run_transaction(function, **options)
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(client, "run_transaction", lost)
    with pytest.raises(OutcomeUnknown):
        await service.append_event(session, one)
    assert session.events == []
    monkeypatch.setattr(client, "run_transaction", run_transaction)
    await service.append_event(session, one)
    await service.append_event(session, event("2"))
    assert await names_of_events(service) == ["1", "2"]
    assert await service.get_session(**ONE) == session


async def test_each_call_is_one_commit(service, client, commits):
    session = await service.create_session(**ONE, state={"a": 1, "user:b": 2, "app:c": 3})
    assert commits() == 1
    await service.append_event(session, event("1", {"a": 2, "user:b": 3, "app:c": 4, "d": 5}))
    assert commits() == 2
    await service.append_event(session, event(partial=True))
    assert client.list_keys("adk/app", "session/") == ["session/ann/s1"]
    await service.delete_session(**ONE)
    assert client.list_keys("adk/app", "session/") == []
    await service.delete_session(**ONE)
    assert commits() == 3


async def test_only_what_changed_is_written(service, client):
    session = await service.create_session(**ONE, state={"a": 1, "b": 2, "user:c": 3})
    await service.append_event(session, event("1", {"b": 3}))
    [event_of] = list(client.replay(from_timestamp=client.get_agent("adk/app/ann/s1").head_ts))
    keys = sorted(operation.key for operation in event_of.operations)
    assert keys == ["event/0000000000000001", "state", "state/b"]


async def test_a_stale_session_has_an_error_of_its_own_and_is_as_it_was(service):
    first = await service.create_session(**ONE)
    second = await service.get_session(**ONE)
    await service.append_event(second, event("2"))
    before = first.model_copy(deep=True)
    for _ in range(2):
        with pytest.raises(StaleSession, match="modified in storage"):
            await service.append_event(first, event("1", {"k": 1, "temp:t": 1}))
        assert first == before
    fresh = await service.get_session(**ONE)
    await service.append_event(fresh, event("3"))
    await service.append_event(fresh, event("4"))
    assert await names_of_events(service) == ["2", "3", "4"]


async def test_an_event_of_the_past_makes_others_stale_too(service):
    """Not the times of events, which may run backwards, say what is stale."""
    first = await service.create_session(**ONE)
    second = await service.get_session(**ONE)
    await service.append_event(second, event("2", timestamp=1.0))
    with pytest.raises(StaleSession):
        await service.append_event(first, event("1"))


async def test_another_appends_before_the_commit(service, client, monkeypatch):
    """Between what is read of the session, and the commit."""
    session = await service.create_session(**ONE)
    other = await service.get_session(**ONE)
    run_transaction, others = client.run_transaction, []

    def run(function, **options):
        def wrapped(tx):
            result = function(tx)
            if not others:
                others.append(1)
                anyio.from_thread.run(service.append_event, other, event("other"))
            return result

        return run_transaction(wrapped, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    with pytest.raises(StaleSession):
        await service.append_event(session, event("mine", {"app:n": 1}))
    assert await names_of_events(service) == ["other"]
    assert (await service.get_session(**ONE)).state == {}


async def test_a_session_object_without_a_mark(service):
    """As one that was made by hand, or by a version that has none."""
    session = await service.create_session(**ONE)
    await service.append_event(session, event("1"))
    bare = Session.model_validate(session.model_dump())
    await service.append_event(bare, event("2"))
    empty = await service.get_session(**ONE)
    empty.events.clear()
    empty = Session.model_validate(empty.model_dump())
    await service.append_event(empty, event("3"))
    with pytest.raises(StaleSession):
        await service.append_event(Session.model_validate(session.model_dump()), event("4"))
    none = Session.model_validate({**session.model_dump(), "events": []})
    with pytest.raises(StaleSession):
        await service.append_event(none, event("4"))
    assert await names_of_events(service) == ["1", "2", "3"]


async def test_a_deleted_session_has_an_error_of_its_own(service):
    session = await service.create_session(**ONE)
    await service.delete_session(**ONE)
    with pytest.raises(SessionNotFound, match="s1 of ann"):
        await service.append_event(session, event())
    await service.create_session(**ONE)
    with pytest.raises(StaleSession):  # it is another one
        await service.append_event(session, event())


async def test_two_create_one_session_at_once(dial):
    outcomes = []

    async def create(n):
        try:
            await StatehouseSessionService(dial()).create_session(**ONE, state={"n": n})
            outcomes.append(n)
        except Exception as error:
            outcomes.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        for n in range(4):
            tasks.start_soon(create, n)
    assert sorted(map(str, outcomes))[1:] == ["AlreadyExistsError"] * 3
    session = await StatehouseSessionService(dial()).get_session(**ONE)
    assert session.state["n"] in outcomes


async def test_shared_state_that_sessions_write_at_once(dial):
    """Different keys are all there: nobody writes a whole state back."""

    async def write(n):
        service = StatehouseSessionService(dial())
        session = await service.create_session(**OWNER, session_id=f"s{n}")
        for m in range(5):
            delta = {f"app:a{n}-{m}": n, f"user:u{n}-{m}": n}
            await service.append_event(session, event(delta=delta))

    async with anyio.create_task_group() as tasks:
        for n in range(4):
            tasks.start_soon(write, n)
    service = StatehouseSessionService(dial())
    assert len((await service.get_session(**OWNER, session_id="s0")).state) == 40


async def test_events_and_state_of_any_size(service, client):
    image = types.Part.from_bytes(data=b"\xff" * 3_000_000, mime_type="image/png")
    content = types.Content(role="user", parts=[image])
    session = await service.create_session(**ONE, state={"app:big": "x" * 600_000})
    deep = []
    for _ in range(50):
        deep = [deep]
    delta = {"big": "y" * 2_000_000, "user:deep": deep}
    await service.append_event(session, event("1", dict(delta), content=content))
    stored = await service.get_session(**ONE)
    assert stored.events[0].content == content
    assert stored.state == {"app:big": "x" * 600_000, **delta}
    await service.delete_session(**ONE)
    assert client.list_keys("adk/app/ann/s1") == []
    assert (await service.create_session(**ONE)).state["user:deep"] == deep


async def test_what_an_event_has_not_is_not_stored(service, client):
    session = await service.create_session(**ONE)
    await service.append_event(session, event("1"))
    [stored] = client.scan_prefix("adk/app/ann/s1", "event/")
    assert "null" not in json.dumps(stored.value)


async def test_what_is_no_json_is_stored_as_text(service, caplog):
    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    session = await service.create_session(**ONE, state={"at": at, "f": event})
    assert session.state["at"] == "2026-01-02T00:00:00Z"
    assert session.state["f"].startswith("<function")
    await service.append_event(session, event("1", {"g": event}))
    stored = await service.get_session(**ONE)
    assert stored.state["g"] == stored.events[0].actions.state_delta["g"] == str(event)
    assert "is no JSON" in caplog.text


async def test_a_read_is_of_one_moment(service, client, monkeypatch):
    """Events that come between the reads of a session are not in it."""
    session = await service.create_session(**ONE)
    scan_prefix, others = client.scan_prefix, []

    def scan(agent_id, prefix="", **options):
        found = list(scan_prefix(agent_id, prefix, **options))
        if not others:
            others.append(1)
            delta = {"app:n": 1, "user:n": 1}
            anyio.from_thread.run(service.append_event, session, event("later", delta))
        return iter(found)

    monkeypatch.setattr(client, "scan_prefix", scan)
    read = await service.get_session(**ONE)
    assert (read.state, read.events) == ({}, [])
    with pytest.raises(StaleSession):
        await service.append_event(read, event())


@pytest.mark.slow
async def test_a_long_session(service, client):
    session = await service.create_session(**ONE)
    for _ in range(2):  # as many events as would take long to append one by one
        with client.begin_transaction() as tx:
            for _ in range(4000):
                tx.append("adk/app/ann/s1", "event/", {"item": {}})
    await service.append_event(session, event("last"))
    await service.delete_session(**ONE)
    assert await service.get_session(**ONE) is None
    assert client.list_keys("adk/app/ann/s1") == []
    assert (await service.list_sessions(app_name="app")).sessions == []


NAMES = ["a", "a/b", "b/a", "a~", "é" * 200, "x" * 300, "x" * 300 + "y"]


async def test_whatever_apps_users_and_sessions_are_called(service):
    keys = [(a, u, s) for a in NAMES[:3] for u in NAMES for s in NAMES]
    for n, (app, user, session_id) in enumerate(keys):
        await service.create_session(
            app_name=app, user_id=user, session_id=session_id, state={"n": n}
        )
    for n, (app, user, session_id) in enumerate(keys):
        read = await service.get_session(app_name=app, user_id=user, session_id=session_id)
        assert read.state == {"n": n}
    for app in NAMES[:3]:
        assert len((await service.list_sessions(app_name=app)).sessions) == len(NAMES) ** 2
        for user in NAMES:
            found = (await service.list_sessions(app_name=app, user_id=user)).sessions
            assert {(s.user_id, s.id) for s in found} == {(user, name) for name in NAMES}


async def test_metadata_and_prefix(client):
    service = StatehouseSessionService(client, prefix="team/", metadata={"actor": "ann"})
    session = await service.create_session(**ONE, state={"big": "x" * 300_000, "app:a": 1})
    await service.append_event(session, event(delta={"user:u": 1}))
    await service.delete_session(**ONE)
    assert {e.metadata["actor"] for e in client.replay()} == {"ann"}
    agents = [a.agent_id for a in client.list_agents()]
    assert agents == ["team/app", "team/app/ann", "team/app/ann/s1"]


class Counting(BaseAgent):
    """Counts, in state of each scope."""

    async def _run_async_impl(self, ctx):
        n = ctx.session.state.get("n", 0) + 1
        delta = {"n": n, "user:n": n, "app:n": n, "temp:n": n}
        yield Event(
            author=self.name,
            invocation_id=ctx.invocation_id,
            actions=EventActions(state_delta=delta),
        )


def test_a_runner_that_blocks(service, client):
    """It has an event loop of its own for each run."""
    anyio.run(lambda: service.create_session(**ONE))
    runner = Runner(app_name="app", agent=Counting(name="counting"), session_service=service)
    message = types.Content(role="user", parts=[types.Part(text="count")])
    for _ in range(3):
        list(runner.run(user_id="ann", session_id="s1", new_message=message))
    session = anyio.run(lambda: service.get_session(**ONE))
    assert session.state == {"n": 3, "user:n": 3, "app:n": 3}
    assert len(session.events) == 6
