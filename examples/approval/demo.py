"""An agent waits; Alice and Bob look at its request at the same time and disagree."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from statehouse.testing import Daemon

HERE = Path(__file__).parent


cleanup = ExitStack()


def start(daemon: Daemon, program: str, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, str(HERE / program), *arguments],
        env={**os.environ, "STATEHOUSE_ADDRESS": daemon.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    cleanup.callback(process.kill)  # which is nothing to one that has ended
    return process


def say(process: subprocess.Popen, line: str = "") -> str:
    """Gives a process a line, if any, and waits until it ends; answers what it said."""
    said, _ = process.communicate(line, timeout=30)
    print(said, end="")
    return said


def main() -> None:
    with Daemon(on_disk=True) as daemon, daemon.client() as client, cleanup:
        agent = start(daemon, "agent.py", "42", "drop the table of customers")
        print(agent.stdout.readline(), end="")
        listed = say(start(daemon, "person.py", "alice"))
        assert listed == "42: drop the table of customers\n", listed

        print("-- the agent is killed while it waits, and started again")
        agent.kill()
        agent.communicate()
        agent = start(daemon, "agent.py", "42", "drop the table of customers")
        print(agent.stdout.readline(), end="")

        print("-- both look at it, then both decide")
        alice = start(daemon, "person.py", "alice", "deny", "42")
        bob = start(daemon, "person.py", "bob", "approve", "42")
        for person in (alice, bob):
            print(person.stdout.readline(), end="")
        first, second = say(alice, "\n"), say(bob, "\n")
        assert alice.returncode == 0, first
        assert bob.returncode == 1, second
        assert "bob: refused, for alice has denied it" in second

        assert say(agent) == "agent: alice says denied\n"
        assert agent.returncode == 0
        assert client.get_state("deployer", "acted/42") is None

        print("-- another request, approved")
        agent = start(daemon, "agent.py", "43", "greet the customers")
        print(agent.stdout.readline(), end="")
        say(start(daemon, "person.py", "bob", "approve", "43"), "\n")
        said = say(agent)
        assert said == "agent: bob says approved\nagent: I greet the customers\n", said

        print("-- who decided what")
        for event in client.replay("deployer"):
            for op in event.operations:
                state = op.value.get("state", "")
                print(f"{event.commit_ts:3} {event.metadata['actor']:10} {op.key} {state}")
        decided = [
            e for e in client.replay("deployer", "request/42") if e.metadata["actor"] != "deployer"
        ]
        assert [e.metadata["actor"] for e in decided] == ["alice"]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
