"""Questions about the daemon itself, blocking."""

from __future__ import annotations

from statehouse._steps.daemon import DaemonSteps
from statehouse._sync.transport import Blocking
from statehouse.types import Build, Status


class DaemonCalls(DaemonSteps, Blocking):
    """Whether it serves, what build it is, how large its store is."""

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
