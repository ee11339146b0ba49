"""The examples work by one command, and leave nothing behind, also when they are stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from statehouse.testing import find_binary

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def start(tmp_path):
    """Starts an example. Its daemon has a name of its own, by which it can be found."""
    binary = tmp_path / "statehoused"
    binary.symlink_to(Path(find_binary()).resolve())

    def start(name):
        # Where SIGINT is ignored, as it is of what runs in the background, a shell cannot
        # undo that for its children. Python can.
        default = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        run = [sys.executable, "-c", f"{default} os.execvp('bash', ['bash', sys.argv[1]])"]
        return subprocess.Popen(
            [*run, str(EXAMPLES / name / "run.sh")],
            env={
                **os.environ,
                "PYTHON": sys.executable,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "STATEHOUSED": str(binary),
                "STATEHOUSE_ADDRESS": "localhost:1",  # a user's, and not for them
                "STATEHOUSE_NAMESPACE": "of-the-environment",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def left_behind(tmp_path):
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in running.stdout.splitlines() if str(tmp_path) in line]


ENDS = {
    "agent_research": "12 commits, each once, as in the run without trouble\n",
    "approval": "  5 deployer   acted/43 \n",
    "conversation": "62 messages, each once, in one order\n",
    "langgraph_resume": "killed 3 times, and no step ran twice\n",
    "one_worker": "one at a time: every step was made by whoever had the session\n",
    "two_futures": "two futures of one agent, compared key by key\n",
}


@pytest.mark.parametrize("name", ENDS)
def test_example(start, tmp_path, name):
    example = start(name)
    said, _ = example.communicate(timeout=50)
    assert example.returncode == 0, said
    assert said.endswith(ENDS[name])
    if name == "agent_research":
        assert "no tool call ran twice" in said
        assert said.count("killed when") == 15
    elif name == "approval":
        assert "bob: refused, for alice has denied it" in said
    elif name == "one_worker":
        assert "bob: refused, for alice has the session" in said
        assert "alice: refused, for I had lost the session; I stop" in said
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("name", ["agent_research", "approval", "one_worker"])  # others are short
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_halfway(start, tmp_path, name, number):
    example = start(name)
    assert example.stdout.readline()
    assert left_behind(tmp_path)
    time.sleep(0.2)
    os.killpg(example.pid, number)  # as a terminal, and timeout, do
    said, _ = example.communicate(timeout=20)
    assert example.returncode not in (0, None), said
    assert left_behind(tmp_path) == []
