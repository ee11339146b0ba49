"""The client that blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable, TypeVar

from statehouse import _arguments as check
from statehouse._agents import AboutAgent, BaseAgent
from statehouse._client import ClientSurface
from statehouse._functions import check_function
from statehouse._leases import BaseLease
from statehouse._steps.leases import acquire
from statehouse._steps.running import begin, run_transaction
from statehouse._steps.txnreads import Begun
from statehouse._sync.changes import Changes
from statehouse._sync.daemon import DaemonCalls
from statehouse._sync.finding import Finding
from statehouse._sync.leases import Lease, Leases, Renewing
from statehouse._sync.log import Log
from statehouse._sync.members import MembersTransport
from statehouse._sync.reads import Reads
from statehouse._sync.transport import Transport
from statehouse._sync.txn import HeldTxn, Txn
from statehouse._sync.writes import Writes
from statehouse.types import Duration, LeasePrecondition

T = TypeVar("T")


class Statehouse(ClientSurface, Reads, Writes, Changes, Leases, Finding, Log, DaemonCalls):
    """Talks to one daemon, and blocks until it has answered.

    >>> with Statehouse(url="localhost:50051") as client:
    ...     client.write(agent_id="a1", key="memory", value={"fact": "Paris"}).version
    1

    Any call may raise :class:`ConnectionError` when the daemon cannot be reached or does not
    answer within the client's timeout, :class:`Unauthenticated` when the token is missing or
    wrong, :class:`ResourceExhausted` at a limit, and :class:`UsageError` when the client is
    closed. Calls are repeated where that is safe.

    Several threads may use one client at once. After a fork the child must make its own: one
    that was used before raises :class:`UsageError` there.
    """

    _usage = "with Statehouse(...) as client"

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
    ) -> Txn:
        """Begins a :class:`Txn`; as a context manager it commits at the end of the block and
        aborts when an exception leaves it.

        >>> with client.begin_transaction(metadata={"actor": "planner"}) as tx:
        ...     plan = tx.get_state("a1", "plan")
        ...     tx.write("a1", "plan", {"step": plan.value["step"] + 1 if plan else 1})
        >>> client.get_state("a1", "plan").value
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
        begun = self._run(begin(self._caller, timeout, timeout_ms, held))
        return self._txn(begun, given, required)

    def run_transaction(
        self,
        function: Callable[[Txn], T],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_ms: int | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> T:
        """Runs a function in a transaction, commits it, and returns what the function
        returned.

        >>> def count(tx):
        ...     record = tx.get_state("a1", "visits")
        ...     visits = record.value["n"] + 1 if record else 1
        ...     tx.write("a1", "visits", {"n": visits})
        ...     return visits
        >>> client.run_transaction(count), client.run_transaction(count)
        (1, 2)

        ``function``
            Takes the transaction. When something it read was changed meanwhile it runs again in
            a fresh transaction until the client's timeout passes: so it must do nothing but use
            the transaction, and start from nothing each time. An exception of its own aborts the
            transaction and is raised.
        ``timeout``, ``metadata``, ``timeout_ms``, ``leases``
            As in ``begin_transaction``, of each of these transactions.

        Raises what ``Txn.commit`` raises: :class:`ConflictError` when the time is over,
        :class:`PreconditionFailed` at once, for only the caller knows what to expect now.
        """
        check_function(function, awaited=False)
        required = check.items("leases", leases)
        steps = run_transaction(
            self._caller,
            lambda begun, given: self._txn(begun, given, required),
            function,
            timeout,
            timeout_ms,
            metadata,
        )
        result: T = self._run(steps)
        return result

    def agent(self, agent_id: str) -> AgentState:
        """Names an agent once, for all that is about it: ``session.append("message/", …)``.

        >>> session = client.agent("session-7")
        >>> session.increment("usage", "/tokens", 120).value
        {'tokens': 120}

        It asks nothing, and an agent needs no making: it begins with its first commit.

        Raises :class:`InvalidArgument` for what is no text.
        """
        return AgentState(self, check.text("agent_id", agent_id))

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
    ) -> Lease:
        """Acquires a lease of an agent, so that one worker at a time is at work on it, and renews
        it in the background until it is released, which the end of a ``with`` block does.

        >>> with client.lease("session-7", "worker", ttl=30, holder="alice") as lease:
        ...     _ = client.write("session-7", "answer", {"text": "42"}, leases=[lease])
        ...     client.lease("session-7", "worker")
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
        not held any more. Then ``lease.lost`` is set, ``lease.check()`` raises, and so does the end
        of the block. Python cannot stop a thread: work that goes on must look now and then. What
        makes sure is the token: a commit with ``leases=[lease]`` is refused once the lease is lost,
        whatever this process believes.

        Raises :class:`LeaseHeld` when another holds it, after ``wait`` seconds, and what ``write``
        raises.
        """
        steps = acquire(self._caller, agent_id, name, ttl, wait, holder, namespace, metadata)
        info, sent = self._run(steps)
        lease = Lease(self._renewing, info, sent)
        self._renewing.add(lease)
        return lease

    def _txn(
        self,
        begun: Begun,
        metadata: dict[str, str],
        leases: list[BaseLease | LeasePrecondition],
    ) -> Txn:
        kind = HeldTxn if begun.held else Txn
        return kind(self._transport, self._caller, begun, metadata, leases)

    def close(self) -> None:
        """Closes the connection. Closing twice is no error.

        Calls that are under way fail with :class:`UsageError`, a commit with
        :class:`OutcomeUnknown`: it may be made all the same. Leases that are held count as lost,
        and lapse.
        """
        self._renewing.close()
        self._transport.close()

    def __exit__(self, *_: object) -> None:
        """Closes the client."""
        self.close()


class AgentState(BaseAgent):
    """One agent, or session: the methods of :class:`Statehouse` that are about an agent,
    with the same parameters but for its name.

    >>> session = client.agent("session-7")
    >>> _ = session.append("message/", {"role": "user", "text": "Hello"})
    >>> session.list_keys()
    ['message/0000000000000001']

    ``agent_id``
        Its name.
    """

    get_state = AboutAgent(Statehouse.get_state)
    get_many = AboutAgent(Statehouse.get_many)
    get_state_at_version = AboutAgent(Statehouse.get_state_at_version)
    list_keys = AboutAgent(Statehouse.list_keys)
    scan_keys = AboutAgent(Statehouse.scan_keys)
    scan_prefix = AboutAgent(Statehouse.scan_prefix)
    write = AboutAgent(Statehouse.write)
    delete = AboutAgent(Statehouse.delete)
    append = AboutAgent(Statehouse.append)
    increment = AboutAgent(Statehouse.increment)
    merge = AboutAgent(Statehouse.merge)
    put_if_absent = AboutAgent(Statehouse.put_if_absent)
    delete_prefix = AboutAgent(Statehouse.delete_prefix)
    delete_agent = AboutAgent(Statehouse.delete_agent)
    restore = AboutAgent(Statehouse.restore)
    fork = AboutAgent(Statehouse.fork)
    refresh = AboutAgent(Statehouse.refresh)
    lease = AboutAgent(Statehouse.lease)
    claim = AboutAgent(Statehouse.claim)
    list_leases = AboutAgent(Statehouse.list_leases)
    find = AboutAgent(Statehouse.find)
    diff = AboutAgent(Statehouse.diff)
    get_agent = AboutAgent(Statehouse.get_agent)
    history = AboutAgent(Statehouse.history)
    replay = AboutAgent(Statehouse.replay)
    watch = AboutAgent(Statehouse.watch)
