"""What the Agent Development Kit's contract tests hold every session service to, behaviour by
behaviour. The kit's own SqliteSessionService is held to the same.
"""

import os
import time

import anyio
import pytest
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig
from google.genai import types

from statehouse.google_adk import StatehouseSessionService

pytestmark = pytest.mark.anyio
OWNER = {"app_name": "app", "user_id": "ann"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def service(client, tmp_path):
    if os.environ.get("ADAPTED_STORE") == "own":
        from google.adk.sessions.sqlite_session_service import SqliteSessionService

        return SqliteSessionService(str(tmp_path / "sessions.db"))
    return StatehouseSessionService(client)


def event(name="inv", delta=None, **fields):
    return Event(
        invocation_id=name, author="user", actions=EventActions(state_delta=delta or {}), **fields
    )


async def create(service, session_id=None, user="ann", app="app", **state):
    return await service.create_session(
        app_name=app, user_id=user, session_id=session_id, state=state or None
    )


async def get(service, session_id, user="ann", app="app", **config):
    return await service.get_session(
        app_name=app,
        user_id=user,
        session_id=session_id,
        config=GetSessionConfig(**config) if config else None,
    )


async def listed(service, user="ann", app="app"):
    return (await service.list_sessions(app_name=app, user_id=user)).sessions


async def test_it_is_a_session_service(service):
    assert isinstance(service, BaseSessionService)


async def test_a_session_that_is_not_there(service):
    assert await get(service, "123") is None
    assert await listed(service) == []
    await service.delete_session(**OWNER, session_id="123")
    assert await listed(service) == []


async def test_a_created_session_is_read_as_it_was(service):
    before = time.time()
    session = await create(service, key="value", n=1)
    assert (session.app_name, session.user_id) == ("app", "ann")
    assert session.id
    assert session.state == {"key": "value", "n": 1}
    assert session.events == []
    assert before <= session.last_update_time <= time.time()
    assert await get(service, session.id) == session


async def test_ids_are_given_or_made(service):
    assert (await create(service, "mine")).id == "mine"
    made = {(await create(service)).id, (await create(service, "")).id}
    made.add((await create(service, "  ")).id)
    assert len(made) == 3
    assert "" not in made


async def test_an_id_with_blanks_around_it(service):
    session = await create(service, " padded ")
    assert session.id == "padded"
    assert (await get(service, " padded ")).id == "padded"
    await service.delete_session(**OWNER, session_id=" padded ")
    assert await get(service, "padded") is None


async def test_a_second_session_of_an_id_is_refused(service):
    first = await create(service, "s1", key="first")
    with pytest.raises(AlreadyExistsError):
        await create(service, "s1", key="second")
    assert await get(service, "s1") == first


async def test_an_id_is_free_again_when_its_session_is_deleted(service):
    first = await create(service, "s1", old=1)
    await service.append_event(first, event(delta={"more": 1}))
    await service.delete_session(**OWNER, session_id="s1")
    second = await create(service, "s1", new=2)
    assert second.state == {"new": 2}
    assert (await get(service, "s1")).events == []


async def test_users_and_apps_have_sessions_of_their_own(service):
    session = await create(service, "s1")
    await service.append_event(session, event())
    await create(service, "s1", user="bob")
    await create(service, "s1", app="other")
    assert len((await get(service, "s1")).events) == 1
    assert (await get(service, "s1", user="bob")).events == []
    assert (await get(service, "s1", app="other")).events == []
    await service.delete_session(**OWNER, session_id="s1")
    assert await get(service, "s1") is None
    assert await get(service, "s1", user="bob") is not None
    assert await get(service, "s1", app="other") is not None


async def test_sessions_are_listed_with_state_and_without_events(service):
    for n in range(5):
        session = await create(service, f"s{n}", key=n)
        await service.append_event(session, event(delta={"more": n}))
    sessions = await listed(service)
    assert {s.id: s.state for s in sessions} == {f"s{n}": {"key": n, "more": n} for n in range(5)}
    assert all(s.events == [] for s in sessions)
    assert all((s.app_name, s.user_id) == ("app", "ann") for s in sessions)


async def test_listed_is_oldest_first(service):
    for name in "abc":
        await create(service, name)
    for name, later in (("a", 30), ("c", 20), ("b", 10)):
        session = await get(service, name)
        at = session.last_update_time + later
        await service.append_event(session, event(timestamp=at))
    assert [s.id for s in await listed(service)] == ["b", "c", "a"]
    times = [s.last_update_time for s in await listed(service)]
    assert times == sorted(times)


async def test_listed_of_all_users(service):
    await create(service, "s1", k=1)
    await create(service, "s2", k=2, **{"user:u": "of ann"})
    await create(service, "s1", user="bob", k=3, **{"app:a": "of all"})
    await create(service, "s1", app="other", k=4)
    assert {s.id for s in await listed(service)} == {"s1", "s2"}
    assert [s.id for s in await listed(service, user="bob")] == ["s1"]
    everybody = {(s.user_id, s.id): s.state for s in await listed(service, user=None)}
    assert everybody == {
        ("ann", "s1"): {"k": 1, "user:u": "of ann", "app:a": "of all"},
        ("ann", "s2"): {"k": 2, "user:u": "of ann", "app:a": "of all"},
        ("bob", "s1"): {"k": 3, "app:a": "of all"},
    }


async def test_state_of_the_app_is_shared_by_all(service):
    session = await create(service, "s1", **{"app:k1": "v1"})
    await service.append_event(session, event(delta={"app:k2": "v2"}))
    assert (await create(service, "s2", user="bob")).state == {"app:k1": "v1", "app:k2": "v2"}
    assert (await get(service, "s1")).state == {"app:k1": "v1", "app:k2": "v2"}
    assert (await create(service, "s3", app="other")).state == {}


async def test_state_of_a_user_is_shared_by_the_sessions_of_that(service):
    session = await create(service, "s1", **{"user:k1": "v1"})
    await service.append_event(session, event(delta={"user:k2": "v2"}))
    assert (await create(service, "s2")).state == {"user:k1": "v1", "user:k2": "v2"}
    assert (await create(service, "s3", user="bob")).state == {}
    assert (await create(service, "s4", app="other")).state == {}


async def test_shared_state_outlives_a_session(service):
    await create(service, "s1", **{"user:u": 1, "app:a": 2, "own": 3})
    await service.delete_session(**OWNER, session_id="s1")
    assert (await create(service, "s1")).state == {"user:u": 1, "app:a": 2}


async def test_state_of_a_session_is_its_own(service):
    session = await create(service, "s1", k1="v1")
    await service.append_event(session, event(delta={"k2": "v2"}))
    assert (await get(service, "s1")).state == {"k1": "v1", "k2": "v2"}
    assert (await create(service, "s2")).state == {}


async def test_a_change_replaces_a_value_whole(service):
    session = await create(service, "s1", profile={"name": "ada", "role": "admin"}, flag=False)
    await service.append_event(session, event(delta={"profile": {"name": "bob"}, "new": True}))
    stored = (await get(service, "s1")).state
    assert stored == session.state == {"profile": {"name": "bob"}, "flag": False, "new": True}
    assert stored["flag"] is False
    assert stored["new"] is True


async def test_none_is_a_value(service):
    session = await create(service, "s1", flag=True, empty=None)
    await service.append_event(session, event(delta={"flag": None}))
    assert (await get(service, "s1")).state == {"flag": None, "empty": None}
    assert session.state == {"flag": None, "empty": None}


async def test_temporary_state_is_not_kept(service):
    session = await create(service, "s1", **{"temp:x": 1, "y": 2})
    assert session.state == {"y": 2}
    one = event(delta={"temp:k1": "v1", "k2": "v2"})
    await service.append_event(session, one)
    assert session.state["k2"] == "v2"
    assert one.actions.state_delta == {"k2": "v2"}
    stored = await get(service, "s1")
    assert stored.state == {"y": 2, "k2": "v2"}
    assert stored.events[0].actions.state_delta == {"k2": "v2"}


async def test_a_partial_event_is_not_kept(service):
    session = await create(service, "s1")
    await service.append_event(session, event(partial=True, delta={"k": 1}))
    assert session.events == []
    assert (await get(service, "s1")).events == []
    assert (await get(service, "s1")).state == {}


async def test_events_come_back_whole_in_their_order(service):
    session = await create(service, "s1")
    whole = Event(
        invocation_id="invocation",
        author="user",
        content=types.Content(
            role="user",
            parts=[
                types.Part(text="é 日本 \u2028"),
                types.Part.from_bytes(data=b"\x00\xff image", mime_type="image/png"),
                types.Part(function_call=types.FunctionCall(id="1", name="f", args={"a": [None]})),
            ],
        ),
        turn_complete=True,
        partial=False,
        actions=EventActions(artifact_delta={"file": 0}, transfer_to_agent="agent", escalate=True),
        long_running_tool_ids={"tool1"},
        error_code="code",
        error_message="message",
        interrupted=True,
        grounding_metadata=types.GroundingMetadata(
            web_search_queries=["query"],
            search_entry_point=types.SearchEntryPoint(sdk_blob=b"blob\xff"),
        ),
        custom_metadata={"key": {"nested": [1, 2.5, None]}},
        timestamp=1700000000.123,
    )
    await service.append_event(session, whole)
    for n in range(10):
        await service.append_event(session, event(f"inv{n}"))
    assert session.events[0].content == whole.content
    assert await get(service, "s1") == session
    assert [e.invocation_id for e in (await get(service, "s1")).events[1:]] == [
        f"inv{n}" for n in range(10)
    ]


async def test_the_time_of_an_event_is_that_of_the_session(service):
    session = await create(service, "s1")
    at = session.last_update_time + 10
    await service.append_event(session, event(timestamp=at))
    assert session.last_update_time == pytest.approx(at, abs=1e-6)
    stored = await get(service, "s1")
    assert stored.last_update_time == pytest.approx(at, abs=1e-6)


async def test_only_some_events_are_read(service):
    session = await create(service, "s1")
    for n in range(1, 6):
        at = session.last_update_time + 1
        await service.append_event(session, event(str(n), timestamp=at))
    times = [e.timestamp for e in session.events]

    async def read(**config):
        return [e.invocation_id for e in (await get(service, "s1", **config)).events]

    assert await read() == ["1", "2", "3", "4", "5"]
    assert await read(num_recent_events=3) == ["3", "4", "5"]
    assert await read(num_recent_events=9) == ["1", "2", "3", "4", "5"]
    assert await read(num_recent_events=0) == []
    assert await read(num_recent_events=0, after_timestamp=times[0]) == []
    assert await read(after_timestamp=times[3]) == ["4", "5"]
    assert await read(after_timestamp=times[3] + 0.5) == ["5"]
    assert await read(after_timestamp=times[4] + 100) == []
    assert await read(after_timestamp=times[3], num_recent_events=3) == ["4", "5"]
    assert await read(after_timestamp=times[1], num_recent_events=2) == ["4", "5"]
    assert (await get(service, "s1", num_recent_events=1)).state == session.state


async def test_a_stale_session_is_refused(service):
    first = await create(service, "s1")
    await service.append_event(first, event("1", {"k1": 1}, timestamp=first.last_update_time + 1))
    second = await get(service, "s1")
    await service.append_event(second, event("2", {"k2": 2}, timestamp=first.last_update_time + 2))
    with pytest.raises(ValueError):
        await service.append_event(
            first, event("3", {"k3": 3, "user:u": 3}, timestamp=second.last_update_time + 1)
        )
    stored = await get(service, "s1")
    assert [e.invocation_id for e in stored.events] == ["1", "2"]
    assert stored.state == {"k1": 1, "k2": 2}


async def test_of_two_who_append_at_once_one_is_refused(service):
    await create(service, "s1")
    for n in range(8):
        latest = await get(service, "s1")
        copies = [latest.model_copy(deep=True) for _ in range(2)]
        outcomes = {}

        async def append(i, session, n=n, outcomes=outcomes, latest=latest):
            at = latest.last_update_time + 1 + i
            try:
                await service.append_event(
                    session, event(f"{n}-{i}", {f"k{n}-{i}": i}, timestamp=at)
                )
                outcomes[i] = "done"
            except ValueError:
                outcomes[i] = "refused"

        async with anyio.create_task_group() as tasks:
            for i, session in enumerate(copies):
                tasks.start_soon(append, i, session)
        assert sorted(outcomes.values()) == ["done", "refused"]
    stored = await get(service, "s1")
    assert len(stored.events) == 8
    assert set(stored.state) == {f"k{e.invocation_id}" for e in stored.events}


async def test_an_event_for_a_session_that_was_deleted_is_refused(service):
    session = await create(service, "s1")
    await service.delete_session(**OWNER, session_id="s1")
    with pytest.raises(ValueError):
        await service.append_event(session, event())
    assert await get(service, "s1") is None
    assert await listed(service) == []


async def test_what_is_read_is_a_copy(service):
    session = await create(service, "s1", k={"list": [1]})
    session.state["k"]["list"].append(2)
    session.events.append(event())
    stored = await get(service, "s1")
    assert stored.state == {"k": {"list": [1]}}
    assert stored.events == []


async def test_state_of_a_user_without_a_session(service):
    if not hasattr(BaseSessionService, "get_user_state"):
        pytest.skip("get_user_state is of newer versions")
    assert await service.get_user_state(**OWNER) == {}
    session = await create(service, "s1")
    for n in (1, 2):
        delta = {"user:profile": {"n": n}, "own": 1, "app:a": 1}
        at = session.last_update_time + 1
        await service.append_event(session, event(delta=delta, timestamp=at))
    assert await service.get_user_state(**OWNER) == {"profile": {"n": 2}}
    assert await service.get_user_state(app_name="app", user_id="bob") == {}
    assert await service.get_user_state(app_name="other", user_id="ann") == {}
