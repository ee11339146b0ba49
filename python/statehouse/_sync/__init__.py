"""The client that blocks.

``transport`` performs effects by waiting for them. The other modules are the public methods
with their signatures and documentation, and run the logic in ``statehouse._steps``.
``python/generate_aio.py`` derives ``statehouse._aio`` from them, except for ``transport``,
``client`` and ``leases``, in which the two differ.
"""

from statehouse._sync.client import AgentState, Statehouse
from statehouse._sync.leases import Claim, Lease
from statehouse._sync.txn import Txn

__all__ = ["AgentState", "Claim", "Lease", "Statehouse", "Txn"]
