"""What comes of an operation that a transaction has staged and the daemon is to evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from statehouse.errors import UsageError

if TYPE_CHECKING:
    from statehouse.operations import Content
    from statehouse.types import OperationResult


class Pending:
    """What comes of an operation in a transaction. It is decided when the transaction commits:
    asked before, each property raises :class:`UsageError`.
    """

    def __init__(self, what: str, result: Callable[[], OperationResult | None]) -> None:
        """Made by the methods of a transaction."""
        self._what, self._result = what, result

    @property
    def result(self) -> OperationResult:
        """All of it."""
        result = self._result()
        if result is None:
            raise UsageError(
                f"what comes of {self._what} is known when the transaction has committed"
            )
        return result

    @property
    def key(self) -> str:
        """The key: of an append, the one that it got."""
        return self.result.key

    @property
    def version(self) -> int:
        """The version that the key is at."""
        return self.result.version

    @property
    def value(self) -> Content | None:
        """The value that came out, of an increment or merge; and what is there, of a
        ``put_if_absent`` that found something.
        """
        return self.result.value

    @property
    def existed(self) -> bool:
        """Of a ``put_if_absent``: the key existed and is as it was."""
        return self.result.existed

    def __bool__(self) -> Any:
        raise UsageError("what comes of an operation is neither true nor false: ask its properties")

    def __repr__(self) -> str:
        result = self._result()
        return f"<{self._what}: {'decided at the commit' if result is None else result}>"
