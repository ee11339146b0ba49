"""The adapters to agent frameworks are there for those who ask for them, and for nobody else.
What they do is tested in adapters/, where the frameworks are.
"""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

#: The module of an adapter, its extra and what it imports.
ADAPTERS = {
    "langgraph": ("langgraph", "langgraph"),
    "claude_agent": ("claude-agent", "claude_agent_sdk"),
    "openai_agents": ("openai-agents", "agents"),
    "google_adk": ("google-adk", "google.adk"),
    "pydantic_ai": ("pydantic-ai", "pydantic_ai"),
}


def test_nothing_of_a_framework_is_imported():
    imported = subprocess.run(
        [sys.executable, "-c", "import statehouse.testing, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not set(imported) & {framework for _, framework in ADAPTERS.values()}
    assert not {name for name in imported if "_adapters" in name}


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_missing_is_said(name, monkeypatch):
    extra, framework = ADAPTERS[name]
    monkeypatch.setitem(sys.modules, framework, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, f"statehouse.{name}", raising=False)
    said = rf'{framework}.*"statehouse-sdk\[{extra}\]"'
    with pytest.raises(ImportError, match=said):
        importlib.import_module(f"statehouse.{name}")


def test_each_adapter_is_an_extra_with_tests():
    here = Path(__file__).resolve().parents[1]
    project = (here / "pyproject.toml").read_text()
    for name, (extra, _) in ADAPTERS.items():
        assert f"\n{extra} = [" in project
        if name == "langgraph":  # a package, tested where the SDK is
            assert (here / "statehouse" / name / "__init__.py").is_file()
            assert (here / "requirements-langgraph-floor.txt").is_file()
            assert list(here.glob("tests/test_langgraph_*.py"))
            continue
        assert (here / "statehouse" / f"{name}.py").is_file()
        for file in ("newest.txt", "oldest.txt", "test_suite.py"):
            assert (here / "adapters" / name / file).is_file()
