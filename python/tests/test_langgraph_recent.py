"""The latest checkpoint, read by a process that does not know the thread: in one request where that
suffices, and as all of it is read otherwise.
"""

import random
import uuid

import pytest

from statehouse.langgraph import AsyncStatehouseSaver, StatehouseSaver
from statehouse.langgraph._asking import ask_all
from statehouse.langgraph._recent import RECENT

from lg import Counting, another, chain, checkpoint, config, either, id_of

#: Of made-up programs.
SEEDS = 15


@pytest.fixture(params=["blocking", "awaited"])
def saver(request, statehouse_daemon, at_end):
    """A saver of either client, whose awaited methods the tests use."""
    return either(request.param, statehouse_daemon, at_end, StatehouseSaver, AsyncStatehouseSaver)


async def step(saver, at, n, more=()):
    """Puts a checkpoint with a channel that changes, and writes to it."""
    made = checkpoint({"n": n}, {"n": f"{n}"})
    at = await saver.aput(at, made, {"step": n}, {"n": f"{n}"})
    for task in more:
        await saver.aput_writes(at, [("w", task)], task)
    return at


async def first_read(saver, **named):
    """Reads a thread as a process does that does not know it, and tells by which calls."""
    counted = Counting(fresh := another(saver))
    return await fresh.aget_tuple(config(**named)), counted.calls


async def test_one_request(saver):
    assert await first_read(saver) == (None, ["find"])
    at = config()
    for n in range(5):
        at = await step(saver, at, n)
        found, calls = await first_read(saver)
        assert calls == ["find"]
        assert found.config == at
        assert found.checkpoint["channel_values"] == {"n": n}
        assert found.pending_writes == []
        assert (found.parent_config is None) == (n == 0)
    for n, tasks in ((5, ["one"]), (6, ["one", "two"])):
        parent, at = at, await step(saver, at, n, tasks)
        found, calls = await first_read(saver)
        assert calls == ["find"]
        assert found.parent_config == parent
        assert found.pending_writes == [(task, "w", task) for task in tasks]
    assert await first_read(saver, ns="other") == (None, ["find", "scan_prefix"])


async def test_what_is_not_there_is_read_besides(saver):
    """A value of long ago, a parent of long ago, more writes than are asked for."""
    configs = await chain(saver, 5)
    found, calls = await first_read(saver)
    assert calls == ["find", "get_many"]
    assert found.checkpoint["channel_values"] == {"n": 4, "same": "same"}
    reader = another(saver)
    await reader.aget_tuple(config())
    branch = await step(reader, configs[0], 9)
    found, calls = await first_read(saver)
    assert calls == ["find", "get_many"]
    assert (found.config, found.parent_config) == (branch, configs[0])
    for task in "abcdefghij":
        await saver.aput_writes(branch, [("w", task)], task)
    found, calls = await first_read(saver)
    assert calls == ["find", "scan_prefix", "get_many", "scan_prefix"]
    assert [task for task, _, _ in found.pending_writes] == list("abcdefghij")


async def test_writes_that_came_before_their_checkpoint(saver):
    """The framework may put both at once, and the writes may come first."""
    at = await step(saver, config(), 0)
    made = checkpoint({"n": 2}, {"n": "2"})
    named = config(checkpoint_id=made["id"])
    await saver.aput_writes(named, [("w", "early")], "early")
    await saver.aput_writes(at, [("w", "other")], "other")
    at = await step(saver, at, 1)
    assert await saver.aput(at, made, {"step": 2}, {"n": "2"}) == named
    for again in range(2):
        found, _ = await first_read(saver)
        assert found.config == named
        tasks = [task for task, _, _ in found.pending_writes]
        assert tasks == ["early", "late"][: again + 1]
        await saver.aput_writes(named, [("w", "late")], "late")


async def test_a_copied_thread(saver):
    """What it was copied with is not listed by last change, but by its keys."""
    at = config()
    for n in range(RECENT + 2):
        at = await step(saver, at, n)
    await saver.acopy_thread("t1", "t2")
    found, calls = await first_read(saver, thread="t2")
    assert id_of(found.config) == id_of(at)
    assert calls[0] == "find"
    for n in range(3):
        latest = await step(saver, config("t2", id_of(at)), 20 + n)
        found, _ = await first_read(saver, thread="t2")
        assert found.config == latest
        at = latest


@pytest.mark.timeout(600)  # it asks very much
def test_like_all_of_it(statehouse_daemon):
    """Whatever happens to a thread, both ways of reading its latest checkpoint agree, know it to be
    at the same place, and find all that was written to it.
    """
    calls = []
    for seed in range(SEEDS):
        client = statehouse_daemon.client(namespace=f"test-{uuid.uuid4()}")
        told = Program(client, random.Random(f"recent {seed}"))
        for _ in range(40):
            told.next()
            for thread in told.threads:
                calls.append(agree(client, config(thread)))
                agree(client, config(thread, ns="child"))
    assert len(calls) / 10 < calls.count(["find"]) < len(calls) / 2, "it leaves all or nothing open"


def agree(client, named):
    """Reads a checkpoint both ways; the calls of the one that is tried."""
    short, long = StatehouseSaver(client), StatehouseSaver(client)
    long._recent, long._writes = nothing, lambda *asked: all_writes(long, *asked)
    calls, answer = [], short._answering.answer
    short._answering.answer = lambda asked: calls.append(asked.method) or answer(asked)
    assert short.get_tuple(named) == long.get_tuple(named)
    thread = short._thread(named)
    assert short._memory.base(thread, None) == long._memory.base(thread, None)
    return calls


def nothing(thread):
    """In place of the steps that are tried."""
    return False, None
    yield


def all_writes(saver, thread, checkpoint_id, records, as_of=None):
    """In place of the steps that look for the first writes to a checkpoint: it lists them."""
    prefix = thread.writes(checkpoint_id)
    rows = yield from ask_all("scan_prefix", thread.agent, prefix, as_of=as_of)
    numbered = [row for row in rows if row.key[len(prefix)].isdigit()]
    return (yield from saver._written(thread, checkpoint_id, numbered, as_of))


class Program:
    """Does what is done with threads, at random."""

    def __init__(self, client, drawn):
        self.client, self.drawn = client, drawn
        self.threads, self.n = ["0"], 0
        self.saver = StatehouseSaver(client)

    def next(self):
        likely = [self.put] * 8 + [self.write] * 5 + [self.branch, self.again, self.old]
        do = self.drawn.choice(
            [*likely, self.prune, self.drop, self.delete, self.copy, self.restore]
        )
        do(self.drawn.choice(self.threads))

    def put(self, thread, at=None, ns=None):
        ns = self.drawn.choice(["", "", "", "child"]) if ns is None else ns
        latest = self.saver.get_tuple(config(thread, ns=ns))
        at = at or (latest.config if latest else config(thread, ns=ns))
        self.n += 1
        values = {"n": self.n, "kept": 1}
        made = checkpoint(values, {"n": f"{self.n}", "kept": f"{self.n // 5}"})
        run_id = self.drawn.choice("ab")
        named = config(thread, made["id"], ns)
        for task in range(self.drawn.choice([0, 0, 0, 1])):
            self.saver.put_writes(named, [("w", "early")], f"early {task}")
        self.saver.put(at, made, {"run_id": run_id}, {"n": f"{self.n}", "kept": f"{self.n // 5}"})

    def write(self, thread):
        found = list(self.saver.list(config(thread), limit=2))
        for _ in range(self.drawn.choice([1, 1, 1, 1, 3, 6]) if found else 0):
            self.n += 1
            self.saver.put_writes(self.drawn.choice(found).config, [("w", self.n)], f"{self.n}")

    def branch(self, thread):
        found = list(self.saver.list(config(thread), limit=5))
        if found:
            self.put(thread, at=self.drawn.choice(found).config, ns="")

    def again(self, thread):
        """An older checkpoint is put a second time, and is changed by that."""
        found = list(self.saver.list(config(thread), limit=4))
        if found:
            one = self.drawn.choice(found)
            self.saver.put(
                one.parent_config or config(thread), one.checkpoint, {"again": self.n}, {}
            )

    def old(self, thread):
        """A checkpoint as they were put before: it does not say that nothing was written to it."""
        saver = StatehouseSaver(self.client)
        saver._commit = saver._commit_as
        self.saver, saver = saver, self.saver
        self.put(thread)
        self.saver = saver

    def prune(self, thread):
        self.saver.prune([thread])

    def drop(self, thread):
        self.saver.delete_for_runs([self.drawn.choice("ab")])

    def delete(self, thread):
        if self.drawn.random() < 0.3:
            self.saver.delete_thread(thread)

    def copy(self, thread):
        if len(self.threads) < 4 and self.saver.get_tuple(config(thread)):
            self.threads.append(f"{len(self.threads)}")
            self.saver.copy_thread(thread, self.threads[-1])

    def restore(self, thread):
        """An operator sets the thread back."""
        agent = f"thread/{thread}"
        events = list(self.client.replay(agent, values=False))
        if events and self.drawn.random() < 0.5:
            self.client.restore(agent, self.drawn.choice(events[-7:]).commit_ts)
            self.saver = StatehouseSaver(self.client)
