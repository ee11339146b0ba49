"""The LangGraph checkpointers: of writes to a checkpoint the daemon gives no number twice."""

import pytest

from statehouse.langgraph import AsyncStatehouseSaver, StatehouseSaver
from statehouse.langgraph._layout import GUESSED

from lg import Counting, another, checkpoint, config, either, listed

META = {"source": "loop", "step": 0, "run_id": "a"}


@pytest.fixture(params=["blocking", "awaited"])
def saver(request, statehouse_daemon, at_end):
    """A saver of either client, whose awaited methods the tests use."""
    return either(request.param, statehouse_daemon, at_end, StatehouseSaver, AsyncStatehouseSaver)


@pytest.fixture
def plain(saver, statehouse_daemon):
    """A client that looks at what a saver has written."""
    return statehouse_daemon.client(namespace=saver.client.namespace)


async def write(saver, at, count, name="task"):
    for n in range(count):
        await saver.aput_writes(at, [("w", f"{name}-{n}")], f"{name}-{n}")


async def seen(saver, at):
    """What every way of reading a checkpoint finds written to it."""
    ways = {
        "as the one it knows": (await saver.aget_tuple(config())).pending_writes,
        "as one that knows nothing": (await another(saver).aget_tuple(config())).pending_writes,
        "by its id": (await another(saver).aget_tuple(at)).pending_writes,
        "in a list": (await listed(another(saver), config()))[0].pending_writes,
    }
    [first, *others] = ways.values()
    assert all(other == first for other in others), ways
    return [value for _, _, value in first]


class TestNumbers:
    @pytest.mark.parametrize("before", [1, GUESSED - 1, GUESSED, GUESSED + 1, 12])
    async def test_a_checkpoint_that_was_deleted_and_is_put_again(self, saver, before):
        made = checkpoint()
        for drop in ("runs", "thread"):
            at = await saver.aput(config(), made, META, {})
            await write(saver, at, before, "old")
            if drop == "runs":
                await saver.adelete_for_runs(["a"])
            else:
                await saver.adelete_thread("t1")
            at = await saver.aput(config(), made, META, {})
            assert await seen(saver, at) == []
            for written in range(1, GUESSED + 3):
                await write(saver, at, 1, f"new-{written:02}")
                assert await seen(saver, at) == [f"new-{n:02}-0" for n in range(1, written + 1)]
            await saver.adelete_thread("t1")

    @pytest.mark.parametrize("before", [1, GUESSED - 1, GUESSED, GUESSED + 1, 12])
    @pytest.mark.parametrize("who", ["the same process", "another one"])
    async def test_an_operator_sets_the_thread_back(self, saver, plain, before, who):
        at = await saver.aput(config(), checkpoint(), META, {})
        put = plain.get_agent("thread/t1").head_ts
        await write(saver, at, before, "old")
        plain.restore("thread/t1", put)
        writer = saver if who == "the same process" else another(saver)
        await write(writer, at, 1, "new")
        assert await seen(saver, at) == ["new-0"]

    async def test_writes_that_came_after_the_deletion_and_before_the_put(self, saver):
        kept, made = {**META, "run_id": "b"}, checkpoint()
        first = await saver.aput(config(), checkpoint(), kept, {})
        at = await saver.aput(first, made, META, {})
        await write(saver, at, 1, "old")
        await saver.adelete_for_runs(["a"])
        await write(saver, at, 1, "early")
        # What else is changed is more than a process that knows nothing asks for.
        values = dict.fromkeys("abcdefgh", "1")
        second = await saver.aput(first, checkpoint(values), kept, values)
        await saver.aput(second, made, META, {})
        assert await seen(saver, at) == ["early-0"]

    async def test_several_processes_that_write_to_one_checkpoint(self, saver, plain):
        at = await saver.aput(config(), checkpoint(), META, {})
        put = plain.get_agent("thread/t1").head_ts
        writers = [another(saver) for _ in range(3)]
        for n in range(GUESSED):
            await write(writers[n % 2], at, 1, f"old-{n}")
        plain.restore("thread/t1", put)
        for n, writer in enumerate(writers):  # the last has not been told of any number yet
            await write(writer, at, 1, f"new-{n}")
            assert await seen(saver, at) == [f"new-{m}-0" for m in range(n + 1)]

    async def test_a_checkpoint_that_is_put_again_under_another_number(self, saver):
        made = checkpoint()
        at = await saver.aput(config(), made, META, {})
        other = another(saver)
        await other.adelete_thread("t1")
        first = await other.aput(config(), checkpoint(), META, {})
        assert await saver.aget_tuple(at) is None
        await other.aput(first, made, META, {})
        await other.aput(at, checkpoint(), META, {})
        assert (await saver.aget_tuple(at)).config == at

    async def test_it_costs_nothing_as_a_rule(self, saver, plain):
        at = await saver.aput(config(), checkpoint(), META, {})
        counted = Counting(saver)
        await write(saver, at, 12)
        assert counted.calls == ["transact"] * 12
        assert len(plain.list_keys("thread/t1", "w/")) == 13
