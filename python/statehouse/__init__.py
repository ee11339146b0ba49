"""Statehouse: durable, versioned, replayable state for AI agents, with transactions.

>>> from statehouse import Statehouse
>>> client = Statehouse(url="localhost:50051")
>>> with client.begin_transaction() as tx:
...     tx.write(agent_id="planner", key="plan", value={"goal": "population of Paris"})
>>> client.get_state(agent_id="planner", key="plan").value
{'goal': 'population of Paris'}

:class:`Statehouse` blocks, :class:`AsyncStatehouse` is awaited; they are the same but for
that. What goes in and comes out is in :mod:`statehouse.types`, what a commit is made of in
:mod:`statehouse.operations`, conditions to find by in :mod:`statehouse.filters`, what is raised in
:mod:`statehouse.errors`. :mod:`statehouse.testing` starts a private daemon for tests.
"""

from statehouse import _quiet  # noqa: F401  before anything else imports gRPC
from statehouse._aio import AsyncAgentState, AsyncClaim, AsyncLease, AsyncStatehouse, AsyncTxn
from statehouse._others import warn_of_others
from statehouse._pending import Pending
from statehouse._sync import AgentState, Claim, Lease, Statehouse, Txn
from statehouse._version import __version__
from statehouse.errors import *  # noqa: F403
from statehouse.errors import __all__ as _errors
from statehouse.filters import Condition, F
from statehouse.operations import *  # noqa: F403  type checkers do not see it in types
from statehouse.types import *  # noqa: F403
from statehouse.types import __all__ as _types

#: The name of :class:`Txn` in programs written for older clients.
Transaction = Txn

__all__ = [
    "AgentState",
    "AsyncAgentState",
    "AsyncClaim",
    "AsyncLease",
    "AsyncStatehouse",
    "AsyncTxn",
    "Claim",
    "Condition",
    "F",
    "Lease",
    "Pending",
    "Statehouse",
    "Transaction",
    "Txn",
    "__version__",
    *_errors,
    *_types,
]

warn_of_others()
