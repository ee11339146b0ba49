"""What a transaction has written and not committed yet, and what it may hold.

The limits are the daemon's defaults (docs/OPERATIONS.md), with its words: so that a transaction
that no daemon will commit is refused at the write that is too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import errors
from statehouse._proto import statehouse_pb2 as pb
from statehouse._steps.operations import evaluated

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Writes and deletes of a transaction, and conditions on their records.
OPERATIONS = 5000
#: Bytes of their names and values.
BYTES = 7 << 19
#: Records and stretches that it reads.
READS = 10_000
#: Bytes of all that, which have to fit into one message.
TOGETHER = (4 << 20) - (64 << 10)

#: A record by namespace, agent and key.
Name = tuple[str, str, str]


def over(what: str, count: int, limit: int) -> errors.ResourceExhausted:
    """Makes the error for a limit that is reached."""
    return errors.ResourceExhausted(
        f"{what} of a transaction: {count}, the limit is {limit}",
        details={"what": f"{what} of a transaction", "limit": str(limit)},
    )


class Staged:
    """Operations in the order in which they were staged; a write or delete of a record stands in
    the place of an earlier one. Its user sees to it that one thread uses it at a time.
    """

    def __init__(self) -> None:
        #: Writes and deletes by their record; what is evaluated by a number, too.
        self._operations: dict[Name | tuple[Name, int], pb.TransactOperation] = {}
        #: Conditions of writes that a later write of their record has replaced.
        self._replaced: list[pb.KeyPrecondition] = []
        self._conditions = 0
        self._count = 0
        #: When each record was last written or deleted, and what was evaluated when, by that count.
        self._written: dict[Name, int] = {}
        self._evaluated: list[tuple[int, pb.TransactOperation]] = []
        #: Of names and values.
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._operations)

    def put(self, operation: pb.TransactOperation) -> int:
        """Stages a write or delete, in the place of an earlier one of the record, whose
        condition stays; or what is evaluated at the commit, after what is staged. Returns a number
        for :meth:`place`.
        """
        name = _name(operation)
        late = evaluated(operation)
        old = None if late else self._operations.get(name)
        size = self.bytes + _size(operation) - (0 if old is None else _size(old))
        expects = operation.HasField("expected_version")
        if old is None and len(self._operations) >= OPERATIONS:
            raise over("operations", len(self._operations) + 1, OPERATIONS)
        if expects and self._conditions >= OPERATIONS:
            raise over("preconditions", self._conditions + 1, OPERATIONS)
        if size > BYTES:
            raise over("bytes", size, BYTES)
        if old is not None and old.HasField("expected_version"):
            self._keep_condition(old, operation, expects=expects)
        self._count += 1
        if late:
            self._operations[name, self._count] = operation
            self._evaluated.append((self._count, operation))
        else:
            if old is not None and self.unknown(name):
                del self._operations[name]  # it comes after what is evaluated
            self._operations[name] = operation
            self._written[name] = self._count
        self._conditions += expects
        self.bytes = size
        return self._count

    def _keep_condition(
        self, old: pb.TransactOperation, new: pb.TransactOperation, *, expects: bool
    ) -> None:
        if not expects:
            new.expected_version = old.expected_version
        elif new.expected_version != old.expected_version:
            self._replaced.append(
                pb.KeyPrecondition(
                    namespace=old.namespace,
                    agent_id=old.agent_id,
                    key=old.key,
                    expected_version=old.expected_version,
                )
            )

    def get(self, name: Name) -> pb.TransactOperation | None:
        """Returns the write or delete that was last staged of a record."""
        return self._operations.get(name)

    def unknown(self, name: Name) -> pb.TransactOperation | None:
        """Returns an operation that decides at the commit what becomes of a record."""
        space, agent, key = name
        written = self._written.get(name, 0)
        for at, operation in self._evaluated:
            if at > written and (operation.namespace, operation.agent_id) == (space, agent):
                own = operation.key
                if key == own or (_many(operation) and key.startswith(own)):
                    return operation
        return None

    def unknown_within(
        self, namespace: str, agent_id: str, prefix: str
    ) -> pb.TransactOperation | None:
        """Returns an operation that decides at the commit what is under a prefix."""
        for _, operation in self._evaluated:
            if (operation.namespace, operation.agent_id) == (namespace, agent_id):
                own = operation.key
                if own.startswith(prefix) or (_many(operation) and prefix.startswith(own)):
                    return operation
        return None

    def place(self, number: int) -> int:
        """Returns which of the operations, counted from 0, one that is evaluated is."""
        for place, key in enumerate(self._operations):
            if len(key) == 2 and key[1] == number:
                return place
        raise LookupError(number)

    def within(self, namespace: str, agent_id: str, prefix: str) -> list[pb.TransactOperation]:
        """Returns the writes and deletes that were staged under a prefix, in byte order."""
        return sorted(
            (
                operation
                for name, operation in self._operations.items()
                if len(name) == 3
                and name[1] == agent_id
                and name[0] == namespace
                and name[2].startswith(prefix)
            ),
            key=lambda operation: operation.key,  # code points are in the order of their bytes
        )

    def operations(self) -> Iterable[pb.TransactOperation]:
        """Returns what to commit."""
        return self._operations.values()

    def conditions(self) -> list[pb.KeyPrecondition]:
        """Returns the conditions that no operation carries."""
        return self._replaced


def _many(operation: pb.TransactOperation) -> bool:
    """Reports whether an operation is on what is under its key."""
    return not (operation.HasField("increment") or operation.merge_json or operation.put.if_absent)


def _name(operation: pb.TransactOperation) -> Name:
    return operation.namespace, operation.agent_id, operation.key


def _size(operation: pb.TransactOperation) -> int:
    size = name_size(_name(operation)) + len(operation.value_json) + len(operation.merge_json)
    if operation.HasField("put"):
        put = operation.put
        size += len(put.value_json) + len(put.value_bytes) + len(put.content_type)
    return size


def name_size(name: Iterable[str]) -> int:
    """Returns how many bytes a name has."""
    return sum([len(part) if part.isascii() else len(part.encode()) for part in name])
