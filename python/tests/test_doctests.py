"""Every example in a docstring, each against a fresh daemon. Those of the awaited client run as
``python -m asyncio`` runs them.
"""

import ast
import asyncio
import doctest
import importlib
import inspect
import pkgutil
import types

import pytest

import statehouse
from statehouse.testing import Daemon

from test_adapters import ADAPTERS

doctest.ELLIPSIS_MARKER = r"\u2026"  # …, as doctest compares it; three dots go on a line
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    yield statehouse
    for module in pkgutil.walk_packages(statehouse.__path__, "statehouse."):
        adapter = module.name.removeprefix("statehouse.") in ADAPTERS  # whose framework is not here
        if not adapter and not module.name.endswith(("_pb2", ".plugin")):
            yield importlib.import_module(module.name)


def documented():
    """Everything with a docstring, once."""
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
def test_example(name, text, module, monkeypatch):
    awaited = module.__name__.startswith("statehouse._aio")
    loop = asyncio.new_event_loop()
    if awaited:
        monkeypatch.setattr(doctest, "compile", with_top_level_await, raising=False)
        monkeypatch.setattr(doctest, "exec", running_in(loop), raising=False)
    with Daemon() as daemon:
        names = {**vars(statehouse), **vars(module)}
        client = daemon.async_client() if awaited else daemon.client()
        names["client"] = client
        text = text.replace('url="localhost:50051"', f"url={daemon.url!r}")
        test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text), names, name, None, 0)
        report = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(test, out=report.append, clear_globs=False)
        if awaited:
            loop.run_until_complete(client.close())
        loop.close()
        assert runner.summarize(verbose=False).failed == 0, "".join(report)


def with_top_level_await(source, filename, mode, flags, dont_inherit):
    return compile(source, filename, mode, flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit)


def running_in(loop):
    def run(code, names):
        result = types.FunctionType(code, names)()
        if asyncio.iscoroutine(result):
            loop.run_until_complete(result)

    return run


@pytest.mark.parametrize("kind", [statehouse.Statehouse, statehouse.AsyncStatehouse])
def test_what_users_call_has_an_example(kind):
    """But for methods that are clear without."""
    named = {text for _, text, _ in EXAMPLES}
    public = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    without = {name for name, part in public.items() if part.__doc__ not in named}
    assert without == {"close", "namespace", "scan_keys", "version"}
    assert len(EXAMPLES) > 40
