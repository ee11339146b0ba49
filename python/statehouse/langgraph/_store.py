"""The stores, which run the steps."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from langgraph.store.base import BaseStore

from statehouse import AsyncStatehouse, Statehouse
from statehouse.langgraph._asking import Answering, Awaiting, Blocking, arun, run
from statehouse.langgraph._items import Items

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from langgraph.store.base import Op, Result, TTLConfig

#: The agent whose records the items are.
STORE = "store"


class BaseStatehouseStore(Items, BaseStore):
    """What both stores have in common. The methods to use are those of the framework's BaseStore:
    get, put, delete, search and list_namespaces, and the same with an a before it, awaited.
    """

    supports_ttl = True
    ttl_config: TTLConfig | None

    def __init__(self, answering: Answering, ttl: TTLConfig | None, agent_id: str) -> None:
        self._answering = answering
        self._agent = agent_id
        self.ttl_config = ttl

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Does operations: first all that read, then all that write, in one commit."""
        return run(self._batch(ops), self._answering.answer)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As :meth:`batch`."""
        return await arun(self._batch(ops), self._answering)


class StatehouseStore(BaseStatehouseStore):
    """A store of LangGraph on a client that blocks.

    >>> store = StatehouseStore(client)
    >>> store.put(("users", "alice"), "prefs", {"theme": "dark"})
    >>> store.get(("users", "alice"), "prefs").value
    {'theme': 'dark'}

    ``client``
        Its namespace is that of the items.
    ``ttl``
        As of the framework's other stores: ``default_ttl`` in minutes, ``refresh_on_read``,
        ``omit_expired``. Expired items are deleted by the daemon: there is nothing to sweep.
    ``agent_id``
        The agent whose records the items are.

    There is no vector search: a search with ``query`` raises NotImplementedError.
    """

    def __init__(
        self, client: Statehouse, *, ttl: TTLConfig | None = None, agent_id: str = STORE
    ) -> None:
        super().__init__(Blocking(client), ttl, agent_id)
        self.client = client

    @classmethod
    @contextmanager
    def from_url(
        cls, url: str | None = None, *, ttl: TTLConfig | None = None, **options: Any
    ) -> Iterator[StatehouseStore]:
        """Makes a store with a client of its own, which ``options`` are of, and closes that."""
        with Statehouse(url, **options) as client:
            yield cls(client, ttl=ttl)


class AsyncStatehouseStore(BaseStatehouseStore):
    """A store of LangGraph on a client that is awaited.

    Its blocking methods may be called from other threads than that of the client's event loop.

    ``client``, ``ttl``, ``agent_id``
        As of :class:`StatehouseStore`.
    """

    def __init__(
        self, client: AsyncStatehouse, *, ttl: TTLConfig | None = None, agent_id: str = STORE
    ) -> None:
        super().__init__(Awaiting(client), ttl, agent_id)
        self.client = client

    @classmethod
    @asynccontextmanager
    async def from_url(
        cls, url: str | None = None, *, ttl: TTLConfig | None = None, **options: Any
    ) -> AsyncIterator[AsyncStatehouseStore]:
        """Makes a store with a client of its own, which ``options`` are of, and closes that."""
        async with AsyncStatehouse(url, **options) as client:
            yield cls(client, ttl=ttl)
