"""The client that is awaited.

``transport`` performs effects by awaiting them, ``client`` is the client itself, and ``leases``
cancels tasks. All other modules are derived from those of ``statehouse._sync`` by
``python/generate_aio.py``: change those, and run it.
"""

from statehouse._aio.client import AsyncAgentState, AsyncStatehouse
from statehouse._aio.leases import AsyncClaim, AsyncLease
from statehouse._aio.txn import AsyncTxn

__all__ = ["AsyncAgentState", "AsyncClaim", "AsyncLease", "AsyncStatehouse", "AsyncTxn"]
