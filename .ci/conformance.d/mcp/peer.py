"""Uses the server with fastmcp, a client of another family than the SDK that it is written with,
and writes a row: peer.py URL. Each check runs over HTTP and over standard input and output, in
both generations of the protocol.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HUGE = 12345678901234567890123


async def commit(client: Client[Any], agent: str, key: str, value: object, **more: object) -> Any:
    put = {"key": key, "value": value, **more}
    return (
        await client.call_tool("commit", {"agent": agent, "puts": [put], "reason": "a check"})
    ).data


async def tools(client: Client[Any], agent: str) -> None:
    listed = {t.name: t for t in await client.list_tools()}
    assert set(listed) == {
        "agents",
        "commit",
        "diff",
        "fork",
        "get",
        "history",
        "list",
        "restore",
        "search",
    }, listed
    assert listed["restore"].annotations.destructive_hint
    assert listed["get"].annotations.read_only_hint


async def state(client: Client[Any], agent: str) -> None:
    made = await commit(client, agent, "plan", {"n": HUGE, "t": "é"}, if_version=0)
    assert made.records[0].version == 1
    answer = await client.call_tool("get", {"agent": agent, "key": "plan"})
    assert answer.structured_content["value"] == {"n": HUGE, "t": "é"}
    assert json.loads(answer.content[0].text) == answer.structured_content
    await client.call_tool(
        "commit",
        {"agent": agent, "merges": [{"key": "plan", "patch": {"n": None}}], "reason": "no"},
    )
    then = await client.call_tool(
        "get", {"agent": agent, "key": "plan", "as_of": str(made.commit_ts)}
    )
    assert then.structured_content["value"]["n"] == HUGE
    changes = (
        await client.call_tool("diff", {"agent": agent, "from": str(made.commit_ts)})
    ).data.changes
    assert [c.change for c in changes] == ["changed"]
    versions = (
        await client.call_tool("history", {"agent": agent, "key": "plan"})
    ).structured_content["versions"]
    assert [v["metadata"]["reason"] for v in versions] == ["no", "a check"]


async def conflict(client: Client[Any], agent: str) -> None:
    await commit(client, agent, "plan", {"by": "somebody"})
    try:
        await commit(client, agent, "plan", {"by": "me"}, if_version=0)
    except ToolError as refused:
        assert "somebody" in str(refused), refused
        assert "Nothing was committed" in str(refused), refused
    else:
        raise AssertionError("a stale commit is not refused")


async def pages(client: Client[Any], agent: str) -> None:
    for i in range(5):
        await commit(client, agent, f"k{i}", {})
    keys, page = [], ""
    for _ in range(9):
        answer = (
            await client.call_tool("list", {"agent": agent, "limit": 2, "page": page})
        ).structured_content
        keys += answer["keys"]
        if not (page := answer.get("next_page", "")):
            break
    assert keys == [f"k{i}" for i in range(5)], keys


async def branches(client: Client[Any], agent: str) -> None:
    await commit(client, agent, "k", {"n": 1})
    before = (await client.call_tool("get", {"agent": agent, "key": "k"})).data.read_ts
    await client.call_tool("fork", {"agent": f"{agent}-2", "from_agent": agent, "reason": "to try"})
    await commit(client, agent, "k", {"n": 2}, if_version=1)
    await client.call_tool("restore", {"agent": agent, "as_of": str(before), "reason": "back"})
    for name in (agent, f"{agent}-2"):
        assert (await client.call_tool("get", {"agent": name, "key": "k"})).structured_content[
            "value"
        ] == {"n": 1}
    where = [{"pointer": "/n", "is": "=", "value": 1}]
    found = (
        await client.call_tool("search", {"where": where, "prefix": "k", "limit": 200})
    ).structured_content
    assert {agent, f"{agent}-2"} <= {r["agent"] for r in found["records"]}, found


async def resources(client: Client[Any], agent: str) -> None:
    await commit(client, agent, "a/é ?#%", {"n": 1.50})
    uri = next(str(r.uri) for r in await client.list_resources() if r.name == f"{agent}/a/é ?#%")
    contents = (await client.read_resource(uri))[0]
    assert contents.text == '{"n":1.5}' or contents.text == '{"n":1.50}', contents
    templates = [t.uri_template for t in await client.list_resource_templates()]
    assert "statehouse://{namespace}/{agent}/{key}" in templates
    try:
        await client.read_resource("statehouse://default/nobody/none")
    except Exception as missing:
        assert "not found" in str(missing).lower(), missing
    else:
        raise AssertionError("a record that does not exist can be read")


CHECKS: list[Callable[[Client[Any], str], Awaitable[None]]] = [
    tools,
    state,
    conflict,
    pages,
    branches,
    resources,
]


async def main(url: str) -> None:
    command = os.environ["STATEHOUSECTL"]
    env = {
        "STATEHOUSE_ADDRESS": os.environ["STATEHOUSE_ADDRESS"],
        "HOME": os.environ.get("HOME", "/"),
    }
    passed = run = 0
    for place in ("http", "stdio"):
        for mode in ("auto", "legacy"):
            for check in CHECKS:
                run += 1
                transport = url if place == "http" else StdioTransport(command, ["mcp"], env=env)
                try:
                    async with Client(transport, mode=mode, timeout=30) as client:
                        await check(client, f"{check.__name__}-{place}-{mode}")
                    passed += 1
                except Exception:
                    trace = traceback.format_exc()
                    sys.stderr.write(f"fastmcp: {check.__name__}, {place}, {mode}:\n{trace}\n")
    row = {
        "suite": "fastmcp, as a client",
        "version": version("fastmcp"),
        "tests": "MCP at the daemon's /mcp and by statehousectl mcp",
        "store": "Statehouse",
        "passed": passed,
        "run": run,
        "note": f"{len(CHECKS)} checks of our own, over both transports and in both generations "
        "of the protocol",
    }
    with Path(os.environ["CONFORMANCE_ROWS"]).open("a") as rows:
        rows.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
