"""An agent of the Claude Agent SDK. Each life of it has an empty disk, as on another machine: what
it said before it has from the session store.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from claude_agent_sdk import (
    ClaudeAgentOptions,
    create_sdk_mcp_server,
    project_key_for_directory,
    query,
    tool,
)

from statehouse import Statehouse
from statehouse.claude_agent import StatehouseSessionStore

import steps

HERE = Path(__file__).parent
PROJECT = project_key_for_directory(HERE)
SESSION = "6b1f9c1e-2d4b-4c0e-9b44-0a4f8f9d2b11"
client = Statehouse()


@tool("take", "Takes a step.", {"step": int})
async def take(arguments: dict[str, Any]) -> dict[str, Any]:
    text = await asyncio.to_thread(steps.take, client, arguments["step"])
    return {"content": [{"type": "text", "text": text}]}


class Store(StatehouseSessionStore):
    """Says what is kept, so that it can be killed then."""

    async def append(self, key: Any, entries: list[Any]) -> None:
        await super().append(key, entries)
        said = await self.load(key) or []
        steps.kept(sum(entry["type"] == "tool" for entry in said))


async def main() -> None:
    store = Store(client)
    with tempfile.TemporaryDirectory() as disk:
        [*known] = await store.list_sessions(PROJECT)
        options = ClaudeAgentOptions(
            cli_path=HERE / "claude_cli.py",
            cwd=HERE,
            session_store=store,
            session_store_flush="eager",
            resume=SESSION if known else None,
            mcp_servers={"steps": create_sdk_mcp_server("steps", tools=[take])},
            env={"CLAUDE_CONFIG_DIR": disk, "PROJECT": PROJECT, "SESSION": SESSION},
        )
        async for _ in query(prompt="Take all steps.", options=options):
            pass


asyncio.run(main())
