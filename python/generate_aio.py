#!/usr/bin/env python3
"""Derives the methods that are awaited from those that block.

``statehouse/_sync`` holds each public method with its signature and documentation;
``statehouse/_aio`` has the same ones, awaited, examples and all. They are written out, and not
made at run time, so that help(), editors and type checkers show what is there. Run it after a
change in ``_sync``; a test compares.
"""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

PACKAGE = Path(__file__).parent / "statehouse"
MODULES = ("changes", "daemon", "finding", "log", "reads", "txn", "writes")
HEADER = "# Derived from _sync/{}.py by python/generate_aio.py: change that, and run it.\n"

#: What stands for what, outside the examples.
WORDS = (
    (r"statehouse\._sync", "statehouse._aio"),
    (r"\bBlocking\b", "Awaiting"),
    (r"\bIterator\b", "AsyncIterator"),
    (r"\b(Held)?Txn\b(?!\.txn_id)", r"Async\1Txn"),
    (r"\b__exit__\b", "__aexit__"),
    (r'_usage = "with', '_usage = "async with'),
    (r"\bblocking\b", "awaited"),
)


def _methods(performed_by: str) -> set[str]:
    """Names the methods that are performed by a method of ``Blocking``."""
    pattern = rf"\n    def (\w+)\((?:(?!\n    def ).)*?self\.{performed_by}\("
    sources = [(PACKAGE / "_sync" / f"{module}.py").read_text() for module in MODULES]
    return {name for source in sources for name in re.findall(pattern, source, re.DOTALL)}


#: The methods that examples await; loops and blocks in them are all asynchronous.
AWAITED = _methods("_run")
#: Those that examples iterate over.
ITERATED = _methods("_iterate")


def derive(name: str) -> str:
    """Answers the module of ``_aio`` of that name."""
    source = (PACKAGE / "_sync" / f"{name}.py").read_text()
    for method in AWAITED:
        source = source.replace(f"    def {method}(", f"    async def {method}(")
    source = source.replace("self._run(", "await self._run(")
    for pattern, word in WORDS:
        source = re.sub(pattern, word, source)
    source = re.sub(r"(?<=import )[\w, ]+(?=\n)", lambda names: _sorted(names, ", "), source)
    source = re.sub(r"(?:\n *from statehouse.*)+", lambda lines: _sorted(lines, "\n"), source)
    return HEADER.format(name) + _with_examples_awaited(source)


def _sorted(found: re.Match[str], by: str) -> str:
    parts = found[0].split(by)
    last = [parts.pop()] if not parts[-1] else []
    return by.join(sorted(parts) + last)


def _with_examples_awaited(text: str) -> str:
    for example in doctest.DocTestParser().get_examples(text):
        indent = " " * example.indent
        lines = example.source.splitlines()
        before = _prompted(indent, lines)
        after = _prompted(indent, _awaited(example.source).splitlines())
        text = text.replace(before, after, 1)
    return text


def _prompted(indent: str, lines: list[str]) -> str:
    return "".join(f"{indent}{'...' if at else '>>>'} {line}\n" for at, line in enumerate(lines))


def _awaited(example: str) -> str:
    """Puts await and async where an example needs them."""
    tree = ast.parse(example)
    used = (ast.Attribute, ast.Subscript)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, used)}
    inserts: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.With)):
            inserts.append((node.lineno, node.col_offset, "async "))
        elif isinstance(node, ast.comprehension) and _called(node.iter) in ITERATED:
            at = node.target
            inserts.append((at.lineno, at.col_offset - len("for "), "async "))
        elif isinstance(node, ast.Call) and _called(node) in AWAITED:
            inside = id(node) in inner
            inserts.append((node.lineno, node.col_offset, "(await " if inside else "await "))
            if inside:
                inserts.append((node.end_lineno or 0, node.end_col_offset or 0, ")"))
    lines = example.splitlines()
    for line, column, word in sorted(inserts, reverse=True):
        text = lines[line - 1].encode()
        lines[line - 1] = (text[:column] + word.encode() + text[column:]).decode()
    return "\n".join(lines)


def _called(node: ast.expr) -> str:
    """Names the method of ``client`` or ``tx`` that an expression calls, if it does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        of = node.func.value
        if isinstance(of, ast.Name) and of.id in ("client", "tx"):
            return node.func.attr
    return ""


if __name__ == "__main__":
    for name in MODULES:
        (PACKAGE / "_aio" / f"{name}.py").write_text(derive(name))
