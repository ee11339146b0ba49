"""LangGraph on Statehouse: checkpointers and stores.

::

    from statehouse import Statehouse
    from statehouse.langgraph import StatehouseSaver, StatehouseStore

    client = Statehouse()
    graph = builder.compile(checkpointer=StatehouseSaver(client), store=StatehouseStore(client))

:class:`StatehouseSaver` and :class:`StatehouseStore` take a :class:`Statehouse`,
:class:`AsyncStatehouseSaver` and :class:`AsyncStatehouseStore` an :class:`AsyncStatehouse`; each
has all methods of the framework, blocking and awaited. It needs
``pip install "statehouse-sdk[langgraph]"``. docs/LANGGRAPH.md says what is kept where, and what
holds.
"""

from statehouse._adapters import needs

try:
    import langgraph.checkpoint.base  # noqa: F401
except ImportError as error:
    raise needs("langgraph", error) from error

from statehouse.langgraph._owning import ThreadConflict
from statehouse.langgraph._saver import AsyncStatehouseSaver, StatehouseSaver
from statehouse.langgraph._store import AsyncStatehouseStore, StatehouseStore

__all__ = [
    "AsyncStatehouseSaver",
    "AsyncStatehouseStore",
    "StatehouseSaver",
    "StatehouseStore",
    "ThreadConflict",
]
