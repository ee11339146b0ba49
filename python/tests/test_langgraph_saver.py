"""The LangGraph checkpointers: what is kept, and who may go on."""

import asyncio
import threading

import pytest
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.conformance import checkpointer_test, validate

from statehouse import (
    DataLoss,
    Delete,
    LeaseHeld,
    PreconditionFailed,
    Statehouse,
    StatehouseError,
    UsageError,
)
from statehouse.langgraph import (
    AsyncStatehouseSaver,
    StatehouseSaver,
    ThreadConflict,
    _owning,
)

from lg import Counting, another, chain, checkpoint, config, either, id_of, ids, listed


@pytest.fixture(params=["blocking", "awaited"])
def saver(request, statehouse_daemon, at_end):
    """A saver of either client, whose awaited methods the tests use."""
    return either(request.param, statehouse_daemon, at_end, StatehouseSaver, AsyncStatehouseSaver)


@pytest.fixture
def plain(saver, statehouse_daemon):
    """A client that looks at what a saver has written."""
    return statehouse_daemon.client(namespace=saver.client.namespace)


async def test_conformance(saver):
    """The framework's own suite. The whole of it, beside other savers, is in make conformance."""

    @checkpointer_test(name="statehouse")
    async def make():
        yield saver

    report = await validate(make)
    assert [name for name, result in report.results.items() if not result.detected] == []
    assert {
        name: result.failures for name, result in report.results.items() if result.failures
    } == {}
    assert sum(result.tests_passed for result in report.results.values()) >= 81


class TestKeeping:
    async def test_only_what_changed_is_written(self, saver, plain):
        await chain(saver, 5)
        keys = plain.list_keys("thread/t1")
        assert [key for key in keys if key.startswith("v/")] == [
            "v//n/1",
            "v//n/2",
            "v//n/3",
            "v//n/4",
            "v//n/5",
            "v//same/1",
        ]
        assert len(keys) == 6 + 5 + 5, "and a record and its number for each checkpoint"
        assert [event.commit_ts for event in plain.replay("thread/t1")] == sorted(
            {record.commit_ts for record in plain.scan_prefix("thread/t1", "c/")}
        ), "each put is one commit"
        first = plain.get_state("thread/t1", "v//same/1")
        assert first.content_type == "application/vnd.langgraph.msgpack"
        assert first.value == saver.serde.dumps_typed("same")[1]

    async def test_what_is_read_may_be_changed(self, saver):
        """As the framework does, with what it goes on from."""
        made = checkpoint({"n": 1}, {"n": "1"}, versions_seen={"node": {"n": "1"}})
        await saver.aput(config(), made, {"parents": {}}, {"n": "1"})
        for _ in range(2):
            found = await saver.aget_tuple(config())
            assert found.checkpoint["versions_seen"] == {"node": {"n": "1"}}
            assert found.metadata["parents"] == {}
            found.checkpoint["versions_seen"]["node"]["n"] = "2"
            found.checkpoint["channel_versions"]["n"] = "2"
            found.metadata["parents"]["x"] = "y"
            made["versions_seen"]["node"]["n"] = "3"

    async def test_what_a_commit_says_of_itself(self, saver, plain):
        await chain(saver, 1, run_id="run-7")
        [event] = plain.replay("thread/t1")
        assert event.metadata == {"source": "loop", "step": "0", "run_id": "run-7"}

    async def test_values_of_every_size(self, saver):
        values = {
            "none": None,
            "empty": b"",
            "two": "x" * 1_500_000,
            "just": b"y" * 900_000,
            "list": [1, [2]],
        }
        at = await saver.aput(config(), checkpoint(values), {}, dict.fromkeys(values, "1"))
        assert (await saver.aget_tuple(at)).checkpoint["channel_values"] == values

    async def test_more_than_fits_into_a_commit(self, saver):
        values = {f"c{n}": bytes([n]) * 2_000_000 for n in range(4)}
        at = await saver.aput(config(), checkpoint(values), {}, dict.fromkeys(values, "1"))
        assert (await saver.aget_tuple(at)).checkpoint["channel_values"] == values
        assert (await another(saver).aget_tuple(at)).checkpoint["channel_values"] == values

    async def test_what_is_written_ahead_of_a_commit_must_be_there(self, saver, plain, monkeypatch):
        transact, calls = saver.client.transact, []

        def deleting(*arguments, **options):
            calls.append(arguments)
            if "preconditions" in options:
                plain.delete("thread/t1", "v//big/1~1")
            return transact(*arguments, **options)

        monkeypatch.setattr(saver.client, "transact", deleting)
        values = {"big": b"z" * 5_000_000}
        with pytest.raises(ThreadConflict):
            await saver.aput(config(), checkpoint(values), {}, {"big": "1"})
        assert len(calls) > 1
        assert await saver.aget_tuple(config()) is None

    async def test_a_value_that_is_gone_is_an_error_and_not_empty(self, saver, plain):
        [at] = await chain(saver, 1)
        plain.transact([Delete("thread/t1", "v//n/1")])
        with pytest.raises(DataLoss, match="v//n/1"):
            await saver.aget_tuple(at)

    async def test_names_of_all_kinds(self, saver):
        for ns in ("a/b", "node:1|inner:2", "100%", "tab\t", "é"):
            at = config("T/1 ü", ns=ns)
            made = checkpoint({"ch/an~nel": ns}, {"ch/an~nel": "1"})
            stored = await saver.aput(at, made, {}, {"ch/an~nel": "1"})
            found = await saver.aget_tuple(at)
            assert found.config == stored
            assert found.checkpoint["channel_values"] == {"ch/an~nel": ns}
        assert len(await listed(saver, {"configurable": {"thread_id": "T/1 ü"}})) == 5

    async def test_versions_rise_and_are_not_shared_by_branches(self, saver):
        first = saver.get_next_version(None, None)
        second = saver.get_next_version(first, None)
        assert first < second < saver.get_next_version("0000000009.ffffffff", None)
        assert second.startswith("0000000002.")
        assert second != saver.get_next_version(first, None)
        long = f"{7:032}.123"
        assert saver.get_next_version(long, None).startswith(f"{8:032}.")

    async def test_one_request_where_the_thread_is_known(self, saver):
        await chain(saver, 3)
        counted = Counting(saver)
        await saver.aget_tuple(config())
        assert counted.calls == ["get_many"]
        found = await (fresh := another(saver)).aget_tuple(config())
        assert found.checkpoint["channel_values"] == {"n": 2, "same": "same"}
        del counted.calls[:]
        made = checkpoint({"n": 9}, {"n": "9"})
        await saver.aput(found.config, made, {}, {"n": "9"})
        assert counted.calls == ["transact"]
        assert (await fresh.aget_tuple(config())).checkpoint["id"] == made["id"], "not what it knew"


class TestOwning:
    async def test_of_two_who_have_read_a_thread_one_goes_on(self, saver):
        await chain(saver, 2)
        won = 0
        for round_ in range(20):
            both = Together(2)
            results = await asyncio.gather(
                *(worker(other, round_, both) for other in (another(saver), another(saver))),
                return_exceptions=True,
            )
            won += sum(isinstance(result, dict) for result in results)
            [refused] = [r for r in results if isinstance(r, Exception)]
            assert isinstance(refused, ThreadConflict)
            assert isinstance(refused, PreconditionFailed)
            assert refused.thread_id == "t1"
            assert refused.checkpoint_ns == ""
            latest = await saver.aget_tuple(config())
            assert refused.current_checkpoint_id == id_of(latest.config)
            assert refused.current_checkpoint_id in str(refused)
        assert won == 20
        found = await listed(saver, config())
        parents = [id_of(one.parent_config) for one in found[:-1]]
        assert parents == [id_of(one.config) for one in found[1:]], "a chain, without a branch"

    async def test_of_two_who_begin_a_thread_one_goes_on(self, saver):
        three = Together(3)
        results = await asyncio.gather(
            *(worker(one, 0, three) for one in (another(saver), another(saver), saver)),
            return_exceptions=True,
        )
        assert sorted(isinstance(result, ThreadConflict) for result in results) == [
            False,
            True,
            True,
        ]
        assert len(await listed(saver, config())) == 1

    async def test_two_runs_of_one_process(self, saver):
        await chain(saver, 1)
        five = Together(5)
        results = await asyncio.gather(
            *(worker(saver, n, five) for n in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, ThreadConflict) for result in results) == 4
        assert len(await listed(saver, config())) == 2

    async def test_what_others_read_does_not_help_a_run_that_is_late(self, saver):
        [first] = await chain(saver, 1)
        begun, go = asyncio.Event(), asyncio.Event()

        async def late():
            await saver.aget_tuple(config())
            begun.set()
            await go.wait()
            return await saver.aput(first, checkpoint(), {}, {})

        task = asyncio.create_task(late())
        await begun.wait()
        await saver.aput(first, checkpoint(), {}, {})
        await saver.aget_tuple(first)  # somebody looks at the older one, in a context of their own
        go.set()
        with pytest.raises(ThreadConflict):
            await task

    async def test_a_branch_by_who_has_read_the_thread(self, saver):
        configs = await chain(saver, 3)
        other = another(saver)
        await other.aget_tuple(configs[0])
        branch = await other.aput(configs[0], checkpoint(), {"source": "fork"}, {})
        found = await listed(saver, config())
        assert [id_of(one.config) for one in found] == [
            id_of(branch),
            *(id_of(one) for one in reversed(configs)),
        ]
        assert found[0].parent_config == configs[0]

    async def test_a_branch_by_who_has_not_is_refused(self, saver):
        configs = await chain(saver, 3)
        with pytest.raises(ThreadConflict) as refused:
            await another(saver).aput(configs[0], checkpoint(), {}, {})
        assert refused.value.current_checkpoint_id == id_of(configs[-1])
        assert len(await listed(saver, config())) == 3

    async def test_who_has_read_nothing_may_go_on_from_the_latest(self, saver):
        configs = await chain(saver, 2)
        after = await another(saver).aput(configs[-1], checkpoint(), {}, {})
        assert (await saver.aget_tuple(config())).config == after

    async def test_a_list_counts_as_reading(self, saver):
        configs = await chain(saver, 3)
        other = another(saver)
        [before] = await listed(other, config(), before=configs[2], limit=1)
        assert before.config == configs[1]
        await other.aput(before.config, checkpoint(), {}, {})

    async def test_after_a_thread_was_deleted(self, saver):
        configs = await chain(saver, 2)
        await another(saver).adelete_thread("t1")
        with pytest.raises(ThreadConflict) as refused:
            await saver.aput(configs[-1], checkpoint(), {}, {})
        assert refused.value.current_checkpoint_id is None
        assert "it has no checkpoint" in str(refused.value)
        assert await saver.aget_tuple(config()) is None
        await saver.aput(config(), checkpoint(), {}, {})
        await saver.adelete_thread("t1")
        await saver.aput(
            config(), checkpoint(), {}, {}
        )  # who has deleted it knows that it is empty

    async def test_a_number_that_was_deleted_is_not_free(self, saver):
        """A run that has read a thread, of which later checkpoints are deleted and yet later ones
        are there, is late.
        """
        first = (await chain(saver, 1, run_id="a"))[0]
        late, later = another(saver), another(saver)
        await asyncio.create_task(late.aget_tuple(config()))
        late._memory.has_put(
            late._thread(first),
            id_of(first),
            saver._memory.place(saver._thread(first), id_of(first)),
        )
        second = await saver.aput(first, checkpoint(), {"run_id": "b"}, {})
        third = await saver.aput(second, checkpoint(), {"run_id": "c"}, {})
        await later.adelete_for_runs(["b"])
        with pytest.raises(ThreadConflict):
            await late.aput(first, checkpoint(), {}, {})
        assert (await late.aget_tuple(config())).config == third
        await later.adelete_for_runs(["a"])
        assert await ids(saver, config()) == [id_of(third)]
        with pytest.raises(ThreadConflict):
            await asyncio.create_task(begin_late(another(saver)))

    async def test_put_again_it_is_put_once(self, saver):
        [first] = await chain(saver, 1)
        made = checkpoint({"n": 7}, {"n": "7"})
        said = {"source": "loop", "step": 1, "pair": (1, 2)}
        for one in (saver, saver, another(saver)):
            assert id_of(await one.aput(first, made, said, {"n": "7"})) == made["id"]
        assert len(await listed(saver, config())) == 2
        await saver.aput(first, made, {**said, "step": 5}, {"n": "7"})
        found = await listed(another(saver), config())
        assert [one.metadata["step"] for one in found] == [5, 0], "the last put of an id counts"
        assert (await saver.aget_tuple(config())).metadata["step"] == 5
        await saver.aput(found[0].config, checkpoint(), {}, {})

    async def test_put_again_by_another_process(self, saver):
        made = checkpoint({"n": 7}, {"n": "7"})
        await saver.aput(config(), made, {"step": 1}, {"n": "7"})
        await another(saver).aput(config(), made, {"step": 2}, {"n": "7"})
        assert (await saver.aget_tuple(config())).metadata["step"] == 2, "not what it knew"

    async def test_an_answer_that_is_lost(self, saver, statehouse_daemon, proxy, at_end):
        client = Statehouse(proxy.url, namespace=saver.client.namespace, timeout=10)
        unlucky = StatehouseSaver(client)
        first = unlucky.put(config(), checkpoint(), {}, {})
        proxy.lose("reply")
        second = await asyncio.to_thread(unlucky.put, first, checkpoint(), {}, {})
        assert await ids(saver, config()) == [id_of(second), id_of(first)]
        client.close()

    async def test_hold(self, saver):
        async def hold(one):
            held = one.hold("t1", ttl=5)
            return await held if asyncio.iscoroutine(held) else held

        lease = await hold(saver)
        with pytest.raises(LeaseHeld):
            await hold(another(saver))
        released = lease.release()
        if asyncio.iscoroutine(released):
            await released


class Together:
    """Lets a number of workers go on when all of them are here."""

    def __init__(self, number):
        self.left, self.all_here = number, asyncio.Event()

    async def wait(self):
        self.left -= 1
        if self.left == 0:
            self.all_here.set()
        await self.all_here.wait()


async def worker(saver, step, together):
    """Reads a thread, waits for the others to have read it, and goes on."""
    found = await saver.aget_tuple(config())
    await together.wait()
    at = found.config if found else config()
    return await saver.aput(at, checkpoint({"n": step}), {"step": step}, {"n": "1"})


async def begin_late(saver):
    """Begins a thread that it has read as empty, long ago."""
    saver._memory.has_read(saver._thread(config()), _owning.NOWHERE)
    return await saver.aput(config(), checkpoint(), {}, {})


class TestWrites:
    async def test_the_first_counts_and_of_errors_the_last(self, saver):
        [at] = await chain(saver, 1)
        error = next(iter(WRITES_IDX_MAP))
        await saver.aput_writes(at, [("a", 1), (error, "one")], "task")
        await saver.aput_writes(at, [("a", 2), (error, "two"), ("b", 3)], "task")
        found = await saver.aget_tuple(at)
        assert found.pending_writes == [("task", error, "two"), ("task", "a", 1), ("task", "b", 3)]

    async def test_in_the_order_of_paths(self, saver):
        [at] = await chain(saver, 1)
        await saver.aput_writes(at, [("a", 1)], "task-1", "~z")
        await saver.aput_writes(at, [("a", 2), ("a", 3)], "task-3", "~a")
        await saver.aput_writes(at, [("a", 4)], "task-2", "~a")
        await saver.aput_writes(at, [("a", 5)], "task-9")
        written = [value for _, _, value in (await saver.aget_tuple(at)).pending_writes]
        assert written == [5, 4, 2, 3, 1]

    async def test_many_and_large_ones(self, saver):
        [at] = await chain(saver, 1)
        for n in range(11):
            await saver.aput_writes(at, [("a", n)], f"task-{n:02}")
        await saver.aput_writes(at, [("big", b"x" * 2_000_000)], "task-99")
        for one in (saver, another(saver)):
            found = (await one.aget_tuple(config())).pending_writes
            assert [value for _, _, value in found[:-1]] == list(range(11))
            assert found[-1] == ("task-99", "big", b"x" * 2_000_000)
        assert [len(one.pending_writes) for one in await listed(saver, config())] == [12]

    async def test_larger_than_a_commit(self, saver, plain):
        [at] = await chain(saver, 1)
        await saver.aput_writes(at, [("big", b"x" * 5_000_000), ("small", 1)], "task-0")
        expected = [("task-0", "big", b"x" * 5_000_000), ("task-0", "small", 1)]
        assert (await saver.aget_tuple(at)).pending_writes == expected
        for n in range(1, 8):
            await saver.aput_writes(at, [("a", n)], f"task-{n}")
        found = (await another(saver).aget_tuple(at)).pending_writes
        assert found == [*expected, *((f"task-{n}", "a", n) for n in range(1, 8))]
        await chain(saver, 1, ns="other")
        await saver.aput(at, checkpoint(), {}, {})
        await saver.aprune(["t1"])
        assert plain.list_keys("thread/t1", "w/") == []

    async def test_each_call_is_one_commit(self, saver, plain):
        [at] = await chain(saver, 1)
        await saver.aput_writes(at, [("a", 1), ("b", 2)], "task-1")
        assert len(plain.list_keys("thread/t1", "w/")) == 1
        assert len(list(plain.replay("thread/t1"))) == 2


class TestListing:
    async def test_pages(self, saver):
        configs = await chain(saver, 100)
        expected = [id_of(one) for one in reversed(configs)]
        assert await ids(saver, config()) == expected
        assert await ids(another(saver), config(), before=configs[50], limit=7) == expected[50:57]
        assert await ids(saver, config(), limit=0) == []
        assert await ids(saver, configs[3]) == [id_of(configs[3])]
        assert await ids(saver, config(), filter={"step": 41}) == [id_of(configs[41])]
        assert await ids(saver, config(), filter={"source": "loop"}, limit=3) == expected[:3]
        assert await ids(saver, config(checkpoint_id="none")) == []
        [far] = await listed(saver, config(), before=configs[1])
        assert far.checkpoint["channel_values"] == {"n": 0, "same": "same"}
        assert far.parent_config is None

    async def test_a_page_costs_the_same_wherever_it_is(self, saver):
        configs = await chain(saver, 100)
        costs = []
        for at in (99, 60, 20):
            counted = Counting(other := another(saver))
            await listed(other, config(), before=configs[at], limit=5)
            costs.append(counted.calls)
        assert costs[0] == costs[1] == costs[2]
        assert len(costs[0]) <= 4

    async def test_before_one_of_another_namespace_the_ids_are_compared(self, saver):
        configs = await chain(saver, 2, ns="child")
        root = await saver.aput(config(), checkpoint(), {}, {})
        await chain(saver, 1, thread="t1", ns="other")
        assert await ids(saver, config(ns="child"), before=root, limit=1) == [id_of(configs[1])]

    async def test_over_namespaces_and_threads(self, saver, plain):
        root = await chain(saver, 2)
        child = await chain(saver, 2, ns="child:1")
        other = await chain(saver, 1, thread="t2")
        plain.write("thread-like", "c//0000000001", {"no": "thread"})
        everything = [id_of(one) for one in (*root, *child, *other)]
        assert await ids(saver, {"configurable": {"thread_id": "t1"}}) == everything[3::-1]
        assert await ids(saver, None) == everything[::-1]
        assert await ids(saver, None, limit=2, filter={"step": 0}) == [everything[4], everything[2]]

    async def test_past_holes(self, saver):
        configs = []
        at = config()
        for step in range(80):
            at = await saver.aput(at, checkpoint(), {"step": step, "run_id": f"r{step % 79}"}, {})
            configs.append(at)
        await saver.adelete_for_runs([f"r{n}" for n in range(1, 79)])
        assert await ids(saver, config()) == [id_of(configs[79]), id_of(configs[0])]


class TestBlocking:
    def test_all_methods(self, statehouse_client):
        saver = StatehouseSaver(statehouse_client)
        first = saver.put(config(), checkpoint({"n": 1}), {"run_id": "a"}, {"n": "1"})
        saver.put_writes(first, [("n", 2)], "task")
        assert saver.get_tuple(config()).pending_writes == [("task", "n", 2)]
        assert saver.get(config())["channel_values"] == {"n": 1}
        assert [one.config for one in saver.list(config())] == [first]
        saver.copy_thread("t1", "t2")
        saver.put(first, checkpoint(), {"run_id": "b"}, {})
        assert saver.get_delta_channel_history(config=config(), channels=["n"]) == {
            "n": {"writes": [("task", "n", 2)], "seed": 1}
        }
        saver.prune(["t1"])
        assert len(list(saver.list(config()))) == 1
        saver.delete_for_runs(["a"])
        assert saver.get_tuple(config("t2")) is None
        saver.delete_thread("t1")
        assert list(saver.list(None)) == []
        with saver.hold("t1"):
            pass

    def test_of_an_awaited_client(self, statehouse_daemon):
        async def main():
            async with AsyncStatehouseSaver.from_url(
                statehouse_daemon.url, namespace="blocking"
            ) as s:
                with pytest.raises(UsageError, match="does not run yet"):
                    await asyncio.to_thread(s.get_tuple, config())
                assert await s.aget_tuple(config()) is None
                first = await asyncio.to_thread(s.put, config(), checkpoint(), {}, {})
                with pytest.raises(UsageError, match="aget_tuple"):
                    s.get_tuple(config())
                assert (await s.aget_tuple(config())).config == first
                assert await asyncio.to_thread(list, s.list(config())) != []

        asyncio.run(main())

    async def test_awaited_it_calls_in_threads(self, statehouse_client, monkeypatch):
        saver, threads = StatehouseSaver(statehouse_client), []
        find = statehouse_client.find

        def noticed(*arguments, **options):
            threads.append(threading.get_ident())
            return find(*arguments, **options)

        monkeypatch.setattr(statehouse_client, "find", noticed)
        assert await saver.aget_tuple(config()) is None
        assert threads
        assert threading.get_ident() not in threads, "the event loop goes on"

    def test_what_is_remembered_has_bounds(self, statehouse_client):
        saver = StatehouseSaver(statehouse_client)
        memory = saver._memory
        for n in range(5000):
            thread = saver._named(f"t{n}", "")
            memory.has_read(thread, _owning.Place(n, 1))
            memory.has_put(thread, "id", _owning.Place(n, 1))
            memory.is_latest(thread, None)
        assert memory.base(thread, None) == (4999, 1)
        assert len(_owning._read.get()) == _owning._READ
        assert len(memory._put) == _owning._PUT
        assert len(memory._latest) == _owning._LATEST

    def test_from_url(self, statehouse_daemon):
        with StatehouseSaver.from_url(statehouse_daemon.url, namespace="from-url") as saver:
            saver.put(config(), checkpoint(), {}, {})
        with pytest.raises(StatehouseError, match="closed"):
            saver.get_tuple(config())

    def test_threads_have_agents_with_a_prefix(self, statehouse_client):
        StatehouseSaver(statehouse_client, prefix="chat/").put(config(), checkpoint(), {}, {})
        assert [agent.agent_id for agent in statehouse_client.list_agents()] == ["chat/t1"]
