"""What tests ask of a recorded history, and of the judge."""

import json
import subprocess
from pathlib import Path

from statehouse.testing import find_binary


def lines(file):
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def operations(file):
    return sorted((line["op"] for line in lines(file) if "op" in line), key=lambda op: op["id"])


def check(file):
    """What statehouse-sim says of a history: its exit code and its words."""
    run = subprocess.run(
        [find_binary("statehouse-sim"), "check", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def gap(file):
    return next(line["gap"] for line in lines(file) if "gap" in line)
