"""Nothing of LangGraph is imported unless the adapter is."""

import subprocess
import sys

PROGRAM = """
import sys
import statehouse, statehouse.testing
assert not {name.split(".")[0] for name in sys.modules} & {"langgraph", "langchain_core"}
import statehouse.langgraph
assert "langgraph.checkpoint.base" in sys.modules
assert "langgraph.graph" not in sys.modules
"""


def test_only_the_adapter_imports_it():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_without_the_extra_it_says_what_to_install():
    program = "import sys; sys.modules['langgraph'] = None; import statehouse.langgraph"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode != 0
    assert 'pip install "statehouse-sdk[langgraph]"' in ran.stderr
