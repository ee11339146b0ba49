"""LangGraph's graphs on Statehouse: interrupts, resumes, replays, branches, subgraphs, workers."""

import asyncio
import operator
import threading
import uuid
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from statehouse import AsyncStatehouse
from statehouse.langgraph import (
    AsyncStatehouseSaver,
    AsyncStatehouseStore,
    StatehouseSaver,
    StatehouseStore,
    ThreadConflict,
)

from lg import config


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    answer: Any


def plan(state):
    return {"log": ["plan"]}


def ask(state):
    return {"log": ["ask"], "answer": interrupt("which?")}


def act(state):
    return {"log": [f"act {state['answer']}"]}


def graph(saver, **options):
    builder = StateGraph(State)
    for name, node in (("plan", plan), ("ask", ask), ("act", act)):
        builder.add_node(name, node)
    for edge in ((START, "plan"), ("plan", "ask"), ("ask", "act"), ("act", END)):
        builder.add_edge(*edge)
    return builder.compile(checkpointer=saver, **options)


@pytest.fixture
def saver(statehouse_client):
    return StatehouseSaver(statehouse_client)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_interrupted_and_resumed_by_another_process(saver, durability):
    asked = graph(saver).invoke({"log": ["begin"]}, config(), durability=durability)
    assert asked["__interrupt__"][0].value == "which?"
    other = StatehouseSaver(saver.client)
    done = graph(other).invoke(Command(resume="left"), config(), durability=durability)
    assert done == {"log": ["begin", "plan", "ask", "act left"], "answer": "left"}
    [latest, *_] = states = list(graph(saver).get_state_history(config()))
    assert latest.next == ()
    assert latest.values == done
    if durability != "exit":
        assert [state.next for state in states] == [(), ("act",), ("ask",), ("plan",), (START,)]


def replays(saver):
    """Replays, branches and updates, and answers all that comes out."""
    g = graph(saver)
    g.invoke({"log": []}, config())
    yield g.invoke(Command(resume="left"), config())
    states = list(g.get_state_history(config()))
    [before_act] = [state for state in states if state.next == ("act",)]
    yield g.invoke(None, before_act.config)
    [before_ask] = [state for state in states if state.next == ("ask",)]
    branch = g.update_state(before_ask.config, {"log": ["again"]})
    yield g.get_state(branch).values
    yield sorted(g.invoke(None, branch))
    yield g.invoke(Command(resume="right"), config())
    copied = g.update_state(before_act.config, None, as_node="__copy__")
    yield g.get_state(copied).values
    yield g.get_state(before_act.config).values
    yield [(s.values, s.next, s.metadata["source"]) for s in g.get_state_history(config())]


def subgraphs(saver):
    """Runs a subgraph that keeps a state of its own, and replays it."""
    builder = StateGraph(State)
    builder.add_node("inner", graph(True))
    builder.add_node("after", lambda state: {"log": ["after"]})
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "after")
    g = builder.compile(checkpointer=saver)
    yield sorted(g.invoke({"log": []}, config()))
    yield g.invoke(Command(resume="left"), config())
    yield sorted(g.invoke({"log": ["more"]}, config()))
    yield g.invoke(Command(resume="right"), config())
    oldest = [s for s in g.get_state_history(config()) if s.next == ("inner",)][-1]
    replayed = g.invoke(None, oldest.config)
    yield sorted(replayed), replayed["log"]
    yield [(s.values, s.next, s.metadata["source"]) for s in g.get_state_history(config())]


@pytest.mark.parametrize("scenario", [replays, subgraphs])
def test_what_comes_out_is_what_comes_of_the_frameworks_own_saver(saver, scenario):
    assert list(scenario(saver)) == list(scenario(InMemorySaver()))


def test_a_conversation_goes_on(saver):
    builder = StateGraph(State)
    builder.add_node("say", lambda state: {"log": [f"answer {len(state['log'])}"]})
    builder.add_edge(START, "say")
    g = builder.compile(checkpointer=saver)
    for _ in range(3):
        g.invoke({"log": ["question"]}, config())
    assert g.get_state(config()).values["log"][-1] == "answer 5"


def test_many_tasks_at_once(saver):
    builder = StateGraph(State)
    builder.add_node("spread", lambda state: {})
    builder.add_node("one", lambda state: {"log": [state["answer"]]})
    builder.add_edge(START, "spread")
    sends = [Send("one", {"answer": f"{n:02}"}) for n in range(20)]
    builder.add_conditional_edges("spread", lambda state: sends, ["one"])
    g = builder.compile(checkpointer=saver)
    g.invoke({"log": []}, config())
    expected = [f"{n:02}" for n in range(20)]
    assert graph(StatehouseSaver(saver.client)).get_state(config()).values["log"] == expected


class Noting(StatehouseSaver):
    """Says when the writes of a task are stored."""

    stored = None

    def put_writes(self, *args, **options):
        super().put_writes(*args, **options)
        self.stored.set()


def test_a_task_that_fails_beside_others_is_done_again_alone(saver):
    ran = []
    stored = threading.Event()

    def good(state):
        ran.append("good")
        return {"log": ["good"]}

    def bad(state):
        ran.append("bad")
        if ran.count("bad") == 1:
            assert stored.wait(120)  # LangGraph drops what is done while it ends a failed step
            raise ValueError("once")
        return {"log": ["bad"]}

    def build():
        builder = StateGraph(State)
        builder.add_node("good", good)
        builder.add_node("bad", bad)
        builder.add_edge(START, "good")
        builder.add_edge(START, "bad")
        noting = Noting(saver.client)
        noting.stored = stored
        return builder.compile(checkpointer=noting)

    with pytest.raises(ValueError, match="once"):
        build().invoke({"log": []}, config())
    assert sorted(build().invoke(None, config())["log"]) == ["bad", "good"]
    assert ran.count("good") == 1


class Together(StatehouseSaver):
    """Waits after reading until others have read, too."""

    barrier = None

    def get_tuple(self, config):
        found = super().get_tuple(config)
        if self.barrier is not None:
            self.barrier.wait(10)
        return found


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_of_two_workers_that_run_one_thread_one_goes_on(statehouse_client, shared, fresh):
    one = Together(statehouse_client)
    for _ in range(5):
        thread = config(str(uuid.uuid4()))
        if not fresh:
            graph(one).invoke({"log": []}, thread)
        barrier, results = threading.Barrier(2), []

        def work(n, thread=thread, barrier=barrier, results=results):
            saver = one if shared else Together(statehouse_client)
            saver.barrier = barrier
            given = {"log": [f"{n}"]} if fresh else Command(resume=n)
            try:
                results.append(graph(saver).invoke(given, thread))
            except ThreadConflict as refused:
                results.append(refused)

        workers = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        one.barrier = None
        assert sorted(isinstance(r, ThreadConflict) for r in results) == [False, True], results
        [went_on] = [r for r in results if isinstance(r, dict)]
        assert graph(one).get_state(thread).values["log"] == went_on["log"]
        states = list(graph(one).get_state_history(thread))
        parents = [state.parent_config for state in states[:-1]]
        assert parents == [state.config for state in states[1:]], "a chain, without a branch"


def test_awaited(statehouse_daemon):
    async def main():
        async with AsyncStatehouse(
            statehouse_daemon.url, namespace=f"test-{uuid.uuid4()}"
        ) as client:
            store = AsyncStatehouseStore(client)
            g = graph(AsyncStatehouseSaver(client), store=store)
            await g.ainvoke({"log": []}, config())
            done = await g.ainvoke(Command(resume="left"), config())
            assert done["log"] == ["plan", "ask", "act left"]
            states = [state async for state in g.aget_state_history(config())]
            assert len(states) == 5
            workers = [g.ainvoke({"log": [f"{n}"]}, config("t2")) for n in range(2)]
            results = await asyncio.gather(*workers, return_exceptions=True)
            assert sorted(isinstance(r, ThreadConflict) for r in results) == [False, True]

    asyncio.run(main())


def test_a_store_in_a_graph(statehouse_client):
    def remember(state, *, store):
        store.put(("facts",), "city", {"name": "Paris"})
        return {"log": [store.search(("facts",))[0].value["name"]]}

    builder = StateGraph(State)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    g = builder.compile(store=StatehouseStore(statehouse_client))
    assert g.invoke({"log": []})["log"] == ["Paris"]
