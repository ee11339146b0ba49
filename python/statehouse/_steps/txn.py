"""Transactions that live in the client until they commit.

What is written is kept here, and seen by the transaction's own reads. What is read is read as of
one commit, the one that the first answer was of, and remembered. The commit is one request, a
Transact under the transaction's id, which carries both: the daemon makes it only if all that was
read still holds. So the daemon keeps nothing, a request that arrives late undoes nothing, and the
whole transaction may be sent again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import DECIDES, Caller, Deadline, expired, new_txn_id
from statehouse._effects import Feed, Invoke, Items, Reach, Steps
from statehouse._functions import check_result
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.reads import AS_JSON, ReadSteps, existing, record
from statehouse._steps.readset import ReadSet, Stretch
from statehouse._steps.staged import TOGETHER, Staged, over
from statehouse._steps.writes import conditions, transacted
from statehouse._values import check_depth, to_json
from statehouse.types import Commit, Point, Precondition, Record, RecordName, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import NoReturn

T = TypeVar("T")
AnyTxn = TypeVar("AnyTxn", bound="TxnSteps")

#: Seconds that a transaction has, unless its user says otherwise.
_TIMEOUT = 30.0


class Begun(NamedTuple):
    """How a transaction begins."""

    txn_id: str
    timeout: float
    #: The daemon holds it, and it reads the state at that commit_ts.
    held: bool = False
    snapshot: int | None = None


class TxnSteps(ReadSteps):
    """A transaction, as ``begin_transaction`` gives it. Several threads may use it at once."""

    #: The id to ask ``get_transaction`` for.
    txn_id: str
    #: Seconds from its begin until it is too late to commit.
    timeout: float
    #: Provenance that goes with the commit. Change it before.
    metadata: dict[str, str]
    #: Further conditions of the commit. Change them before.
    preconditions: list[Precondition]

    def __init__(self, caller: Caller, begun: Begun, metadata: dict[str, str]) -> None:
        self._caller = caller
        self.txn_id, self.timeout = begun.txn_id, begun.timeout
        self.metadata = metadata
        self.preconditions = []
        self._deadline = Deadline(begun.timeout)
        # Of what follows; never held during a call. A signal handler may re-enter it.
        self._lock = threading.RLock()
        self._staged = Staged()
        self._reads = ReadSet()
        self._reads.snapshot = begun.snapshot
        #: What is being committed, or has been without an answer. It is not changed any more.
        self._request: pb.TransactRequest | None = None
        self._committing = 0  # calls that commit
        self._doubt = False  # it may have been applied, or may yet be
        self._outcome: Commit | errors.StatehouseError | None = None

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a transaction cannot be copied or sent to another process: begin one in each"
        )

    def __repr__(self) -> str:
        snapshot = f" of what was at {self.snapshot_ts}" if self.snapshot_ts else ""
        return f"<{type(self).__name__} {self.txn_id}{snapshot}: {self._state()}>"

    def _state(self) -> str:
        outcome = self._outcome
        if isinstance(outcome, Commit):
            return f"committed as {outcome.commit_ts}"
        if outcome is not None:
            return outcome.code
        return "open" if self._request is None else "being committed"

    @property
    def snapshot_ts(self) -> int:
        """The commit_ts of the state it reads; 0 before its first read."""
        return self._reads.snapshot or 0

    @property
    def held(self) -> bool:
        """Whether the daemon holds it."""
        return False

    @property
    def committed(self) -> Commit | None:
        """The commit, once it is known."""
        return self._outcome if isinstance(self._outcome, Commit) else None

    def _write(
        self,
        agent_id: str,
        key: str,
        value: Value,
        expected_version: int | None,
        namespace: str | None,
    ) -> Steps[None]:
        text = to_json(value)
        check_depth(value, text)
        return self._stage(agent_id, key, namespace, expected_version, value_json=text)

    def _delete(
        self, agent_id: str, key: str, expected_version: int | None, namespace: str | None
    ) -> Steps[None]:
        return self._stage(agent_id, key, namespace, expected_version, delete=True)

    def _stage(
        self,
        agent_id: str,
        key: str,
        namespace: str | None,
        expected_version: int | None,
        **what: Any,
    ) -> Steps[None]:
        operation = pb.TransactOperation(
            namespace=check.name("namespace", self._caller.namespace(namespace)),
            agent_id=check.name("agent_id", agent_id),
            key=check.name("key", key),
            expected_version=check.optional_count("expected_version", expected_version),
            **what,
        )
        with self._lock:
            self._check_open()
            self._staged.put(operation)
            self._check_size()
        yield from ()

    def _check_open(self) -> None:
        """Refuses what cannot be done any more."""
        if self._outcome is None and self._request is None and self._deadline.over():
            self._outcome = expired(self.txn_id)
        if isinstance(self._outcome, Commit):
            raise errors.TransactionCommitted(
                f"transaction {self.txn_id} has committed already: begin a new one"
            )
        if self._outcome is not None:
            raise self._outcome
        if self._request is not None:
            raise errors.TransactionCommitted(f"transaction {self.txn_id} is being committed")

    def _check_size(self) -> None:
        """Refuses what no message can carry."""
        size = self._staged.bytes + self._reads.bytes
        if size > TOGETHER:
            raise over("bytes written and read", size, TOGETHER)

    def _check_whole(self) -> None:
        """Refuses to commit what may be a part only."""

    # Reading.

    def _point(self, as_of: Point | None) -> None:
        if as_of is not None:
            raise check.refused(
                "as_of", "a read inside a transaction is at its snapshot: leave as_of out"
            )

    def _ask(self, method: str, request: Any) -> Steps[Any]:
        while True:
            with self._lock:
                self._check_open()
                at = self._reads.snapshot
            pinned = bool(getattr(request, "page_token", ""))  # to the commit of the page before
            if at is not None and not pinned:
                request.at.commit_ts = at
            try:
                response = yield from self._caller.call(method, request)
            except errors.InvalidArgument as refused:
                if at is not None and refused.details.get("field") == "at":
                    raise self._forgotten(refused) from None
                raise
            with self._lock:
                self._check_open()
                if self._reads.snapshot is None:
                    self._reads.snapshot = response.read_ts
                if self._reads.snapshot == response.read_ts:
                    return response
            if at is not None or pinned:
                raise errors.broken(f"a read at {response.read_ts}, not at {at}")
            # Another thread's read, which was answered first, is of another commit.

    def _forgotten(self, refused: errors.StatehouseError) -> errors.TransactionNotFound:
        """Makes the error for a snapshot that the daemon does not have any more: it kept nothing
        when it was started again.
        """
        return errors.TransactionNotFound(
            f"transaction {self.txn_id} reads a state that is gone: {refused.message}",
            answered=True,
        )

    def _own(self, name: pb.RecordName) -> pb.TransactOperation | None:
        """Returns what the transaction has written of a record."""
        with self._lock:
            self._check_open()
            return self._staged.get((name.namespace, name.agent_id, name.key))

    def _saw(self, name: pb.RecordName, version: int) -> None:
        with self._lock:
            self._reads.saw((name.namespace, name.agent_id, name.key), version)
            self._check_size()

    def _shown(self, own: pb.TransactOperation) -> Record | None:
        """Makes the record that an own write is to be."""
        if own.delete:
            return None
        name = RecordName(own.agent_id, own.key, own.namespace)
        state = pb.GetStateResponse(value_json=own.value_json)
        return existing(name, state, self.snapshot_ts)

    def _get_state(
        self, agent_id: str, key: str, namespace: str | None, as_of: Point | None
    ) -> Steps[Record | None]:
        self._point(as_of)
        [name] = self._names(agent_id, [key], namespace)
        own = self._own(name)
        if own is not None:
            return self._shown(own)
        response = yield from self._ask(
            "GetState",
            pb.GetStateRequest(
                namespace=name.namespace, agent_id=name.agent_id, key=name.key, encoding=AS_JSON
            ),
        )
        self._saw(name, response.version)
        return record(RecordName(agent_id, key, name.namespace), response, response.read_ts)

    def _get_many(
        self,
        agent_id: str,
        keys: Iterable[str | RecordName],
        namespace: str | None,
        as_of: Point | None,
    ) -> Steps[list[Record | None]]:
        self._point(as_of)
        names = self._names(agent_id, keys, namespace)
        owned = [self._own(name) for name in names]
        others = [name for name, own in zip(names, owned) if own is None]
        states = yield from self._states(others, None)
        for name, (state, _) in zip(others, states):
            self._saw(name, state.version)
        answers = iter(states)
        return [
            record(RecordName(name.agent_id, name.key, name.namespace), *next(answers))
            if own is None
            else self._shown(own)
            for name, own in zip(names, owned)
        ]

    def _listed(
        self,
        method: str,
        request: Any,
        limit: int | None,
        items: Callable[[Any], Iterable[T]],
    ) -> Feed[T]:
        left = check.optional_count("limit", limit)
        return self._merged(method, request, left, items)

    def _merged(
        self, method: str, request: Any, left: int | None, items: Callable[[Any], Iterable[T]]
    ) -> Feed[T]:
        """Asks for page after page, and puts what the transaction has written among what is
        there.
        """
        stretch = Stretch(request)
        after = ""  # what comes up to it has been handed out
        more = True
        while more and (left is None or left > 0):
            size = self._caller.options.page_size
            request.limit = size if left is None else min(size, left)
            response = yield from self._ask(method, request)
            stored = {_key(item): item for item in items(response)}
            more = bool(response.next_page_token)
            if more and (not stored or response.next_page_token == request.page_token):
                raise errors.broken("a page that leads to no other")
            until = list(stored)[-1] if more else ""
            page = self._with_own(request, stored, after, until)
            cut = left is not None and len(page) > left
            if left is not None:
                page = page[:left]
                left -= len(page)
            yield Items(self._handed_out(stretch, page, whole=not (more or cut)))
            request.page_token, after = response.next_page_token, until

    def _with_own(self, request: Any, stored: dict[str, Any], after: str, until: str) -> list[Any]:
        """Puts own writes after one key and up to another ("": the end) into a page."""
        with self._lock:
            own = self._staged.within(request.namespace, request.agent_id, request.prefix)
        first, last = (until, after) if request.reverse else (after, until)
        for operation in own:
            key = operation.key
            if (first and key < first) or (last and key > last) or key == after:
                continue
            shown = self._shown(operation)
            if shown is None:
                stored.pop(key, None)
            else:
                stored[key] = shown if isinstance(request, pb.ScanPrefixRequest) else key
        return [stored[key] for key in sorted(stored, reverse=request.reverse)]

    def _handed_out(self, stretch: Stretch, page: list[T], *, whole: bool) -> Iterator[T]:
        """Iterates over a page, and notes how far its user has come. ``whole``: to its end is to
        the end of the list.
        """
        for item in page:
            with self._lock:
                self._reads.reach(stretch, _key(item))
                self._check_size()
            yield item
        if whole:
            with self._lock:
                self._reads.reach(stretch, None)

    # Ending.

    def _commit(self) -> Steps[Commit]:
        with self._lock:
            if isinstance(self._outcome, Commit):
                return self._outcome
            if self._request is None:
                self._check_open()
                self._request = self._whole()
            elif self._outcome is not None:
                raise self._outcome
            self._committing += 1
            request = self._request
        try:
            commit = yield from self._send(request)
        except BaseException as failed:
            self._failed(failed)
            raise
        self._committing -= 1
        self._end(commit)
        return commit

    def _whole(self) -> pb.TransactRequest:
        """Makes the request that is the whole transaction."""
        keys, heads = conditions(self._caller, self.preconditions)
        request = pb.TransactRequest(
            txn_id=self.txn_id,
            operations=self._staged.operations(),
            key_preconditions=[*self._staged.conditions(), *keys],
            head_preconditions=heads,
            metadata=check.text_map("metadata", self.metadata),
        )
        if self._reads:
            request.reads.CopyFrom(self._reads.message())
            request.key_preconditions.add()  # which a daemon that ignores reads refuses
        return request

    def _send(self, request: pb.TransactRequest) -> Steps[Commit]:
        conditional = len(request.key_preconditions) > request.HasField("reads")
        if not (request.operations or conditional or request.head_preconditions):
            # What was read is of one commit: there is nothing to ask.
            yield Reach(0)  # but whether the client can be used
            return Commit(self.txn_id, self.snapshot_ts, None)
        try:
            response = yield from self._caller.commit(
                "Transact",
                request,
                self.txn_id,
                begun=False,
                until=self._deadline,
                doubt=self._doubt,
            )
        except errors.InvalidArgument as refused:
            field = refused.details.get("field")
            if field == "snapshot_ts":
                raise self._forgotten(refused) from None
            if request.HasField("reads") and field in ("agent_id", "key"):
                self._caller.endpoint.knows_reads = False
                old = _too_old(refused)
                self._end(old)
                raise old from None
            raise
        return transacted(request, response, by_agent=True)

    def _failed(self, failed: BaseException) -> None:
        """Keeps how the commit ended. Unless it may have been made, an open transaction stays
        open.
        """
        with self._lock:
            self._committing -= 1
            known = isinstance(failed, errors.StatehouseError) and not (
                isinstance(failed, errors.OutcomeUnknown) or failed.maybe_applied
            )
            if isinstance(failed, DECIDES) and known:
                self._end(failed)
            elif not known:
                self._doubt = True
            elif not self._committing and not self._doubt:
                self._request = None

    def _abort(self) -> Steps[None]:
        with self._lock:
            if isinstance(self._outcome, Commit):
                self._check_open()
            if self._outcome is None and self._request is not None:
                unknown = errors.OutcomeUnknown(
                    f"transaction {self.txn_id} is not aborted, for it may have been committed"
                )
                unknown.txn_id = self.txn_id
                raise unknown
            self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))
        yield from ()

    def _end(self, outcome: Commit | errors.StatehouseError) -> None:
        """Keeps the outcome. The daemon answers every call the same, so the first stays."""
        with self._lock:
            if self._outcome is None:
                self._outcome = outcome

    def _give_up(self) -> Steps[None]:
        """Aborts the transaction, unless it may have been committed."""
        if self._request is None:
            self._end(errors.TransactionAborted(f"transaction {self.txn_id} was aborted"))
        yield from ()

    def _leave(self, failing: bool) -> Steps[None]:
        """Ends the block of the context manager."""
        if self._outcome is not None:
            return  # ended by hand
        if failing:
            yield from self._give_up()
            return
        try:
            yield from self._commit()
        except errors.OutcomeUnknown:
            raise
        except errors.StatehouseError:
            if self._outcome is None:
                yield from self._give_up()
            raise

    def _worth_repeating(self, failed: errors.StatehouseError) -> bool:
        """Reports whether a fresh transaction may succeed."""
        if isinstance(failed, (errors.OutcomeUnknown, errors.PreconditionFailed)):
            return False
        if failed._lasting:  # noqa: SLF001
            return False
        if isinstance(failed, (errors.ConflictError, errors.TransactionNotFound)):
            return True
        if isinstance(failed, errors.Unimplemented) and failed is self._outcome:
            return True  # the next one is held by the daemon
        return isinstance(failed, errors.ConnectionError) and not self._caller.options.fail_fast


def _key(item: Any) -> str:
    return item if isinstance(item, str) else str(item.key)


def _too_old(refused: errors.StatehouseError) -> errors.Unimplemented:
    error = errors.Unimplemented(
        "the daemon was replaced by an older one, which does not know what a transaction has read:"
        f" begin again ({refused.message})",
        answered=True,
    )
    error._told = refused._told  # noqa: SLF001
    return error


def begin(
    caller: Caller, timeout: float | None, timeout_ms: int | None, held: bool
) -> Steps[Begun]:
    """Begins a transaction. A daemon that is too old to know what a transaction has read holds
    it, as it does if that is asked for. Otherwise nothing is sent, but there has to be a
    connection.
    """
    given = _milliseconds(timeout, timeout_ms)
    in_daemon = check.flag("held", held)

    def steps() -> Steps[Begun]:
        if in_daemon or not (yield from _knows_reads(caller)):
            # It may be repeated: a transaction whose id was lost expires.
            request = pb.BeginTransactionRequest(timeout_ms=given)
            opened = yield from caller.call("BeginTransaction", request)
            return Begun(opened.txn_id, opened.timeout_ms / 1000, True, opened.snapshot_ts)
        return Begun(new_txn_id(), _TIMEOUT if given is None else given / 1000)

    return steps()


def _knows_reads(caller: Caller) -> Steps[bool]:
    """Reports whether the daemon validates what a transaction has read. It is asked once, with a
    transaction that says to have read nothing, which an older one takes for empty and refuses.
    """
    endpoint = caller.endpoint
    if endpoint.knows_reads is not None:
        yield from caller.connect("begin_transaction")
        return endpoint.knows_reads
    try:
        probe = pb.TransactRequest(txn_id=new_txn_id(), reads=pb.ReadSet())
        yield from caller.call("Transact", probe)
    except errors.InvalidArgument:
        endpoint.knows_reads = False
    else:
        endpoint.knows_reads = True
    return endpoint.knows_reads


def _milliseconds(timeout: float | None, timeout_ms: int | None) -> int | None:
    if timeout_ms is None:
        return None if timeout is None else max(1, round(check.seconds("timeout", timeout) * 1000))
    if timeout is not None:
        raise check.refused("timeout_ms", "timeout and timeout_ms say the same: leave out one")
    if check.count("timeout_ms", timeout_ms) == 0:
        raise check.refused("timeout_ms", "timeout_ms must be 1 or more")
    return timeout_ms


def run_transaction(
    caller: Caller,
    make: Callable[[Begun, dict[str, str]], AnyTxn],
    function: Callable[[AnyTxn], Any],
    timeout: float | None,
    timeout_ms: int | None,
    metadata: Mapping[str, str] | None,
) -> Steps[Any]:
    """Runs a function in one transaction after another until one commits."""
    deadline = Deadline(caller.options.timeout)
    given = check.text_map("metadata", metadata)
    tries = 0
    while True:
        begun = yield from begin(caller, timeout, timeout_ms, held=False)
        txn = make(begun, dict(given))
        try:
            return (yield from _run_once(txn, function))
        except errors.StatehouseError as failed:
            if not txn._worth_repeating(failed):  # noqa: SLF001
                raise
            try:
                yield from caller.pause("run_transaction", tries, deadline, failed)
            except errors.DeadlineExceeded:
                raise failed from None
        tries += 1


def _run_once(txn: AnyTxn, function: Callable[[AnyTxn], Any]) -> Steps[Any]:
    try:
        result = yield Invoke(function, (txn,))
        check_result(result)
        txn._check_whole()  # noqa: SLF001
    except BaseException:  # it is raised again
        if txn._outcome is None:  # noqa: SLF001
            yield from txn._give_up()  # noqa: SLF001
        raise
    yield from txn._commit()  # noqa: SLF001
    return result
