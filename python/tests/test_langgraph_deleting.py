"""The LangGraph checkpointers: what is deleted and copied, and what stays."""

import asyncio
import threading

import pytest

from statehouse import AsyncStatehouse, ResourceExhausted, StatehouseError, UsageError, Write
from statehouse.langgraph import AsyncStatehouseSaver, StatehouseSaver

from lg import another, chain, checkpoint, config, either, id_of, ids, listed


@pytest.fixture(params=["blocking", "awaited"])
def saver(request, statehouse_daemon, at_end):
    """A saver of either client, whose awaited methods the tests use."""
    return either(request.param, statehouse_daemon, at_end, StatehouseSaver, AsyncStatehouseSaver)


@pytest.fixture
def plain(saver, statehouse_daemon):
    """A client that looks at what a saver has written."""
    return statehouse_daemon.client(namespace=saver.client.namespace)


class TestDeleting:
    @pytest.mark.parametrize("most", [12, 2])  # operations of a commit
    async def test_prune_of_more_than_fits_into_a_commit(self, saver, most):
        """Fewer at a time are tried, down to one, of which three operations are made."""
        configs = await chain(saver, 12)
        awaited, sizes = saver._answering.awaited, []

        async def bounded(asked):
            if asked.method == "transact":
                sizes.append(len(asked.arguments[0]))
                if sizes[-1] > most:
                    raise ResourceExhausted("too many operations")
            return await awaited(asked)

        saver._answering.awaited = bounded
        if most < 3:
            with pytest.raises(ResourceExhausted):
                await saver.aprune(["t1"])
            assert sizes[-1] == 3
            return
        await saver.aprune(["t1"])
        assert await ids(saver, config()) == [id_of(configs[-1])]

    async def test_for_runs_values_of_others_stay(self, saver, plain):
        at, configs = config(), []
        for step, run_id in enumerate("abac"):
            made = checkpoint({"n": step, "same": "s"}, {"n": f"{step}", "same": "0"})
            new = {"n": f"{step}"} | ({"same": "0"} if step == 0 else {})
            at = await saver.aput(at, made, {"step": step, "run_id": run_id}, new)
            await saver.aput_writes(at, [("w", step)], f"task-{step}")
            configs.append(at)
        await another(saver).adelete_for_runs(["a"])
        found = await listed(saver, config())
        assert [one.config for one in found] == [configs[3], configs[1]]
        assert [one.parent_config for one in found] == [None, None], "theirs are gone"
        assert [one.checkpoint["channel_values"] for one in found] == [
            {"n": 3, "same": "s"},
            {"n": 1, "same": "s"},
        ]
        assert [one.pending_writes[0][2] for one in found] == [3, 1]
        for gone in (configs[0], configs[2]):
            assert await saver.aget_tuple(gone) is None
        assert plain.list_keys("thread/t1", "v/") == ["v//n/1", "v//n/3", "v//same/0"]
        assert len(plain.list_keys("thread/t1", "w/")) == 2
        assert len(plain.list_keys("thread/t1", "i/")) == 2
        await saver.adelete_for_runs(["b", "c"])
        assert plain.list_keys("thread/t1") == []

    async def test_prune(self, saver, plain):
        configs = await chain(saver, 6)
        await chain(saver, 2, ns="child:1")
        await chain(saver, 3, thread="t2")
        for one in configs:
            await saver.aput_writes(one, [("w", 1)], "task")
        await another(saver).aprune(["t1", "t3"])
        [found] = await listed(saver, config())
        assert found.config == configs[-1]
        assert found.parent_config is None
        assert found.checkpoint["channel_values"] == {"n": 5, "same": "same"}
        assert plain.list_keys("thread/t1", "v//") == ["v//n/6", "v//same/1"]
        assert len(plain.list_keys("thread/t1", "w/")) == 1
        assert len(await listed(saver, config(ns="child:1"))) == 1
        assert len(await listed(saver, config("t2"))) == 3
        after = await saver.aput(found.config, checkpoint(), {}, {})
        assert await ids(saver, config()) == [id_of(after), id_of(found.config)]

    async def test_prune_of_what_is_pruned(self, saver, plain, monkeypatch):
        """Nothing is done twice; what one that was killed has left is deleted."""
        await chain(saver, 5, run_id="a")
        other, transact, calls = another(saver), saver.client.transact, []

        def killed(*arguments, **options):
            calls.append(arguments)
            if len(calls) == 2:
                raise StatehouseError("killed")
            return transact(*arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(other.client, "transact", killed)
            with pytest.raises(StatehouseError, match="killed"):
                await other.aprune(["t1"])
        assert len(plain.list_keys("thread/t1", "v/")) == 6
        assert len(plain.list_keys("thread/t1", "c/")) == 2, (
            "the latest, and that there were others"
        )
        await saver.aprune(["t1"])
        assert plain.list_keys("thread/t1", "v/") == ["v//n/5", "v//same/1"]
        head = plain.get_agent("thread/t1").head_ts
        await saver.aprune(["t1"])
        assert plain.get_agent("thread/t1").head_ts == head
        await saver.adelete_for_runs(["a"])
        assert plain.list_keys("thread/t1") == []

    @pytest.mark.parametrize("again", [False, True])
    async def test_prune_begins_again_when_the_thread_goes_on(self, saver, monkeypatch, again):
        """By another checkpoint, or by the latest one, put again."""
        configs = await chain(saver, 4)
        latest = await saver.aget_tuple(config())
        other = another(saver)
        begun = []
        list_keys = saver.client.list_keys

        def going_on(*arguments, **options):
            if not begun:
                made = checkpoint({"n": "late", "same": "same"}, {"n": "late", "same": "1"})
                if again:
                    made["id"] = latest.checkpoint["id"]
                begun.append(made["id"])
                run = threading.Thread(
                    target=put_late, args=(saver, configs[2 if again else 3], made)
                )
                run.start()
                run.join()
            return list_keys(*arguments, **options)

        monkeypatch.setattr(other.client, "list_keys", going_on)
        await other.aprune(["t1"])
        assert await ids(saver, config()) == begun
        found = await saver.aget_tuple(config())
        assert found.checkpoint["channel_values"] == {"n": "late", "same": "same"}

    async def test_prune_keeps_what_a_delta_channel_needs(self, saver):
        at, configs = config(), []
        for step in range(8):
            values = {"log": ["snapshot"]} if step == 3 else {}
            said = {"step": step, "counters_since_delta_snapshot": {"log": [step, step]}}
            made = checkpoint(values, {"log": f"{step}"})
            at = await saver.aput(at, made, said, {"log": f"{step}"})
            await saver.aput_writes(at, [("log", step)], f"task-{step}")
            configs.append(at)
        before = await saver.aget_delta_channel_history(config=at, channels=["log"])
        await saver.aprune(["t1"])
        for one in (saver, another(saver)):
            after = await one.aget_delta_channel_history(config=config(), channels=["log"])
            assert after == before
            assert after["log"]["seed"] == ["snapshot"]
            assert [value for _, _, value in after["log"]["writes"]] == [3, 4, 5, 6]
        assert await ids(saver, config()) == [id_of(one) for one in reversed(configs[3:])]

    async def test_prune_of_what_cannot_be(self, saver):
        with pytest.raises(TypeError):
            await saver.aprune("t1")
        with pytest.raises(ValueError, match="keep_latest"):
            await saver.aprune(["t1"], strategy="everything")

    async def test_a_thread_with_more_keys_than_a_commit_may_change(self, saver, plain):
        for at in range(0, 6000, 2000):
            keys = [f"w//x/{n:016}" for n in range(at, at + 2000)]
            plain.transact([Write("thread/t1", key, b"x") for key in keys])
        await saver.adelete_thread("t1")
        assert plain.list_keys("thread/t1") == []

    async def test_copy(self, saver):
        configs = await chain(saver, 3)
        await saver.aput_writes(configs[-1], [("w", 1)], "task")
        await saver.acopy_thread("t1", "t2")
        found = await saver.aget_tuple(config("t2"))
        assert found.checkpoint["channel_values"] == {"n": 2, "same": "same"}
        assert found.pending_writes == [("task", "w", 1)]
        await saver.aput(found.config, checkpoint(), {}, {})
        await saver.aput(configs[-1], checkpoint(), {}, {})
        assert len(await listed(saver, config("t2"))) == len(await listed(saver, config())) == 4
        with pytest.raises(UsageError, match="never used"):
            await saver.acopy_thread("t1", "t2")
        await saver.acopy_thread("nothing", "t3")
        assert await listed(saver, config("t3")) == []


def put_late(saver, at, made):
    """Puts a checkpoint from another thread, of another process as it were."""

    async def put():
        async with AsyncStatehouse(
            saver.client._endpoint.target, namespace=saver.client.namespace
        ) as client:
            late = AsyncStatehouseSaver(client)
            await late.aget_tuple(config())
            await late.aput(at, made, {}, {"n": "late"})

    asyncio.run(put())
