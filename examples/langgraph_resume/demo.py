"""Kills an agent with SIGKILL in the middle, again and again, and shows that no step ran twice."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from statehouse.testing import Daemon

AGENT = Path(__file__).parent / "agent.py"
PLACES = ["tool call-1 is done", "model 2 begins", "tool call-3 begins"]
ANSWER = "Paris: 2.1 million; London: 8.9 million; Berlin: 3.7 million"


def run(daemon: Daemon, cleanup: ExitStack, stop_at: str = "") -> str:
    """Runs the agent until it has answered, or until it is at the place where it is killed."""
    agent = subprocess.Popen(
        [sys.executable, str(AGENT), "cities"],
        env={**os.environ, "STATEHOUSE_ADDRESS": daemon.url, "STOP_AT": stop_at},
        stdout=subprocess.PIPE,
        text=True,
    )
    cleanup.callback(agent.kill)  # which is nothing to one that has ended
    line = ""
    for said in agent.stdout:
        line = said.rstrip()
        if line == stop_at:
            agent.send_signal(signal.SIGKILL)
            break
    agent.wait()
    return line


def main() -> None:
    with Daemon(on_disk=True) as daemon, daemon.client() as client, ExitStack() as cleanup:
        for place in PLACES:
            reached = run(daemon, cleanup, place)
            assert reached == place, reached
            print(f"killed at: {place}", flush=True)
        answer = run(daemon, cleanup)
        print(answer)
        assert answer == ANSWER, answer

        model = [record.value["step"] for record in client.scan_prefix("ledger", "model/")]
        tools = [record.value["city"] for record in client.scan_prefix("ledger", "tool/")]
        print(f"the model was asked {len(model)} times, the tools called {len(tools)} times")
        assert model == [1, 2, 3, 4], model
        assert tools == ["Paris", "London", "Berlin"], tools
        print(f"killed {len(PLACES)} times, and no step ran twice")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
