"""An agent of the OpenAI Agents SDK. A run is cut off anywhere, and the next one goes on with what
the session has.
"""

import asyncio
import json
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from statehouse import Statehouse
from statehouse.openai_agents import StatehouseSession

import steps

client = Statehouse()


@function_tool
async def take(step: int) -> str:
    """Takes a step."""
    return await asyncio.to_thread(steps.take, client, step)


class Play(Model):
    """Plays a model: it calls the tool for the first step that has no result yet."""

    async def get_response(self, *_: Any, **asked: Any) -> Any:
        step = 1 + results(asked["input"])
        if step <= steps.STEPS:
            call = ResponseFunctionToolCall(
                type="function_call",
                name="take",
                call_id=f"call-{step}",
                arguments=json.dumps({"step": step}),
            )
            return ModelResponse(output=[call], usage=Usage(), response_id=None)
        text = ResponseOutputText(type="output_text", text="done", annotations=[])
        said = ResponseOutputMessage(
            id="1", type="message", role="assistant", status="completed", content=[text]
        )
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def results(items: Any) -> int:
    """Counts steps whose result is in a conversation."""
    return len({i["call_id"] for i in items if i.get("type") == "function_call_output"})


class Session(StatehouseSession):
    """Says what is kept, so that it can be killed then."""

    async def add_items(self, items: list[Any]) -> None:
        await super().add_items(items)
        steps.kept(results(await self.get_items()))


set_tracing_disabled(True)
session = Session("user-123", client)
agent = Agent(name="worker", model=Play(), tools=[take])
asyncio.run(Runner.run(agent, "Take all steps.", session=session, max_turns=20))
