# Derived from _sync/daemon.py by python/generate_aio.py: change that, and run it.
"""Questions about the daemon itself, awaited."""

from __future__ import annotations

from statehouse._aio.transport import Awaiting
from statehouse._steps.daemon import DaemonSteps
from statehouse.types import Build, Status


class DaemonCalls(DaemonSteps, Awaiting):
    """Whether it serves, what build it is, how large its store is."""

    async def health(self) -> str:
        """Asks once whether the daemon serves, and answers ``"ok"``.

        >>> await client.health()
        'ok'

        Raises :class:`ConnectionError` when it does not serve, or cannot be reached at the
        first try.
        """
        return await self._run(self._health())

    async def version(self) -> Build:
        """Names the build of the daemon.

        Raises :class:`ConnectionError` when it cannot be reached.
        """
        return await self._run(self._version())

    async def status(self) -> Status:
        """Reports how far the store is and how large.

        >>> (await client.status()).published_ts
        0

        Raises :class:`ConnectionError` when the daemon cannot be reached.
        """
        return await self._run(self._status())
