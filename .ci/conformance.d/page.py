"""Writes docs/CONFORMANCE.md from the rows of the parts: page.py ROWS-DIR PAGE.

Exits 1 if Statehouse failed something that is not known as the suite's own mistake.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAD = """# Conformance

What public test suites say of Statehouse's adapters and doors, and of what else was put to the same
suite by the same command. `make conformance` runs them against a real daemon and writes this page
from the rows in `docs/conformance`; `make build && .ci/conformance PART` runs one part. Versions are exact.

| what is tested | suite | version | store | passed of run | not run, and why |
|---|---|---|---|---|---|
"""
FOOT = """
A failure that is "known" is a mistake of the suite itself, which the note explains.
"""


def line(row: dict[str, object]) -> str:
    result = f"{row['passed']} of {row['run']}"
    if row.get("known"):
        result += f", {row['known']} known"
    why = "; ".join(str(row[k]) for k in ("skipped", "note") if row.get(k))
    cells = [row["tests"], row["suite"], row["version"], row["store"], result, why]
    return "| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in cells) + " |\n"


def holds(row: dict[str, object]) -> bool:
    passed, run, known = (int(str(row.get(k) or 0)) for k in ("passed", "run", "known"))
    return row["store"] != "Statehouse" or (run > 0 and passed + known == run)


def main(rows_dir: str, page: str) -> int:
    rows = [
        json.loads(text)
        for path in sorted(Path(rows_dir).glob("*.jsonl"))
        for text in path.read_text().splitlines()
    ]
    Path(page).write_text(HEAD + "".join(map(line, rows)) + FOOT)
    failed = [row for row in rows if not holds(row)]
    for row in failed:
        sys.stderr.write(f"failed: {line(row)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
