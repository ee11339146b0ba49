"""Runs the protocol's official suite against a server, and writes a row for each version:
suite.py CACHE URL.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

# Scenarios that are not run against a server of a domain, by the beginning of their names.
EXAMPLES = (
    "tools-call-",
    "elicitation-",
    "json-schema-2020-12",
    "server-sse-polling",
    "resources-read-",
    "resources-templates-read",
    "resources-subscribe",
    "resources-unsubscribe",
    "prompts-get-",
    "input-required-result-",
    "http-custom-header-server-validation",
)
NOT_OFFERED = ("prompts-list", "logging-set-level")
# Of a scenario that asks for other lists, too.
NOT_OFFERED_CHECKS = ("sep-2549-prompts-list-caching-hints",)
# Of those above it needs nothing.
STILL = ("input-required-result-unsupported-methods",)

RUNS = (  # package, its version, and of the protocol
    ("conformance-0.1", "0.1.16", "2025-11-25"),
    ("conformance-0.2", "0.2.0-alpha.12", "2025-11-25"),
    ("conformance-0.2", "0.2.0-alpha.12", "2026-07-28"),
)


def results(
    cache: Path, package: str, protocol: str, url: str
) -> dict[str, list[dict[str, object]]]:
    """Runs all scenarios of a version of the protocol, and returns the checks of each."""
    program = cache / "node_modules" / package / "dist" / "index.js"
    work = Path(os.environ["CONFORMANCE_DIR"]) / f"{package}-{protocol}"
    work.mkdir()
    command = [cache / "node_modules/.bin/node", program, "server", "--url", url, "--suite", "all"]
    command += ["--spec-version", protocol, "-o", work / "results"]
    with (work / "output").open("w") as output:  # it exits with 1 for scenarios that are not ours
        subprocess.run(command, cwd=work, stdout=output, stderr=output, check=False)
    found = {}
    for checks in work.glob("results/*/checks.json"):
        name = re.sub(r"-\d{4}-\d\d-\d\dT[^T]*$", "", checks.parent.name.removeprefix("server-"))
        found[name] = json.loads(checks.read_text())
    if not found:
        sys.exit(f"{package} has no results:\n{(work / 'output').read_text()}")
    return found


def row(
    package: str, version: str, protocol: str, found: dict[str, list[dict[str, object]]]
) -> dict[str, object]:
    passed = run = scenarios = 0
    examples, not_offered = [], []
    for name, checks in sorted(found.items()):
        if name.startswith(EXAMPLES) and name not in STILL:
            examples.append(name)
        elif name in NOT_OFFERED:
            not_offered.append(name)
        else:
            scenarios += 1
            for check in checks:
                details = check.get("details")
                if isinstance(details, dict) and details.get("untestable"):
                    examples.append(str(check["id"]))
                elif check["id"] in NOT_OFFERED_CHECKS:
                    not_offered.append(str(check["id"]))
                elif check["status"] in ("SUCCESS", "FAILURE"):
                    run += 1
                    passed += check["status"] == "SUCCESS"
                    if check["status"] == "FAILURE":
                        why = f"{name}: {check['id']}: {check.get('errorMessage')}"
                        sys.stderr.write(f"{package} {protocol}: {why}\n")
    return {
        "suite": "@modelcontextprotocol/conformance",
        "version": version,
        "tests": f"MCP {protocol} at the daemon's /mcp",
        "store": "Statehouse",
        "passed": passed,
        "run": run,
        "skipped": f"{len(examples)} need the tools, prompts and resources of the suite's own "
        f"example server; {len(not_offered)} ask for prompts or logging, which are not offered",
        "note": f"checks, of {scenarios} scenarios",
    }


def main(cache: str, url: str) -> None:
    with Path(os.environ["CONFORMANCE_ROWS"]).open("a") as rows:
        for package, version, protocol in RUNS:
            found = results(Path(cache), package, protocol, url)
            rows.write(json.dumps(row(package, version, protocol, found)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
