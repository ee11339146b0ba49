"""An agent of Pydantic AI. A run is cut off anywhere, and the next one goes on with the last
snapshot of the conversation.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai_harness.step_persistence import StepPersistence

from statehouse import Statehouse
from statehouse.pydantic_ai import StatehouseStepStore

import steps

CONVERSATION = "conversation-1"
client = Statehouse()


def results(messages: list[ModelMessage]) -> int:
    """Counts steps whose result is in a conversation."""
    parts = [part for message in messages for part in message.parts]
    return len({part.tool_call_id for part in parts if isinstance(part, ToolReturnPart)})


def play(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Plays a model: it calls the tool for the first step that has no result yet."""
    step = 1 + results(messages)
    if step > steps.STEPS:
        return ModelResponse(parts=[TextPart("done")])
    call = ToolCallPart("take", {"step": step}, tool_call_id=f"call-{step}")
    return ModelResponse(parts=[call])


class Store(StatehouseStepStore):
    """Says what is kept, so that it can be killed then."""

    async def save_snapshot(self, snapshot: Any) -> None:
        await super().save_snapshot(snapshot)
        steps.kept(results(snapshot.messages))


async def earlier(store: Store) -> list[ModelMessage] | None:
    """Reads what the conversation has come to; None: it has not begun."""
    for run in reversed(await store.list_runs(conversation_id=CONVERSATION)):
        if snapshot := await store.latest_snapshot(run_id=run.run_id):
            return snapshot.messages
    return None


async def main() -> None:
    store = Store(client)
    agent = Agent(FunctionModel(play), capabilities=[StepPersistence(store=store)])

    @agent.tool_plain
    async def take(step: int) -> str:
        """Takes a step."""
        return await asyncio.to_thread(steps.take, client, step)

    history = await earlier(store)
    prompt = None if history else "Take all steps."
    await agent.run(prompt, message_history=history, conversation_id=CONVERSATION)


asyncio.run(main())
