"""An agent of the Google Agent Development Kit. A run is cut off anywhere, and the next one goes on
with the events that the session has.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.genai import types

from statehouse import Statehouse
from statehouse.google_adk import StatehouseSessionService

import steps

SESSION = {"app_name": "example", "user_id": "ann", "session_id": "s1"}
client = Statehouse()
logging.getLogger("google_adk").setLevel(logging.ERROR)  # it warns of calls that were cut off


async def take(step: int) -> str:
    """Takes a step."""
    return await asyncio.to_thread(steps.take, client, step)


def results(contents: list[types.Content]) -> int:
    """Counts steps whose result is in a conversation."""
    parts = [part for content in contents for part in content.parts or []]
    return len({part.function_response.id for part in parts if part.function_response})


class Play(BaseLlm):
    """Plays a model: it calls the tool for the first step that has no result yet."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        step = 1 + results(llm_request.contents)
        part = types.Part(text="done")
        if step <= steps.STEPS:
            call = types.FunctionCall(id=f"call-{step}", name="take", args={"step": step})
            part = types.Part(function_call=call)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


class Service(StatehouseSessionService):
    """Says what is kept, so that it can be killed then."""

    async def append_event(self, session: Any, event: Any) -> Any:
        done = await super().append_event(session, event)
        steps.kept(results([e.content for e in session.events if e.content]))
        return done


async def main() -> None:
    service = Service(client)
    if await service.get_session(**SESSION) is None:
        await service.create_session(**SESSION)
    agent = LlmAgent(name="worker", model=Play(model="play"), tools=[take])
    runner = Runner(app_name="example", agent=agent, session_service=service)
    message = types.Content(role="user", parts=[types.Part(text="Take all steps.")])
    async for _ in runner.run_async(user_id="ann", session_id="s1", new_message=message):
        pass


asyncio.run(main())
