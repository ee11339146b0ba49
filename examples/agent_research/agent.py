"""A research agent that can be killed at any moment and started again.

    python agent.py RUN FOLDER "How many times as many people …?"

Everything it decides and learns is committed before it goes on, so all that an
incarnation knows it has read from Statehouse:

    question          what was asked
    plan              what the model means to do
    step/0001         what the model decided: a tool and its arguments
    tool/0001         what the tool answered
    answer            the end

A decision is committed before its tool is called, under a key that must not exist yet: a
model that decides differently the second time is not asked a second time, and of two
agents that were started for one run by mistake only one goes on.
"""

import os
import signal
import sys
from pathlib import Path

from statehouse import Statehouse

import model
from tools import Toolbox


class Agent:
    def __init__(self, client: Statehouse, run: str, folder: Path) -> None:
        self.client, self.run = client, run
        self.model = model.from_environment()
        self.tools = Toolbox(folder)
        self.caused_by = ""  # the commit that led to the next one

    def work(self, question: str) -> str:
        """Goes on where the run is, whatever has been done of it, to its answer."""
        state = {record.key: record for record in self.client.scan_prefix(self.run)}
        if "question" not in state:
            self.note("question", {"text": question}, actor="user")
        if "plan" not in state:
            self.note("plan", {"steps": self.model.plan(question)}, actor=self.model.name)
            reached("planned")
        done = []
        while True:
            n = len(done) + 1
            step, tool = f"step/{n:04}", f"tool/{n:04}"
            decision = state[step].value if step in state else self.decide(step, question, done)
            if "answer" in decision:
                break
            result = state[tool].value["result"] if tool in state else self.use(tool, decision)
            done.append({**decision, "result": result})
        if "answer" not in state:
            self.note("answer", {"text": decision["answer"]}, actor=self.model.name)
            reached("answered")
        return decision["answer"]

    def decide(self, step: str, question: str, done: list) -> dict:
        decision = self.model.next(question, done)
        self.note(step, decision, actor=self.model.name)
        reached(f"{step} is decided")
        return decision

    def use(self, key: str, decision: dict) -> dict:
        call_id = f"{self.run}-{key.replace('/', '-')}"
        result = self.tools.call(call_id, decision["tool"], decision["arguments"])
        reached(f"{key} has run")  # and nobody has noted it
        self.note(
            key,
            {"call": decision, "result": result},
            actor=f"tool:{decision['tool']}",
            tool_call_id=call_id,
        )
        reached(f"{key} is noted")
        return result

    def note(self, key: str, value: dict, **provenance: str) -> None:
        """Commits what is new, with where it came from."""
        metadata = {"run_id": self.run, "caused_by": self.caused_by, **provenance}
        commit = self.client.write(self.run, key, value, expected_version=0, metadata=metadata)
        self.caused_by = commit.txn_id


def reached(point: str) -> None:
    """Says how far it is. Told to be killed here, it kills itself as hard as one can."""
    print(point, flush=True)
    if os.environ.get("KILL_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    run, folder, question = sys.argv[1:]
    with Statehouse() as client:
        print("answer:", Agent(client, run, Path(folder)).work(question))


if __name__ == "__main__":
    main()
