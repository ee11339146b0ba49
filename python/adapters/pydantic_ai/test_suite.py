"""What the Pydantic AI harness documents of step stores, and its own have in common, behaviour by
behaviour. The harness' SqliteStepStore is held to the same.
"""

import os
import uuid
from dataclasses import fields
from datetime import datetime, timedelta, timezone

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import FunctionModel
from pydantic_ai_harness.step_persistence import (
    ContinuableSnapshot,
    RunRecord,
    StepEvent,
    StepPersistence,
    StepStore,
    ToolEffectRecord,
    continue_run,
)

from statehouse.pydantic_ai import StatehouseStepStore

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KEYED = any(field.name == "idempotency_key" for field in fields(StepEvent))
STATED = any(field.name == "state" for field in fields(ContinuableSnapshot))
needs_keys = pytest.mark.skipif(not KEYED, reason="idempotency keys are of newer versions")
needs_states = pytest.mark.skipif(not STATED, reason="states of snapshots are of newer versions")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def open_store(client, tmp_path):
    """Opens the store, as each process does for itself."""
    if os.environ.get("ADAPTED_STORE") == "own":
        from pydantic_ai_harness.step_persistence import SqliteStepStore

        return lambda: SqliteStepStore(database=tmp_path / "runs.db")
    return lambda: StatehouseStepStore(client)


@pytest.fixture
def store(open_store):
    return open_store()


def history(count, tag=""):
    """A conversation of so many messages, of which a longer one begins with a shorter one."""
    messages = []
    for n in range(count):
        if n % 2:
            messages.append(
                ModelResponse(parts=[TextPart(content=f"answer {n}{tag}")], timestamp=START)
            )
        else:
            prompt = UserPromptPart(content=f"question {n}{tag}", timestamp=START)
            messages.append(ModelRequest(parts=[prompt], timestamp=START))
    return messages


def snapshot(step, messages=None, run="r1", **others):
    messages = history(step) if messages is None else messages
    return ContinuableSnapshot(run_id=run, step_index=step, messages=messages, **others)


def event(step, kind="run_started", run="r1", **others):
    return StepEvent(run_id=run, kind=kind, step_index=step, **others)


def effect(call, status="started", run="r1", **others):
    return ToolEffectRecord(
        tool_call_id=call, tool_name="tool", run_id=run, status=status, **others
    )


async def test_it_is_a_step_store(store):
    assert isinstance(store, StepStore)


async def test_a_run_that_is_not_there(store):
    assert await store.get_run(run_id="r1") is None
    assert await store.list_runs() == []
    assert await store.list_events(run_id="r1") == []
    assert await store.latest_snapshot(run_id="r1") is None
    assert await store.get_tool_effect(run_id="r1", tool_call_id="1") is None
    assert await store.list_unresolved_tool_effects(run_id="r1") == []
    with pytest.raises(LookupError):
        await continue_run(store, run_id="r1")


async def test_a_run_comes_back_as_it_was(store, open_store):
    record = RunRecord(
        run_id="r1",
        conversation_id="c1",
        parent_run_id="r0",
        agent_name="librarian é",
        metadata={"tenant": "a", "": "b"},
        started_at=START,
    )
    await store.register_run(record)
    assert await store.get_run(run_id="r1") == record
    assert await open_store().get_run(run_id="r1") == record
    bare = RunRecord(run_id="r2")
    await store.register_run(bare)
    assert await store.get_run(run_id="r2") == bare


async def test_an_id_is_for_one_run(store):
    await store.register_run(RunRecord(run_id="r1", agent_name="first"))
    with pytest.raises(Exception, match="r1|runs.run_id"):  # SQLite says its own error
        await store.register_run(RunRecord(run_id="r1", agent_name="second"))
    assert (await store.get_run(run_id="r1")).agent_name == "first"


async def test_runs_are_listed_from_the_first_to_the_last(store):
    for name, hours, zone in (("b", 2, 5), ("a", 3, -5), ("c", 1, 0)):
        at = (START + timedelta(hours=hours)).astimezone(timezone(timedelta(hours=zone)))
        await store.register_run(RunRecord(run_id=name, started_at=at))
    assert [run.run_id for run in await store.list_runs()] == ["c", "b", "a"]


async def test_runs_of_a_parent_and_of_a_conversation(store):
    for n, (parent, conversation) in enumerate(
        [("p", "c"), ("p", "d"), ("q", "c"), (None, "c"), ("p", None)]
    ):
        await store.register_run(
            RunRecord(
                run_id=f"r{n}",
                parent_run_id=parent,
                conversation_id=conversation,
                started_at=START + timedelta(seconds=n),
            )
        )

    async def listed(**by):
        return [run.run_id for run in await store.list_runs(**by)]

    assert await listed(parent_run_id="p") == ["r0", "r1", "r4"]
    assert await listed(conversation_id="c") == ["r0", "r2", "r3"]
    assert await listed(parent_run_id="p", conversation_id="c") == ["r0"]
    assert await listed(parent_run_id="x") == []
    assert len(await listed()) == 5


async def test_events_come_back_as_they_were_in_their_order(store, open_store):
    events = [
        event(0),
        event(
            1,
            "tool_call_failed",
            timestamp=START,
            conversation_id="c",
            parent_run_id="p",
            agent_name="a",
            tool_call_id="1",
            tool_name="tool",
            error="boom é\n\x00",
            metadata={"k": "v"},
        ),
        *(event(n, "model_request_started") for n in range(2, 15)),
    ]
    for one in events:
        await store.append_event(one)
    await store.append_event(event(0, run="r2"))
    assert await store.list_events(run_id="r1") == events
    assert await open_store().list_events(run_id="r1") == events


async def test_events_without_a_key_are_all_there(store):
    for _ in range(3):
        await store.append_event(event(1, timestamp=START))
    assert len(await store.list_events(run_id="r1")) == 3


@needs_keys
async def test_an_event_of_a_key_is_there_once(store, open_store):
    for n in (1, 2, 1):
        await store.append_event(event(n, idempotency_key=str(n)))
    await open_store().append_event(event(9, idempotency_key="1"))
    await store.append_event(event(1, run="r2", idempotency_key="1"))
    assert [one.step_index for one in await store.list_events(run_id="r1")] == [1, 2]
    assert len(await store.list_events(run_id="r2")) == 1


async def test_a_snapshot_comes_back_as_it_was(store, open_store):
    messages = [
        ModelRequest(
            parts=[
                UserPromptPart(
                    content=[
                        "What is it? é\u2028",
                        BinaryContent(data=b"\x00\xff image", media_type="application/pdf"),
                    ],
                    timestamp=START,
                )
            ],
            timestamp=START,
        ),
        ModelResponse(
            parts=[
                TextPart(content="Let me see."),
                ToolCallPart(tool_name="look", args={"n": 1.0, "x": None}, tool_call_id="1"),
            ],
            timestamp=START,
        ),
        ModelRequest(
            parts=[
                ToolReturnPart(
                    tool_name="look", content={"seen": [1, 2]}, tool_call_id="1", timestamp=START
                )
            ],
            timestamp=START,
        ),
    ]
    saved = snapshot(
        3, messages, conversation_id="c", parent_run_id="p", agent_name="a", timestamp=START
    )
    await store.save_snapshot(saved)
    assert await store.latest_snapshot(run_id="r1") == saved
    assert await open_store().latest_snapshot(run_id="r1") == saved
    assert await continue_run(store, run_id="r1") == messages
    assert await store.latest_snapshot(run_id="r2") is None


async def test_the_last_snapshot_is_the_one_that_was_saved_last(store):
    for step in (5, 2, 9, 1):  # steps of a run that is continued begin anew
        await store.save_snapshot(snapshot(step))
        assert (await store.latest_snapshot(run_id="r1")).step_index == step
        assert await continue_run(store, run_id="r1") == history(step)


async def test_a_history_may_be_shortened_repeated_and_empty(store):
    three, other = history(3), history(4, " otherwise")
    for messages in ([], three, [*three, *other], [three[0], *other], three * 2, other[::-1], []):
        await store.save_snapshot(snapshot(1, messages))
        assert await continue_run(store, run_id="r1") == messages


@needs_states
async def test_interrupted_snapshots_are_read_if_they_are_asked_for(store):
    for step, state in enumerate(["interrupted", "complete", "interrupted", "interrupted"]):
        await store.save_snapshot(snapshot(step, state=state))
        last = await store.latest_snapshot(run_id="r1", include_interrupted=True)
        assert (last.step_index, last.state) == (step, state)
    assert (await store.latest_snapshot(run_id="r1")).step_index == 1
    await store.save_snapshot(snapshot(0, run="r2", state="interrupted"))
    assert await store.latest_snapshot(run_id="r2") is None


@needs_keys
async def test_a_snapshot_of_a_key_is_there_once(store, open_store):
    await store.save_snapshot(snapshot(1, idempotency_key="0:1:complete"))
    await store.save_snapshot(snapshot(2, idempotency_key="1:2:complete"))
    await open_store().save_snapshot(snapshot(3, idempotency_key="0:1:complete"))
    assert (await store.latest_snapshot(run_id="r1")).step_index == 2
    await store.save_snapshot(snapshot(4, run="r2", idempotency_key="0:1:complete"))
    assert (await store.latest_snapshot(run_id="r2")).step_index == 4


@needs_states
async def test_snapshots_are_listed_as_they_were_saved(store):
    if not hasattr(store, "list_snapshots"):
        pytest.skip("list_snapshots is of newer versions")
    for step, state in enumerate(["complete", "interrupted", "complete"]):
        await store.save_snapshot(snapshot(step, state=state))
    assert [s.step_index for s in await store.list_snapshots(run_id="r1")] == [0, 2]
    everything = await store.list_snapshots(run_id="r1", include_interrupted=True)
    assert [(s.step_index, s.messages) for s in everything] == [(n, history(n)) for n in range(3)]


async def test_what_is_read_is_a_copy(store):
    messages = history(2)
    await store.save_snapshot(snapshot(2, messages))
    messages.append(history(3)[-1])
    read = await continue_run(store, run_id="r1")
    assert read == history(2)
    read.clear()
    assert await continue_run(store, run_id="r1") == history(2)


async def test_effects_come_back_as_they_were(store, open_store):
    record = effect(
        "call/1",
        "completed",
        started_at=START,
        ended_at=START + timedelta(seconds=1),
        idempotency_key="issue-1",
        effect_summary="set a label",
    )
    await store.record_tool_effect(record)
    assert await store.get_tool_effect(run_id="r1", tool_call_id="call/1") == record
    assert await open_store().get_tool_effect(run_id="r1", tool_call_id="call/1") == record
    assert await store.get_tool_effect(run_id="r2", tool_call_id="call/1") is None
    assert await store.get_tool_effect(run_id="r1", tool_call_id="call") is None


async def test_the_last_word_on_an_effect_counts(store):
    for call, last in (("1", "completed"), ("2", "failed"), ("3", "started")):
        await store.record_tool_effect(effect(call))
        await store.record_tool_effect(effect(call, last))
    await store.record_tool_effect(effect("4", run="r2"))
    unresolved = await store.list_unresolved_tool_effects(run_id="r1")
    assert [record.tool_call_id for record in unresolved] == ["3"]
    assert (await store.get_tool_effect(run_id="r1", tool_call_id="1")).status == "completed"


async def test_a_run_that_fails_can_be_continued(store, open_store):
    """With an agent: events, effects and snapshots as the harness writes them."""
    done = []

    def model(messages, info):
        if len(done) == 2 and failing:
            raise RuntimeError("the model is gone")
        if len(done) < 3:
            return ModelResponse(
                parts=[ToolCallPart("take", {"step": len(done)}, tool_call_id=str(uuid.uuid4()))]
            )
        return ModelResponse(parts=[TextPart("done")])

    def agent_of(store):
        agent = Agent(FunctionModel(model), capabilities=[StepPersistence(store=store)])

        @agent.tool_plain
        def take(step: int) -> str:
            done.append(step)
            return f"took {step}"

        return agent

    failing = True
    with pytest.raises(RuntimeError):
        await agent_of(store).run("Take them.", conversation_id="c1")
    [run] = await store.list_runs(conversation_id="c1")
    kinds = [one.kind for one in await store.list_events(run_id=run.run_id)]
    assert kinds[0] == "run_started"
    assert kinds.count("tool_call_completed") == 2
    assert kinds[-1] == "run_failed"
    assert await store.list_unresolved_tool_effects(run_id=run.run_id) == []

    failing = False
    other = open_store()
    messages = await continue_run(other, run_id=run.run_id)
    result = await agent_of(other).run(message_history=messages, conversation_id="c1")
    assert (result.output, done) == ("done", [0, 1, 2])
    runs = await store.list_runs(conversation_id="c1")
    assert len(runs) == 2
    assert await continue_run(store, run_id=runs[-1].run_id) == result.all_messages()


async def test_processes_that_write_at_once(open_store):
    async def write(name):
        store = open_store()
        await store.register_run(RunRecord(run_id=name, conversation_id="c"))
        for n in range(8):
            await store.append_event(event(n, run="shared", agent_name=name))
            await store.save_snapshot(snapshot(n, history(n, name), run="shared"))

    async with anyio.create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(write, name)
    store = open_store()
    assert len(await store.list_runs(conversation_id="c")) == 4
    events = await store.list_events(run_id="shared")
    for name in "abcd":
        assert [e.step_index for e in events if e.agent_name == name] == list(range(8))
    last = await store.latest_snapshot(run_id="shared")
    assert last.messages in [history(7, name) for name in "abcd"]
