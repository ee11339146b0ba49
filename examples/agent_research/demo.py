"""Kills the agent at every step in turn, and the daemon now and then; resumes; checks."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from statehouse.testing import Daemon

QUESTION = "How many times as many people live in London as in Paris?"


def agent(daemon: Daemon, run: str, folder: Path, kill_at: str = "") -> tuple[int, list[str]]:
    """Runs the agent; answers its exit code and what it printed."""
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "agent.py"), run, str(folder), QUESTION],
        env={**os.environ, "STATEHOUSE_ADDRESS": daemon.url, "KILL_AT": kill_at},
        stdout=subprocess.PIPE,
        text=True,
    )
    return ended.returncode, ended.stdout.splitlines()


def runs_of_tools(folder: Path) -> Counter:
    return Counter((folder / "ran.log").read_text().splitlines())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, Daemon(on_disk=True) as daemon:
        print("== once without trouble")
        calm = Path(scratch, "calm")
        code, points = agent(daemon, "calm", calm)
        assert code == 0, code
        print("\n".join(points))
        *points, answer = points

        print("\n== once more, killed at every step, the daemon at every third")
        hard = Path(scratch, "hard")
        for n, point in enumerate(points):
            code, printed = agent(daemon, "hard", hard, kill_at=point)
            assert code == -signal.SIGKILL, (point, code)
            assert printed[-1] == point, printed
            print(f"killed when {point}")
            if n % 3 == 2:
                daemon.crash()
                daemon.restart()
                print("killed the daemon, and started it again")
        code, printed = agent(daemon, "hard", hard)
        assert (code, printed[-1]) == (0, answer), (code, printed)
        print(f"resumed: {printed[-1]}")

        print("\n== what ran")
        for call, times in sorted(runs_of_tools(hard).items()):
            print(f"{times} × {call}")
        assert set(runs_of_tools(hard).values()) == {1}, "a tool call ran twice"
        assert len(runs_of_tools(hard)) == len(runs_of_tools(calm))
        print("no tool call ran twice")

        print("\n== the replay of the run that was killed")
        with daemon.client() as client:
            events = list(client.replay("hard"))
            for event in events:
                by = event.metadata["actor"]
                for op in event.operations:
                    print(f"{event.timestamp:%H:%M:%S.%f} {event.commit_ts:4} {by:16} {op.key:10}")
                    print(f"{'':15} {str(op.value)[:100]}")
            keys = [op.key for event in events for op in event.operations]
            assert len(keys) == len(set(keys)), "something was noted twice"
            assert keys == [op.key for e in client.replay("calm") for op in e.operations]
        print(f"\n{len(events)} commits, each once, as in the run without trouble")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
