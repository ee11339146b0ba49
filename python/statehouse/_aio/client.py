"""The client that is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from statehouse import _arguments as check
from statehouse import errors
from statehouse._agents import AboutAgent, BaseAgent
from statehouse._aio.changes import Changes
from statehouse._aio.daemon import DaemonCalls
from statehouse._aio.finding import Finding
from statehouse._aio.leases import AsyncLease, Leases, Leasing, Renewing
from statehouse._aio.log import Log
from statehouse._aio.members import MembersTransport
from statehouse._aio.reads import Reads
from statehouse._aio.transport import Transport
from statehouse._aio.txn import AsyncHeldTxn, AsyncTxn
from statehouse._aio.writes import Writes
from statehouse._client import ClientSurface
from statehouse._functions import check_function
from statehouse._leases import BaseLease
from statehouse._steps.leases import acquire
from statehouse._steps.running import begin, run_transaction
from statehouse._steps.txnreads import Begun
from statehouse.types import Duration, LeasePrecondition

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType
    from typing import NoReturn

T = TypeVar("T")


class Beginning:
    """A transaction that is about to begin: await it for an :class:`AsyncTxn`, or use it
    with ``async with``.
    """

    def __init__(self, begin: Coroutine[Any, Any, AsyncTxn]) -> None:
        self._begin = begin
        self._begun = False
        self._txn: AsyncTxn | None = None

    def __await__(self) -> Generator[Any, None, AsyncTxn]:
        if self._begun:
            raise errors.UsageError(
                "this transaction was begun already: call begin_transaction for each"
            )
        self._begun = True
        return self._begin.__await__()

    async def __aenter__(self) -> AsyncTxn:
        self._txn = await self
        return self._txn

    def __enter__(self) -> NoReturn:
        self._begin.close()
        raise errors.UsageError("write: async with client.begin_transaction() as tx")

    def __exit__(self, *_: object) -> None:
        """Never called; Python looks for it first."""

    def __repr__(self) -> str:
        return f"<begin_transaction(): {'begun' if self._begun else 'not awaited yet'}>"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._txn is not None:
            await self._txn.__aexit__(kind, error, traceback)


class AsyncStatehouse(ClientSurface, Reads, Writes, Changes, Leases, Finding, Log, DaemonCalls):
    """Talks to one daemon. What :class:`Statehouse` does by blocking is awaited here; what it
    iterates over is iterated over with ``async for``.

    >>> async with AsyncStatehouse(url="localhost:50051") as client:
    ...     _ = await client.write(agent_id="a1", key="memory", value={"fact": "Paris"})
    ...     [record.key async for record in client.scan_prefix(agent_id="a1")]
    ['memory']

    Any call may raise :class:`ConnectionError` when the daemon cannot be reached or does not
    answer within the client's timeout, :class:`Unauthenticated` when the token is missing or
    wrong, :class:`ResourceExhausted` at a limit, and :class:`UsageError` when the client is
    closed. Calls are repeated where that is safe.

    A client belongs to the event loop, and the process, that first uses it. Many tasks may
    use it at once. Cancelling a task that commits leaves open whether the commit is made:
    ask ``get_transaction``.
    """

    _usage = "async with AsyncStatehouse(...) as client"

    def _open(self) -> None:
        members = self._endpoint.members
        self._transport = (
            Transport(self._endpoint, self._capture)
            if members is None
            else MembersTransport(members.endpoints, self._capture)
        )
        self._renewing = Renewing(self._transport, self._caller)

    def begin_transaction(
        self,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
        held: bool = False,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Beginning:
        """Begins an :class:`AsyncTxn`: ``tx = await client.begin_transaction()``. With ``async
        with`` it commits at the end of the block and aborts when an exception leaves it.

        >>> async with client.begin_transaction(metadata={"actor": "planner"}) as tx:
        ...     plan = await tx.get_state("a1", "plan")
        ...     await tx.write("a1", "plan", {"step": plan.value["step"] + 1 if plan else 1})
        >>> (await client.get_state("a1", "plan")).value
        {'step': 1}

        ``timeout``
            Seconds until it is too late to commit; None: 30.
        ``metadata``
            Stays with the commit: who did it, why, for which run…
        ``timeout_ms``
            Milliseconds; of programs written for older clients, in the place of ``timeout``.
        ``held``
            The daemon holds the transaction: it knows of it while it is open, its snapshot is
            that of the begin, and each write is a request, which is not sent again when its
            answer is lost. Such a transaction is gone when the daemon is started again. It takes
            only writes without deadlines, and deletes.
        ``leases``
            What ``lease`` gave: the commit is refused with :class:`LeaseLost` unless each of them
            is still held.

        Raises :class:`InvalidArgument` for a timeout that is not above 0, and
        :class:`ResourceExhausted` when the daemon holds too many transactions.
        """
        given = check.text_map("metadata", metadata)
        required = check.items("leases", leases)
        steps = begin(self._caller, timeout, timeout_ms, held)

        async def begun() -> AsyncTxn:
            return self._txn(await self._run(steps), given, required)

        return Beginning(begun())

    async def run_transaction(
        self,
        function: Callable[[AsyncTxn], Awaitable[T]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> T:
        """Runs a coroutine function in a transaction, commits it, and returns what the function
        returned.

        >>> async def count(tx):
        ...     record = await tx.get_state("a1", "visits")
        ...     visits = record.value["n"] + 1 if record else 1
        ...     await tx.write("a1", "visits", {"n": visits})
        ...     return visits
        >>> await client.run_transaction(count), await client.run_transaction(count)
        (1, 2)

        ``function``
            Takes the transaction. When something it read was changed meanwhile it runs again in
            a fresh transaction until the client's timeout passes: so it must do nothing but use
            the transaction, and start from nothing each time. An exception of its own aborts the
            transaction and is raised.
        ``timeout``, ``metadata``, ``timeout_ms``, ``leases``
            As in ``begin_transaction``, of each of these transactions.

        Raises what ``AsyncTxn.commit`` raises: :class:`ConflictError` when the time is over,
        :class:`PreconditionFailed` at once, for only the caller knows what to expect now.
        """
        check_function(function, awaited=True)
        required = check.items("leases", leases)
        steps = run_transaction(
            self._caller,
            lambda begun, given: self._txn(begun, given, required),
            function,
            timeout,
            timeout_ms,
            metadata,
        )
        result: T = await self._run(steps)
        return result

    def agent(self, agent_id: str) -> AsyncAgentState:
        """Names an agent once, for all that is about it: ``session.append("message/", …)``.

        >>> session = client.agent("session-7")
        >>> (await session.increment("usage", "/tokens", 120)).value
        {'tokens': 120}

        It asks nothing, and an agent needs no making: it begins with its first commit.

        Raises :class:`InvalidArgument` for what is no text.
        """
        return AsyncAgentState(self, check.text("agent_id", agent_id))

    def lease(
        self,
        agent_id: str,
        name: str,
        *,
        ttl: Duration = 30.0,
        wait: float | None = 0.0,
        holder: str | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Leasing:
        """Acquires a lease of an agent, so that one worker at a time is at work on it, and renews
        it in the background until it is released, which the end of an ``async with`` block does.

        >>> async with client.lease("session-7", "worker", ttl=30, holder="alice") as lease:
        ...     _ = await client.write("session-7", "answer", {"text": "42"}, leases=[lease])
        ...     await client.lease("session-7", "worker")
        Traceback (most recent call last):
        statehouse.errors.LeaseHeld: …

        ``name``
            Any text that may be a key; leases of an agent have names of their own.
        ``ttl``
            Seconds, or a timedelta, that the lease is held after its acquisition, and after each
            renewal: how long others wait when this process dies.
        ``wait``
            Seconds to wait while another holds it, by a watch; None: for ever. 0: it is refused at
            once.
        ``holder``
            Who holds it, for people; None: this machine and process.
        ``namespace``, ``metadata``
            As in ``write``.

        A lease is lost when no renewal is answered within ``ttl``, or the daemon says that it is
        not held any more. Then the task that is in the ``async with`` block is cancelled, and
        :class:`LeaseLost` leaves the block in the place of the cancellation. Without a block, as
        with ``lease = await client.lease(...)``, nothing is cancelled: ``lease.lost`` is set and
        ``lease.check()`` raises. What makes sure is the token: a commit with ``leases=[lease]`` is
        refused once the lease is lost, whatever this process believes.

        Raises :class:`LeaseHeld` when another holds it, after ``wait`` seconds, and what ``write``
        raises.
        """
        steps = acquire(self._caller, agent_id, name, ttl, wait, holder, namespace, metadata)

        async def acquired() -> AsyncLease:
            info, sent = await self._run(steps)
            lease = AsyncLease(self._renewing, info, sent)
            self._renewing.add(lease)
            return lease

        return Leasing(acquired())

    def _txn(
        self,
        begun: Begun,
        metadata: dict[str, str],
        leases: list[BaseLease | LeasePrecondition],
    ) -> AsyncTxn:
        kind = AsyncHeldTxn if begun.held else AsyncTxn
        return kind(self._transport, self._caller, begun, metadata, leases)

    async def close(self) -> None:
        """Closes the connection. Closing twice is no error.

        Calls that are under way fail with :class:`UsageError`, a commit with
        :class:`OutcomeUnknown`: it may be made all the same. Leases that are held count as lost,
        and lapse.
        """
        self._renewing.close()
        await self._transport.close()

    async def __aexit__(self, *_: object) -> None:
        """Closes the client."""
        await self.close()


class AsyncAgentState(BaseAgent):
    """One agent, or session: the methods of :class:`AsyncStatehouse` that are about an agent,
    with the same parameters but for its name.

    >>> session = client.agent("session-7")
    >>> _ = await session.append("message/", {"role": "user", "text": "Hello"})
    >>> await session.list_keys()
    ['message/0000000000000001']

    ``agent_id``
        Its name.
    """

    get_state = AboutAgent(AsyncStatehouse.get_state)
    get_many = AboutAgent(AsyncStatehouse.get_many)
    get_state_at_version = AboutAgent(AsyncStatehouse.get_state_at_version)
    list_keys = AboutAgent(AsyncStatehouse.list_keys)
    scan_keys = AboutAgent(AsyncStatehouse.scan_keys)
    scan_prefix = AboutAgent(AsyncStatehouse.scan_prefix)
    write = AboutAgent(AsyncStatehouse.write)
    delete = AboutAgent(AsyncStatehouse.delete)
    append = AboutAgent(AsyncStatehouse.append)
    increment = AboutAgent(AsyncStatehouse.increment)
    merge = AboutAgent(AsyncStatehouse.merge)
    put_if_absent = AboutAgent(AsyncStatehouse.put_if_absent)
    delete_prefix = AboutAgent(AsyncStatehouse.delete_prefix)
    delete_agent = AboutAgent(AsyncStatehouse.delete_agent)
    restore = AboutAgent(AsyncStatehouse.restore)
    fork = AboutAgent(AsyncStatehouse.fork)
    refresh = AboutAgent(AsyncStatehouse.refresh)
    lease = AboutAgent(AsyncStatehouse.lease)
    claim = AboutAgent(AsyncStatehouse.claim)
    list_leases = AboutAgent(AsyncStatehouse.list_leases)
    find = AboutAgent(AsyncStatehouse.find)
    diff = AboutAgent(AsyncStatehouse.diff)
    get_agent = AboutAgent(AsyncStatehouse.get_agent)
    history = AboutAgent(AsyncStatehouse.history)
    replay = AboutAgent(AsyncStatehouse.replay)
    watch = AboutAgent(AsyncStatehouse.watch)
