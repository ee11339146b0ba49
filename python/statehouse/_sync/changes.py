"""Commits that need no read before them, blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from statehouse._leases import BaseLease
from statehouse._steps.changes import ChangeSteps
from statehouse._sync.transport import Blocking
from statehouse.types import (
    Commit,
    Content,
    Duration,
    LeasePrecondition,
    Number,
    Point,
    Precondition,
    Record,
    RecordName,
    Value,
)


class Changes(ChangeSteps, Blocking):
    """What the daemon evaluates when the commit's turn comes, so that nothing is read before."""

    def append(
        self,
        agent_id: str,
        prefix: str,
        value: Content,
        *,
        content_type: str | None = None,
        ttl: Duration | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Record:
        """Appends a record to a sequence, such as the messages of a conversation: its key is the
        prefix and the next number, which the daemon gives.

        >>> client.append("a1", "message/", {"role": "user", "text": "Hello"}).key
        'message/0000000000000001'
        >>> client.append("a1", "message/", {"role": "assistant", "text": "Hi"}).key
        'message/0000000000000002'
        >>> [record.value["text"] for record in client.scan_prefix("a1", "message/")]
        ['Hello', 'Hi']

        ``prefix``
            What the keys of the sequence begin with. The number has 16 digits, so that they are in
            order; one is never given twice, also not after deletes.
        ``value``, ``content_type``, ``ttl``, ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``. Give a ``txn_id`` of your own where an append is repeated by another
            run of the program: under the same one it is made once.

        Any number of writers may append to one sequence at once; they never conflict.

        Raises what ``write`` raises, and :class:`EvaluationFailed` when there is no next number.
        """
        steps = self._append(
            agent_id, prefix, value, content_type, ttl, namespace, metadata, txn_id, leases
        )
        return self._run(steps)

    def increment(
        self,
        agent_id: str,
        key: str,
        pointer: str,
        delta: Number = 1,
        *,
        minimum: Number | None = None,
        maximum: Number | None = None,
        expected_version: int | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Record:
        """Adds to a number in a record's value, and returns the record with the sum.

        >>> client.increment("a1", "usage", "/tokens", 120).value
        {'tokens': 120}
        >>> client.increment("a1", "usage", "/tokens", -20, minimum=0).value
        {'tokens': 100}
        >>> client.increment("a1", "usage", "/tokens", 5, maximum=100)
        Traceback (most recent call last):
        statehouse.errors.EvaluationFailed: …

        ``pointer``
            A JSON Pointer (RFC 6901) to the number, such as ``"/tokens/used"``. A record, or a
            member, that is not there counts as 0.
        ``delta``
            What is added: an int, a float or a Decimal, exactly as it is written.
        ``minimum``, ``maximum``
            Bounds of the sum. None: there is none.
        ``expected_version``, ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``.

        Increments never conflict with each other.

        Raises what ``write`` raises, and :class:`EvaluationFailed` when something else than a
        number is there, or the sum would be out of bounds; then nothing is changed.
        """
        steps = self._increment(
            agent_id,
            key,
            pointer,
            delta,
            minimum,
            maximum,
            expected_version,
            namespace,
            metadata,
            txn_id,
            leases,
        )
        return self._run(steps)

    def merge(
        self,
        agent_id: str,
        key: str,
        patch: Value,
        *,
        expected_version: int | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Record:
        """Merges a JSON Merge Patch (RFC 7396) into a record, and returns the record that came out.

        >>> _ = client.write("a1", "plan", {"goal": "Paris", "step": {"n": 1, "note": "x"}})
        >>> client.merge("a1", "plan", {"step": {"n": 2, "note": None}, "by": "me"}).value
        {'goal': 'Paris', 'step': {'n': 2}, 'by': 'me'}

        ``patch``
            A JSON object: its members replace those of the record, None takes a member away,
            objects are merged in turn. A record that does not exist counts as empty.
        ``expected_version``, ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``.

        Raises what ``write`` raises, and :class:`EvaluationFailed` when the record holds bytes.
        """
        steps = self._merge(
            agent_id, key, patch, expected_version, namespace, metadata, txn_id, leases
        )
        return self._run(steps)

    def put_if_absent(
        self,
        agent_id: str,
        key: str,
        value: Content,
        *,
        content_type: str | None = None,
        ttl: Duration | None = None,
        namespace: str | None = None,
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> tuple[Record, bool]:
        """Writes a record unless there is one, and returns what is there then, and whether it was
        written.

        >>> record, created = client.put_if_absent("a1", "owner", {"name": "alice"})
        >>> record.value, created
        ({'name': 'alice'}, True)
        >>> record, created = client.put_if_absent("a1", "owner", {"name": "bob"})
        >>> record.value, created
        ({'name': 'alice'}, False)

        ``value``, ``content_type``, ``ttl``, ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``.

        To have a whole commit refused in that case, expect version 0 instead.

        Raises what ``write`` raises. That there is a record is no error.
        """
        steps = self._put_if_absent(
            agent_id, key, value, content_type, ttl, namespace, metadata, txn_id, leases
        )
        return self._run(steps)

    def delete_prefix(
        self,
        agent_id: str,
        prefix: str,
        *,
        namespace: str | None = None,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Deletes every key of an agent that starts with ``prefix``, in one commit, however many
        they are.

        >>> _ = client.transact([Write("a1", f"tool/{n}", {}) for n in range(3)])
        >>> client.delete_prefix("a1", "tool/").keys
        3
        >>> client.list_keys("a1")
        []

        ``prefix``
            What the keys begin with; not empty.
        ``preconditions``
            As in ``transact``.
        ``namespace``, ``metadata``, ``txn_id``, ``leases``
            As in ``write``.

        Each key's version rises by one; earlier versions stay readable, and ``restore`` brings them
        back.

        Raises what ``transact`` raises.
        """
        steps = self._delete_prefix(
            agent_id, prefix, namespace, preconditions, metadata, txn_id, leases
        )
        return self._run(steps)

    def delete_agent(
        self,
        agent_id: str,
        *,
        namespace: str | None = None,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Deletes every key of an agent, as ``delete_prefix`` does.

        >>> _ = client.transact([Write("a1", f"note/{n}", {}) for n in range(3)])
        >>> client.delete_agent("a1").keys
        3

        ``namespace``, ``preconditions``, ``metadata``, ``txn_id``, ``leases``
            As in ``delete_prefix``. ``preconditions=[HeadPrecondition(agent_id, head)]`` refuses it
            when the agent has changed since.

        Its past stays; an operator can erase that.

        Raises what ``transact`` raises.
        """
        steps = self._delete_agent(agent_id, namespace, preconditions, metadata, txn_id, leases)
        return self._run(steps)

    def restore(
        self,
        agent_id: str,
        at: Point,
        *,
        prefix: str = "",
        namespace: str | None = None,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Gives the keys of an agent the state that they had at a point, as a new commit: nothing
        is lost.

        >>> before = client.write("a1", "plan", {"goal": "Paris"})
        >>> _ = client.write("a1", "plan", {"goal": "Rome"})
        >>> _ = client.write("a1", "note", {})
        >>> client.restore("a1", before.commit_ts).keys
        2
        >>> client.get_state("a1", "plan").value, client.list_keys("a1")
        ({'goal': 'Paris'}, ['plan'])

        ``at``
            A commit_ts, a datetime with a zone, or ISO 8601 text.
        ``prefix``
            Only keys that start with it.
        ``namespace``, ``preconditions``, ``metadata``, ``txn_id``, ``leases``
            As in ``delete_prefix``.

        A key whose state differs from then gets that state as its next version; others stay.

        Raises what ``transact`` raises, and :class:`OutOfRange` for a point that is no longer kept.
        """
        steps = self._restore(
            agent_id, at, prefix, namespace, preconditions, metadata, txn_id, leases
        )
        return self._run(steps)

    def fork(
        self,
        agent_id: str,
        to: str,
        *,
        at: Point | None = None,
        namespace: str | None = None,
        preconditions: Iterable[Precondition] = (),
        metadata: Mapping[str, str] | None = None,
        txn_id: str | None = None,
        leases: Iterable[BaseLease | LeasePrecondition] = (),
    ) -> Commit:
        """Begins a new agent with the state of another, at once and atomically, however many keys
        that has.

        >>> decision = client.write("a1", "plan", {"go": "left"})
        >>> _ = client.fork("a1", "a1-right", at=decision.commit_ts)
        >>> client.write("a1-right", "plan", {"go": "right"}).version
        2
        >>> client.get_state("a1", "plan").value
        {'go': 'left'}

        ``to``
            The name of the new agent, which must not have had a commit.
        ``at``
            The moment whose state it begins with: a commit_ts, a datetime with a zone, or ISO 8601
            text. None: now.
        ``namespace``
            Of both. None: the client's own.
        ``preconditions``, ``metadata``, ``txn_id``, ``leases``
            As in ``delete_prefix``.

        Versions go on where they were: what is inherited at version 7 is at version 8 after the
        next write, so conditions and reads at a version hold across the fork. Leases and times to
        live are not inherited. ``get_agent`` says where an agent comes from.

        Raises what ``transact`` raises: :class:`PreconditionFailed` when the new agent exists.
        """
        steps = self._fork(agent_id, to, at, namespace, preconditions, metadata, txn_id, leases)
        return self._run(steps)

    def refresh(
        self,
        agent_id: str,
        keys: str | RecordName | Iterable[str | RecordName],
        *,
        ttl: Duration | None = None,
        namespace: str | None = None,
    ) -> list[datetime | None]:
        """Moves the time at which records expire, and returns it of each; None of a record that is
        not there, or does not expire.

        >>> _ = client.write("a1", "session", {"user": "alice"}, ttl=3600)
        >>> [expires] = client.refresh("a1", "session", ttl=7200)
        >>> expires == client.get_state("a1", "session").expires_at
        True

        ``keys``
            One key, or many. A :class:`RecordName` names a record of another agent or namespace.
        ``ttl``
            Seconds, or a timedelta, from now. None: as each was written.
        ``namespace``
            None: the client's own.

        It is durable when it returns, but no commit: no version, no event. A read does not move
        anything.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return self._run(self._refresh(agent_id, keys, ttl, namespace))
