"""A call that the daemon refused for load waits as long as it is told to, and tries again."""

import pytest

from statehouse import errors
from statehouse._calls import Caller, Options
from statehouse._effects import Sleep


def caller(timeout):
    options = Options(
        namespace="n", timeout=timeout, attempt_timeout=None, fail_fast=False, page_size=1
    )
    return Caller(options, None)


def refusing(times):
    """Makes the steps of one try, which is refused so many times."""
    left = [times]

    def once(_deadline):
        if left[0] > 0:
            left[0] -= 1
            raise errors.Overloaded("busy", details={"retry_after_ms": "700"}, answered=True)
        return "done"
        yield

    return once


def run(steps):
    """Returns what came of steps, and how long they slept."""
    pauses = []
    try:
        while True:
            effect = next(steps)
            assert isinstance(effect, Sleep)
            pauses.append(effect.seconds)
    except StopIteration as over:
        return over.value, pauses


def test_it_waits_as_long_as_it_is_told_to():
    for again in (True, False):  # a call that is made once comes again, too
        steps = caller(30.0)._repeat("GetState", refusing(2), lambda _sent, again=again: again)
        value, pauses = run(steps)
        assert value == "done"
        assert len(pauses) == 2
        assert all(0.7 <= pause <= 1.05 for pause in pauses)


def test_a_time_that_is_too_short_is_no_reason_to_wait():
    with pytest.raises(errors.Overloaded) as raised:
        run(caller(0.5)._repeat("GetState", refusing(1), lambda _sent: True))
    assert raised.value.retry_after == 0.7


def test_a_limit_is_for_the_caller():
    assert errors.ResourceExhausted("too many", answered=True).retry_after is None
