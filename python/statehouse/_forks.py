"""Connections in a process that forks.

gRPC runs threads, and a forked child has none of them: a connection of the parent is of no
use there, and touching it may hang or crash. A client that was used before the fork refuses
to be used in the child. A client made in the child works, unless other threads were inside
gRPC at the moment of the fork: then every client in the child refuses.
"""

from __future__ import annotations

import os
import threading

from statehouse.errors import UsageError

#: The threads that are inside gRPC.
talking: set[int] = set()
_broken = False


def check(made_in: int) -> None:
    """Refuses a connection that was made in another process; made_in 0: none was yet."""
    if made_in not in (0, os.getpid()):
        raise UsageError(
            "the client was used before this process was forked: make one in each process"
        )
    if _broken:
        raise UsageError(
            "this process was forked while other threads of its parent were talking to"
            " Statehouse, which gRPC does not survive: start processes by spawn or forkserver"
        )


def _after_in_child() -> None:
    global _broken
    _broken = _broken or bool(talking - {threading.get_ident()})
    talking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
