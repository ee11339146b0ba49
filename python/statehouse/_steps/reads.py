"""Reading records: what a client and a transaction have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._effects import Feed, Items, Steps
from statehouse._proto import statehouse_pb2 as pb
from statehouse._times import moment, point_message, to_datetime
from statehouse._values import value_of
from statehouse.types import Point, Record, RecordName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from statehouse._calls import Caller

T = TypeVar("T")
#: As values were written. A daemon that does not know this has only JSON: see _calls.py.
NATIVE = pb.VALUE_ENCODING_NATIVE
#: How many names the daemon takes in one BatchGetState.
_BATCH = 1000


def encoding(values: bool) -> pb.ValueEncoding:
    return NATIVE if check.flag("values", values) else pb.VALUE_ENCODING_NONE


def may_be_stale(caller: Caller, request: Any) -> None:
    """Says how old the state may be that a request reads, if the client takes an older one."""
    seconds = caller.options.at_most_stale
    if seconds is not None:
        request.max_staleness_ms = max(1, round(seconds * 1000))


class ReadSteps:
    """Reads of one namespace, now or at an earlier point. A transaction has its own way to ask."""

    _caller: Caller

    def _ask(self, method: str, request: Any) -> Steps[Any]:
        """Makes the call of a read."""
        may_be_stale(self._caller, request)
        return self._caller.call(method, request)

    def _point(self, as_of: Point | None) -> Any:
        """Makes the message of the point that a read is at."""
        return point_message(as_of)

    def _least(self, min_read_ts: int | None) -> int | None:
        """Checks the commit that a read must not be before."""
        return check.optional_count("min_read_ts", min_read_ts)

    def _get_state(
        self,
        agent_id: str,
        key: str,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Steps[Record | None]:
        name = RecordName(agent_id, key, self._caller.namespace(namespace))
        response = yield from self._ask(
            "GetState",
            pb.GetStateRequest(
                namespace=name.namespace,
                agent_id=check.text("agent_id", agent_id),
                key=check.text("key", key),
                encoding=NATIVE,
                at=self._point(as_of),
                min_read_ts=self._least(min_read_ts),
            ),
        )
        return record(name, response, response.read_ts)

    def _get_many(
        self,
        agent_id: str,
        keys: Iterable[str | RecordName],
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Steps[list[Record | None]]:
        names = self._names(agent_id, keys, namespace)
        states = yield from self._states(names, self._point(as_of), self._least(min_read_ts))
        return [
            record(RecordName(name.agent_id, name.key, name.namespace), state, read_ts)
            for name, (state, read_ts) in zip(names, states)
        ]

    def _states(
        self, names: list[pb.RecordName], at: Any, least: int | None = None
    ) -> Steps[list[tuple[pb.GetStateResponse, int]]]:
        """Asks for records, and returns each with the commit that it was read after."""
        states: list[tuple[pb.GetStateResponse, int]] = []
        size = _BATCH
        while len(states) < len(names):
            batch = names[len(states) : len(states) + size]
            request = pb.BatchGetStateRequest(
                names=batch, encoding=NATIVE, at=at, min_read_ts=least
            )
            try:
                response = yield from self._ask("BatchGetState", request)
            except (errors.ResourceExhausted, errors.InvalidArgument) as refused:
                # More bytes than an answer may have, or more names than this daemon takes.
                many = refused.details.get("field") == "names"
                if len(batch) == 1 or not (many or isinstance(refused, errors.ResourceExhausted)):
                    raise
                size = len(batch) // 2
                continue
            if len(response.states) != len(batch):
                raise errors.broken(f"{len(response.states)} records for {len(batch)} names")
            states += [(state, response.read_ts) for state in response.states]
            at = {"commit_ts": response.read_ts}  # later batches read where the first one did
        return states

    def _names(
        self, agent_id: str, keys: Iterable[str | RecordName], namespace: str | None
    ) -> list[pb.RecordName]:
        space, agent = self._caller.namespace(namespace), check.text("agent_id", agent_id)
        return [
            self._name(key, space)
            if isinstance(key, RecordName)
            else pb.RecordName(namespace=space, agent_id=agent, key=check.text("key", key))
            for key in check.items("keys", keys)
        ]

    def _name(self, named: RecordName, space: str) -> pb.RecordName:
        return pb.RecordName(
            namespace=space if named.namespace is None else self._caller.namespace(named.namespace),
            agent_id=check.text("agent_id", named.agent_id),
            key=check.text("key", named.key),
        )

    def _list_keys(
        self,
        agent_id: str,
        prefix: str,
        reverse: bool,
        limit: int | None,
        delimiter: str | None,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Steps[list[str]]:
        feed = self._scan_keys(
            agent_id, prefix, reverse, limit, delimiter, namespace, as_of, min_read_ts
        )
        return (yield from collect(feed))

    def _scan_keys(
        self,
        agent_id: str,
        prefix: str,
        reverse: bool,
        limit: int | None,
        delimiter: str | None,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Feed[str]:
        request = pb.ListKeysRequest(
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            prefix=check.text("prefix", prefix),
            reverse=check.flag("reverse", reverse),
            at=self._point(as_of),
            min_read_ts=self._least(min_read_ts),
            delimiter=_delimiter(delimiter),
        )
        return self._keys(request, check.optional_count("limit", limit))

    def _keys(self, request: pb.ListKeysRequest, limit: int | None) -> Feed[str]:
        """Hands out keys, and folders among them."""

        def items(response: pb.ListKeysResponse) -> list[str]:
            if not request.delimiter:
                return list(response.keys)
            for key in response.keys:
                if request.delimiter in key[len(request.prefix) :]:
                    raise errors.Unimplemented("the daemon does not know delimiters", answered=True)
            return sorted([*response.keys, *response.folders], reverse=request.reverse)

        return self._listed("ListKeys", request, limit, items)

    def _scan_prefix(
        self,
        agent_id: str,
        prefix: str,
        reverse: bool,
        limit: int | None,
        namespace: str | None,
        as_of: Point | None,
        min_read_ts: int | None,
    ) -> Feed[Record]:
        request = pb.ScanPrefixRequest(
            namespace=self._caller.namespace(namespace),
            agent_id=check.text("agent_id", agent_id),
            prefix=check.text("prefix", prefix),
            encoding=NATIVE,
            reverse=check.flag("reverse", reverse),
            at=self._point(as_of),
            min_read_ts=self._least(min_read_ts),
        )

        def items(response: pb.ScanPrefixResponse) -> list[Record]:
            return [
                existing(
                    RecordName(agent_id, entry.key, request.namespace), entry, response.read_ts
                )
                for entry in response.entries
            ]

        return self._listed("ScanPrefix", request, limit, items)

    def _listed(
        self,
        method: str,
        request: Any,
        limit: int | None,
        items: Callable[[Any], Iterable[T]],
    ) -> Feed[T]:
        """Hands out what is on the pages of a list."""
        left = check.optional_count("limit", limit)
        return _pages(self._ask, self._caller.options.page_size, method, request, left, items)


def pages(
    caller: Caller,
    method: str,
    request: Message,
    limit: int | None,
    items: Callable[[Any], Iterable[T]],
) -> Feed[T]:
    """Asks for page after page and hands out what is on them; at most ``limit``."""
    left = check.optional_count("limit", limit)
    return _pages(caller.call, caller.options.page_size, method, request, left, items)


def _pages(
    ask: Callable[[str, Any], Steps[Any]],
    size: int,
    method: str,
    request: Any,
    left: int | None,
    items: Callable[[Any], Any],
) -> Feed[T]:
    while left is None or left > 0:
        request.limit = size if left is None else min(size, left)
        response = yield from ask(method, request)
        page = list(items(response))
        yield Items(page)
        if not response.next_page_token:
            return
        if response.next_page_token == request.page_token:
            raise errors.broken("a page that names itself as the next")
        request.page_token = response.next_page_token
        if left is not None:
            left -= len(page)


def collect(feed: Feed[T]) -> Steps[list[T]]:
    """Makes a list of all that a feed hands out."""
    out: list[T] = []
    try:
        step = next(feed)
        while True:
            if isinstance(step, Items):
                out += step.items
                step = next(feed)
                continue
            try:
                result = yield step
            except BaseException as failed:  # for the feed to handle: it repeats what failed
                step = feed.throw(failed)
            else:
                step = feed.send(result)
    except StopIteration:
        return out


def record(name: RecordName, message: Any, read_ts: int = 0) -> Record | None:
    """Makes a record of an answer; None when it does not exist."""
    return existing(name, message, read_ts) if message.exists else None


def existing(name: RecordName, message: Any, read_ts: int) -> Record:
    erased, pruned = getattr(message, "erased", False), getattr(message, "pruned", False)
    return Record(
        key=name.key,
        value={} if erased or pruned else value_of(message),
        version=message.version,
        commit_ts=message.commit_ts,
        timestamp=to_datetime(message.commit_time),
        agent_id=name.agent_id,
        namespace=name.namespace or "",
        read_ts=read_ts,
        erased=erased,
        pruned=pruned,
        content_type=message.content_type,
        **_deadlines(message),
    )


def _deadlines(message: Any) -> dict[str, Any]:
    """Reads what only some answers have."""
    fields = message.DESCRIPTOR.fields_by_name
    return {name: moment(message, name) for name in ("expires_at", "due_at") if name in fields}


def _delimiter(given: str | None) -> str:
    if given is None:
        return ""
    if not check.text("delimiter", given):
        raise check.refused("delimiter", "the delimiter is empty: None lists all keys")
    return given
