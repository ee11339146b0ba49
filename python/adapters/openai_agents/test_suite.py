"""What the OpenAI Agents SDK's tests expect of its sessions, behaviour by behaviour, under each way
to run an agent. The SDK's own SQLiteSession is held to the same.
"""

import asyncio
import os

import anyio
import pytest
from agents import Agent, ModelResponse, Runner, SQLiteSession, Usage
from agents.memory import Session
from agents.models.interface import Model
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseOutputMessage,
    ResponseOutputText,
)

from statehouse.openai_agents import StatehouseSession

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def open_session(client, tmp_path):
    """Opens a session by its id, as each process does for itself."""
    if os.environ.get("ADAPTED_STORE") == "own":
        return lambda session_id: SQLiteSession(session_id, tmp_path / "sessions.db")
    return lambda session_id: StatehouseSession(session_id, client)


@pytest.fixture
def session(open_session):
    return open_session("user-123")


def user(text):
    return {"role": "user", "content": text}


class Answers(Model):
    """A model that says what it is told to, and remembers what it was asked."""

    def __init__(self):
        self.answers, self.asked = [], []

    async def get_response(self, *args, **asked):
        self.asked.append(asked["input"] if "input" in asked else args[1])
        return ModelResponse(output=[self.message()], usage=Usage(), response_id=None)

    async def stream_response(self, *args, **asked):
        self.asked.append(asked["input"] if "input" in asked else args[1])
        response = Response(
            id="r",
            created_at=0,
            model="none",
            object="response",
            output=[self.message()],
            tool_choice="none",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(
            type="response.completed", response=response, sequence_number=0
        )

    def message(self):
        text = ResponseOutputText(text=self.answers.pop(0), type="output_text", annotations=[])
        return ResponseOutputMessage(
            id="1", type="message", role="assistant", content=[text], status="completed"
        )


@pytest.fixture(params=["run", "run_sync", "run_streamed"])
def ask(request):
    """Asks an agent, and returns its answer and what its model was asked."""
    model = Answers()
    agent = Agent(name="test", model=model)

    def in_another_loop(question, session):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return Runner.run_sync(agent, question, session=session)
        finally:
            loop.close()

    async def ask(question, answer, session):
        model.answers.append(answer)
        if request.param == "run_sync":
            result = await anyio.to_thread.run_sync(in_another_loop, question, session)
        elif request.param == "run":
            result = await Runner.run(agent, question, session=session)
        else:
            result = Runner.run_streamed(agent, question, session=session)
            async for _ in result.stream_events():
                pass
        assert result.final_output == answer
        return model.asked[-1]

    return ask


async def test_an_agent_remembers(ask, open_session):
    await ask("Which city has the Golden Gate Bridge?", "San Francisco", open_session("1"))
    asked = await ask("In which state?", "California", open_session("1"))
    assert asked[0]["content"] == "Which city has the Golden Gate Bridge?"
    assert asked[1]["content"][0]["text"] == "San Francisco"
    assert asked[2]["content"] == "In which state?"


async def test_an_agent_remembers_its_own_session_only(ask, open_session):
    await ask("I like cats", "Fine", open_session("1"))
    await ask("I like dogs", "Fine", open_session("2"))
    asked = await ask("What do I like?", "Cats", open_session("1"))
    assert [item["content"] for item in asked if item["role"] == "user"] == [
        "I like cats",
        "What do I like?",
    ]


async def test_what_was_in_the_session_comes_before_the_input(ask, session):
    await session.add_items([user("Earlier"), {"role": "assistant", "content": "Saved"}])
    asked = await ask("Now", "Yes", session)
    assert [item["content"] for item in asked] == ["Earlier", "Saved", "Now"]
    assert len(await session.get_items()) == 4


async def test_it_is_a_session(session):
    assert isinstance(session, Session)
    assert session.session_id == "user-123"


async def test_an_empty_session(session):
    assert await session.get_items() == []
    assert await session.get_items(limit=3) == []
    assert await session.pop_item() is None
    await session.clear_session()
    await session.add_items([])
    assert await session.get_items() == []


async def test_items_come_back_as_they_were_in_their_order(session, open_session):
    items = [
        user("Hello"),
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi", "logprobs": None}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a": 1.0}'},
        {"type": "function_call_output", "call_id": "1", "output": "é 日本 \u2028 \x00 '\";--"},
        {"n": 2**70, "f": 0.1, "b": True, "none": None, "nested": [[], {}, [{"a": [1]}]]},
    ]
    await session.add_items(items[:2])
    await session.add_items(items[2:])
    assert await session.get_items() == items
    assert await open_session("user-123").get_items() == items


async def test_limits(session):
    items = [user(str(n)) for n in range(6)]
    await session.add_items(items)
    for limit in (1, 2, 5, 6, 10):
        assert await session.get_items(limit=limit) == items[-limit:]
        assert await session.get_items(limit) == items[-limit:]
    assert await session.get_items(limit=0) == []
    assert await session.get_items(limit=None) == items


async def test_what_was_added_last_is_popped(session):
    items = [user(str(n)) for n in range(3)]
    await session.add_items(items)
    for n in (2, 1, 0):
        assert await session.pop_item() == items[n]
        assert await session.get_items() == items[:n]
    assert await session.pop_item() is None


async def test_a_correction(session):
    """An answer and its question are popped, and asked better."""
    await session.add_items([user("2 + 3?"), {"role": "assistant", "content": "6"}])
    await session.pop_item()
    await session.pop_item()
    await session.add_items([user("2 + 2?")])
    assert await session.get_items() == [user("2 + 2?")]
    assert await session.get_items(limit=1) == [user("2 + 2?")]


async def test_pops_and_clears_are_of_one_session(open_session):
    one, two = open_session("1"), open_session("2")
    await one.add_items([user("of one")])
    await two.add_items([user("of two"), user("of two, too")])
    assert await two.pop_item() == user("of two, too")
    assert await one.get_items() == [user("of one")]
    await two.clear_session()
    assert await two.get_items() == []
    assert await one.get_items() == [user("of one")]


async def test_a_cleared_session_begins_anew(session):
    await session.add_items([user("old"), user("old, too")])
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    await session.add_items([user("new")])
    assert await session.get_items() == [user("new")]


async def test_ids_with_special_characters(open_session):
    ids = ["a/b", "a", "a'; DROP TABLE agent_sessions; --", "日本", "a b", "A"]
    for session_id in ids:
        await open_session(session_id).add_items([user(session_id)])
    for session_id in ids:
        assert await open_session(session_id).get_items() == [user(session_id)]


async def test_tasks_that_add_at_once(open_session):
    async def add(name):
        session = open_session("1")
        for n in range(10):
            await session.add_items([{"by": name, "n": n, "half": half} for half in (0, 1)])

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(add, name)
    items = await open_session("1").get_items()
    assert len(items) == 80
    pairs = list(zip(items[::2], items[1::2]))  # what one call added is together
    assert all({**first, "half": 1} == second for first, second in pairs)
    for name in "abcd":
        assert [item["n"] for item, _ in pairs if item["by"] == name] == list(range(10))


async def test_tasks_that_pop_at_once(open_session):
    await open_session("1").add_items([user(str(n)) for n in range(20)])
    popped = []

    async def pop():
        while (item := await open_session("1").pop_item()) is not None:
            popped.append(item["content"])

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(pop)
    assert sorted(popped, key=int) == [str(n) for n in range(20)]
