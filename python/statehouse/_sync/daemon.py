"""Questions about the daemon itself, blocking."""

from __future__ import annotations

from statehouse._steps.daemon import DaemonSteps
from statehouse._sync.transport import Blocking
from statehouse.types import Build, OpenStream, Refusal, Status


class DaemonCalls(DaemonSteps, Blocking):
    """Whether it serves, what build it is, how large its store is, what goes on in it."""

    def health(self) -> str:
        """Asks once whether the daemon serves, and answers ``"ok"``.

        >>> client.health()
        'ok'

        Raises :class:`ConnectionError` when it does not serve, or cannot be reached at the
        first try.
        """
        return self._run(self._health())

    def version(self) -> Build:
        """Names the build of the daemon.

        Raises :class:`ConnectionError` when it cannot be reached.
        """
        return self._run(self._version())

    def status(self) -> Status:
        """Reports how far the store is and how large.

        >>> client.status().published_ts
        0

        Raises :class:`ConnectionError` when the daemon cannot be reached.
        """
        return self._run(self._status())

    def list_refusals(
        self,
        *,
        conflicts: bool = False,
        limit: int | None = None,
        namespace: str | None = None,
        all_namespaces: bool = False,
    ) -> list[Refusal]:
        """Lists what the daemon refused in the last hour, the last first; like refusals together.

        >>> _ = client.write("a1", "plan", {"step": 1})
        >>> try:
        ...     client.write("a1", "plan", {"step": 2}, expected_version=7)
        ... except PreconditionFailed:
        ...     pass
        >>> [(refused.code, refused.key, refused.count) for refused in client.list_refusals()]
        [('PRECONDITION_FAILED', 'plan', 1)]

        ``conflicts``
            Only those about what was there: conflicts, preconditions, leases, evaluated operations.
        ``limit``
            How many to list at most; None: all.
        ``namespace``
            None: the client's own.
        ``all_namespaces``
            Of all namespaces that the client may read, and of requests that named none.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return self._run(self._list_refusals(conflicts, limit, namespace, all_namespaces))

    def list_streams(
        self, *, namespace: str | None = None, all_namespaces: bool = False
    ) -> list[OpenStream]:
        """Lists who watches and replays what, since when and how far behind: the first thousand.

        >>> client.list_streams()
        []

        ``namespace``
            None: the client's own.
        ``all_namespaces``
            Of all namespaces that the client may read, and sessions.

        Raises :class:`InvalidArgument` for a name that breaks a rule.
        """
        return self._run(self._list_streams(namespace, all_namespaces))
