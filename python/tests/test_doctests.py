"""Every example in a docstring, each against a fresh daemon."""

import asyncio
import doctest
import importlib
import inspect
import pkgutil

import pytest

import statehouse
from statehouse.testing import Daemon

doctest.ELLIPSIS_MARKER = r"\u2026"  # …, as doctest compares it; three dots go on a line
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    yield statehouse
    for module in pkgutil.walk_packages(statehouse.__path__, "statehouse."):
        if not module.name.endswith(("_pb2", ".plugin")):
            yield importlib.import_module(module.name)


def documented():
    """Everything with a docstring, once: what operations are made into shares its own."""
    seen = set()
    for module in modules():
        things = [(module.__name__, module)]
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", None) != module.__name__:
                continue
            things.append((f"{module.__name__}.{name}", thing))
            if inspect.isclass(thing):
                things += [
                    (f"{module.__name__}.{name}.{part}", made)
                    for part, made in vars(thing).items()
                    if not inspect.isclass(made)
                ]
        for name, thing in things:
            text = getattr(thing, "__doc__", None)
            if isinstance(text, str) and ">>>" in text and text not in seen:
                seen.add(text)
                yield name, text, module


EXAMPLES = list(documented())


@pytest.mark.parametrize(("name", "text", "module"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_example(name, text, module):
    with Daemon() as daemon:
        names = {**vars(statehouse), **vars(module), "asyncio": asyncio}
        names["client"] = daemon.client()
        text = text.replace('url="localhost:50051"', f"url={daemon.url!r}")
        test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text), names, name, None, 0)
        report = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_what_users_call_has_an_example():
    """Of the methods that do something; health() and the like are clear without."""
    named = {name.rpartition(".")[2] for name, _, _ in EXAMPLES}
    public = {
        name
        for kind in (statehouse.Statehouse, statehouse.Txn)
        for name in dir(kind)
        if not name.startswith("_") and callable(getattr(kind, name))
    }
    assert public - named == {"abort", "close", "commit", "scan_keys", "version"}
    assert len(EXAMPLES) > 20
