"""Tries mutants of an adapter: mutants.py ADAPTER [SAMPLE [SEED]] prints how many of them its tests
kill, and every one that survives.

Cosmic Ray makes them: ``pip install cosmic-ray==8.7.0`` into an environment of its own, whose
python this is run with. $PYTHON runs the tests, with everything installed that they need, and
$STATEHOUSED is the daemon. All happens in a copy of this directory.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path


def _langgraph(*names: str) -> list[str]:
    return [f"statehouse/langgraph/_{name}.py" for name in names]


#: What is mutated, and what tests it.
ADAPTERS = {
    "langgraph_saver": (
        _langgraph("asking", "history", "layout", "listing", "owning")
        + _langgraph("reading", "recent", "saver", "upkeep", "writing"),
        [f"tests/test_langgraph_{name}.py" for name in ("saver", "recent", "deleting", "graph")],
    ),
    "langgraph_store": (
        _langgraph("filters", "items", "store"),
        [f"tests/test_langgraph_{name}.py" for name in ("store", "graph")],
    ),
    **{
        name: ([f"statehouse/{name}.py"], ["-m", "not slow", f"adapters/{name}"])
        for name in ("claude_agent", "openai_agents", "google_adk", "pydantic_ai")
    },
}
#: What holds that each says what it needs.
NEEDS = ["tests/test_adapters.py", "-k", "missing_is_said"]

#: Of Cosmic Ray's operators those that stand for mistakes that people make. The others change
#: annotations, or make code that cannot run at all.
OPERATORS = frozenset(
    {
        "core/AddNot",
        "core/NumberReplacer",
        "core/ZeroIterationForLoop",
        "core/ExceptionReplacer",
        "core/ReplaceAndWithOr",
        "core/ReplaceOrWithAnd",
        "core/ReplaceTrueWithFalse",
        "core/ReplaceFalseWithTrue",
        "core/ReplaceBreakWithContinue",
        "core/ReplaceContinueWithBreak",
        "core/ReplaceUnaryOperator_Delete_Not",
        "core/ReplaceBinaryOperator_Add_Sub",
        "core/ReplaceComparisonOperator_Is_IsNot",
        "core/ReplaceComparisonOperator_IsNot_Is",
        "core/ReplaceComparisonOperator_Eq_NotEq",
        "core/ReplaceComparisonOperator_NotEq_Eq",
        "core/ReplaceComparisonOperator_Lt_LtE",
        "core/ReplaceComparisonOperator_LtE_Lt",
        "core/ReplaceComparisonOperator_Gt_GtE",
        "core/ReplaceComparisonOperator_GtE_Gt",
    }
)

PYTEST = ["-m", "pytest", "-q", "-x", "--disable-warnings"]
CONFIG = """
[cosmic-ray]
module-path = {modules}
timeout = 120.0
excluded-modules = []
test-command = {command}
[cosmic-ray.distributor]
name = "local"
"""


def sample(session: str, size: int, seed: int) -> int:
    """Leaves so many mutants in a session, and returns how many there were."""
    with sqlite3.connect(session) as db:
        found = db.execute(
            "SELECT job_id, operator_name FROM mutation_specs"
            " ORDER BY module_path, operator_name, occurrence, operator_args"
        ).fetchall()
        drawn = [job for job, operator in found if operator in OPERATORS]
        keep = set(random.Random(seed).sample(drawn, min(size, len(drawn))))  # noqa: S311 - not for secrets
        gone = [(job,) for job, _ in found if job not in keep]
        db.executemany("DELETE FROM mutation_specs WHERE job_id = ?", gone)
        db.executemany("DELETE FROM work_items WHERE job_id = ?", gone)
    return len(drawn)


def main(adapter: str, size: int = 25, seed: int = 1) -> int:
    modules, tests = ADAPTERS[adapter]
    tool = Path(sys.executable).with_name("cosmic-ray")
    with tempfile.TemporaryDirectory() as work:
        python = Path(work, "python")
        shutil.copytree(Path(__file__).parent, python)
        config, session = str(Path(work, "config.toml")), str(Path(work, "session.sqlite"))
        runs = [[os.environ["PYTHON"], *PYTEST, *run] for run in (tests, NEEDS)]
        command = shlex.join(["sh", "-c", " && ".join(map(shlex.join, runs))])
        Path(config).write_text(
            CONFIG.format(modules=json.dumps(modules), command=json.dumps(command))
        )
        environment = {**os.environ, "PYTHONPATH": ".:tests", "ADAPTED_STORE": "Statehouse"}

        def run(*args: str) -> None:
            subprocess.run([str(tool), *args], cwd=python, env=environment, check=True)

        run("init", config, session)
        of = sample(session, size, seed)
        run("baseline", config)
        run("exec", config, session)
        with sqlite3.connect(session) as db:
            rows = db.execute(
                "SELECT module_path, start_pos_row, operator_name, test_outcome, diff"
                " FROM work_results JOIN mutation_specs USING (job_id)"
            ).fetchall()
    survived = [row for row in rows if "KILLED" not in str(row[3]).upper()]
    for path, line, operator, _, diff in survived:
        changed = [text for text in diff.splitlines() if text[:1] in "+-"][2:]
        print(f"{path}:{line}: {operator}", *changed, sep="\n    ")
    print(f"{adapter}: {len(rows) - len(survived)} of {len(rows)} killed, drawn from {of}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
