"""Writes rows of docs/CONFORMANCE.md: rows.py VENV FRAMEWORK STORE REPORT [SUITE]."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter

#: What is tested, by which suite, and what the framework's own store is.
SUITES = {
    "claude_agent": (
        "Claude Agent SDK session store",
        "run_session_store_conformance: 14 contracts, under asyncio and under trio",
        "claude-agent-sdk",
        "InMemorySessionStore",
    ),
    "openai_agents": (
        "OpenAI Agents SDK session",
        "ours, after what the SDK's tests expect of SQLiteSession",
        "openai-agents",
        "SQLiteSession",
    ),
    "google_adk": (
        "Google ADK session service",
        "ours, after the kit's contract tests of session services",
        "google-adk",
        "SqliteSessionService",
    ),
    "pydantic_ai": (
        "Pydantic AI step store",
        "ours, after what the harness documents of step stores",
        "pydantic-ai-harness",
        "SqliteStepStore",
    ),
}


def main(venv: str, framework: str, store: str, report: str, only: str = "") -> None:
    tests, suite, package, own = SUITES[framework]
    version = subprocess.run(
        [
            f"{venv}/bin/python",
            "-c",
            f"import importlib.metadata as m; print(m.version('{package}'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    cases = list(ET.parse(report).iter("testcase"))
    of_suite = [case for case in cases if only or case.get("classname", "").endswith("test_suite")]
    others = [case for case in cases if case not in of_suite]
    for name, chosen in ((only or suite, of_suite), ("behaviours of our own", others)):
        if chosen:
            row = {
                "suite": name,
                "version": f"{package} {version}",
                "tests": tests,
                "store": "Statehouse" if store == "Statehouse" else own,
            }
            print(json.dumps({**row, **counted(chosen)}))


def counted(cases: list[ET.Element]) -> dict[str, object]:
    bad = [str(case.get("name")) for case in cases if {e.tag for e in case} & {"failure", "error"}]
    found = (case.find("skipped") for case in cases)
    skipped = [skip.get("message", "") for skip in found if skip is not None]
    run = len(cases) - len(skipped)
    return {
        "passed": run - len(bad),
        "run": run,
        "skipped": "; ".join(f"{n} {why}" for why, n in sorted(Counter(skipped).items())),
        "note": f"not passed: {', '.join(bad)}" if bad else "",
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
