"""A client, and its transactions, whose user's calls are written down.

Both clients are used through it in one way: every call is awaited and every iterator is an
asynchronous one. Of the blocking client they never suspend, so that :func:`drive` runs what
uses it in a plain thread.
"""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Callable

from statehouse import AsyncStatehouse, Statehouse, errors
from statehouse.types import Commit

from intents import words
from intents.recorder import TAG, Op, Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine

    from intents.words import Json, Words


class RunAgain(errors.StatehouseError):
    """How the commit of a run of run_transaction ended that is followed by another."""


def drive(program: Coroutine[Any, Any, Any]) -> Any:
    """Runs what uses a blocking client only."""
    try:
        program.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a blocking call has suspended")


async def _result(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


async def _items(iterator: Any) -> AsyncGenerator[Any, None]:
    """Hands out what either kind of iterator does, and closes it."""
    try:
        if hasattr(iterator, "__anext__"):
            async for item in iterator:
                yield item
        else:
            for item in iterator:
                yield item
    finally:
        await _result(iterator.aclose() if hasattr(iterator, "aclose") else iterator.close())


class _Recorded:
    """What a client and a transaction have in common."""

    calls: dict[str, Words]
    unrecorded: set[str]

    def __init__(self, recorder: Recorder, name: str, inner: Any, ns: str, tireless: bool) -> None:
        self._recorder, self._name, self._inner = recorder, name, inner
        self._ns, self._tireless = ns, tireless

    def __getattr__(self, name: str) -> Any:
        made = getattr(self._inner, name)
        if name in self.unrecorded:
            return made
        how = self.calls[name]
        streams = how.kind in ("replay", "watch")
        takes = self._watched if streams else self._listed if how.items else self._called

        def call(*args: Any, **kwargs: Any) -> Any:
            bound = inspect.signature(made).bind(*args, **kwargs)
            bound.apply_defaults()
            return takes(how, made, bound.arguments)

        return call

    def _start(self, how: Words, given: Json) -> Op:
        return self._recorder.call(self._name, how.kind, how.asked(self._ns, given))

    def _failed(self, op: Op, failed: BaseException) -> None:
        if isinstance(failed, errors.OutcomeUnknown):
            self._recorder.learn(failed.txn_id, op.asked["txn"])
        tireless = self._tireless and op.kind not in words.ONCE
        self._recorder.failed(op, failed, tireless=tireless)

    async def _called(self, how: Words, made: Callable[..., Any], given: Json) -> Any:
        op = self._start(how, given)
        answer = await self._answer(op, made, given)
        out: Json = {}
        how.told(out, op.asked, answer)
        self._recorder.ok(op, out)
        return answer

    async def _answer(self, op: Op, made: Callable[..., Any], given: Json) -> Any:
        try:
            answer = await _result(made(**given))
        except BaseException as failed:
            self._failed(op, failed)
            raise
        if isinstance(answer, Commit):
            self._recorder.learn(answer.txn_id, op.asked["txn"])
        return answer

    def _listed(self, how: Words, made: Callable[..., Any], given: Json) -> Any:
        """Calls what answers a list, or iterates over one."""
        if made.__name__ in ("scan_keys", "scan_prefix", "history"):
            return self._iterated(how, made, given)
        return self._whole(how, made, given)

    async def _whole(self, how: Words, made: Callable[..., Any], given: Json) -> Any:
        op = self._start(how, given)
        answer = await self._answer(op, made, given)
        out: Json = {}
        for item in answer:
            how.told(out, op.asked, item)
        self._shown(op, out, len(answer), left=False)
        return answer

    def _shown(self, op: Op, out: Json, count: int, *, left: bool) -> None:
        if left or count == op.asked.get("limit"):
            out["more"] = True  # there may be
        self._recorder.ok(op, out)

    async def _iterated(
        self, how: Words, made: Callable[..., Any], given: Json
    ) -> AsyncIterator[Any]:
        op = self._start(how, given)
        out: Json = {}
        count = 0
        try:
            async with aclosing(_items(made(**given))) as items:
                async for item in items:
                    how.told(out, op.asked, item)
                    count += 1
                    yield item
        except GeneratorExit:
            self._shown(op, out, count, left=True)
            raise
        except BaseException as failed:
            self._failed(op, failed)
            raise
        self._shown(op, out, count, left=False)

    async def _watched(
        self, how: Words, made: Callable[..., Any], given: Json
    ) -> AsyncIterator[Any]:
        """Writes down a replay or watch: one call however often it was opened again."""
        op = self._start(how, given)
        try:
            async with aclosing(_items(made(**given))) as events:
                async for event in events:
                    if how.kind == "watch" and given["after"] is None and not op.batches:
                        self._recorder.batch(op, event.commit_ts - 1, None)  # where it began
                    self._recorder.batch(op, event.commit_ts, words.event(event))
                    yield event
        except GeneratorExit:
            raise  # its user left, so it stays unknown
        except BaseException as failed:
            self._failed(op, failed)
            raise
        # At its timeout it is left, as it were; before that it ended by itself.
        timeout = given.get("timeout")
        if timeout is None or self._recorder.now() - op.call < timeout * 1e9:
            self._recorder.ok(op, {})


class Client(_Recorded):
    """A client whose calls are written down, as of the client of that name. ``tireless``: it
    has no timeout, so that what can be repeated is repeated for ever.
    """

    calls = words.CALLS
    unrecorded = words.UNRECORDED

    def __init__(
        self, recorder: Recorder, name: str, inner: Statehouse | AsyncStatehouse, tireless: bool
    ) -> None:
        super().__init__(recorder, name, inner, inner.namespace, tireless)

    def _start(self, how: Words, given: Json) -> Op:
        asked = how.asked(self._ns, given)
        if "txn_id" in given:
            title = self._recorder.title(given["txn_id"])
            if how.kind == "get_transaction":
                title = title or given["txn_id"]
            asked.update({"txn": title} if title else {})
        if how.kind not in words.COMMITS:
            return self._recorder.call(self._name, how.kind, asked)
        op = self._recorder.tagged(self._name, how.kind, asked)
        given["metadata"] = op.asked["metadata"]
        if given["txn_id"]:
            self._recorder.learn(given["txn_id"], op.asked["txn"])
        return op

    async def begin_transaction(self, *, timeout: float | None = None, held: bool = False) -> Txn:
        op = self._recorder.call(self._name, "begin", words.present(limit=_millis(timeout)))
        given = {"timeout": timeout, "held": held}
        inner = await self._answer(op, self._inner.begin_transaction, given)
        return self._begun(op, inner)

    def _begun(self, op: Op, inner: Any) -> Txn:
        self._recorder.learn(inner.txn_id, op.tag)
        if not inner.held:
            op.asked = {"timeout": op.asked.get("limit", 0)}
        self._recorder.begun(op, inner)
        return Txn(self, op.tag, inner)

    async def run_transaction(
        self, function: Callable[[Txn], Awaitable[Any]], *, timeout: float | None = None
    ) -> Any:
        """Each run is a transaction. The commit of one that is run again has failed, for nothing
        else permits that.
        """
        limit = words.present(limit=_millis(timeout))
        begin = self._recorder.call(self._name, "begin", limit)
        txn: Txn | None = None  # of the last run
        committing: Op | None = None  # it, unless the run itself has failed
        ended = 0  # when it had run

        async def run(inner: Any) -> Any:
            nonlocal begin, txn, committing, ended
            if committing is not None:
                self._recorder.failed(committing, RunAgain("the function is run again"))
            if txn is not None:
                begin = self._recorder.call(self._name, "begin", limit)
                begin.call = ended  # it can have begun since then
            txn, committing = self._begun(begin, inner), None
            try:
                result = await function(txn)
                committing = txn.asked()
            finally:
                ended = self._recorder.now()
            return result

        def blocking(inner: Any) -> Any:
            return drive(run(inner))

        awaited = inspect.iscoroutinefunction(self._inner.run_transaction)
        try:
            result = await _result(
                self._inner.run_transaction(run if awaited else blocking, timeout=timeout)
            )
        except BaseException as failed:
            if committing is not None:
                self._failed(committing, failed)
                if self._tireless and _run_again(failed):
                    self._recorder.gave_up(committing)
            elif txn is None:
                self._failed(begin, failed)
            raise
        if committing is None:  # it says that a run has committed, and there is none
            committing = self._recorder.tagged(self._name, "commit", {})
        out: Json = {}
        words.committed(out, {}, txn.committed if txn is not None else None)
        self._recorder.ok(committing, out)
        return result


def _millis(timeout: float | None) -> int:
    return 0 if timeout is None else round(timeout * 1000)


def _run_again(failed: BaseException) -> bool:
    """Whether run_transaction runs its function again after an error, until its time is over."""
    again = isinstance(failed, (errors.ConflictError, errors.TransactionNotFound))
    return again and not isinstance(failed, errors.PreconditionFailed)


class Txn(_Recorded):
    """A transaction whose calls are written down."""

    calls = words.TXN_CALLS
    unrecorded = words.TXN_UNRECORDED

    def __init__(self, client: Client, title: str, inner: Any) -> None:
        super().__init__(client._recorder, client._name, inner, client._ns, client._tireless)
        self._title = title

    def _start(self, how: Words, given: Json) -> Op:
        if how.kind == "commit":
            return self.asked()
        asked = {"txn": self._title, **how.asked(self._ns, given)}
        return self._recorder.call(self._name, how.kind, asked)

    def asked(self) -> Op:
        """Writes down that it is to be committed."""
        asked = {
            "txn": self._title,
            **words.conditions(self._ns, self._inner.preconditions),
            **words.present(metadata=self._inner.metadata),
        }
        op = self._recorder.tagged(self._name, "commit", asked)
        self._inner.metadata[TAG] = op.tag
        return op

    async def __aenter__(self) -> Txn:
        return self

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            op = self._recorder.call(self._name, "abort", {"txn": self._title})
        else:
            op = self.asked()
        awaited = inspect.iscoroutinefunction(self._inner.abort)
        leave = self._inner.__aexit__ if awaited else self._inner.__exit__
        try:
            await _result(leave(kind, error, traceback))
        except BaseException as failed:
            self._failed(op, failed)
            raise
        if kind is None:
            out: Json = {}
            words.committed(out, op.asked, self._inner.committed)
            self._recorder.ok(op, out)
