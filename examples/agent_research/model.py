"""The model behind the agent: given the question and what has been done, what is next?

Either ``{"tool": name, "arguments": {...}}`` or ``{"answer": text}``.
"""

import json
import os
import re
import urllib.request

TOOLS = """\
search(query): the document that fits best
calculate(expression): arithmetic
write_file(name, text): writes a report"""


def from_environment():
    """An OpenAI-compatible endpoint if OPENAI_BASE_URL is set, else the stand-in."""
    if os.environ.get("OPENAI_BASE_URL"):
        return Endpoint()
    return StandIn()


class StandIn:
    """Answers one kind of question, always in the same way, so that a demonstration needs
    no network and comes out the same each time.
    """

    name = "stand-in"

    def plan(self, question: str) -> list[str]:
        return ["look both cities up", "compare", "report"]

    def next(self, question: str, done: list[dict]) -> dict:
        cities = re.findall(r"\b(Paris|London|Berlin)\b", question)
        if len(done) < len(cities):
            return _use("search", query=f"{cities[len(done)]} capital people live city")
        people = [_millions(step["result"]["text"]) for step in done[: len(cities)]]
        if len(done) == len(cities):
            return _use("calculate", expression=f"{people[0]} / {people[1]}")
        times = done[len(cities)]["result"]["value"]
        answer = f"{cities[0]} has {times} times as many people as {cities[1]}."
        if len(done) == len(cities) + 1:
            return _use("write_file", name="report.txt", text=f"{question}\n{answer}\n")
        return {"answer": answer}


def _use(tool: str, **arguments: str) -> dict:
    return {"tool": tool, "arguments": arguments}


def _millions(text: str) -> str:
    return re.search(r"([\d.]+) million", text)[1]


class Endpoint:
    """A chat model behind OPENAI_BASE_URL, with OPENAI_API_KEY and OPENAI_MODEL."""

    def __init__(self) -> None:
        self.name = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

    def plan(self, question: str) -> list[str]:
        return self._ask(f'Question: {question}\nTools:\n{TOOLS}\nReply {{"plan": ["…"]}}.')["plan"]

    def next(self, question: str, done: list[dict]) -> dict:
        return self._ask(
            f"Question: {question}\nTools:\n{TOOLS}\nDone so far: {json.dumps(done)}\n"
            'Reply {"tool": name, "arguments": {…}} or, when you know it, {"answer": text}.'
        )

    def _ask(self, prompt: str) -> dict:
        request = urllib.request.Request(
            f"{os.environ['OPENAI_BASE_URL'].rstrip('/')}/chat/completions",
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}",
            },
            data=json.dumps(
                {
                    "model": self.name,
                    "response_format": {"type": "json_object"},
                    "messages": [
                        {"role": "system", "content": "You reply with one JSON object."},
                        {"role": "user", "content": prompt},
                    ],
                }
            ).encode(),
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            reply = json.load(response)
        return json.loads(reply["choices"][0]["message"]["content"])
