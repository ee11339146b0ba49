"""What a transaction has written and not committed yet, and what it may hold.

The limits are the daemon's defaults (docs/OPERATIONS.md), with its words: so that a transaction
that no daemon will commit is refused at the write that is too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import errors
from statehouse._proto import statehouse_pb2 as pb

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
    """Writes by their records, in the order in which those were first written. Its user sees
    to it that one thread uses it at a time.
    """

    def __init__(self) -> None:
        self._operations: dict[Name, pb.TransactOperation] = {}
        #: Conditions of writes that a later write of their record has replaced.
        self._replaced: list[pb.KeyPrecondition] = []
        self._conditions = 0
        #: Of names and values.
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._operations)

    def put(self, operation: pb.TransactOperation) -> None:
        """Stages a write or delete, in the place of an earlier one of the record, whose
        condition stays.
        """
        name = (operation.namespace, operation.agent_id, operation.key)
        old = self._operations.get(name)
        size = self.bytes + _size(operation) - (0 if old is None else _size(old))
        expects = operation.HasField("expected_version")
        if old is None and len(self._operations) >= OPERATIONS:
            raise over("operations", len(self._operations) + 1, OPERATIONS)
        if expects and self._conditions >= OPERATIONS:
            raise over("preconditions", self._conditions + 1, OPERATIONS)
        if size > BYTES:
            raise over("bytes", size, BYTES)
        if old is not None and old.HasField("expected_version"):
            if not expects:
                operation.expected_version = old.expected_version
            elif operation.expected_version != old.expected_version:
                self._replaced.append(
                    pb.KeyPrecondition(
                        namespace=old.namespace,
                        agent_id=old.agent_id,
                        key=old.key,
                        expected_version=old.expected_version,
                    )
                )
        self._operations[name] = operation
        self._conditions += expects
        self.bytes = size

    def get(self, name: Name) -> pb.TransactOperation | None:
        """Returns what was last staged of a record."""
        return self._operations.get(name)

    def within(self, namespace: str, agent_id: str, prefix: str) -> list[pb.TransactOperation]:
        """Returns what was staged under a prefix, in byte order."""
        return sorted(
            (
                operation
                for (space, agent, key), operation in self._operations.items()
                if agent == agent_id and space == namespace and key.startswith(prefix)
            ),
            key=lambda operation: operation.key,  # code points are in the order of their bytes
        )

    def operations(self) -> Iterable[pb.TransactOperation]:
        """Returns what to commit."""
        return self._operations.values()

    def conditions(self) -> list[pb.KeyPrecondition]:
        """Returns the conditions that no operation carries."""
        return self._replaced


def _size(operation: pb.TransactOperation) -> int:
    name = operation.namespace, operation.agent_id, operation.key
    return name_size(name) + len(operation.value_json)


def name_size(name: Iterable[str]) -> int:
    """Returns how many bytes a name has."""
    return sum([len(part) if part.isascii() else len(part.encode()) for part in name])
