#!/usr/bin/env python3
"""Stands for Claude Code, without a model: it speaks as much of its protocol as the example needs.

It has a transcript, in a file as the real one; it tells of each line of it, which the SDK hands to
the session store; and the tool it calls is the agent's own, over MCP.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

STEPS = 5


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def answer(request: dict) -> None:
    response = {"subtype": "success", "request_id": request["request_id"], "response": {}}
    say(type="control_response", response=response)


class Session:
    def __init__(self, resumed: str | None) -> None:
        self.id = resumed or os.environ["SESSION"]
        # The SDK has put what the store had of a resumed session here.
        projects = Path(os.environ["CLAUDE_CONFIG_DIR"]) / "projects"
        there = list(projects.glob(f"*/{self.id}.jsonl")) if resumed else []
        self.path = there[0] if there else projects / os.environ["PROJECT"] / f"{self.id}.jsonl"
        lines = there[0].read_text().splitlines() if there else []
        self.results = sum(json.loads(line)["type"] == "tool" for line in lines)

    def add(self, kind: str, **fields: object) -> None:
        entry = {"type": kind, "uuid": str(uuid.uuid4()), "sessionId": self.id, **fields}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        say(type="transcript_mirror", filePath=str(self.path), entries=[entry])


def ask(method: str, number: int, **params: object) -> dict:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    request = {"subtype": "mcp_message", "server_name": "steps", "message": message}
    say(type="control_request", request_id=f"mcp-{number}", request=request)
    return json.loads(sys.stdin.readline())["response"]["response"]["mcp_response"]["result"]


def work(session: Session, prompt: str) -> None:
    session.add("user", message={"role": "user", "content": prompt})
    client = {"name": "example", "version": "1"}
    ask("initialize", 0, protocolVersion="2025-03-26", capabilities={}, clientInfo=client)
    for step in range(session.results + 1, STEPS + 1):
        result = ask("tools/call", step, name="take", arguments={"step": step})
        session.add("tool", message={"role": "user", "content": result["content"]})
    say(
        type="result",
        subtype="success",
        session_id=session.id,
        result="done",
        is_error=False,
        num_turns=1,
        duration_ms=1,
        duration_api_ms=1,
    )


def main() -> None:
    if "-v" in sys.argv:
        print("999.0.0 (Claude Code)")
        return
    resumed = [given[9:] for given in sys.argv if given.startswith("--resume=")]
    resumed += [after for given, after in zip(sys.argv, sys.argv[1:]) if given == "--resume"]
    session = Session(resumed[0] if resumed else None)
    while line := sys.stdin.readline():
        message = json.loads(line)
        if message["type"] == "control_request":
            answer(message)
        elif message["type"] == "user":
            work(session, message["message"]["content"])


main()
