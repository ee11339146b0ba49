"""Commits of one operation that the daemon evaluates, and deadlines that are moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import _arguments as check
from statehouse import errors
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.log import LogSteps
from statehouse._steps.reads import ReadSteps
from statehouse._steps.writes import commit_of_operations
from statehouse._times import moment
from statehouse._values import DEFAULT_CONTENT_TYPE, content, from_json
from statehouse.types import (
    AnyOperation,
    Append,
    Commit,
    Content,
    DeleteAgent,
    DeletePrefix,
    Duration,
    Fork,
    Increment,
    Merge,
    Number,
    Point,
    Precondition,
    Record,
    RecordName,
    Restore,
    Value,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from statehouse._calls import Caller
    from statehouse._effects import Steps
    from statehouse._steps.writes import Leases

#: How many deadlines a request moves.
_REFRESHED = 1000


class ChangeSteps(ReadSteps, LogSteps):
    """Commits that need no read before them."""

    _caller: Caller

    def _one(
        self,
        operation: AnyOperation,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Record]:
        """Commits one operation, and returns the record that came of it."""
        commit = yield from commit_of_operations(
            self._caller, [operation], metadata=metadata, txn_id=txn_id, leases=leases
        )
        return self._outcome(commit, operation)

    @staticmethod
    def _outcome(commit: Commit, operation: AnyOperation) -> Record:
        """Makes the record that came of an operation. What was written is as it was given."""
        if not commit.results or commit.timestamp is None:
            raise errors.broken("no result of an operation that is evaluated")
        result, version = commit.results[0], commit.versions[0]
        value, kind = result.value, result.content_type
        if isinstance(operation, (Append, Write)):
            fields = content(operation.value, operation.content_type)
            value = (
                from_json(fields["value_json"]) if "value_json" in fields else fields["value_bytes"]
            )
            kind = "" if "value_json" in fields else fields["content_type"] or DEFAULT_CONTENT_TYPE
        return Record(
            key=version.key,
            value=value,
            version=version.version,
            commit_ts=commit.commit_ts,
            timestamp=commit.timestamp,
            agent_id=version.agent_id,
            namespace=version.namespace,
            content_type=kind,
        )

    def _append(
        self,
        agent_id: str,
        prefix: str,
        value: Content,
        content_type: str | None,
        ttl: Duration | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Record]:
        append = Append(agent_id, prefix, value, namespace, content_type, ttl)
        return self._one(append, metadata, txn_id, leases)

    def _increment(
        self,
        agent_id: str,
        key: str,
        pointer: str,
        delta: Number,
        minimum: Number | None,
        maximum: Number | None,
        expected_version: int | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Record]:
        increment = Increment(
            agent_id, key, pointer, delta, minimum, maximum, expected_version, namespace
        )
        return self._one(increment, metadata, txn_id, leases)

    def _merge(
        self,
        agent_id: str,
        key: str,
        patch: Value,
        expected_version: int | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Record]:
        merge = Merge(agent_id, key, patch, expected_version, namespace)
        return self._one(merge, metadata, txn_id, leases)

    def _put_if_absent(
        self,
        agent_id: str,
        key: str,
        value: Content,
        content_type: str | None,
        ttl: Duration | None,
        namespace: str | None,
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[tuple[Record, bool]]:
        write = Write(
            agent_id, key, value, None, namespace, content_type, ttl, None, None, if_absent=True
        )
        commit = yield from commit_of_operations(
            self._caller, [write], metadata=metadata, txn_id=txn_id, leases=leases
        )
        if not (commit.results and commit.results[0].existed):
            return self._outcome(commit, write), True
        version = commit.versions[0].version
        found = yield from self._get_state_at_version(agent_id, key, version, namespace)
        if found is None:
            raise errors.broken(f"version {version} of a key that exists is a delete")
        return found, False

    def _delete_prefix(
        self,
        agent_id: str,
        prefix: str,
        namespace: str | None,
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return self._act(
            DeletePrefix(agent_id, prefix, namespace), preconditions, metadata, txn_id, leases
        )

    def _delete_agent(
        self,
        agent_id: str,
        namespace: str | None,
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return self._act(DeleteAgent(agent_id, namespace), preconditions, metadata, txn_id, leases)

    def _restore(
        self,
        agent_id: str,
        at: Point,
        prefix: str,
        namespace: str | None,
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return self._act(
            Restore(agent_id, at, prefix, namespace), preconditions, metadata, txn_id, leases
        )

    def _fork(
        self,
        agent_id: str,
        to: str,
        at: Point | None,
        namespace: str | None,
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return self._act(Fork(agent_id, to, at, namespace), preconditions, metadata, txn_id, leases)

    def _act(
        self,
        operation: AnyOperation,
        preconditions: Iterable[Precondition],
        metadata: Mapping[str, str] | None,
        txn_id: str | None,
        leases: Leases,
    ) -> Steps[Commit]:
        return commit_of_operations(
            self._caller,
            [operation],
            preconditions,
            metadata=metadata,
            txn_id=txn_id,
            leases=leases,
        )

    def _refresh(
        self,
        agent_id: str,
        keys: str | RecordName | Iterable[str | RecordName],
        ttl: Duration | None,
        namespace: str | None,
    ) -> Steps[list[datetime | None]]:
        given = [keys] if isinstance(keys, (str, RecordName)) else keys
        names = self._names(agent_id, given, namespace)
        ttl_ms = check.optional_milliseconds("ttl", ttl) or 0
        moved: list[datetime | None] = []
        while len(moved) < len(names):
            batch = names[len(moved) : len(moved) + _REFRESHED]
            response = yield from self._caller.call(
                "RefreshExpiry", pb.RefreshExpiryRequest(names=batch, ttl_ms=ttl_ms)
            )
            if len(response.records) != len(batch):
                raise errors.broken(f"{len(response.records)} deadlines of {len(batch)} records")
            moved += [moment(record, "expires_at") for record in response.records]
        return moved
