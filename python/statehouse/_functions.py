"""Checks of the functions that run in transactions.

A function that does its work only later, when its result is awaited or iterated over, would
silently commit nothing.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from statehouse import _arguments as check
from statehouse.errors import UsageError


def check_function(function: Any, *, awaited: bool) -> None:
    """Refuses what cannot run in a transaction."""
    if late := _lateness_of_result(function):
        _close(function)
        raise check.refused(
            "function", f"function is {late}: give the function itself, not what calling it made"
        )
    if not callable(function):
        raise check.refused(
            "function", f"function must be a function of a transaction, not {check.shown(function)}"
        )
    late = _lateness(function)
    if late == "a coroutine function":
        if not awaited:
            raise check.refused(
                "function",
                "function is a coroutine function, which would not be awaited: give a plain"
                " function, or use AsyncStatehouse",
            )
    elif late:
        what = "a coroutine function (async def)" if awaited else "a plain function"
        raise check.refused(
            "function", f"function is {late}, which does nothing when called: give {what}"
        )


def check_result(result: Any) -> None:
    """Refuses a result that has yet to do the work."""
    if late := _lateness_of_result(result):
        _close(result)
        raise UsageError(
            f"the function returned {late}, whose work would be done after the commit: nothing"
            " is committed. Do the work before returning, and await what is to be awaited"
        )


def check_awaitable(result: Any) -> None:
    """Refuses a result that cannot be awaited, which a plain function returned."""
    if not inspect.isawaitable(result):
        _close(result)
        raise UsageError(
            f"the function returned {type(result).__name__}, which cannot be awaited: nothing is"
            " committed. Give a coroutine function (async def), or use Statehouse"
        )


def _lateness(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function).__call__  # an object that is callable
    if inspect.iscoroutinefunction(function):
        return "a coroutine function"
    if inspect.isasyncgenfunction(function):
        return "an asynchronous generator function"
    if inspect.isgeneratorfunction(function):
        return "a generator function"
    return ""


def _lateness_of_result(result: Any) -> str:
    if inspect.iscoroutine(result):
        return "a coroutine"
    if inspect.isasyncgen(result):
        return "an asynchronous generator"
    if inspect.isgenerator(result):
        return "a generator"
    if inspect.isawaitable(result):
        return f"a {type(result).__name__}, which is to be awaited"
    return ""


def _close(late: Any) -> None:
    """Keeps Python from warning of a coroutine that was never awaited: the error says so."""
    if inspect.iscoroutine(late):
        late.close()
