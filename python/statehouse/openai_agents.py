"""Sessions of the OpenAI Agents SDK, with ``pip install "statehouse-sdk[openai-agents]"``.

>>> from agents import Runner
>>> from statehouse import Statehouse
>>> from statehouse.openai_agents import StatehouseSession
>>> session = StatehouseSession("user-123", Statehouse("localhost:50051"))
>>> result = await Runner.run(agent, "Hello", session=session)

A session is an agent, ``openai/SESSION``, and its items are the sequence ``item/`` of it. Each call
is one commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from statehouse._adapters import items, names, needs
from statehouse._adapters.deleting import delete

try:
    import agents.memory
    import anyio.to_thread
except ImportError as missing:
    raise needs("openai-agents", missing) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents import TResponseInputItem
    from agents.memory import SessionSettings

    from statehouse import Statehouse, Txn

__all__ = ["StatehouseSession"]

_ITEMS = "item/"


def _settings(given: SessionSettings | dict[str, Any] | None) -> SessionSettings | None:
    """Makes settings of what is given, where the SDK is new enough to have them."""
    kind: Any = getattr(agents.memory, "SessionSettings", None)
    if kind is None or isinstance(given, kind):
        return given  # type: ignore[return-value]
    given = dict(given or {})  # type: ignore[arg-type]
    if unknown := sorted(given.keys() - kind.__dataclass_fields__.keys()):
        raise TypeError(f"Unknown session settings: {', '.join(unknown)}")
    settings: SessionSettings = kind(**given)
    return settings


class StatehouseSession:
    """A session of the OpenAI Agents SDK: a conversation that any process can go on with.

    ``session_id``
        Names the conversation.
    ``client``
        A blocking client; calls run in threads. Its namespace is where the session is.
    ``session_settings``
        The SDK's own, or a dict of them; ``limit`` is that of ``get_items`` where none is given.
    ``prefix``
        What the name of the agent begins with.
    ``metadata``
        Stays with each commit: who did it, why…

    Items that several processes add at once are all there, those of a call together and in their
    order; an item that two of them pop at once goes to one. Cancelled, a call is waited for.
    All methods raise what the client's raise: see :mod:`statehouse.errors`.
    """

    session_settings: SessionSettings | None = None

    def __init__(
        self,
        session_id: str,
        client: Statehouse,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        prefix: str = "openai/",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = _settings(session_settings)
        self.agent_id = names.agent(prefix, session_id)
        self._client = client
        self._metadata = dict(metadata or {})

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Reads the conversation, or its last items up to a limit, oldest first."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit <= 0:
            return []
        return await anyio.to_thread.run_sync(self._get_items, limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Appends items, all of them or none."""
        if items:
            await anyio.to_thread.run_sync(self._add_items, items)

    async def pop_item(self) -> TResponseInputItem | None:
        """Removes the last item and returns it; None when there is none."""
        return await anyio.to_thread.run_sync(self._pop_item)

    async def clear_session(self) -> None:
        """Deletes the conversation. Its past can be read still: see ``Statehouse.restore``."""
        await anyio.to_thread.run_sync(self._clear_session)

    def _get_items(self, limit: int | None) -> list[Any]:
        records = self._client.scan_prefix(
            self.agent_id, _ITEMS, reverse=limit is not None, limit=limit
        )
        values = [record.value for record in records]
        if limit is not None:
            values.reverse()
        return items.unpack(self._client, self.agent_id, values)

    def _add_items(self, added: list[TResponseInputItem]) -> None:
        packed = items.pack_all(added)

        def run(tx: Txn) -> None:
            for one in packed:
                tx.append(self.agent_id, _ITEMS, one.value)

        items.commit(self._client, {self.agent_id: packed}, run, self._metadata)

    def _pop_item(self) -> Any:
        def run(tx: Txn) -> Any:
            # The range that is read ends after the last item, so that an append conflicts.
            for record in tx.scan_prefix(self.agent_id, _ITEMS, reverse=True, limit=1):
                tx.delete(self.agent_id, record.key)
                return record.value
            return None

        value = self._client.run_transaction(run, metadata=self._metadata)
        return None if value is None else items.unpack(self._client, self.agent_id, [value])[0]

    def _clear_session(self) -> None:
        prefixes = (_ITEMS, items.CHUNKS)
        delete(self._client, self.agent_id, prefixes, metadata=self._metadata)
