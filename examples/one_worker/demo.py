"""Alice and Bob resume the same session. Then Alice is frozen in the middle of her work."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from statehouse.testing import Daemon

WORKER = Path(__file__).parent / "worker.py"
SESSION = "session-7"

cleanup = ExitStack()


def start(daemon: Daemon, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, str(WORKER), *arguments],
        env={**os.environ, "STATEHOUSE_ADDRESS": daemon.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    cleanup.callback(process.kill)  # which is nothing to one that has ended
    return process


def hear(process: subprocess.Popen) -> str:
    """Prints the next line that a worker says."""
    said = process.stdout.readline()
    print(said, end="", flush=True)
    return said


def do(process: subprocess.Popen, work: str) -> str:
    """Gives a worker something to do, and waits until it says what came of it."""
    process.stdin.write(f"{work}\n")
    process.stdin.flush()
    return hear(process)


def main() -> None:
    with Daemon(on_disk=True) as daemon, daemon.client() as client, cleanup:
        print("-- both resume the session", flush=True)
        alice = start(daemon, "alice")
        assert hear(alice) == "alice: I have the session\n"
        bob = start(daemon, "bob")
        assert hear(bob) == "bob: refused, for alice has the session\n"
        assert bob.wait() == 1
        do(alice, "read the mail")

        print("-- Alice is frozen, as by a full machine; Bob waits until her lease lapses")
        alice.send_signal(signal.SIGSTOP)
        bob = start(daemon, "bob", "60")
        assert hear(bob) == "bob: I have the session\n"
        do(bob, "answer the mail")

        print("-- Alice goes on, and does not know that she was frozen")
        alice.send_signal(signal.SIGCONT)
        assert (
            do(alice, "answer the mail") == "alice: refused, for I had lost the session; I stop\n"
        )
        assert alice.wait() == 2
        do(bob, "archive the mail")
        bob.stdin.close()
        assert hear(bob) == "bob: done\n"
        assert bob.wait() == 0

        print("-- what was done, and under which token")
        steps = [
            (event.metadata["actor"], op.value["token"], op.value["did"])
            for event in client.replay(SESSION, "step/")
            for op in event.operations
        ]
        for actor, token, did in steps:
            print(f"   {actor:6} {token}  {did}")
        assert [actor for actor, _, _ in steps] == ["alice", "bob", "bob"], steps
        tokens = [token for _, token, _ in steps]
        assert tokens == sorted(tokens)

        print("-- what became of the lease")
        for event in client.replay(SESSION, all_operations=True):
            for op in event.operations:
                if op.kind == "LEASE":
                    what = event.cause or ("released" if op.deleted else "acquired")
                    print(f"   {what:9} {op.lease.holder}".rstrip())
    print("one at a time: every step was made by whoever had the session")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
