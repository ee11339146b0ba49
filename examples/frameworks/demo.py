"""Kills an agent (kill -9) at its first word, its second, its third, until it comes to its end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from statehouse.testing import Daemon

import steps

HERE = Path(__file__).parent
FRAMEWORKS = sorted(path.name[6:-3] for path in HERE.glob("agent_*.py"))


def start(framework: str, url: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(HERE / f"agent_{framework}.py")],
        env={**os.environ, "STATEHOUSE_ADDRESS": url},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(agent: subprocess.Popen, stop: int, kept: int) -> tuple[int, bool]:
    """Lets an agent say so many words, and kills it. Returns how many steps its session has kept
    by then, and whether it came to its end.
    """
    calls, had = [], kept
    for said, line in enumerate(agent.stdout, 1):
        print(f"   {line}", end="", flush=True)
        word, step = line.split()
        if word == "calling":
            calls.append(int(step))
        elif word == "kept":
            kept = max(kept, int(step))
        if said == stop:  # what it says until it is dead is listened to
            os.killpg(agent.pid, signal.SIGKILL)
            print("   -- killed", flush=True)
    assert all(call > had for call in calls), f"{had} steps were kept, and it ran {calls}"
    assert calls == sorted(set(calls)), f"a step ran twice in one life: {calls}"
    return kept, agent.wait() == 0


def main(framework: str) -> None:
    with Daemon(on_disk=True) as daemon, daemon.client() as client:
        kept, kills = 0, 0
        while True:
            agent = start(framework, daemon.url)
            try:
                before = kept
                kept, ended = run(agent, kills + 1, kept)
            finally:
                if agent.poll() is None:
                    os.killpg(agent.pid, signal.SIGKILL)
            if ended:
                break
            assert agent.returncode == -signal.SIGKILL, "it failed by itself"
            kills += 1
            print(f"-- resumed: {kept} steps are kept, {before} were", flush=True)
        taken = [record.value["step"] for record in client.scan_prefix(steps.RUN, "step/")]
        assert taken == list(range(1, steps.STEPS + 1)), taken
        print(f"{framework}: killed {kills} times, {len(taken)} steps, each once, in order")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FRAMEWORKS:
        sys.exit(f"which framework? one of {', '.join(FRAMEWORKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main(sys.argv[1])
