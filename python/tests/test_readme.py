"""The README is true: its examples run, in their order, in one session."""

import doctest
import re
from pathlib import Path

from statehouse.testing import Daemon

README = Path(__file__).parents[1] / "README.md"


def test_examples():
    blocks = re.findall(r"^```pycon\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 10
    with Daemon() as daemon:
        text = "\n".join(blocks).replace("localhost:50051", daemon.url)
        test = doctest.DocTestParser().get_doctest(text, {}, "README", str(README), 0)
        report = []
        failed, tried = doctest.DocTestRunner().run(test, out=report.append)
        assert not failed, "".join(report)
        assert tried > 30
