"""Every error this package raises: one tree under :class:`StatehouseError`.

All but two are definite. Nothing was applied when one is raised, except

* :class:`OutcomeUnknown`: a commit may or may not have been applied;
* an error whose ``maybe_applied`` is true: the daemon refused a commit that had been
  tried before without an answer, and that earlier try could yet be applied.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse._status import Told

__all__ = [
    "ConflictError",
    "ConnectionError",
    "DataLoss",
    "DeadlineExceeded",
    "DiskFull",
    "EpochChanged",
    "Erased",
    "EvaluationFailed",
    "InternalError",
    "InvalidArgument",
    "LeaseHeld",
    "LeaseLost",
    "NotFoundError",
    "OutOfRange",
    "OutcomeUnknown",
    "Overloaded",
    "PermissionDenied",
    "PreconditionFailed",
    "ResourceExhausted",
    "StatehouseError",
    "TransactionAborted",
    "TransactionCommitted",
    "TransactionError",
    "TransactionExpired",
    "TransactionIDReused",
    "TransactionNotFound",
    "TransactionTooOld",
    "Unauthenticated",
    "Unimplemented",
    "UsageError",
]


class StatehouseError(Exception):
    """A call that failed.

    ``code``
        The contract's name of the error, such as ``"CONFLICT"``; of failures without an
        answer ``"UNAVAILABLE"``.
    ``details``
        The facts for a program: ``key``, ``current_version``, ``field``, ``limit``…
    ``answered``
        The daemon itself said so. Otherwise nothing came back from it.
    ``maybe_applied``
        True of a refused commit of which an earlier try could yet be applied; see the module.
    """

    #: What to do about it; printed after the message.
    advice: str = ""
    #: The code of an error that this package itself raises.
    own_code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        details: Mapping[str, str] | None = None,
        answered: bool = False,
        sent: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.own_code if code is None else code
        self.details: dict[str, str] = dict(details or {})
        self.answered = answered
        self.maybe_applied = False
        self._sent = sent or answered  # the daemon may have seen the request
        self._lasting = False  # trying again will not help: certificates, a closed client
        self._told: Told | None = None  # what it is in a history

    def __str__(self) -> str:
        return f"{self.message}. {self.advice}" if self.advice else self.message

    @property
    def retry_after(self) -> float | None:
        """Seconds after which a daemon that refused for load wants to be asked again. Calls wait
        that long and try again by themselves while their time lasts.
        """
        given = self.details.get("retry_after_ms", "")
        return int(given) / 1000 if given.isascii() and given.isdigit() else None

    def _number(self, detail: str) -> int | None:
        return int(self.details[detail]) if detail in self.details else None


class UsageError(StatehouseError, RuntimeError):
    """The package is used in a way that cannot work; the message says what does."""

    own_code = "INVALID_REQUEST"


class InvalidArgument(UsageError, ValueError):
    """The request, or the configuration, breaks a rule; ``details["field"]`` says where."""


class ResourceExhausted(StatehouseError):
    """A limit is reached; the message names it."""

    own_code = "LIMIT_EXCEEDED"


class DiskFull(ResourceExhausted):
    """The daemon's disk is nearly full: it refuses writes, reads go on."""

    own_code = "DISK_FULL"
    advice = "Make space on the daemon's disk: it then accepts writes again by itself"


class ConnectionError(StatehouseError, builtins.ConnectionError):
    """The daemon cannot be reached, does not answer, or is stopping.

    Of a commit: it was not applied.
    """

    own_code = "UNAVAILABLE"
    advice = (
        "Is statehoused running, and is this its address? It is given by url=, or by"
        " STATEHOUSE_ADDRESS"
    )


class DeadlineExceeded(ConnectionError, builtins.TimeoutError):
    """The call's timeout passed before the daemon answered."""

    advice = "Is the daemon overloaded, or stopped? Otherwise allow more time with timeout="


class Unauthenticated(StatehouseError):
    """The key or token is missing, wrong, expired or revoked."""

    own_code = "UNAUTHENTICATED"
    advice = "Give a key or the token by token=, or by STATEHOUSE_TOKEN"


class Unimplemented(StatehouseError):
    """The daemon does not know the call."""

    own_code = "UNIMPLEMENTED"
    advice = "It is older than this package, or not a Statehouse daemon"


class NotFoundError(StatehouseError, LookupError):
    """The record never had that version."""

    own_code = "VERSION_NOT_FOUND"


class DataLoss(StatehouseError):
    """The daemon found corrupt data on its disk."""

    own_code = "DATA_LOSS"
    advice = "Stop the daemon and run: statehoused verify DATA_DIR"


class InternalError(StatehouseError):
    """A failure of the daemon, or an answer that breaks the contract."""


class TransactionError(StatehouseError):
    """The transaction was not committed: nothing of it was applied."""


class ConflictError(TransactionError):
    """Something that the transaction read, or expected, has changed meanwhile.

    ``run_transaction`` runs the transaction again by itself.
    """

    own_code = "CONFLICT"
    advice = "Read again and repeat the transaction; run_transaction does that by itself"

    @property
    def namespace(self) -> str | None:
        """The namespace of what changed."""
        return self.details.get("namespace")

    @property
    def agent_id(self) -> str | None:
        """The agent of what changed."""
        return self.details.get("agent_id")

    @property
    def key(self) -> str | None:
        """The key that changed; None when it is about an agent's head."""
        return self.details.get("key")

    @property
    def current_version(self) -> int | None:
        """The version the key is at; 0: it does not exist."""
        return self._number("current_version")

    @property
    def expected_version(self) -> int | None:
        """The version that was expected, or that the transaction had read; 0: none."""
        expected = self._number("expected_version")
        return self._number("seen_version") if expected is None else expected


class PreconditionFailed(ConflictError):
    """An expected version, or an agent's expected head, is not the current one.

    ``run_transaction`` does not repeat it: only the caller knows what to expect now.
    """

    own_code = "PRECONDITION_FAILED"
    advice = "Read it again, decide, and expect the version you have read"

    @property
    def current_head(self) -> int | None:
        """The commit_ts of the agent's last commit, when that was expected to be another."""
        return self._number("current_head")

    @property
    def expected_head(self) -> int | None:
        """The commit_ts that was expected to be the agent's last one; 0: no commit."""
        return self._number("expected_head")


class LeaseHeld(TransactionError):
    """The lease is held, by whomever ``details`` name."""

    own_code = "LEASE_HELD"
    advice = "Wait for it with client.lease(..., wait=), or let its holder work"

    @property
    def holder(self) -> str | None:
        """Who holds it, as the holder called itself."""
        return self.details.get("holder")


class LeaseLost(TransactionError):
    """The lease is not held under that token: it lapsed, was released, or another holds it."""

    own_code = "LEASE_LOST"
    advice = "Stop the work: another worker may be doing it. Acquire the lease again"


class EvaluationFailed(TransactionError):
    """What is there is not what the operation asks for, or the result is not allowed."""

    own_code = "EVALUATION_FAILED"


class TransactionExpired(TransactionError):
    """The transaction reached its timeout and was aborted."""

    own_code = "TXN_EXPIRED"
    advice = "Do the slow work outside, or ask for more with begin_transaction(timeout=)"


class TransactionNotFound(TransactionError):
    """The daemon knows no such transaction: open ones do not survive its restart."""

    own_code = "TXN_NOT_FOUND"
    advice = "Begin again"


class TransactionAborted(TransactionError):
    """The transaction was aborted."""

    own_code = "TXN_ABORTED"
    advice = "Begin again"


class TransactionCommitted(TransactionError):
    """A write to, or an abort of, a transaction that has committed: that stays."""

    own_code = "TXN_ALREADY_COMMITTED"


class TransactionIDReused(TransactionError):
    """The id stands for other operations already."""

    own_code = "TXN_ID_REUSED"
    advice = "Repeat a commit with the very same operations, or give it another txn_id"


class TransactionTooOld(TransactionError):
    """Outcomes of the id's age are gone, so applying it could be applying it again."""

    own_code = "TXN_TOO_OLD"
    advice = "Read the state to see whether it was applied"


class PermissionDenied(StatehouseError):
    """The key may not do this; the message says what it may not."""

    own_code = "PERMISSION_DENIED"
    advice = "Ask an operator for a key with the permission"


class Overloaded(ResourceExhausted):
    """More was asked than the daemon can do in time, or than the key may. Nothing was applied."""

    own_code = "OVERLOADED"
    advice = "It was tried again as long as there was time: ask less, or allow more time"


class OutOfRange(StatehouseError):
    """Older than what the namespace's retention keeps: ``details`` name what is kept."""

    own_code = "OUT_OF_RANGE"
    advice = "Begin at floor_ts or oldest_version of the details, or read what is current"


class Erased(NotFoundError):
    """The value was erased, for good."""

    own_code = "ERASED"


class EpochChanged(StatehouseError):
    """The store was restored: the cursor, page or commit_ts is of an earlier epoch."""

    own_code = "EPOCH_CHANGED"
    advice = "Read the state anew, and go on from the cursor that comes with it"


class OutcomeUnknown(StatehouseError):
    """A commit may or may not have been applied, or may yet be.

    Ask ``client.get_transaction(error.txn_id)``, or send the same operations again under
    the same id: they take effect once. It is no :class:`TransactionError`, for that
    guarantees that nothing was applied.
    """

    own_code = "OUTCOME_UNKNOWN"
    advice = "Ask get_transaction(error.txn_id), or transact the same again under that txn_id"

    #: The id to ask for.
    txn_id: str = ""


#: The one table from the contract's codes to errors. A code that is not in it comes
#: from a newer daemon and is an InternalError.
BY_CODE: dict[str, type[StatehouseError]] = {
    error.own_code: error
    for error in (
        InvalidArgument,
        ResourceExhausted,
        DiskFull,
        ConnectionError,
        Unauthenticated,
        PermissionDenied,
        Overloaded,
        OutOfRange,
        Erased,
        EpochChanged,
        NotFoundError,
        DataLoss,
        ConflictError,
        PreconditionFailed,
        LeaseHeld,
        LeaseLost,
        EvaluationFailed,
        TransactionExpired,
        TransactionNotFound,
        TransactionAborted,
        TransactionCommitted,
        TransactionIDReused,
        TransactionTooOld,
        OutcomeUnknown,
    )
}
BY_CODE["KEY_NOT_FOUND"] = NotFoundError
BY_CODE["NOT_LEADER"] = ConnectionError


def broken(what: str) -> InternalError:
    """Makes the error for an answer that breaks the contract."""
    return InternalError(f"the daemon's answer breaks the contract: {what}", answered=True)
