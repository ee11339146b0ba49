"""Channels to several daemons that keep one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse._sync.transport import Transport

if TYPE_CHECKING:
    from statehouse._capture import Capture
    from statehouse._channel import Endpoint
    from statehouse._effects import Effect


class MembersTransport(Transport):
    """A channel to each, on which the effects that name it are performed."""

    def __init__(self, endpoints: list[Endpoint], capture: Capture | None) -> None:
        super().__init__(endpoints[0], capture)
        self._members = [Transport(endpoint, None) for endpoint in endpoints]

    def _perform(self, effect: Effect) -> Any:
        return self._members[getattr(effect, "member", 0)]._perform(effect)  # noqa: SLF001  ours

    def close(self) -> None:
        for member in self._members:
            member.close()
        super().close()
