"""What the step store of the Pydantic AI harness does beyond what the harness asks for."""

from dataclasses import replace

import pytest
from pydantic_ai.messages import BinaryContent, ModelRequest, UserPromptPart
from pydantic_ai_harness.step_persistence import RunRecord, continue_run

from statehouse._adapters.shared import ranges
from statehouse.pydantic_ai import RunExists, StatehouseStepStore

from test_suite import START, effect, event, history, needs_keys, needs_states, snapshot

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def store(client):
    return StatehouseStepStore(client)


async def test_a_second_run_of_an_id_has_an_error_of_its_own(store):
    await store.register_run(RunRecord(run_id="r1", started_at=START))
    with pytest.raises(RunExists, match="'r1'"):
        await store.register_run(RunRecord(run_id="r1", started_at=START))


@needs_keys
async def test_the_same_registration_is_made_once(store):
    record = RunRecord(run_id="r1", registration_id="x", started_at=START)
    await store.register_run(record)
    await store.register_run(record)
    with pytest.raises(RunExists):
        await store.register_run(replace(record, registration_id="y"))
    with pytest.raises(RunExists):
        await store.register_run(replace(record, agent_name="other"))
    assert await store.list_runs() == [record]


@pytest.mark.parametrize("lost", ["request", "reply"])
@pytest.mark.parametrize("after", [0, 1, 2])  # of what is read, and of the commit
async def test_an_answer_is_lost(lossy, proxy, store, lost, after):
    through = StatehouseStepStore(lossy)
    await through.register_run(RunRecord(run_id="r0"))
    proxy.lose(lost, after=min(after, 0))
    await through.register_run(RunRecord(run_id="r1"))
    proxy.lose(lost, after=min(after, 0))
    await through.append_event(event(1))
    proxy.lose(lost, after=after)
    await through.save_snapshot(snapshot(3))
    proxy.lose(lost, after=0)
    await through.record_tool_effect(effect("1"))
    assert proxy.lost >= 3
    assert len(await store.list_runs()) == 2
    assert len(await store.list_events(run_id="r1")) == 1
    assert len(await store.list_snapshots(run_id="r1")) == 1
    assert await continue_run(store, run_id="r1") == history(3)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])  # the store works under both
async def test_each_call_is_one_commit(store, commits):
    await store.register_run(RunRecord(run_id="r1"))
    await store.append_event(event(1))
    await store.save_snapshot(snapshot(20))
    await store.record_tool_effect(effect("1"))
    assert commits() == 4


@needs_keys
async def test_what_is_there_already_is_no_commit(store, commits, client):
    for _ in range(2):
        await store.append_event(event(1, idempotency_key="1"))
        await store.save_snapshot(snapshot(3, idempotency_key="1"))
        await store.save_snapshot(snapshot(9, history(9, "other"), idempotency_key="1"))
    assert commits() == 2
    assert len(client.list_keys("pydantic-ai/r1", "message/")) == 3


@needs_states
async def test_so_many_snapshots_are_kept(client):
    """The last ones, and the last that is complete, as the harness' own stores do."""
    bounded = StatehouseStepStore(client, max_snapshots_per_run=2)
    kept = []
    for step in range(8):
        state = "complete" if step in (0, 1, 2) else "interrupted"
        await bounded.save_snapshot(snapshot(step, state=state))
        listed = await bounded.list_snapshots(run_id="r1", include_interrupted=True)
        kept.append([one.step_index for one in listed])
        last = await bounded.latest_snapshot(run_id="r1")
        assert (last.step_index, last.messages) == (min(step, 2), history(min(step, 2)))
    assert kept == [[0], [0, 1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [2, 5, 6], [2, 6, 7]]
    await bounded.save_snapshot(snapshot(9))
    assert len(client.list_keys("pydantic-ai/r1", "snapshot/")) == 2
    # What was saved without a bound goes with the next that has one.
    for step in range(20):
        await StatehouseStepStore(client).save_snapshot(snapshot(step, run="r2"))
    await StatehouseStepStore(client, max_snapshots_per_run=1).save_snapshot(snapshot(9, run="r2"))
    assert len(client.list_keys("pydantic-ai/r2", "snapshot/")) == 1
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="max_snapshots_per_run"):
            StatehouseStepStore(client, max_snapshots_per_run=wrong)


async def test_each_message_is_stored_once(store, client):
    for count in range(0, 60, 3):
        await store.save_snapshot(snapshot(count))
    await StatehouseStepStore(client).save_snapshot(snapshot(50))
    assert len(client.list_keys("pydantic-ai/r1", "message/")) == 57
    assert len(client.list_keys("pydantic-ai/r1", "digest/")) == 57
    *_, last = client.scan_prefix("pydantic-ai/r1", "snapshot/")
    assert last.value["ranges"] == [[1, 50]]
    for count, saved in zip(range(0, 60, 3), await store.list_snapshots(run_id="r1")):
        assert saved.messages == history(count)


async def test_a_long_history_is_not_read_at_each_step(store, client, monkeypatch):
    await store.save_snapshot(snapshot(300))
    asked, get_many = [], type(client.begin_transaction()).get_many

    def counted(self, agent_id, keys, **options):
        asked.append(len(keys))
        return get_many(self, agent_id, keys, **options)

    monkeypatch.setattr(type(client.begin_transaction()), "get_many", counted)
    for count in (302, 304):
        await store.save_snapshot(snapshot(count))
    assert asked == [2, 2]
    assert await continue_run(store, run_id="r1") == history(304)


async def test_what_is_remembered_is_of_the_state_that_is_there(store, client):
    """A run that was deleted, or brought back to an earlier state, has not what is remembered."""
    await store.save_snapshot(snapshot(4))
    before = client.get_agent("pydantic-ai/r1").head_ts
    await store.save_snapshot(snapshot(9))
    client.restore("pydantic-ai/r1", before)
    await store.save_snapshot(snapshot(8))
    assert await continue_run(store, run_id="r1") == history(8)
    assert [len(s.messages) for s in await store.list_snapshots(run_id="r1")] == [4, 8]
    client.delete_agent("pydantic-ai/r1")
    assert await store.latest_snapshot(run_id="r1") is None
    await store.save_snapshot(snapshot(5))
    assert await continue_run(store, run_id="r1") == history(5)


async def test_a_deleted_message_is_told(store, client):
    await store.save_snapshot(snapshot(3))
    client.delete("pydantic-ai/r1", "message/0000000000000002")
    with pytest.raises(LookupError, match="message/0000000000000002"):
        await store.latest_snapshot(run_id="r1")


async def test_another_saves_before_the_commit(store, client, monkeypatch):
    """Between what is read of the numbers of messages, and the commit."""
    other = StatehouseStepStore(client)
    run_transaction, others = client.run_transaction, []

    def run(function, **options):
        def wrapped(tx):
            result = function(tx)
            if not others:
                others.append(1)
                other._save_snapshot(snapshot(3, history(3, " of the other")))
            return result

        return run_transaction(wrapped, **options)

    monkeypatch.setattr(client, "run_transaction", run)
    await store.save_snapshot(snapshot(2))
    first, second = await store.list_snapshots(run_id="r1")
    assert first.messages == history(3, " of the other")
    assert second.messages == history(2)
    await store.save_snapshot(snapshot(4))
    assert await continue_run(store, run_id="r1") == history(4)


async def test_many_runs_are_remembered_and_forgotten(store):
    for _ in range(2):
        for n in range(20):
            await store.save_snapshot(snapshot(n, run=f"r{n}"))
    assert len(store._messages._known) == 16
    for n in range(20):
        assert len(await continue_run(store, run_id=f"r{n}")) == n


async def test_messages_and_events_of_any_size(store, client):
    image = BinaryContent(data=b"\xff" * 3_000_000, media_type="application/pdf")
    asked = ModelRequest(parts=[UserPromptPart(content=[image], timestamp=START)], timestamp=START)
    for _ in range(2):
        await store.save_snapshot(snapshot(4, [*history(2), asked, asked]))
    assert await continue_run(store, run_id="r1") == [*history(2), asked, asked]
    assert len(client.list_keys("pydantic-ai/r1", "chunk/")) == 8
    await store.save_snapshot(snapshot(5, agent_name="z" * 2_000_000))
    assert (await store.latest_snapshot(run_id="r1")).agent_name == "z" * 2_000_000
    long = event(1, error="x" * 2_000_000, agent_name="half \ud800")
    await store.append_event(long)
    assert await store.list_events(run_id="r1") == [long]
    record = effect("1", effect_summary="y" * 2_000_000)
    await store.record_tool_effect(record)
    assert await store.list_unresolved_tool_effects(run_id="r1") == [record]
    run = RunRecord(run_id="r1", conversation_id="c", metadata={"z": "z" * 2_000_000})
    await store.register_run(run)
    assert await store.list_runs(conversation_id="c") == [run]


@pytest.mark.slow
async def test_a_history_that_is_too_long_for_a_commit(store):
    await store.save_snapshot(snapshot(1, history(4500)))
    assert await continue_run(store, run_id="r1") == history(4500)
    await store.save_snapshot(snapshot(2, history(4502)))
    assert await continue_run(store, run_id="r1") == history(4502)


NAMES = ["a", "a/b", "a~", "é" * 200, "x" * 300, "x" * 300 + "y", ".."]


async def test_whatever_runs_and_calls_are_called(store):
    for n, name in enumerate(NAMES):
        await store.register_run(RunRecord(run_id=name, agent_name=str(n)))
        for m, call in enumerate(NAMES):
            await store.record_tool_effect(effect(call, run=name, effect_summary=f"{n} {m}"))
    for n, name in enumerate(NAMES):
        assert (await store.get_run(run_id=name)).agent_name == str(n)
        for m, call in enumerate(NAMES):
            record = await store.get_tool_effect(run_id=name, tool_call_id=call)
            assert record.effect_summary == f"{n} {m}"
        unresolved = await store.list_unresolved_tool_effects(run_id=name)
        assert [one.tool_call_id for one in unresolved] == NAMES  # from the first to the last


async def test_metadata_and_prefix(client):
    store = StatehouseStepStore(client, prefix="team/", metadata={"actor": "ann"})
    await store.register_run(RunRecord(run_id="r1"))
    await store.append_event(event(1))
    await store.save_snapshot(snapshot(1))
    await store.record_tool_effect(effect("1"))
    assert {e.metadata["actor"] for e in client.replay()} == {"ann"}
    assert [a.agent_id for a in client.list_agents()] == ["team", "team/r1"]


def test_ranges():
    assert ranges([]) == []
    assert ranges([1, 2, 3, 7, 8, 3]) == [[1, 3], [7, 8], [3, 3]]
