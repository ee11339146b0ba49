"""A LangGraph agent that looks up cities: python agent.py THREAD. It goes on where it was.

The model is a made-up one, so that the example needs no network: it asks for one tool call after
the other, and then it answers. For the demonstration STOP_AT names a place at which the program
waits to be killed.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from statehouse import Statehouse
from statehouse.langgraph import StatehouseSaver

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

PEOPLE = {"Paris": "2.1 million", "London": "8.9 million", "Berlin": "3.7 million"}


def reach(place: str) -> None:
    """Says that a place is reached; stays there if it is to be killed there."""
    print(place, flush=True)
    if os.environ.get("STOP_AT") == place:
        time.sleep(60)


class MadeUpModel(BaseChatModel):
    """Asks for one city after the other, as the conversation tells which is next."""

    @property
    def _llm_type(self) -> str:
        return "made-up"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        said = sum(isinstance(message, AIMessage) for message in messages)
        cities = list(PEOPLE)
        if said < len(cities):
            call = {"name": "look_up", "args": {"city": cities[said]}, "id": f"call-{said + 1}"}
            answer = AIMessage("", tool_calls=[call])
        else:
            found = [str(m.content) for m in messages if isinstance(m, ToolMessage)]
            answer = AIMessage("; ".join(found))
        return ChatResult(generations=[ChatGeneration(message=answer)])


class State(TypedDict):
    """The conversation."""

    messages: Annotated[list[BaseMessage], add_messages]


def build(client: Statehouse, thread: str) -> CompiledStateGraph:
    """Makes the graph: the model, and the tools that it asks for, until it answers."""
    model = MadeUpModel()

    def think(state: State) -> State:
        step = sum(isinstance(message, AIMessage) for message in state["messages"]) + 1
        reach(f"model {step} begins")
        client.append("ledger", "model/", {"step": step})  # what the model costs, as it were
        return {"messages": [model.invoke(state["messages"])]}

    def use_tools(state: State) -> State:
        [call] = state["messages"][-1].tool_calls
        reach(f"tool {call['id']} begins")
        # What a tool does to the world carries the call's id, and is done once under that,
        # also when the program is killed before it can note that it is done.
        city = call["args"]["city"]
        client.append("ledger", "tool/", {"city": city}, txn_id=f"{thread}/{call['id']}")
        reach(f"tool {call['id']} is done")
        return {"messages": [ToolMessage(f"{city}: {PEOPLE[city]}", tool_call_id=call["id"])]}

    def next_step(state: State) -> str:
        return "tools" if state["messages"][-1].tool_calls else END

    builder = StateGraph(State)
    builder.add_node("model", think)
    builder.add_node("tools", use_tools)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", next_step, ["tools", END])
    builder.add_edge("tools", "model")
    return builder.compile(checkpointer=StatehouseSaver(client))


def main(thread: str) -> None:
    """Begins the thread, or goes on with it."""
    with Statehouse() as client:
        graph = build(client, thread)
        config = {"configurable": {"thread_id": thread}}
        begun = graph.get_state(config).next
        asked = None if begun else {"messages": [HumanMessage("How many people live there?")]}
        # durability="sync": a step is durable before the next one begins.
        done = graph.invoke(asked, config, durability="sync")
        print(done["messages"][-1].content)


if __name__ == "__main__":
    main(sys.argv[1])
