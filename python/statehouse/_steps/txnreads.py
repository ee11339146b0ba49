"""Reading in a transaction that lives in the client.

What is read is read as of one commit, the one that the first answer was of, under what the
transaction has written. It is remembered as far as the user was told of it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Caller, Deadline, expired
from statehouse._effects import Feed, Items, Steps
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.reads import NATIVE, ReadSteps, existing, record
from statehouse._steps.readset import ReadSet, Stretch
from statehouse._steps.staged import TOGETHER, Staged, over
from statehouse._values import DEFAULT_CONTENT_TYPE
from statehouse.types import Commit, Point, Record, RecordName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


class Begun(NamedTuple):
    """How a transaction begins."""

    txn_id: str
    timeout: float
    #: The daemon holds it, and it reads the state at that commit_ts.
    held: bool = False
    snapshot: int | None = None


class TxnReads(ReadSteps):
    """What a transaction has read and written, while it is open."""

    #: The id to ask ``get_transaction`` for.
    txn_id: str
    #: Seconds from its begin until it is too late to commit.
    timeout: float

    def __init__(self, caller: Caller, begun: Begun) -> None:
        self._caller = caller
        self.txn_id, self.timeout = begun.txn_id, begun.timeout
        self._deadline = Deadline(begun.timeout)
        # Of what follows; never held during a call. A signal handler may re-enter it.
        self._lock = threading.RLock()
        self._staged = Staged()
        self._reads = ReadSet(caller.endpoint.epoch)
        self._reads.snapshot = begun.snapshot
        #: What is being committed, or has been without an answer. It is not changed any more.
        self._request: pb.TransactRequest | None = None
        self._outcome: Commit | errors.StatehouseError | None = None

    @property
    def snapshot_ts(self) -> int:
        """The commit_ts of the state it reads; 0 before its first read."""
        return self._reads.snapshot or 0

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

    def _point(self, as_of: Point | None) -> None:
        if as_of is not None:
            raise check.refused(
                "as_of", "a read inside a transaction is at its snapshot: leave as_of out"
            )

    def _least(self, min_read_ts: int | None) -> int | None:
        if min_read_ts is not None:
            raise check.refused(
                "min_read_ts", "a read inside a transaction is at its snapshot: leave it out"
            )
        return None

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
            record = name.namespace, name.agent_id, name.key
            if (operation := self._staged.unknown(record)) is not None:
                raise _undecided(f'key "{name.key}"', operation)
            return self._staged.get(record)

    def _saw(self, name: pb.RecordName, version: int) -> None:
        with self._lock:
            self._reads.saw((name.namespace, name.agent_id, name.key), version)
            self._check_size()

    def _shown(self, own: pb.TransactOperation) -> Record | None:
        """Makes the record that an own write is to be."""
        if own.delete:
            return None
        name = RecordName(own.agent_id, own.key, own.namespace)
        said = own.put if own.HasField("put") else own
        state = pb.GetStateResponse(value_json=said.value_json)
        if own.HasField("put") and own.put.HasField("value_bytes"):
            state.value_bytes = own.put.value_bytes
            state.content_type = own.put.content_type or DEFAULT_CONTENT_TYPE
        return existing(name, state, self.snapshot_ts)

    def _get_state(
        self,
        agent_id: str,
        key: str,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Steps[Record | None]:
        self._point(as_of)
        self._least(min_read_ts)
        [name] = self._names(agent_id, [key], namespace)
        own = self._own(name)
        if own is not None:
            return self._shown(own)
        response = yield from self._ask(
            "GetState",
            pb.GetStateRequest(
                namespace=name.namespace, agent_id=name.agent_id, key=name.key, encoding=NATIVE
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
        min_read_ts: int | None,
    ) -> Steps[list[Record | None]]:
        self._point(as_of)
        self._least(min_read_ts)
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

    def _keys(self, request: pb.ListKeysRequest, limit: int | None) -> Feed[str]:
        """Lists all keys, for what a transaction reads is stretches of keys, and makes folders of
        them here.
        """
        delimiter, prefix = request.delimiter, len(request.prefix)
        if not delimiter:
            return super()._keys(request, limit)
        request.delimiter = ""
        return self._folded(super()._keys(request, None), delimiter, prefix, limit)

    @staticmethod
    def _folded(feed: Feed[str], delimiter: str, prefix: int, left: int | None) -> Feed[str]:
        last = ""
        step: Any
        try:
            step = next(feed) if left != 0 else None
            while step is not None:
                if not isinstance(step, Items):
                    try:
                        result = yield step
                    except BaseException as failed:  # for the feed to handle
                        step = feed.throw(failed)
                    else:
                        step = feed.send(result)
                    continue
                for key in step.items:
                    at = key.find(delimiter, prefix)
                    shown = key if at < 0 else key[: at + len(delimiter)]
                    if shown == last:
                        continue
                    last = shown
                    yield Items([shown])
                    left = None if left is None else left - 1
                    if left == 0:
                        return
                step = next(feed)
        except StopIteration:
            return
        finally:
            feed.close()

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
            about = request.namespace, request.agent_id, request.prefix
            if (operation := self._staged.unknown_within(*about)) is not None:
                raise _undecided(f'the keys under "{request.prefix}"', operation)
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


def _undecided(what: str, operation: pb.TransactOperation) -> errors.UsageError:
    """Makes the error for a read of what only the commit decides."""
    fields = {field.name for field, _ in operation.ListFields()}
    done = "append" if operation.put.append else "put_if_absent" if "put" in fields else ""
    done = done or next(iter(fields - {"namespace", "agent_id", "key", "expected_version"}))
    return errors.UsageError(
        f'{what} of agent "{operation.agent_id}" cannot be read here: the transaction has staged'
        f" {done.removesuffix('_json')}, and what comes of it is known when it commits: read"
        " before, or after the commit"
    )


def _key(item: Any) -> str:
    return item if isinstance(item, str) else str(item.key)
